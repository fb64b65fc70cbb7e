// SPDX-License-Identifier: GPL-2.0-only
/*
 * Litmus tests: loads, stores, barriers and locks as the code under test has them, and nothing else.
 * tests/native/test_litmus.py has what may come of them.
 */
#define DIFFFUZZ_TARGET
#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "native.h"

static struct litmus {
	long words[3];
	spinlock_t spin[2];
	struct mutex mutex;
} *litmus;

static struct litmus *get(void)
{
	if (!litmus) {
		litmus = native_alloc(sizeof(*litmus));
		mutex_init(&litmus->mutex);
	}
	return litmus;
}

/* Does the instructions of one thread; what it reads goes to `seen`. */
long native_litmus(const struct native_instruction *code, long nr, long *seen)
{
	struct litmus *all = get();
	long read = 0;

	for (long i = 0; i < nr; i++) {
		long *word = &all->words[code[i].at % 3];

		switch ((enum native_litmus)code[i].what) {
		case LITMUS_STORE:
			WRITE_ONCE(*word, code[i].value);
			break;
		case LITMUS_PLAIN_STORE:
			*word = code[i].value;
			break;
		case LITMUS_LOAD:
			seen[read++] = READ_ONCE(*word);
			break;
		case LITMUS_PLAIN_LOAD:
			seen[read++] = *word;
			break;
		case LITMUS_FENCE:
			smp_mb();
			break;
		case LITMUS_ADD:
			native_exchange(word);
			seen[read++] = atomic_long_fetch_inc((atomic_long_t *)word);
			break;
		case LITMUS_LOCK:
			spin_lock(&all->spin[code[i].at % 2]);
			break;
		case LITMUS_UNLOCK:
			spin_unlock(&all->spin[code[i].at % 2]);
			break;
		case LITMUS_SLEEPING_LOCK:
			mutex_lock(&all->mutex);
			break;
		case LITMUS_SLEEPING_UNLOCK:
			mutex_unlock(&all->mutex);
			break;
		}
	}
	return read;
}
