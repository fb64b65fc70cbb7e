/* SPDX-License-Identifier: GPL-2.0-only */
/* READ_ONCE() and WRITE_ONCE() of the code under test are preemption points. */
#ifndef NATIVE_ASM_RWONCE_H
#define NATIVE_ASM_RWONCE_H

#if defined(DIFFFUZZ_TARGET) && !defined(__ASSEMBLY__)
#include "../../bridge.h"

extern void native_store(const volatile void *at, unsigned long bytes);

static inline void native_load(const volatile void *at)
{
	native_quick_point(at);
}

#define __READ_ONCE(x) (*({ native_load(&(x)); \
			    (const volatile __unqual_scalar_typeof(x) *)&(x); }))
#endif

#include <asm-generic/rwonce.h>

#if defined(DIFFFUZZ_TARGET) && !defined(__ASSEMBLY__)
#undef __WRITE_ONCE
#define __WRITE_ONCE(x, val) do {			\
	native_store(&(x), sizeof(x));			\
	*(volatile typeof(x) *)&(x) = (val);		\
} while (0)
#endif

#endif
