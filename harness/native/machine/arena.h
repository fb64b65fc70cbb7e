/* SPDX-License-Identifier: GPL-2.0-only */
/* The life of the memory that programs use which are played. */
#ifndef NATIVE_ARENA_H
#define NATIVE_ARENA_H

extern void hm_map_memory(void);
extern void hm_map_page_table(void);
extern void hm_reset_memory(void);

#endif
