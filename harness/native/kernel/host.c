// SPDX-License-Identifier: GPL-2.0-only
/* The host's memory as KVM asks for it: pages, VMAs, page tables.  Python owns it. */
#include <linux/highmem.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mmzone.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "native.h"

#define AREA_BASE(area) (((area) + 1UL) << 40)
#define MOST_HELD 256
/* What follows struct mem_section_usage: flags of page blocks, a word each. */
#define USAGE_BYTES (sizeof(unsigned long) * SECTION_BLOCKFLAGS_BITS)

struct mm_struct *native_mm;
#if HAS_ZERO_PAGE_PFN
unsigned long zero_page_pfn = HM_ZERO_PFN;
#else
unsigned long zero_pfn = HM_ZERO_PFN;
#endif
struct mem_section **mem_section;
/* What follow_pte() and vma_lookup() last answered to each task. */
static struct vm_area_struct *vmas[NATIVE_TASKS];
static __maybe_unused pte_t followed[NATIVE_TASKS];
#define LOG_BYTES (HM_AREA_PAGES / BITS_PER_BYTE)
static unsigned long *logs[NATIVE_TASKS];	/* a dirty log that each task has read */
static spinlock_t pte_lock;
/* The pmd entries of an area, one for each 2M; and the pud entries above them. */
static u64 *pmds[HM_AREAS], *puds[HM_AREAS];

/* Every frame of the host has a struct page: pfn_valid(). */
static void init_sections(void)
{
	unsigned long nr = NATIVE_FRAMES >> PFN_SECTION_SHIFT;
	struct mem_section_usage *usage;

	usage = native_alloc_for_good(sizeof(*usage) + USAGE_BYTES);
	memset(usage->subsection_map, 0xff, sizeof(usage->subsection_map));
	mem_section = native_alloc_for_good(NR_SECTION_ROOTS * sizeof(*mem_section));
	for (unsigned long i = 0; i < nr; i++) {
		struct mem_section **root = &mem_section[SECTION_NR_TO_ROOT(i)];

		if (!*root)
			*root = native_alloc_for_good(SECTIONS_PER_ROOT * sizeof(**root));
		(*root)[i & SECTION_ROOT_MASK].section_mem_map = SECTION_HAS_MEM_MAP | SECTION_MARKED_PRESENT;
		(*root)[i & SECTION_ROOT_MASK].usage = usage;
	}
}

/* A page table with room for 2 GiB of each area, in memory that __va() finds. */
static void init_page_table(void)
{
	pgd_t *pgd = (pgd_t *)native_pages_for_good(1);

	native_mm->pgd = pgd;
	for (int area = 0; area < HM_AREAS; area++) {
		puds[area] = (u64 *)native_pages_for_good(1);
		pmds[area] = (u64 *)native_pages_for_good(HM_PMDS / PTRS_PER_PMD);
		pgd[pgd_index(AREA_BASE(area))].pgd = __pa(puds[area]) | _KERNPG_TABLE;
	}
}

/* Once, before the snapshot. */
void native_init_host(void)
{
	page_offset_base = native_pages - NATIVE_PAGES_PA;
	vmemmap_base = native_vmemmap;
	init_sections();
	native_mm = native_alloc_for_good(sizeof(*native_mm));
	for (int i = 0; i < NATIVE_TASKS; i++) {
		vmas[i] = native_alloc_for_good(sizeof(*vmas[i]));
		vmas[i]->vm_mm = native_mm;
		logs[i] = native_alloc_for_good(LOG_BYTES);
	}
	init_page_table();
}

/* The host's page table is empty again: pages of pmds, no entry in them. */
void native_clear_host(void)
{
	for (int area = 0; area < HM_AREAS; area++) {
		memset(pmds[area], 0, HM_PMDS * sizeof(u64));
		for (int i = 0; i < HM_PMDS / PTRS_PER_PMD; i++)
			puds[area][pud_index(AREA_BASE(area)) + i] =
				__pa(pmds[area] + i * PTRS_PER_PMD) | _KERNPG_TABLE;
	}
}

/* Where Python keeps the page table: a row with each area's entries. */
void native_host_tables(struct native_host_tables *out)
{
	for (int area = 0; area < HM_AREAS; area++) {
		out[area].puds = (unsigned long *)puds[area] + pud_index(AREA_BASE(area));
		out[area].pmds = (unsigned long *)pmds[area];
	}
}

/*
 * Reference counts: one that stands for the host, and those that KVM took.  The host knows of one
 * of these, however many there are, until native_settle_frames() finds that they are gone.
 */
#define BY_THE_HOST 1

static unsigned long held[MOST_HELD];
static int nr_held;

static struct page *hold_page(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	/* The reference is taken by a locked instruction: others may run before, and not in between. */
	native_fence();
	if (!page_ref_count(page)) {
		native_touch_frame(pfn, sizeof(*page));
		page_ref_add(page, BY_THE_HOST);
		if (pfn == HM_ZERO_PFN)
			__SetPageReserved(page);
	}
	if (page_ref_count(page) > BY_THE_HOST)
		native_host(HOST_PUT_PAGE, pfn, 0, 0);
	else if (nr_held < MOST_HELD)
		held[nr_held++] = pfn;
	else
		native_die("leak", "gup", "KVM holds too many pages");
	page_ref_inc(page);
	native_task->got_pfn = 1;
	return page;
}

void __folio_put(struct folio *folio)
{
	native_die("uaf", "put_page", "reference dropped that nobody took");
}

/* Tells the host of references that KVM dropped. */
void native_settle_frames(void)
{
	long pfn;

	for (int i = 0; i < nr_held;) {
		pfn = held[i];
		if (page_ref_count(pfn_to_page(pfn)) > BY_THE_HOST) {
			i++;
			continue;
		}
		held[i] = held[--nr_held];
		native_host(HOST_PUT_PAGE, pfn, 0, 0);
	}
}

void native_set_page_dirty(struct page *page)
{
	native_host(HOST_DIRTY_PAGE, page_to_pfn(page), 0, 0);
}

int native_page_count(struct page *page)
{
	return native_host(HOST_PAGE_COUNT, page_to_pfn(page), 0, 0);
}

void mark_page_accessed(struct page *page)
{
	native_host(HOST_ACCESSED_PAGE, page_to_pfn(page), 0, 0);
}

int get_user_pages_fast_only(unsigned long start, int nr_pages, unsigned int gup_flags, struct page **pages)
{
	for (int i = 0; i < nr_pages; i++) {
		long pfn = native_host(HOST_GUP_FAST, start + i * PAGE_SIZE, !!(gup_flags & FOLL_WRITE), 0);

		if (pfn < 0)
			return i;
		pages[i] = hold_page(pfn);
	}
	return nr_pages;
}

long get_user_pages_unlocked(unsigned long start, unsigned long nr_pages, struct page **pages,
			     unsigned int gup_flags)
{
	long pfn;

	native_might_sleep("get_user_pages_unlocked");
	pfn = native_host(HOST_GUP, start, !!(gup_flags & FOLL_WRITE), !!(gup_flags & FOLL_NOWAIT));
	if (pfn <= 0)
		return pfn;
	*pages = hold_page(pfn);
	return 1;
}

/* KVM asks this for one thing only: is the page poisoned? */
#if HAS_GUP_TELLS_VMAS
long get_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags,
		    struct page **pages, struct vm_area_struct **areas)
#else
long get_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags,
		    struct page **pages)
#endif
{
	return native_host(HOST_POISONED, start, 0, 0) ? -EHWPOISON : -EFAULT;
}

#if !HAS_FOLLOW_PFNMAP
int follow_pte(struct mm_struct *mm, unsigned long address, pte_t **ptep, spinlock_t **ptlp)
{
	long pte;

	spin_lock(&pte_lock);
	pte = native_host(HOST_FOLLOW_PTE, address, 0, 0);
	if (!pte) {
		spin_unlock(&pte_lock);
		return -EINVAL;
	}
	followed[native_task->number] = native_make_pte(pte);
	native_task->got_pfn = 1;
	*ptep = &followed[native_task->number];
	*ptlp = &pte_lock;
	return 0;
}
#else
int follow_pfnmap_start(struct follow_pfnmap_args *args)
{
	long pte;

	spin_lock(&pte_lock);
	pte = native_host(HOST_FOLLOW_PTE, args->address, 0, 0);
	if (!pte) {
		spin_unlock(&pte_lock);
		return -EINVAL;
	}
	native_task->got_pfn = 1;
	args->pfn = pte_pfn(native_make_pte(pte));
	args->writable = pte_write(native_make_pte(pte));
	return 0;
}

void follow_pfnmap_end(struct follow_pfnmap_args *args)
{
	spin_unlock(&pte_lock);
}
#endif

int fixup_user_fault(struct mm_struct *mm, unsigned long address, unsigned int fault_flags, bool *unlocked)
{
	native_might_sleep("fixup_user_fault");
	return native_host(HOST_FIXUP_FAULT, address, !!(fault_flags & FAULT_FLAG_WRITE), 0);
}

static struct vm_area_struct *vma_at(unsigned long address)
{
	struct vm_area_struct *vma = vmas[native_task->number];
	long flags = native_host(HOST_VMA, address, 0, 0);

	if (flags < 0)
		return NULL;
	*(vm_flags_t *)&vma->vm_flags = flags;
	vma->vm_start = native_control->vma_start;
	vma->vm_end = native_control->vma_end;
	return vma;
}

void *mtree_load(struct maple_tree *mt, unsigned long index)
{
	return vma_at(index);
}

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long address)
{
	return vma_at(address);
}

/* KVM_PRE_FAULT_MEMORY tries a page until a signal comes: of a memory error, or its user waits no longer. */

static struct {
	int attempts;	/* at a page that came to nothing though nobody else ran; -1: none was made */
	bool sigbus;
} trying[NATIVE_TASKS];

void native_begin_trying(void)
{
	trying[native_task->number].attempts = -1;
	trying[native_task->number].sigbus = false;
}

/* Another page is about to be tried; what was held to map the last one is not held any more. */
bool native_next_page(void)
{
	native_settle_frames();
	trying[native_task->number].attempts = -1;
	return trying[native_task->number].sigbus;
}

/* Another attempt is about to be made. */
bool native_interrupted(void)
{
	int *attempts = &trying[native_task->number].attempts;

	if (++*attempts && native_host(HOST_YIELD, 0, 0, 0))
		*attempts = 1;
	return trying[native_task->number].sigbus || *attempts == MAX_ATTEMPTS;
}

int send_sig_mceerr(int code, void __user *address, short lsb, struct task_struct *task)
{
	trying[native_task->number].sigbus = true;
	native_host(HOST_SIGBUS, (unsigned long)address, 0, 0);
	return 0;
}

/* Only a dirty log goes to the user: `to` is told where it is. */
unsigned long _copy_to_user(void __user *to, const void *from, unsigned long n)
{
	struct native_bitmap *bitmap = (__force struct native_bitmap *)to;
	unsigned long *words = logs[native_task->number];

	if (n > LOG_BYTES)
		native_die("harness", "copy_to_user", "a dirty log of more pages than a memslot has");
	memcpy(words, from, n);
	*bitmap = (struct native_bitmap){ .words = words, .nr_words = n / sizeof(*words) };
	return 0;
}

unsigned long _copy_from_user(void *to, const void __user *from, unsigned long n)
{
	memcpy(to, (__force const void *)from, n);
	return 0;
}
