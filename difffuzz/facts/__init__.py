# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that kernel, hardware, model and oracles have to agree on, each of them stated once.

`errno`, `paging` (the hardware's page tables), `kvm` (what KVM answers and asks for), `spte` (what
KVM puts into a page-table entry).  Names are the kernel's.
"""
