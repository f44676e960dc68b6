/*
 * The hostile guest's PVH entry: long mode, 4 GiB mapped to themselves, and
 * handlers.  An exception goes on where `recover' says, with the stack that it
 * says; an interrupt is acknowledged everywhere, and no other one taken then.
 */
	.section .note.Xen, "a", @note
	.long 4, 4, 18 /* the physical address of the 32-bit entry */
	.asciz "Xen"
	.long entry

	.section .text.entry, "ax"
	.code32
	.globl entry
entry:
	cli
	movl $stack_top, %esp
	movl $pdpt + 3, pml4
	xorl %ecx, %ecx
1:	leal (, %ecx, 8), %edx
	movl %ecx, %eax
	shll $12, %eax
	addl $pd + 3, %eax
	movl %eax, pdpt(%edx)
	incl %ecx
	cmpl $4, %ecx
	jne 1b
	movl $0x83, %eax
	xorl %ecx, %ecx
2:	movl %eax, pd(, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $2048, %ecx
	jne 2b
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0x620, %eax
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80010023, %eax
	movl %eax, %cr0
	lgdt gdtr
	ljmp $8, $3f
	.code64
3:	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $exception, %eax
	xorl %ecx, %ecx
4:	cmpl $32, %ecx
	jb 5f
	movl $interrupt, %eax
5:	movl %ecx, %edx
	shll $4, %edx
	movw %ax, idt(%rdx)
	movw $8, idt + 2(%rdx)
	movw $0x8e00, idt + 4(%rdx)
	movl %eax, %esi
	shrl $16, %esi
	movw %si, idt + 6(%rdx)
	incl %ecx
	cmpl $256, %ecx
	jne 4b
	lidt idtr
	call hostile
6:	hlt
	jmp 6b

exception:
	movq recover_rsp(%rip), %rsp
	jmp *recover_rip(%rip)

interrupt:
	pushq %rax
	pushq %rdx
	movb $0x20, %al
	outb %al, $0xa0
	outb %al, $0x20
	movl $0xfee000b0, %eax
	movl $0, (%rax)
	popq %rdx
	popq %rax
	andl $~0x200, 16(%rsp) /* one is enough: there may be no end of them */
	iretq

/* attempt(function, argument): whether it returned, and not by an exception. */
	.globl attempt
attempt:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, recover_rsp(%rip)
	leaq 1f(%rip), %rax
	movq %rax, recover_rip(%rip)
	movq %rdi, %rax
	movq %rsi, %rdi
	subq $8, %rsp
	call *%rax
	addq $8, %rsp
	movl $1, %eax
	jmp 2f
1:	xorl %eax, %eax
2:	cli
	cld
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.section .data
	.balign 8
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:	.word gdtr - gdt - 1
	.long gdt
idtr:	.word 4095
	.quad idt
	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 16384
idt:	.skip 4096
	.skip 65536
stack_top:
recover_rsp: .skip 8
recover_rip: .skip 8
