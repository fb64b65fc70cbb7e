// SPDX-License-Identifier: GPL-2.0-only
/* The rest of what the kernel's objects want: variables, diagnostics, CPUs. */
#include <asm/e820/api.h>
#include <asm/memtype.h>
#include <linux/kvm_host.h>
#include <linux/memremap.h>
#include <linux/percpu_counter.h>
#include <linux/rcuwait.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "vm.h"

unsigned long page_offset_base, vmemmap_base, phys_base;
unsigned int pgdir_shift = 39, ptrs_per_p4d = 1;
unsigned int __pgtable_l5_enabled;
struct cpuinfo_x86 boot_cpu_data;
unsigned long volatile jiffies;
struct pglist_data contig_page_data;
int percpu_counter_batch = 32;
unsigned int nr_cpu_ids = NATIVE_TASKS;
struct cpumask __cpu_online_mask = { { (1UL << NATIVE_TASKS) - 1 } };
struct kmem_cache *kmalloc_caches[NR_KMALLOC_TYPES][KMALLOC_SHIFT_HIGH + 1];
bool itlb_multihit_kvm_mitigation;
const struct kernel_param_ops param_ops_bool, param_ops_uint, param_ops_int;
#if HAS_PCPU_HOT
DEFINE_PER_CPU_ALIGNED(struct pcpu_hot, pcpu_hot);
#define CPU_NUMBER pcpu_hot.cpu_number
#define PREEMPT_COUNT pcpu_hot.preempt_count
#else
#if HAS_CACHE_HOT
DEFINE_PER_CPU_CACHE_HOT(typeof(__preempt_count), __preempt_count);
DEFINE_PER_CPU_CACHE_HOT(int, cpu_number);
#else
DEFINE_PER_CPU(int, __preempt_count);
DEFINE_PER_CPU_READ_MOSTLY(int, cpu_number);
#endif
#define CPU_NUMBER cpu_number
#define PREEMPT_COUNT __preempt_count
#endif
DEFINE_PER_CPU_READ_MOSTLY(unsigned long, this_cpu_off);

/* Tasks */

struct task_struct *native_current;
unsigned long native_irq_flags = NATIVE_IRQS_ON;

void native_current_is(struct native_task *task)
{
	if (!task->task_struct) {
		struct task_struct *new = native_alloc_for_good(sizeof(*new));

		new->mm = native_mm;
		task->task_struct = new;
	}
	native_current = task->task_struct;
	native_current->mm = native_mm;
	native_irq_flags = task->irq_flags;
	this_cpu_write(CPU_NUMBER, task->number);
	this_cpu_write(PREEMPT_COUNT, task->preempt_count);
	native_set_running_vcpu(task->number < NATIVE_VCPUS ? native_vcpus[task->number] : NULL);
}

void native_irqs(unsigned long flags)
{
	native_irq_flags = native_task->irq_flags = flags;
}

/* What is only half done when another task runs comes back with native_current_is(). */
void native_leave_task(struct native_task *task)
{
	task->preempt_count = this_cpu_read(PREEMPT_COUNT);
}

/* Diagnostics */

void native_bug(const char *file, int line)
{
	native_die("warn", native_place(file, line), "BUG()");
}

void warn_slowpath_fmt(const char *file, const int line, unsigned taint, const char *fmt, ...)
{
	native_warn(native_place(file, line), "WARN()");
}

void __warn_printk(const char *fmt, ...)
{
}

int _printk(const char *fmt, ...)
{
	return 0;
}

void refcount_warn_saturate(refcount_t *refcount, enum refcount_saturation_type type)
{
	native_warn("refcount_t", "saturated, or used after free");
}

/* Points inside the code under test */

void native_store(const volatile void *at, unsigned long bytes)
{
	if (native_point(at, POINT_STORE))
		native_delay(at, bytes);
}

/* An exchange, or a cmpxchg: the instruction itself is locked. */
void native_exchange(const volatile void *at)
{
	native_point(at, POINT_LOCKED);
}

/* CPUs: each task is on one of its own. */

void smp_call_function_many(const struct cpumask *mask, smp_call_func_t func, void *info, bool wait)
{
	unsigned long cpus = cpumask_bits(mask)[0] & ~(1UL << native_task->number);

	for (unsigned long id = 0; wait && id < NATIVE_VCPUS; id++)
		if (cpus >> id & 1)
			native_wait(WAIT_IPI, (void *)(id << 32 | (native_vcpu_ipis[id] & ~0U)));
}

/* Interrupts the CPU without waiting: it leaves the guest by itself, as its mode is EXITING. */
static void send_reschedule(int cpu)
{
}

struct smp_ops smp_ops = { .smp_send_reschedule = send_reschedule };

asmlinkage void preempt_schedule_thunk(void)
{
}

asmlinkage void preempt_schedule_notrace_thunk(void)
{
}

/* Only installing memslots sleeps so: until no invalidation is going on. */
asmlinkage void schedule(void)
{
	native_wait(WAIT_WAKE, NULL);
}

int rcuwait_wake_up(struct rcuwait *w)
{
	return 0;
}

void finish_rcuwait(struct rcuwait *w)
{
}

int wake_up_process(struct task_struct *task)
{
	return 0;
}

void preempt_notifier_register(struct preempt_notifier *notifier)
{
}

void preempt_notifier_unregister(struct preempt_notifier *notifier)
{
}

/* What is written to a parameter here ends without a newline. */
bool sysfs_streq(const char *written, const char *word)
{
	while (*written && *written == *word)
		written++, word++;
	return *written == *word;
}

/* The machine */

bool e820__mapped_raw_any(u64 start, u64 end, enum e820_type type)
{
	return true;
}

bool pat_enabled(void)
{
	return true;
}

bool pat_pfn_immune_to_uc_mtrr(unsigned long pfn)
{
	return false;
}

#if !HAS_CPU_MITIGATIONS
bool cpu_mitigations_off(void)
{
	return true;
}
#endif

int set_memory_encrypted(unsigned long address, int pages)
{
	return 0;
}

int set_memory_decrypted(unsigned long address, int pages)
{
	return 0;
}

bool kvm_mtrr_check_gfn_range_consistency(struct kvm_vcpu *vcpu, gfn_t gfn, int pages)
{
	return true;
}

struct kvm_cpuid_entry2 *kvm_find_cpuid_entry(struct kvm_vcpu *vcpu, u32 function)
{
	return NULL;
}

struct kvm_cpuid_entry2 *kvm_find_cpuid_entry_index(struct kvm_vcpu *vcpu, u32 function, u32 index)
{
	return NULL;
}

void __bitmap_set(unsigned long *map, unsigned int start, int nr)
{
	for (; nr > 0 && start & 63; start++, nr--)
		map[start / 64] |= 1UL << (start & 63);
	for (; nr >= 64; start += 64, nr -= 64)
		map[start / 64] = ~0UL;
	for (; nr > 0; start++, nr--)
		map[start / 64] |= 1UL << (start & 63);
}

/* Parts of KVM that are not the MMU's */

void gfn_to_pfn_cache_invalidate_start(struct kvm *kvm, unsigned long start, unsigned long end, bool may_block)
{
}

void __SCT__kvm_x86_guest_memory_reclaimed(struct kvm *kvm)
{
}

/* Statistics and counters */

void percpu_counter_add_batch(struct percpu_counter *counter, s64 amount, s32 batch)
{
	counter->count += amount;
}

#if !HAS_PERCPU_COUNTER_MANY
int __percpu_counter_init(struct percpu_counter *counter, s64 amount, gfp_t gfp, struct lock_class_key *key)
{
	counter->count = amount;
	return 0;
}

void percpu_counter_destroy(struct percpu_counter *counter)
{
}
#else
int __percpu_counter_init_many(struct percpu_counter *counter, s64 amount, gfp_t gfp, u32 n,
			       struct lock_class_key *key)
{
	for (u32 i = 0; i < n; i++)
		counter[i].count = amount;
	return 0;
}

void percpu_counter_destroy_many(struct percpu_counter *counter, u32 n)
{
}
#endif

void mod_node_page_state(struct pglist_data *node, enum node_stat_item item, long delta)
{
}

#if !HAS_SHRINKER_ALLOC
int register_shrinker(struct shrinker *shrinker, const char *format, ...)
{
	return 0;
}

void unregister_shrinker(struct shrinker *shrinker)
{
}
#else
struct shrinker *shrinker_alloc(unsigned int flags, const char *format, ...)
{
	return native_alloc_for_good(sizeof(struct shrinker));
}

void shrinker_register(struct shrinker *shrinker)
{
}

void shrinker_free(struct shrinker *shrinker)
{
}
#endif
