# SPDX-License-Identifier: GPL-2.0-only
"""What Python and the library's C tell each other, described once.

Python reads and writes the structures here through ctypes; `native build` writes the C headers from
the same classes (header.py).  A member or a number has a name on both sides and no place that
anybody counts.
"""
