// SPDX-License-Identifier: GPL-2.0-only
/* RCU and SRCU: who reads, what waits for readers, and callbacks once nobody may still read. */
#include <linux/kvm_host.h>
#include <linux/rcupdate.h>
#include <linux/srcu.h>

#include "native.h"

#define MOST_SRCU 4

/* A callback, and the tasks that were reading when it was queued and still do. */
struct waiting {
	struct rcu_head *head;
	rcu_callback_t func;
	unsigned long readers;
	struct waiting *next;
};

struct srcu {
	struct srcu_struct *of;
	int idx;
	long readers[2];
};

static struct waiting *first, **last = &first;
static unsigned long reading;		/* tasks inside an RCU read section */
static struct srcu srcus[MOST_SRCU];
long native_unprotected_reads;

void native_wait(enum native_wait kind, const void *object)
{
	while (!native_ready(kind, object))
		native_host(HOST_WAIT, kind, (unsigned long)object, 0);
}

/* RCU */

static void run_ready(void)
{
	struct waiting **at = &first;

	while (*at) {
		struct waiting *one = *at;

		if (one->readers) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		if (!*at)
			last = at;
		one->func(one->head);
		at = &first;
	}
}

void native_run_rcu(void)
{
	run_ready();
}

void __rcu_read_lock(void)
{
	if (!native_task->rcu_depth++)
		reading |= 1UL << native_task->number;
}

void __rcu_read_unlock(void)
{
	if (!native_task->rcu_depth)
		native_die("rcu", "rcu_read_unlock", "without rcu_read_lock");
	if (--native_task->rcu_depth)
		return;
	reading &= ~(1UL << native_task->number);
	for (struct waiting *one = first; one; one = one->next)
		one->readers &= ~(1UL << native_task->number);
	if (native_control->frees_early)
		run_ready();
}

void call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	struct waiting *one = native_alloc(sizeof(*one));

	native_drain();		/* a grace period begins when all see what was stored before */
	one->head = head;
	one->func = func;
	one->readers = reading;
	*last = one;
	last = &one->next;
	if (native_control->frees_early)
		run_ready();
}

void synchronize_rcu(void)
{
	unsigned long readers = reading & ~(1UL << native_task->number);

	native_might_sleep("synchronize_rcu");
	native_drain();
	while (readers & reading)
		native_wait(WAIT_RCU, (void *)(readers & reading));
	run_ready();
}

void rcu_barrier(void)
{
	native_might_sleep("rcu_barrier");
	run_ready();
	while (first) {
		native_wait(WAIT_RCU, (void *)first->readers);
		run_ready();
	}
}

/* SRCU */

static struct srcu *srcu_of(struct srcu_struct *of)
{
	for (int i = 0; i < MOST_SRCU; i++) {
		if (!srcus[i].of)
			srcus[i].of = of;
		if (srcus[i].of == of)
			return &srcus[i];
	}
	native_die("crash", "srcu", "too many SRCU domains");
}

#if HAS_SRCU_INIT_GENERIC
int init_srcu_struct_generic(struct srcu_struct *of)
#else
int init_srcu_struct(struct srcu_struct *of)
#endif
{
	srcu_of(of);
	return 0;
}

void cleanup_srcu_struct(struct srcu_struct *of)
{
}

int __srcu_read_lock(struct srcu_struct *of)
{
	struct srcu *srcu = srcu_of(of);

	native_fence();
	srcu->readers[srcu->idx]++;
	native_task->srcu_depth++;
	return srcu->idx;
}

void __srcu_read_unlock(struct srcu_struct *of, int idx)
{
	struct srcu *srcu = srcu_of(of);

	if (!srcu->readers[idx])
		native_die("rcu", "srcu_read_unlock", "without srcu_read_lock");
	native_fence();
	srcu->readers[idx]--;
	native_task->srcu_depth--;
}

/*
 * What SRCU protects is read by who is in such a section, or may do so for the `other` reason.  It is told
 * when the VM is gone, as it does no harm by itself, and would hide what comes after it.
 */
void native_assert_srcu(bool other)
{
	if (native_kvm && !other && !native_task->srcu_depth)
		native_unprotected_reads++;
}

void synchronize_srcu(struct srcu_struct *of)
{
	struct srcu *srcu = srcu_of(of);
	int before = srcu->idx;

	native_might_sleep("synchronize_srcu");
	native_fence();
	/* Readers that entered before the last change of the index must be gone too. */
	native_wait(WAIT_SRCU, &srcu->readers[before ^ 1]);
	srcu->idx = before ^ 1;
	native_wait(WAIT_SRCU, &srcu->readers[before]);
}

void synchronize_srcu_expedited(struct srcu_struct *of)
{
	synchronize_srcu(of);
}

long native_srcu_depth(void)
{
	long depth = 0;

	for (int i = 0; i < MOST_SRCU; i++)
		depth += srcus[i].readers[0] + srcus[i].readers[1];
	return depth;
}

bool native_rcu_ready(long kind, const void *object)
{
	if (kind == WAIT_SRCU)
		return !*(const long *)object;
	return !((unsigned long)object & reading);
}
