/* SPDX-License-Identifier: GPL-2.0-only */
/* Before a locked instruction all that the task stored becomes visible: user/stores.c has what waits. */
#include_next <asm/alternative.h>

#if !defined(NATIVE_ASM_ALTERNATIVE_H) && !defined(__ASSEMBLY__)
#define NATIVE_ASM_ALTERNATIVE_H
#define NATIVE_FENCE				\
	"cmpq $0, native_waiting(%%rip)\n\t"	\
	"je 7771f\n\t"				\
	"call native_locked\n"			\
	"7771:\n\t"

#undef LOCK_PREFIX
#define LOCK_PREFIX NATIVE_FENCE "lock; "
#endif
