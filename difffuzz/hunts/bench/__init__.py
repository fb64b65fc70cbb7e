# SPDX-License-Identifier: GPL-2.0-only
"""`scripts/bench-bugs`: how soon each method finds each bug of the catalogue."""
