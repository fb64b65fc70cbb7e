# SPDX-License-Identifier: GPL-2.0-only
"""The modelled KVM: one model in which both MMUs exist, as in the kernel.

One module for each kernel file, and for the 7,000 lines of mmu.c one for each of its subjects
(`mmu*.py`).  Functions have the kernel's names and order of checks.  The modules import each other
only relatively, so that a patched copy of the package can live beside this one.
"""
