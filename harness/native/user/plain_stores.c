// SPDX-License-Identifier: GPL-2.0-only
/*
 * In a build with stores (Wish.stores) the compiler calls these before each store of the kernel's
 * code, as it does for the kernel's own sanitizer of addresses.  Where older stores wait, a plain one
 * waits behind them.
 */
#include "../bridge.h"
#include "user.h"

const volatile void *native_asked;

static void stores(unsigned long at, unsigned long bytes)
{
	/* WRITE_ONCE(): native_store() has dealt with it. */
	if ((const volatile void *)at == native_asked) {
		native_asked = 0;
		return;
	}
	while (native_waiting && bytes) {
		unsigned long part = bytes < sizeof(long) ? bytes : sizeof(long);

		if (native_may_wait((const void *)at))
			native_release((const void *)at, part);
		at += part;
		bytes -= part;
	}
}

#define HOOK(n)						\
	void __asan_store##n##_noabort(unsigned long at)	\
	{						\
		stores(at, n);				\
	}
HOOK(1)
HOOK(2)
HOOK(4)
HOOK(8)
HOOK(16)

void __asan_storeN_noabort(unsigned long at, unsigned long bytes)
{
	stores(at, bytes);
}

void __asan_handle_no_return(void)
{
}
