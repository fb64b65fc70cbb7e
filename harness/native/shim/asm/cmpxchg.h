/* SPDX-License-Identifier: GPL-2.0-only */
/* Atomic exchanges of the code under test are preemption points. */
#include_next <asm/cmpxchg.h>

#if defined(DIFFFUZZ_TARGET) && !defined(NATIVE_ASM_CMPXCHG_H)
#define NATIVE_ASM_CMPXCHG_H
extern void native_store(const volatile void *at);

#undef arch_cmpxchg64
#define arch_cmpxchg64(ptr, old, new) \
	({ native_store(ptr); arch_cmpxchg((ptr), (old), (new)); })
#undef arch_try_cmpxchg64
#define arch_try_cmpxchg64(ptr, old, new) \
	({ native_store(ptr); arch_try_cmpxchg((ptr), (old), (new)); })
#undef arch_xchg
#define arch_xchg(ptr, new) \
	({ native_store(ptr); __xchg_op((ptr), (new), xchg, ""); })
#endif
