/* SPDX-License-Identifier: GPL-2.0-only */
/* Population counts: callers expect every register but the result to survive. */
	.section .note.GNU-stack,"",@progbits
	.text
	.globl	__sw_hweight64, __sw_hweight32
	.hidden	__sw_hweight64, __sw_hweight32
__sw_hweight64:
	popcnt	%rdi, %rax
	ret
__sw_hweight32:
	popcnt	%edi, %eax
	ret
