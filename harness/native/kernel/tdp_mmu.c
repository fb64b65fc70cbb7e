// SPDX-License-Identifier: GPL-2.0-only
/* The tree's tdp_mmu.c, and a way to its parameter. */
#include "tables.h"

#include "arch/x86/kvm/mmu/tdp_mmu.c"
#include "native.h"

#if !HAS_TDP_MMU_ALLOWED
void native_allow_tdp_mmu(bool on)
{
	tdp_mmu_enabled = on;
}
#endif
