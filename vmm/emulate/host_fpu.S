/*
 * host_fpu.S - instructions of the host whose operands are part of their bytes.
 *
 * A stack register of the x87 and the immediate of a shuffle cannot be chosen
 * at run time, so each choice stands here once, as a function of its own in a
 * slot of fixed size: the caller indexes (host_fpu.h).
 */

	.text

/* ---- x87 ---- */

/* [opcode & 7][modrm & 63], 4 bytes each: the instruction, RET. */
	.balign	64
	.globl	host_x87_register
	.type	host_x87_register, @object
host_x87_register:
	.irp	opcode, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf
	.irp	row, 0xc0, 0xc8, 0xd0, 0xd8, 0xe0, 0xe8, 0xf0, 0xf8
	.irp	rm, 0, 1, 2, 3, 4, 5, 6, 7
	.byte	\opcode, \row + \rm, 0xc3, 0xcc
	.endr
	.endr
	.endr
	.size	host_x87_register, . - host_x87_register

/* [opcode & 7][modrm >> 3 & 7]: the same with the operand at RDI. */
	.balign	64
	.globl	host_x87_memory
	.type	host_x87_memory, @object
host_x87_memory:
	.irp	opcode, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf
	.irp	reg, 0, 1, 2, 3, 4, 5, 6, 7
	.byte	\opcode, 8 * \reg + 7, 0xc3, 0xcc
	.endr
	.endr
	.size	host_x87_memory, . - host_x87_memory

/*
 * unsigned int host_x87_run(void *image, const void *slot, void *operand,
 *     unsigned int flags)
 *
 * FXSAVE does not wait: an exception that the instruction made pending goes
 * into the image, and FNINIT forgets it here.
 */
	.balign	16
	.globl	host_x87_run
	.type	host_x87_run, @function
host_x87_run:
	pushq	%rbx
	movq	%rdi, %rbx
	movq	%rdx, %rdi
	fxrstor	(%rbx)
	movb	%cl, %ah
	sahf
	call	*%rsi
	lahf
	fxsave	(%rbx)
	fninit
	movzbl	%ah, %eax
	popq	%rbx
	ret
	.size	host_x87_run, . - host_x87_run

/* ---- SSE ---- */

/* [immediate], 8 bytes each: OP xmm0, xmm1, immediate; RET. */
	.macro	immediates name, bytes:vararg
	.balign	64
	.globl	host_\name
	.type	host_\name, @object
host_\name:
	.set	n, 0
	.rept	256
	.byte	\bytes, n, 0xc3
	.balign	8, 0xcc
	.set	n, n + 1
	.endr
	.size	host_\name, . - host_\name
	.endm

	immediates pshufd, 0x66, 0x0f, 0x70, 0xc1
	immediates pshufhw, 0xf3, 0x0f, 0x70, 0xc1
	immediates pshuflw, 0xf2, 0x0f, 0x70, 0xc1
	immediates psrldq, 0x66, 0x0f, 0x73, 0xd8
	immediates pslldq, 0x66, 0x0f, 0x73, 0xf8
	immediates shufps, 0x0f, 0xc6, 0xc1
	immediates shufpd, 0x66, 0x0f, 0xc6, 0xc1
	immediates cmpps, 0x0f, 0xc2, 0xc1
	immediates cmppd, 0x66, 0x0f, 0xc2, 0xc1
	immediates cmpss, 0xf3, 0x0f, 0xc2, 0xc1
	immediates cmpsd, 0xf2, 0x0f, 0xc2, 0xc1
	immediates palignr, 0x66, 0x0f, 0x3a, 0x0f, 0xc1
	immediates roundps, 0x66, 0x0f, 0x3a, 0x08, 0xc1
	immediates roundpd, 0x66, 0x0f, 0x3a, 0x09, 0xc1
	immediates roundss, 0x66, 0x0f, 0x3a, 0x0a, 0xc1
	immediates roundsd, 0x66, 0x0f, 0x3a, 0x0b, 0xc1
	immediates blendps, 0x66, 0x0f, 0x3a, 0x0c, 0xc1
	immediates blendpd, 0x66, 0x0f, 0x3a, 0x0d, 0xc1
	immediates pblendw, 0x66, 0x0f, 0x3a, 0x0e, 0xc1
	immediates insertps, 0x66, 0x0f, 0x3a, 0x21, 0xc1
	immediates dpps, 0x66, 0x0f, 0x3a, 0x40, 0xc1
	immediates dppd, 0x66, 0x0f, 0x3a, 0x41, 0xc1
	immediates mpsadbw, 0x66, 0x0f, 0x3a, 0x42, 0xc1
	immediates pclmulqdq, 0x66, 0x0f, 0x3a, 0x44, 0xc1
	immediates aeskeygenassist, 0x66, 0x0f, 0x3a, 0xdf, 0xc1
	/* of 64-bit lengths */
	immediates pcmpestrm, 0x66, 0x48, 0x0f, 0x3a, 0x60, 0xc1
	immediates pcmpestri, 0x66, 0x48, 0x0f, 0x3a, 0x61, 0xc1
	immediates pcmpistrm, 0x66, 0x0f, 0x3a, 0x62, 0xc1
	immediates pcmpistri, 0x66, 0x0f, 0x3a, 0x63, 0xc1

/* void host_strings_run(struct host_strings *s, const void *slot) */
	.balign	16
	.globl	host_strings_run
	.type	host_strings_run, @function
host_strings_run:
	movdqa	(%rdi), %xmm0
	movdqa	16(%rdi), %xmm1
	movq	32(%rdi), %rax
	movq	40(%rdi), %rdx
	xorl	%ecx, %ecx
	call	*%rsi
	pushfq
	popq	56(%rdi)
	movdqa	%xmm0, (%rdi)
	movq	%rcx, 48(%rdi)
	ret
	.size	host_strings_run, . - host_strings_run

	.section .note.GNU-stack, "", @progbits
