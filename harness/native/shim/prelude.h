/* SPDX-License-Identifier: GPL-2.0-only */
/* Forced in before everything else: what the library defines stays inside it. */
#pragma GCC visibility push(hidden)

/* Under a hypervisor that flushes ranges; since 6.8 the option is what makes KVM ask for it. */
#if HAS_RANGES_NEED_HYPERV
#define CONFIG_HYPERV 1
#endif
