/* SPDX-License-Identifier: GPL-2.0-only */
/* Forced in before everything else: what the library defines stays inside it. */
#pragma GCC visibility push(hidden)
