/* SPDX-License-Identifier: GPL-2.0-only */
/* `current` is a variable: the kernel's is relative to the GS base, which is not ours. */
#define get_current kernels_get_current
#include_next <asm/current.h>
#undef get_current

#if !defined(NATIVE_ASM_CURRENT_H) && !defined(__ASSEMBLY__)
#define NATIVE_ASM_CURRENT_H
extern struct task_struct *native_current;
static __always_inline struct task_struct *get_current(void)
{
	return native_current;
}
#endif
