/* SPDX-License-Identifier: GPL-2.0-only */
/* A static call is a call of the symbol __SCT__name, which the harness defines (vendor.c). */
#ifndef NATIVE_ASM_STATIC_CALL_H
#define NATIVE_ASM_STATIC_CALL_H

#include <asm/text-patching.h>

#define NATIVE_NO_TRAMPOLINE(name) struct native_no_trampoline_##name
#define ARCH_DEFINE_STATIC_CALL_TRAMP(name, func) NATIVE_NO_TRAMPOLINE(name)
#define ARCH_DEFINE_STATIC_CALL_NULL_TRAMP(name) NATIVE_NO_TRAMPOLINE(name)
#define ARCH_DEFINE_STATIC_CALL_RET0_TRAMP(name) NATIVE_NO_TRAMPOLINE(name)
#define ARCH_ADD_TRAMP_KEY(name)

#endif
