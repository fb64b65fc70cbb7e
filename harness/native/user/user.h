/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of user/ share. */
#ifndef NATIVE_USER_H
#define NATIVE_USER_H

struct native_variants;
struct op;

extern const char *native_bad_oracle;
extern const char *native_bad_where;
extern char native_bad_text[160];
extern void native_unreached(const char *name, const void *caller);

extern int native_is_ours(const void *code);
extern void native_explain(unsigned long address, const void *code);
extern void native_explain_loop(const char *oracle, const void *code);
extern void variants_map(void);
extern unsigned long vary_begin(long seed);	/* vary.c */
extern long vary(unsigned long *state, struct op *ops, long nr, const struct native_variants *asked);
extern void pool_add(struct native_variants *asked, const struct op *ops, long nr);	/* pool.c */
extern long pool_take(const struct native_variants *asked, struct op *out, long n, unsigned long at);
extern void native_coverage_start(void);
extern void native_coverage_bounds(char **start, char **stop);
extern int native_new_guards(unsigned char *seen);
extern void native_reset_tasks(void);
extern int native_is_playing(void);
extern int native_not_seen_through(void);
extern int native_is_in_heap(const void *at);	/* memory.c */
extern int native_is_struct_page(const void *at);
extern void native_map_stores(void);	/* stores.c */
extern void native_reset_stores(void);
extern void native_forget_stores(const struct native_task *task);

extern unsigned long *native_pages_to_look_at;	/* a set: a store to the page was a preemption point,
						   or it became a table, or is one no more */

#endif
