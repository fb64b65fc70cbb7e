/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Atomic exchanges of the code under test are preemption points.  xchg is locked without saying so.
 */
#include_next <asm/cmpxchg.h>

#ifndef NATIVE_ASM_CMPXCHG_H
#define NATIVE_ASM_CMPXCHG_H
#undef arch_xchg
#ifdef DIFFFUZZ_TARGET
extern void native_exchange(const volatile void *at);

#undef arch_cmpxchg64
#define arch_cmpxchg64(ptr, old, new) \
	({ native_exchange(ptr); arch_cmpxchg((ptr), (old), (new)); })
#undef arch_try_cmpxchg64
#define arch_try_cmpxchg64(ptr, old, new) \
	({ native_exchange(ptr); arch_try_cmpxchg((ptr), (old), (new)); })
#define arch_xchg(ptr, new) \
	({ native_exchange(ptr); __xchg_op((ptr), (new), xchg, NATIVE_FENCE); })
#else
#define arch_xchg(ptr, new) __xchg_op((ptr), (new), xchg, NATIVE_FENCE)
#endif
#endif
