/* SPDX-License-Identifier: GPL-2.0-only */
/* The assertions about held locks are checked: kernel/locks.c knows what each task holds. */
#include_next <linux/lockdep.h>

#ifndef NATIVE_LINUX_LOCKDEP_H
#define NATIVE_LINUX_LOCKDEP_H

extern void native_assert_held(const volatile void *lock, char mode, const char *where);

#undef lockdep_assert_held
#undef lockdep_assert_held_write
#undef lockdep_assert_held_read
#define lockdep_assert_held(l) native_assert_held(l, 'a', __func__)
#define lockdep_assert_held_write(l) native_assert_held(l, 'w', __func__)
#define lockdep_assert_held_read(l) native_assert_held(l, 'r', __func__)
#endif
