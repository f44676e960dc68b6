/*
 * start.S - entries, page tables, interrupt stubs and the switch of tasks.
 *
 * Two ways in, both with interrupts off: start64 by the Linux 64-bit boot
 * protocol (RSI: boot_params), start32 by PVH (EBX: hvm_start_info, paging
 * off).  Both meet in guest_main(kind, pointer) on our own page tables, which
 * map the first 4 GiB to themselves and are finished at link time: building
 * them would cost an emulating engine milliseconds.
 */
	.section .note.pvh, "a", @note
	.balign 4
	.long	4, 8, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	start32

	.section .text.start, "ax"
	.code64
	.globl	start64
start64:
	cli
	cld
	movq	%rsi, %rbx
	movl	$pml4, %eax
	movq	%rax, %cr3
	lgdt	gdt_pointer
	movl	$stack_end, %esp
	pushq	$0x10
	movl	$1f, %eax
	pushq	%rax
	lretq
1:	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	xorl	%edi, %edi		/* BOOT_LINUX */
	movq	%rbx, %rsi
	jmp	enter

	.code32
start32:
	cli
	cld
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER */
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax	/* PG, PE */
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$0x10, $1f
	.code64
1:	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$stack_end, %esp
	movl	$1, %edi		/* BOOT_PVH */
	movl	%ebx, %esi
enter:
	xorl	%ebp, %ebp
	call	guest_main
1:	hlt
	jmp	1b

	.text
/*
 * void task_switch(uint64_t *save, uint64_t load): leaves on the stack what a
 * call preserves, and goes on where the other task left.
 */
	.globl	task_switch
task_switch:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/*
 * One stub per vector: 8 to 16 bytes, aligned so that C computes its address.
 * Exceptions that push no error code get a zero, so that all frames are alike.
 */
	.balign 16
	.globl	cpu_stubs
cpu_stubs:
	vector = 0
	.rept	256
	.balign 16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || \
		vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	.if	vector < 32
	jmp	exception_entry
	.else
	jmp	irq_entry
	.endif
	vector = vector + 1
	.endr

irq_entry:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	movl	72(%rsp), %edi
	cld
	call	cpu_irq
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

exception_entry:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	andq	$-16, %rsp
	cld
	call	cpu_exception		/* does not return */

/* Selectors as the boot protocol has them: code 0x10, data 0x18. */
	.section .data, "aw"
	.balign 16
gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

/*
 * 4 GiB in pages of 2 MiB, accessed and dirty; the last GiB, where devices
 * lie, uncached.  pages_pdpt has room for cpu_map() to add more.
 */
	.section .data.pages, "aw"
	.balign 4096
pml4:
	.quad	pages_pdpt + 0x23
	.fill	511, 8, 0
	.globl	pages_pdpt
pages_pdpt:
	.quad	pd + 0x23, pd + 0x1023, pd + 0x2023, pd + 0x3023
	.fill	508, 8, 0
pd:
	at = 0
	.rept	2048
	.if	at < 0xc0000000
	.quad	at + 0xe3
	.else
	.quad	at + 0xfb
	.endif
	at = at + 0x200000
	.endr

	.section .bss, "aw", @nobits
	.balign 16
	.skip	16384
stack_end:

	.section .note.GNU-stack, "", @progbits
