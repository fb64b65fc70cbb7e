/* SPDX-License-Identifier: GPL-2.0-only */
/* For the tree's files that make shadow pages: the library is told which pages become tables. */
#ifndef NATIVE_TABLES_H
#define NATIVE_TABLES_H

#include <linux/mm.h>

#include "../bridge.h"

/* A shadow page takes its table by that. */
static inline void native_set_page_private(struct page *page, unsigned long sp)
{
	native_becomes_table((unsigned long)page_address(page));
	set_page_private(page, sp);
}

#define set_page_private native_set_page_private

#endif
