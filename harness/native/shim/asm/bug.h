/* SPDX-License-Identifier: GPL-2.0-only */
/* BUG() and WARN() as calls of functions: no trapping instruction, no table of places. */
#ifndef NATIVE_ASM_BUG_H
#define NATIVE_ASM_BUG_H

/* Some headers want to know how the instruction is spelled. */
#define ASM_UD2 ".byte 0x0f, 0x0b"
#define INSN_UD2 0x0b0f
#define LEN_UD2 2

#ifndef __ASSEMBLY__
extern void native_bug(const char *file, int line) __attribute__((noreturn));
#define HAVE_ARCH_BUG
#define BUG() native_bug(__FILE__, __LINE__)
#endif

#undef CONFIG_GENERIC_BUG
#include <asm-generic/bug.h>

#endif
