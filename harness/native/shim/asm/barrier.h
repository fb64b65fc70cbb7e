/* SPDX-License-Identifier: GPL-2.0-only */
/* A full barrier: all that the task stored becomes visible. */
#include_next <asm/barrier.h>

#if !defined(NATIVE_ASM_BARRIER_H) && !defined(__ASSEMBLY__)
#define NATIVE_ASM_BARRIER_H
#undef __mb
#define __mb() asm volatile(NATIVE_FENCE "mfence" ::: "memory", "cc")
#undef __smp_mb
#define __smp_mb() asm volatile(NATIVE_FENCE "lock; addl $0,-4(%%rsp)" ::: "memory", "cc")
#endif
