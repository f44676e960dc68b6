/*
 * The Multiboot header and the way into C.  FLAT: the header has addresses, for
 * a file without an ELF header.
 */
#define MAGIC 0x1badb002
#ifdef FLAT
#define FLAGS 0x10003
#else
#define FLAGS 0x3
#endif
#define STACK_BYTES 16384

	.section .multiboot, "a"
	.balign 4
header:
	.long MAGIC
	.long FLAGS
	.long -(MAGIC + FLAGS)
#ifdef FLAT
	.long header
	.long image_start
	.long image_loaded
	.long image_end
	.long start
#endif

	.text
	.globl start
start:
	movl $stack_top, %esp
	pushfl
	popl %ecx
	pushl $0
	popfl
	movl %cr0, %edx
	pushl %ecx
	pushl %edx
	pushl %ebx
	pushl %eax
	call kernel
1:	cli
	hlt
	jmp 1b

/* Interrupts: the vector, its error code (or 0), then what the CPU pushed. */
	.altmacro
	.macro handler n
entry_\n:
	.if \n != 8 && (\n < 10 || \n > 14) && \n != 17
	pushl $0
	.endif
	pushl $\n
	jmp common
	.endm
	.set n, 0
	.rept 48
	handler %n
	.set n, n + 1
	.endr

common:
	pushal
	pushl %esp
	call interrupt
	addl $4, %esp
	popal
	addl $8, %esp
	iretl

	.section .rodata
	.globl entries
	.macro address n
	.long entry_\n
	.endm
entries:
	.set n, 0
	.rept 48
	address %n
	.set n, n + 1
	.endr

	.bss
	.balign 16
	.space STACK_BYTES
stack_top:

	.section .note.GNU-stack, "", @progbits
