/* SPDX-License-Identifier: GPL-2.0-only */
/* What looking at 2M for a huge page comes to; or it is -errno. */
#ifndef NATIVE_COLLAPSE_H
#define NATIVE_COLLAPSE_H

#include "machine.h"

enum { SCAN_SUCCEED, SCAN_PMD_MAPPED, SCAN_STOP, SCAN_PTE_MAPPED_HUGEPAGE };

extern bool hm_may_be_huge(const struct hm_vma *vma, u64 base);
extern long hm_collapse_shmem(u64 base);

#endif
