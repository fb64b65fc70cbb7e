/* SPDX-License-Identifier: GPL-2.0-only */
/* What lockdep would say of memslots that are read without SRCU is checked: kernel/rcu.c knows readers. */
#include_next <linux/srcu.h>

#if defined(DIFFFUZZ_TARGET) && !defined(NATIVE_LINUX_SRCU_H)
#define NATIVE_LINUX_SRCU_H

extern void native_assert_srcu(bool other);
extern bool native_holds(const volatile void *lock);

#undef srcu_dereference_check
#define srcu_dereference_check(p, ssp, c) ({		\
	native_assert_srcu(c);				\
	rcu_dereference_raw(p);				\
})
#undef lockdep_is_held
#define lockdep_is_held(lock) native_holds(lock)
#endif
