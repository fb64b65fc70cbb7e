// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory as KVM reads and writes it by hva: 8-byte words, which the host has. */
#include <linux/kvm_host.h>

#include "native.h"

#define WORD sizeof(u64)

static int load(unsigned long hva, u64 *to, bool atomic)
{
	if (!atomic)
		native_might_sleep("get_user");
	if (native_host(HOST_USER_LOAD, hva, atomic, 0))
		return -EFAULT;
	*to = native_control->loaded;
	return 0;
}

int native_load_word(const void __user *from, u64 *to)
{
	return load((unsigned long)from, to, false);
}

int native_cmpxchg_word(const void __user *at, u64 *old, u64 new)
{
	long r = native_host(HOST_USER_CMPXCHG, (unsigned long)at, *old, new);

	if (r == 1)
		*old = native_control->loaded;
	return r < 0 ? -EFAULT : r;
}

static void must_be_words(unsigned long hva, unsigned long n)
{
	if ((hva | n) % WORD)
		native_die("harness", "guestmem", "an access to guest memory that is no 8-byte words");
}

unsigned long native_from_guest(void *to, const void __user *from, unsigned long n, bool atomic)
{
	u64 *words = to;

	must_be_words((unsigned long)from, n);
	for (unsigned long done = 0; done < n; done += WORD)
		if (load((unsigned long)from + done, words++, atomic))
			return n - done;
	return 0;
}

unsigned long native_to_guest(void __user *to, const void *from, unsigned long n)
{
	const u64 *words = from;

	must_be_words((unsigned long)to, n);
	native_might_sleep("copy_to_user");
	for (unsigned long done = 0; done < n; done += WORD)
		if (native_host(HOST_USER_STORE, (unsigned long)to + done, *words++, 0))
			return n - done;
	return 0;
}
