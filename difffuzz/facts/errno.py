# SPDX-License-Identifier: GPL-2.0-only
"""include/uapi/asm-generic/errno.h: what a failure is called, as the kernel numbers it on x86.

A function of the kernel returns the negative number.  No version of the kernel changes these.
"""

from __future__ import annotations

EPERM = 1
ENOENT = 2
EINTR = 4
EIO = 5
EAGAIN = 11
ENOMEM = 12
EFAULT = 14
EBUSY = 16
EEXIST = 17
EINVAL = 22
ENOSPC = 28
EOPNOTSUPP = 95
EHWPOISON = 133
