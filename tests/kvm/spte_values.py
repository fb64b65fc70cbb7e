# SPDX-License-Identifier: GPL-2.0-only
"""SPTEs that tests of spte.py start from, on each layout of entries.

Low bits of EPT: R 1, W 2, X 4, memory type and IPAT 0x70, large 0x80, A 0x100, D 0x200, MMU-present
0x800; bit 52 no A/D, bit 53 write-protect only, bits 54 and 56 saved R and X, bit 57 host-writable,
bit 58 MMU-writable.  Of x86: P 1, W 2, U 4, A 0x20, D 0x40, large 0x80, host-writable 0x200,
MMU-writable 0x400, MMU-present 0x800, NX bit 63.
"""

from __future__ import annotations

import pytest

EPT = "layout=ept"
EPT_NO_AD = "layout=ept ad=off"
NPT = "layout=npt"
"""Words of a config line: which entries the tables have."""
PFN = 0x12345
WRITABLE = {  # of PFN, RWX, accessed and dirty where that exists
    EPT: 0x0600_0000_1234_5B77,
    EPT_NO_AD: 0x0610_0000_1234_5877,
    NPT: 0x0000_0000_1234_5E67,
}

each_layout = pytest.mark.parametrize("layout", [EPT, EPT_NO_AD, NPT])
