/* SPDX-License-Identifier: GPL-2.0-only */
/* Interrupts: a flag of the running task, in place of privileged instructions. */
#define arch_local_save_flags kernels_save_flags
#define arch_local_irq_restore kernels_irq_restore
#define arch_local_irq_disable kernels_irq_disable
#define arch_local_irq_enable kernels_irq_enable
#define arch_local_irq_save kernels_irq_save
#include_next <asm/irqflags.h>
#undef arch_local_save_flags
#undef arch_local_irq_restore
#undef arch_local_irq_disable
#undef arch_local_irq_enable
#undef arch_local_irq_save

#if !defined(NATIVE_ASM_IRQFLAGS_H) && !defined(__ASSEMBLY__)
#define NATIVE_ASM_IRQFLAGS_H
#define NATIVE_IRQS_ON 0x200UL

extern unsigned long native_irq_flags;
extern void native_irqs(unsigned long flags);

static __always_inline unsigned long arch_local_save_flags(void)
{
	return native_irq_flags;
}

static __always_inline void arch_local_irq_restore(unsigned long flags)
{
	native_irqs(flags);
}

static __always_inline void arch_local_irq_disable(void)
{
	native_irqs(0);
}

static __always_inline void arch_local_irq_enable(void)
{
	native_irqs(NATIVE_IRQS_ON);
}

static __always_inline unsigned long arch_local_irq_save(void)
{
	unsigned long flags = native_irq_flags;

	native_irqs(0);
	return flags;
}
#endif
