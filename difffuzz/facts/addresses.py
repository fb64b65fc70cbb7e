# SPDX-License-Identifier: GPL-2.0-only
"""What a number is: page numbers, addresses, entries of page tables.  All are ints, as in C.

The names are for readers and signatures; a type checker takes one for the other.
"""

from __future__ import annotations

from typing import TypeAlias

Gfn: TypeAlias = int
"""A guest's physical page number: its address (gpa) >> 12."""
Pfn: TypeAlias = int
"""A page number of the machine's memory."""
Hva: TypeAlias = int
"""A virtual address of the process that runs the guest, in bytes."""
Spte: TypeAlias = int
"""An entry of a page table of KVM's, with all its bits: 64."""
SptePtr: TypeAlias = int
"""Where such an entry is: its physical address, in bytes (`u64 *sptep` in the kernel)."""
