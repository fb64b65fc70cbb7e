// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations of the vendor module that may be absent, as the tree's own table says: a call does
 * nothing, or answers 0.  What vendor.c defines takes the place of what is here.
 */
#define ABSENT(name, type, answer) __attribute__((weak)) type __SCT__kvm_x86_##name(void) { answer; }

#define KVM_X86_OP(name)
#define KVM_X86_OP_OPTIONAL(name) ABSENT(name, void, (void)0)
#define KVM_X86_OP_OPTIONAL_RET0(name) ABSENT(name, long, return 0)

#include <asm/kvm-x86-ops.h>
