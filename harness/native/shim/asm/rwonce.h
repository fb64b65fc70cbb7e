/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * READ_ONCE() and WRITE_ONCE() of the code under test are preemption points; in a build with stores
 * WRITE_ONCE() is one in all of the kernel's code.
 */
#ifndef NATIVE_ASM_RWONCE_H
#define NATIVE_ASM_RWONCE_H

#if defined(DIFFFUZZ_TARGET) && !defined(__ASSEMBLY__)
#include "../../bridge.h"

static inline void native_load(const volatile void *at)
{
	native_quick_point(at);
}

#define __READ_ONCE(x) (*({ native_load(&(x)); \
			    (const volatile __unqual_scalar_typeof(x) *)&(x); }))
#endif

#include <asm-generic/rwonce.h>

#if (defined(DIFFFUZZ_TARGET) || defined(DIFFFUZZ_STORES)) && !defined(__ASSEMBLY__)
extern void native_store(const volatile void *at, unsigned long bytes);

#ifdef DIFFFUZZ_STORES
extern const volatile void *native_asked;	/* by native_store(): the plain store that follows is not told */
#define NATIVE_ASKED(at) (native_asked = (at))
#else
#define NATIVE_ASKED(at) ((void)0)
#endif

#undef __WRITE_ONCE
#define __WRITE_ONCE(x, val) do {			\
	native_store(&(x), sizeof(x));			\
	NATIVE_ASKED(&(x));				\
	*(volatile typeof(x) *)&(x) = (val);		\
} while (0)
#endif

#endif
