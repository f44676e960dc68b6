/*
 * The PVH entry of the bench's guest: 32-bit, flat.  Turns on long mode with an
 * identity map of 1 GiB in pages of 2 MiB, and SSE.
 */
	.section .note.Xen, "a", @note
	.long 4, 4, 18 /* the physical address of the 32-bit entry */
	.asciz "Xen"
	.long entry

	.section .text.entry, "ax"
	.code32
	.globl entry
entry:
	movl $stack_top, %esp
	movl %ebx, start_info
	movl $pdpt + 3, pml4
	movl $pd + 3, pdpt
	movl $0x83, %eax
	xorl %ecx, %ecx
1:	movl %eax, pd(, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $512, %ecx
	jne 1b
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80010023, %eax
	movl %eax, %cr0
	lgdt gdtr
	ljmp $8, $2f
	.code64
2:	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl start_info(%rip), %edi
	call run
	/* The result is the exit status, in six bits. */
	andl $0x3f, %eax
	outl %eax, $0xf4
3:	hlt
	jmp 3b

/* A page fault of the fault kernel: its page is mapped, and it goes on. */
	.globl page_fault
page_fault:
	pushq %rax
	pushq %rcx
	pushq %rdx
	movq %cr2, %rax
	movq %rax, %rcx
	shrq $12, %rcx
	andl $511, %ecx
	andq $-4096, %rax
	movl $fault_data, %edx
	orl $3, %edx
	movq %rdx, fault_table(, %rcx, 8)
	popq %rdx
	popq %rcx
	popq %rax
	addq $8, %rsp
	iretq

	.globl tick
tick:
	pushq %rax
	incq ticks(%rip)
	movb $0x20, %al
	outb %al, $0x20
	popq %rax
	iretq

	.section .data
	.balign 8
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:	.word gdtr - gdt - 1
	.long gdt
	.globl pd
	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4096
	.skip 65536
stack_top:
start_info: .skip 8
