// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's allocators: pages for page tables, and objects. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/mmu/mmu_internal.h"
#include "native.h"

/* Since 6.10 the names are macros that count; these are the functions behind them. */
#if HAS_ALLOC_HOOKS
#undef get_zeroed_page
#undef __get_free_pages
#undef __alloc_pages
#undef kmem_cache_alloc
#undef __vcalloc
#define get_zeroed_page get_zeroed_page_noprof
#define __get_free_pages get_free_pages_noprof
#define __alloc_pages __alloc_pages_noprof
#define kmem_cache_alloc kmem_cache_alloc_noprof
#define __kmalloc __kmalloc_noprof
#define kmalloc_trace __kmalloc_cache_noprof
#define __vcalloc __vcalloc_noprof
#endif

struct kmem_cache {
	unsigned int size;
};


#define WAITS(field) native_waits_in(&(field), sizeof(field))

/* Does a store wait that says what it maps? */
static bool is_half_made(const struct kvm_mmu_page *sp)
{
	return WAITS(sp->role) || WAITS(sp->gfn) || WAITS(sp->ptep) || WAITS(sp->tdp_mmu_page);
}

/* Is the page of that number the table of a shadow page that is set up? */
int native_is_table(unsigned long number)
{
	struct page *page = virt_to_page((void *)(native_pages + number * PAGE_SIZE));
	const struct kvm_mmu_page *sp = (void *)page_private(page);

	/* One that is half made, as others see it, is none yet. */
	return sp && sp->role.level && !(native_delays && is_half_made(sp));
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	return native_page_alloc(0, 1);
}

/* For KVM's caches, from which shadow pages take them: until then they are spare. */
unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	if (order)
		native_die("crash", "__get_free_pages", "more than one page");
	return native_page_alloc(1, !!(gfp & __GFP_ZERO));
}

#if HAS_ALLOC_PAGES_NODE
struct page *alloc_pages_node_noprof(int nid, gfp_t gfp, unsigned int order)
#else
struct page *__alloc_pages(gfp_t gfp, unsigned int order, int nid, nodemask_t *nodes)
#endif
{
	if (order)
		native_die("crash", "alloc_pages", "more than one page");
	return virt_to_page((void *)native_page_alloc(0, 1));
}

void free_pages(unsigned long page, unsigned int order)
{
	if (page && native_page_free(page))
		native_die("uaf", "free_page", "double free of a page table");
}

void __free_pages(struct page *page, unsigned int order)
{
	free_pages((unsigned long)page_address(page), order);
}

#if !HAS_CACHE_CREATE_ARGS
struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align,
				     slab_flags_t flags, void (*ctor)(void *))
#else
struct kmem_cache *__kmem_cache_create_args(const char *name, unsigned int size,
					    struct kmem_cache_args *args, slab_flags_t flags)
#endif
{
	struct kmem_cache *cache = native_alloc_for_good(sizeof(*cache));

	cache->size = size;
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	return native_alloc(cache->size);
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	native_free(object);
}

void *__kmalloc(size_t size, gfp_t gfp)
{
	return native_alloc(size);
}

void *kmalloc_trace(struct kmem_cache *cache, gfp_t gfp, size_t size)
{
	return native_alloc(size);
}

#if HAS_KMALLOC_TOKEN
void *__kvmalloc_node_noprof(DECL_KMALLOC_PARAMS(size, buckets, token), unsigned long align, gfp_t gfp, int node)
#elif HAS_KVMALLOC_ALIGN
void *__kvmalloc_node_noprof(DECL_BUCKET_PARAMS(size, buckets), unsigned long align, gfp_t gfp, int node)
#elif HAS_KVMALLOC_NODE
void *__kvmalloc_node_noprof(DECL_BUCKET_PARAMS(size, buckets), gfp_t gfp, int node)
#else
void *kvmalloc_node(size_t size, gfp_t gfp, int node)
#endif
{
	return native_alloc(size);
}

void *__vcalloc(size_t n, size_t size, gfp_t gfp)
{
	return native_alloc(n * size);
}

void kfree(const void *object)
{
	native_free(object);
}

void kvfree(const void *object)
{
	native_free(object);
}

void vfree(const void *object)
{
	native_free(object);
}
