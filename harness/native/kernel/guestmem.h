/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM's accesses to guest memory by hva: the kernel's own are inline assembly on this process'
 * memory, where no guest is.  Include it behind the headers and before a file of the tree.
 */
#ifndef NATIVE_GUESTMEM_H
#define NATIVE_GUESTMEM_H

#include <linux/types.h>
#include <linux/uaccess.h>

/* 0 or -EFAULT. */
extern int native_load_word(const void __user *from, u64 *to);
/* 0, 1 if the word is not *old, which becomes what it is, or -EFAULT. */
extern int native_cmpxchg_word(const void __user *at, u64 *old, u64 new);
/* Bytes that could not be copied.  `atomic`: nothing is faulted in. */
extern unsigned long native_from_guest(void *to, const void __user *from, unsigned long n, bool atomic);
extern unsigned long native_to_guest(void __user *to, const void *from, unsigned long n);

#define native_get_word(x, ptr)						\
({									\
	u64 __word;							\
	int __r;							\
									\
	_Static_assert(sizeof(*(ptr)) == sizeof(u64) || sizeof(*(ptr)) == sizeof(u32), "a PTE");	\
	__r = native_load_word((ptr), &__word);				\
	(x) = __word;							\
	__r;								\
})

#undef get_user
#undef __get_user
#undef __try_cmpxchg_user
#define get_user(x, ptr) native_get_word(x, ptr)
#define __get_user(x, ptr) native_get_word(x, ptr)
#define __try_cmpxchg_user(ptr, old, new, label)			\
({									\
	u64 __old = *(old);						\
	int __r = native_cmpxchg_word((ptr), &__old, (new));		\
									\
	*(old) = __old;							\
	__r;								\
})

#define __copy_from_user(to, from, n) native_from_guest(to, from, n, false)
#define __copy_from_user_inatomic(to, from, n) native_from_guest(to, from, n, true)
#define __copy_to_user(to, from, n) native_to_guest(to, from, n)

#endif
