/* SPDX-License-Identifier: GPL-2.0-only */
/* Who waits in a loop lets others run: they are tasks of one scheduler, not CPUs. */
#define cpu_relax kernels_cpu_relax
#include_next <asm/vdso/processor.h>
#undef cpu_relax

#if !defined(NATIVE_ASM_VDSO_PROCESSOR_H) && !defined(__ASSEMBLY__) && !defined(__ASSEMBLER__)
#define NATIVE_ASM_VDSO_PROCESSOR_H
extern void native_relax(void);
#define cpu_relax native_relax
#endif
