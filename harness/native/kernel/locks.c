// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's locks for tasks that run one at a time, with the checks that lockdep makes: mode,
 * order, recursion, sleeping.  Free locks are taken here; who must wait asks the scheduler.
 */
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>

#include "native.h"

#define READER 0x200
#define WRITER 0xff
#define READERS(lock) ((lock)->raw_lock.cnts.counter)
#define WAITERS(lock) ((lock)->raw_lock.wait_lock.val.counter)
#define TAKEN(lock) ((lock)->raw_lock.val.counter)

enum rank {
	UNRANKED, PARAM_LOCK, KVM_LOCK, SLOTS_LOCK, SLOTS_ARCH_LOCK, MMAP_LOCK, MN_INVALIDATE_LOCK, MMU_LOCK, PAGES_LOCK
};

DEFINE_MUTEX(native_param_lock);

static const void *mmu_lock(void)
{
	return native_kvm ? &native_kvm->mmu_lock : NULL;
}

/* Outermost first, as Documentation/virt/kvm/locking.rst has it. */
static enum rank rank_of(const void *lock)
{
	struct kvm *kvm = native_kvm;

	if (!kvm)
		return UNRANKED;
	if (lock == &kvm->mmu_lock)
		return MMU_LOCK;
	if (lock == &native_param_lock)
		return PARAM_LOCK;
	if (lock == &kvm_lock)
		return KVM_LOCK;
	if (lock == &kvm->slots_lock)
		return SLOTS_LOCK;
	if (lock == &kvm->slots_arch_lock)
		return SLOTS_ARCH_LOCK;
	if (lock == &kvm->mn_invalidate_lock)
		return MN_INVALIDATE_LOCK;
	if (lock == &kvm->arch.tdp_mmu_pages_lock)
		return PAGES_LOCK;
	if (native_mm && lock == &native_mm->mmap_lock)
		return MMAP_LOCK;
	return UNRANKED;
}

static const char *name_of(const void *lock)
{
	static const char *const names[] = {
		"a lock", "param_lock", "kvm_lock", "slots_lock", "slots_arch_lock", "mmap_lock", "mn_invalidate_lock",
		"mmu_lock", "tdp_mmu_pages_lock",
	};

	return names[rank_of(lock)];
}

static bool spins(const struct native_held *held)
{
	return held->mode != 'm';
}

/* Why the task may not sleep now, NULL if it may. */
static const char *atomic_because(const struct native_task *task)
{
	for (int i = 0; i < task->nr_held; i++)
		if (spins(&task->held[i]))
			return "sleeps while a spinning lock is held";
	return task->rcu_depth ? "sleeps inside an RCU read section" : NULL;
}

void native_might_sleep(const char *where)
{
	const char *why = atomic_because(native_task);

	if (why)
		native_die(native_task->rcu_depth ? "rcu" : "lock", where, why);
}

/* May the task take the lock, by the rules? */
static void check(const void *lock, char mode)
{
	struct native_task *task = native_task;
	enum rank rank = rank_of(lock);

	for (int i = 0; i < task->nr_held; i++) {
		if (task->held[i].lock == lock)
			native_die("lock", name_of(lock), "taken again by its holder");
		if (rank != UNRANKED && rank_of(task->held[i].lock) >= rank)
			native_die("lock", name_of(lock), "taken inside a lock of a higher rank: wrong order");
	}
	if (mode == 'm')
		native_might_sleep(name_of(lock));
	if (task->nr_held == NATIVE_HELD)
		native_die("lock", name_of(lock), "too many locks are held");
}

static void hold(const void *lock, char mode)
{
	struct native_held *held = &native_task->held[native_task->nr_held++];

	held->lock = lock;
	held->mode = mode;
}

static void drop(const void *lock, char mode)
{
	struct native_task *task = native_task;
	int i = task->nr_held - 1;

	while (i >= 0 && (task->held[i].lock != lock || task->held[i].mode != mode))
		i--;
	if (i < 0)
		native_die("lock", name_of(lock), "released by a task that does not hold it so");
	for (task->nr_held--; i < task->nr_held; i++)
		task->held[i] = task->held[i + 1];
}

void native_assert_held(const volatile void *lock, char mode, const char *where)
{
	const struct native_task *task = native_task;

	if (!native_kvm || (mode == 'a' && rank_of((const void *)lock) == UNRANKED))
		return;
	for (int i = 0; i < task->nr_held; i++)
		if (task->held[i].lock == lock && (mode == 'a' || task->held[i].mode == mode))
			return;
	native_die("lock", where, mode == 'r' ? "mmu_lock is not held for read" :
		   mode == 'w' ? "mmu_lock is not held for write" : "the lock is not held");
}

bool native_holds(const volatile void *lock)
{
	const struct native_task *task = native_task;

	for (int i = 0; i < task->nr_held; i++)
		if (task->held[i].lock == lock)
			return true;
	return false;
}

static void tell(const void *lock, enum native_lock_event event)
{
	if (native_control->concurrent && lock == mmu_lock())
		native_host(HOST_LOCKED, event, 0, 0);
}

/* rwlock_t */

bool native_lock_ready(long kind, const void *object)
{
	const rwlock_t *rwlock = object;
	const raw_spinlock_t *spinlock = object;
	const struct mutex *mutex = object;

	switch (kind) {
	case WAIT_READ:
		return READERS(rwlock) != WRITER;
	case WAIT_WRITE:
		return !READERS(rwlock);
	case WAIT_SPIN:
		return !TAKEN(spinlock);
	default:
		return !atomic_long_read(&mutex->owner);
	}
}

static void rwlock_wait(rwlock_t *lock, enum native_wait kind)
{
	if (native_task->want_park && native_task->got_pfn && lock == mmu_lock()) {
		native_task->want_park = 0;
		native_host(HOST_PARK, 0, 0, 0);
	}
	native_point(lock, kind == WAIT_WRITE);
	if (!native_lock_ready(kind, lock)) {
		WAITERS(lock)++;
		native_wait(kind, lock);
		WAITERS(lock)--;
	}
	native_drain();
}

void __lockfunc _raw_read_lock(rwlock_t *lock)
{
	check(lock, 'r');
	rwlock_wait(lock, WAIT_READ);
	READERS(lock) += READER;
	hold(lock, 'r');
	tell(lock, LOCKED_READ);
}

void __lockfunc _raw_read_unlock(rwlock_t *lock)
{
	drop(lock, 'r');
	READERS(lock) -= READER;
	tell(lock, UNLOCKED_READ);
	native_point(NULL, 0);
}

void __lockfunc _raw_write_lock(rwlock_t *lock)
{
	check(lock, 'w');
	rwlock_wait(lock, WAIT_WRITE);
	READERS(lock) = WRITER;
	hold(lock, 'w');
	tell(lock, LOCKED_WRITE);
}

void __lockfunc _raw_write_unlock(rwlock_t *lock)
{
	drop(lock, 'w');
	native_release(&READERS(lock), sizeof(READERS(lock)));
	READERS(lock) = 0;
	tell(lock, UNLOCKED_WRITE);
	native_point(NULL, 1);
}

/* Behind those that wait already. */
static void let_others_in(rwlock_t *lock)
{
	WAITERS(lock)++;
	native_host(HOST_YIELD, 0, 0, 0);
	WAITERS(lock)--;
}

int __cond_resched_rwlock_read(rwlock_t *lock)
{
	if (!WAITERS(lock))
		return 0;
	_raw_read_unlock(lock);
	let_others_in(lock);
	_raw_read_lock(lock);
	return 1;
}

int __cond_resched_rwlock_write(rwlock_t *lock)
{
	if (!WAITERS(lock))
		return 0;
	_raw_write_unlock(lock);
	let_others_in(lock);
	_raw_write_lock(lock);
	return 1;
}

/* Whoever spins on a bit waits for its holder, which has to run. */
void native_relax(void)
{
	native_host(HOST_YIELD, 0, 0, 0);
}

/* spinlock_t */

void __lockfunc _raw_spin_lock(raw_spinlock_t *lock)
{
	check(lock, 's');
	native_point(lock, 1);
	if (TAKEN(lock))
		native_wait(WAIT_SPIN, lock);
	TAKEN(lock) = 1;
	hold(lock, 's');
}

void __lockfunc _raw_spin_unlock(raw_spinlock_t *lock)
{
	drop(lock, 's');
	native_release(&TAKEN(lock), sizeof(TAKEN(lock)));
	TAKEN(lock) = 0;
	native_point(lock, POINT_MADE);
}

/* struct mutex, struct rw_semaphore */

#if HAS_MUTEX_INIT_GENERIC
void mutex_init_generic(struct mutex *mutex)
#else
void __mutex_init(struct mutex *mutex, const char *name, struct lock_class_key *key)
#endif
{
	atomic_long_set(&mutex->owner, 0);
}

void mutex_lock(struct mutex *mutex)
{
	check(mutex, 'm');
	native_point(mutex, 1);
	if (atomic_long_read(&mutex->owner))
		native_wait(WAIT_MUTEX, mutex);
	atomic_long_set(&mutex->owner, 1);
	hold(mutex, 'm');
}

void mutex_unlock(struct mutex *mutex)
{
	drop(mutex, 'm');
	native_drain();
	atomic_long_set(&mutex->owner, 0);
	native_point(mutex, 1);
}

void down_read(struct rw_semaphore *semaphore)
{
	check(semaphore, 'm');
	native_host(HOST_MMAP_LOCK, 0, 0, 0);
	hold(semaphore, 'm');
}

void up_read(struct rw_semaphore *semaphore)
{
	drop(semaphore, 'm');
	native_host(HOST_MMAP_LOCK, 1, 0, 0);
}
