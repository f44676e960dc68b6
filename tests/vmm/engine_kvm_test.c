/*
 * The KVM engine against guests of a few instructions.  They keep to what any
 * KVM runs: no SSE, no INT n, no SYSCALL; but for those about instructions that
 * some cannot do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/boot_parts.h"
#include "vmm/emulate/engine_emulate.h"
#include "vmm/engine_io.h"
#include "vmm/engine_kvm.h"
#include "vmm/le.h"

#define CODE_AT  0x100000
#define IDT_AT   0x3000
#define OTHER_AT 0x108000
#define AP_AT    0x8000 /* real mode: SIPI vector 8 */
#define VECTOR   0x40
#define MMIO     UINT64_C(0xe0000000)
#define NOTIFY   UINT64_C(0xe0003004)
#define MSI_CPU0 UINT64_C(0xfee00000)

#define GUEST(name, bits, text)                                      \
	extern const uint8_t guest_##name[], guest_##name##_end[];   \
	__asm__(".pushsection .rodata\n.code" #bits "\nguest_" #name \
		":\n" text "\nguest_" #name "_end:\n.code64\n"       \
		".popsection")

/* Interrupts are taken at guest_NAME_irq. */
#define GUEST_IRQ(name, text)                               \
	extern const uint8_t guest_##name##_irq[];          \
	GUEST(name, 64,                                     \
	    "movl $0xfee00000, %ebp\n"                      \
	    "movl $0x1ff, 0xf0(%rbp)\n" /* local APIC on */ \
	    text "guest_" #name "_irq:\n"                   \
	    "movb $'I', %al\noutb %al, $0x10\n"             \
	    "movl $0, 0xb0(%rbp)\n" /* end of interrupt */  \
	    "iretq\n")

GUEST(ports, 64,
    "movb $0x11, %al\noutb %al, $0x10\n"
    "movw $0x2222, %ax\noutw %ax, $0x12\n"
    "movl $0x33333333, %eax\noutl %eax, $0x14\n"
    "inb $0x20, %al\noutb %al, $0x10\n"
    "inl $0x24, %eax\noutl %eax, $0x14\n"
    "leaq 1f(%rip), %rsi\nmovl $3, %ecx\nmovw $0x3f8, %dx\nrep outsb\n"
    "hlt\n1: .ascii \"abc\"\n");

GUEST(mmio, 64,
    "movl $0xe0000000, %ebx\n"
    "movb $0x11, (%rbx)\nmovw $0x2222, 2(%rbx)\nmovl $0x33333333, 4(%rbx)\n"
    "movabs $0x1122334455667788, %rax\nmovq %rax, 8(%rbx)\n"
    "movb (%rbx), %al\noutb %al, $0x10\n"
    "movq 8(%rbx), %rax\nshrq $32, %rax\noutl %eax, $0x14\nhlt\n");

GUEST_IRQ(sleeper,
    "movb $'R', %al\noutb %al, $0x10\n"
    "1: sti\nhlt\njmp 1b\n");

GUEST_IRQ(ioapic,
    "movb $0xff, %al\noutb %al, $0x21\noutb %al, $0xa1\n"
    "movl $0xfec00000, %ebx\n"
    "movl $0x26, (%rbx)\nmovl $0x8040, 0x10(%rbx)\n" /* pin 11, level */
    "movl $0x27, (%rbx)\nmovl $0, 0x10(%rbx)\n"
    "movb $'R', %al\noutb %al, $0x10\n"
    "1: sti\nhlt\njmp 1b\n");

GUEST_IRQ(spinner, "movb $'R', %al\noutb %al, $0x10\nsti\n1: jmp 1b\n");

GUEST(notify, 64,
    "movl $0xe0003004, %ebx\nmovl $5, %ecx\n"
    "1: movw $1, (%rbx)\nloop 1b\nmovb $'D', %al\noutb %al, $0x10\nhlt\n");

GUEST(triple, 64, "ud2\n");

GUEST(starter, 64,
    "movl $0xfee00000, %ebp\n"
    "movl $0x1ff, 0xf0(%rbp)\n"
    "movl $0x01000000, 0x310(%rbp)\n"
    "movl $0x00004500, 0x300(%rbp)\n" /* INIT to APIC 1 */
    "movl $0x01000000, 0x310(%rbp)\n"
    "movl $0x00004608, 0x300(%rbp)\n" /* start at 0x8000 */
    "movb $'B', %al\noutb %al, $0x10\nhlt\n");

GUEST(ap, 16, "movb $'A', %al\noutb %al, $0x10\nhlt\n");

/* From real to protected mode, with the table that is at 0x7000. */
GUEST(modes, 16,
    "lgdtl 0x7020\nmovl %cr0, %eax\norl $1, %eax\nmovl %eax, %cr0\n"
    "ljmpl $8, $0x8020\n.fill 0x20 - (. - guest_modes), 1, 0xf4\n"
    ".code32\nmovw $0x10, %ax\nmovw %ax, %ds\nmovl $0x110000, %edi\n"
    "movl $0x12345678, (%edi)\nmovl (%edi), %eax\noutl %eax, $0x14\n"
    "movl %cr0, %eax\nandl $0x80000001, %eax\noutl %eax, $0x14\nhlt\n");

GUEST(registers, 64,
    "movq $0x1111, %rax\nmovq $0x2222, %rbx\nmovq $-3, %rcx\n"
    "movabs $0x123456789abcdef0, %r8\nmovq $0x1515, %r15\n"
    "movq %r8, %dr0\nmovl $0xc0000102, %ecx\nmovl $0x5678, %eax\n"
    "xorl %edx, %edx\nwrmsr\nstd\n"
    "movb $'R', %al\noutb %al, $0x10\n"
    "leaq (%r8,%r15), %rax\noutl %eax, $0x14\nhlt\n");

/* What these say is the same on a CPU, and where each is emulated. */
#define SAY_EAX  "outl %eax, $0x14\n"
#define SAY_FLAG "pushfq\npopq %rax\nandl $0x8d5, %eax\n" SAY_EAX
#define WITH_SSE                              \
	"movq %cr4, %rax\norl $0x600, %eax\n" \
	"movq %rax, %cr4\nmovl $0x110000, %edi\n"

GUEST(wide, 64,
    "movl $0x110000, %edi\n"
    "movl $0x11, (%rdi)\nmovl $0x22, 8(%rdi)\n"
    "movl $0x11, %eax\nmovl $0x22, %edx\n"
    "movl $0x33, %ebx\nmovl $0x44, %ecx\n"
    "lock cmpxchg16b (%rdi)\nsetz %al\nmovzbl %al, %eax\n" SAY_EAX
    "movl (%rdi), %eax\n" SAY_EAX "movl 8(%rdi), %eax\n" SAY_EAX
    "lock cmpxchg16b (%rdi)\n" /* another value is there */
    SAY_EAX "movl %edx, %eax\n" SAY_EAX SAY_FLAG "hlt\n");

GUEST(vectors, 64,
    WITH_SSE
    "movl $40, %eax\nmovd %eax, %xmm0\nmovl $2, %eax\nmovd %eax, %xmm15\n"
    "paddd %xmm15, %xmm0\nmovd %xmm0, %eax\n" SAY_EAX
    "pxor %xmm0, %xmm0\npcmpeqb %xmm1, %xmm1\npunpcklbw %xmm1, %xmm0\n"
    "pmovmskb %xmm0, %eax\n" SAY_EAX
    "movdqu %xmm0, (%rdi)\npshufd $0, (%rdi), %xmm2\nmovd %xmm2, %eax\n" SAY_EAX
    "xorps %xmm2, %xmm2\nmovd %xmm2, %eax\n" SAY_EAX
    "stmxcsr (%rdi)\nmovl (%rdi), %eax\n" SAY_EAX "hlt\n");

GUEST(floats, 64,
    WITH_SSE "movl $3, %eax\ncvtsi2sd %eax, %xmm3\nmovl $7, %eax\n"
	     "cvtsi2sd %eax, %xmm4\ndivsd %xmm3, %xmm4\n"
	     "movq %xmm4, %rax\n" SAY_EAX "shrq $32, %rax\n" SAY_EAX
	     "fninit\nfld1\nmovl $41, (%rdi)\nfildl (%rdi)\nfaddp\nfwait\n"
	     "fistpl (%rdi)\nmovl (%rdi), %eax\n" SAY_EAX
	     "fnclex\nfnstsw %ax\nmovzwl %ax, %eax\n" SAY_EAX "hlt\n");

GUEST(bits, 64,
    "movl $0xf0f0f, %ebx\npopcnt %ebx, %eax\n" SAY_EAX
    "movl $0x12345678, %ebx\nxorl %eax, %eax\ncrc32l %ebx, %eax\n" SAY_EAX
    "hlt\n");

/* Registers come back, and what is not in the image becomes initial. */
GUEST(xsave, 64,
    "movq %cr4, %rax\norl $0x40600, %eax\nmovq %rax, %cr4\n"
    "movl $0x110000, %edi\nxorl %ecx, %ecx\nxorl %edx, %edx\n"
    "movl $3, %eax\nxsetbv\nxgetbv\n" SAY_EAX
    "movl $42, %eax\nmovd %eax, %xmm9\nfninit\nfld1\nfld1\n"
    "movl $-1, %eax\nxsave (%rdi)\n" /* asks for all that there is */
    "movl 512(%rdi), %eax\n" SAY_EAX "movl 304(%rdi), %eax\n" SAY_EAX
    "pxor %xmm9, %xmm9\nfninit\n"
    "movl $3, %eax\nxrstor (%rdi)\nmovd %xmm9, %eax\n" SAY_EAX
    "fnstsw (%rsi)\nmovzwl (%rsi), %eax\n" SAY_EAX
    "movl $1, 512(%rdi)\nmovl $2, %eax\nxrstor (%rdi)\n"
    "movd %xmm9, %eax\n" SAY_EAX "fnstsw (%rsi)\nmovzwl (%rsi), %eax\n" SAY_EAX
    "hlt\n");

/* Interrupts by instruction, on another stack too; the flags survive. */
GUEST(software, 64,
    "movl $5, %ebx\nstc\nint $0x40\nsetc %al\nmovzbl %al, %eax\n" SAY_EAX
    "movl %ebx, %eax\n" SAY_EAX "int $0x40\nmovl %ebx, %eax\n" SAY_EAX
    "hlt\nguest_software_irq:\n"
    "incl %ebx\nmovq (%rsp), %rax\ncmpb $0x40, -1(%rax)\nje 1f\n"
    "movl $0, %ebx\n1: iretq\n");
extern const uint8_t guest_software_irq[];

/* One CPU counts up by an instruction that may be emulated, the other one by
 * one that no KVM fails at, for as long. */
#define COUNTS 2000
GUEST(counter, 64,
    "movl $0x110000, %edi\nmovl $2000, %esi\n"
    "1: movq (%rdi), %rax\nmovq 8(%rdi), %rdx\n"
    "2: leaq 1(%rax), %rbx\nmovq %rdx, %rcx\n"
    "lock cmpxchg16b (%rdi)\njnz 2b\ndecl %esi\njnz 1b\n"
    "movl $1, 16(%rdi)\nmovb $'D', %al\noutb %al, $0x10\nhlt\n");
GUEST(adder, 64,
    "movl $0x110000, %edi\nxorl %ebx, %ebx\n"
    "1: lock incq (%rdi)\nincq %rbx\ncmpl $0, 16(%rdi)\njz 1b\n"
    "movq %rbx, 24(%rdi)\nmovb $'D', %al\noutb %al, $0x10\nhlt\n");

GUEST(unknown, 64, "vaddps %ymm1, %ymm2, %ymm3\nhlt\n");

GUEST(cpuid, 64,
    "movl $0x40000000, %eax\ncpuid\n"
    "outl %eax, $0x14\nmovl %ebx, %eax\noutl %eax, $0x14\n"
    "movl $0x40000010, %eax\ncpuid\n"
    "outl %eax, $0x14\nmovl %ebx, %eax\noutl %eax, $0x14\n"
    "movl $1, %eax\ncpuid\nmovl %ecx, %eax\noutl %eax, $0x14\nhlt\n");

/* ---- a machine of memory and CPUs ---- */

struct rig {
	struct memory memory;
	struct engine_vm *vm;
	struct engine_cpu *cpu[2];
	unsigned int ncpus;
};

static const struct engine *const kvm = &engine_kvm;

static void
need_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		print_message("skipped: /dev/kvm cannot be opened\n");
		skip();
	}
	close(fd);
}

static void
rig_make(struct rig *rig, unsigned int ncpus, bool chips)
{
	struct engine_config config = {
		.memory = &rig->memory, .ncpus = ncpus, .chips = chips
	};
	struct err err = { "" };

	need_kvm();
	rig->ncpus = ncpus;
	assert_int_equal(memory_init(&rig->memory, 2 << 20, &err), 0);
	rig->vm = kvm->vm_new(&config, &err);
	if (rig->vm == NULL)
		print_message("%s\n", err.text);
	assert_non_null(rig->vm);
	for (unsigned int i = 0; i < ncpus; i++) {
		rig->cpu[i] = kvm->cpu_new(rig->vm, &err);
		assert_non_null(rig->cpu[i]);
		assert_int_equal(rig->cpu[i]->id, i);
	}
}

static void
rig_free(struct rig *rig)
{
	for (unsigned int i = 0; i < rig->ncpus; i++)
		kvm->cpu_free(rig->cpu[i]);
	kvm->vm_free(rig->vm);
	memory_free(&rig->memory);
}

/* Puts code where CPU 0 will enter it, in long mode; interrupts go to irq. */
static void
rig_load(struct rig *rig, const uint8_t *code, const uint8_t *end,
    const uint8_t *irq)
{
	struct boot_config boot = { .initrd_fd = -1, .cmdline = "" };
	struct boot_initrd initrd = { 0 };
	struct cpu_state *state = malloc(sizeof(*state));
	struct err err = { "" };

	assert_int_equal(
	    linux_prepare(&rig->memory, &boot, NULL, 0, &initrd, &err), 0);
	memcpy(rig->memory.base + CODE_AT, code, (size_t)(end - code));
	if (irq != NULL) {
		uint8_t *gate = rig->memory.base + IDT_AT + 16 * VECTOR;

		put_le32(gate, (CODE_AT + (uint32_t)(irq - code)) & 0xffff);
		put_le16(gate + 2, 0x10);
		put_le16(gate + 4, 0x8e00);
		put_le16(gate + 6, CODE_AT >> 16);
	}
	assert_int_equal(kvm->state_get(rig->cpu[0], state, &err), 0);
	linux_cpu(CODE_AT, state);
	state->msr_valid = 1u << CPU_MSR_EFER;
	state->idt = (struct cpu_table){ IDT_AT, 0xfff };
	assert_int_equal(kvm->state_set(rig->cpu[0], state, &err), 0);
	free(state);
}

#define LOAD(rig, name) rig_load(rig, guest_##name, guest_##name##_end, NULL)
#define LOAD_IRQ(rig, name) \
	rig_load(rig, guest_##name, guest_##name##_end, guest_##name##_irq)

static void
expect_out(
    struct engine_cpu *cpu, uint16_t port, unsigned int bytes, uint32_t value)
{
	struct engine_exit exit = { 0 };

	kvm->run(cpu, &exit);
	if (exit.kind == EXIT_FAILED)
		print_message("%s\n", exit.err.text);
	assert_int_equal(exit.kind, EXIT_PORT);
	assert_true(exit.port.out);
	assert_int_equal(exit.port.port, port);
	assert_int_equal(exit.port.bytes, bytes);
	assert_int_equal(exit.port.count, 1);
	assert_int_equal(get_le(exit.port.data, bytes), value);
}

static uint32_t
out_long(struct engine_cpu *cpu)
{
	struct engine_exit exit = { 0 };

	kvm->run(cpu, &exit);
	assert_int_equal(exit.kind, EXIT_PORT);
	assert_int_equal(exit.port.port, 0x14);
	return get_le32(exit.port.data);
}

/* Completes the last exit, so that the state can be read. */
static void
settle(struct engine_cpu *cpu)
{
	struct engine_exit exit = { 0 };

	kvm->kick(cpu);
	kvm->run(cpu, &exit);
	assert_int_equal(exit.kind, EXIT_INTERRUPTED);
}

/* ---- exits ---- */

static void
the_probe_runs_a_guest(void **state)
{
	struct err err = { "" };

	(void)state;
	need_kvm();
	assert_int_equal(kvm->probe(&err), 0);
	assert_string_equal(err.text, "");
}

static void
auto_takes_kvm_where_hardware_executes(void **state)
{
	struct kvm_probe probe;
	const struct engine *found = engine_find("auto", NULL);

	(void)state;
	assert_non_null(found);
	if (kvm_probe(&probe, NULL) < 0) {
		assert_string_equal(found->name, "emulate");
		return;
	}
	print_message("an instruction takes %u ps, system calls go %s\n",
	    (unsigned int)probe.instruction_ps,
	    probe.calls_system ? "right" : "wrong");
	/* No CPU does ten in a nanosecond, no guest one in a millisecond. */
	assert_in_range(probe.instruction_ps, 100, 1000000000);
	assert_string_equal(
	    found->name, kvm_is_hardware(&probe) ? "kvm" : "emulate");
}

/* The interpreter, made to leave the guest at each port as KVM does. */
static struct {
	struct engine_cpu *cpu;
	struct engine_exit out;
	uint8_t value;
} leaver;

static void
leave(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	(void)arg;
	(void)cpu;
	leaver.value = (uint8_t)value;
	leaver.out = (struct engine_exit){ .kind = EXIT_PORT,
		.port = { .port = port,
		    .bytes = (uint8_t)bytes,
		    .out = true,
		    .data = &leaver.value } };
	engine_emulate.kick(leaver.cpu);
}

static struct engine_vm *
leaver_new(const struct engine_config *config, struct err *err)
{
	static const struct engine_io io = { .port_out = leave };
	struct engine_config mine = *config;

	mine.io = &io;
	return engine_emulate.vm_new(&mine, err);
}

static void
leaver_run(struct engine_cpu *cpu, struct engine_exit *exit)
{
	leaver.cpu = cpu;
	leaver.out.kind = EXIT_INTERRUPTED;
	engine_emulate.run(cpu, exit);
	if (leaver.out.kind == EXIT_PORT)
		*exit = leaver.out;
}

static void
the_probe_tells_when_system_calls_go_right(void **state)
{
	struct engine right = engine_emulate;
	struct kvm_probe probe;
	struct err err = { "" };

	(void)state;
	right.vm_new = leaver_new;
	right.run = leaver_run;
	assert_int_equal(kvm_probe_on(&right, &probe, &err), 0);
	assert_true(probe.calls_system);
	probe.instruction_ps = KVM_HARDWARE_PS;
	assert_true(kvm_is_hardware(&probe));
	probe.calls_system = false;
	assert_false(kvm_is_hardware(&probe));
}

static void
ports_are_written_and_read(void **state)
{
	struct rig rig = { 0 };
	struct engine_exit exit = { 0 };
	char text[4] = "";
	unsigned int n = 0;

	(void)state;
	rig_make(&rig, 1, false);
	LOAD(&rig, ports);
	expect_out(rig.cpu[0], 0x10, 1, 0x11);
	expect_out(rig.cpu[0], 0x12, 2, 0x2222);
	expect_out(rig.cpu[0], 0x14, 4, 0x33333333);
	kvm->run(rig.cpu[0], &exit);
	assert_int_equal(exit.kind, EXIT_PORT);
	assert_false(exit.port.out);
	assert_int_equal(exit.port.port, 0x20);
	exit.port.data[0] = 0x5a;
	expect_out(rig.cpu[0], 0x10, 1, 0x5a);
	kvm->run(rig.cpu[0], &exit);
	put_le32(exit.port.data, 0xcafe1234);
	expect_out(rig.cpu[0], 0x14, 4, 0xcafe1234);
	while (n < 3) { /* in one exit or in three */
		kvm->run(rig.cpu[0], &exit);
		assert_int_equal(exit.kind, EXIT_PORT);
		assert_int_equal(exit.port.port, 0x3f8);
		assert_true(exit.port.count <= 3 - n);
		memcpy(text + n, exit.port.data, exit.port.count);
		n += exit.port.count;
	}
	assert_string_equal(text, "abc");
	kvm->run(rig.cpu[0], &exit);
	assert_int_equal(exit.kind, EXIT_HALT);
	rig_free(&rig);
}

static void
memory_that_is_not_there_exits(void **state)
{
	static const struct {
		uint64_t address, value;
		uint8_t bytes;
	} writes[] = {
		{ MMIO, 0x11, 1 },
		{ MMIO + 2, 0x2222, 2 },
		{ MMIO + 4, 0x33333333, 4 },
		{ MMIO + 8, 0x1122334455667788, 8 },
	};
	struct rig rig = { 0 };
	struct engine_exit exit = { 0 };

	(void)state;
	rig_make(&rig, 1, true);
	LOAD(&rig, mmio);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		kvm->run(rig.cpu[0], &exit);
		assert_int_equal(exit.kind, EXIT_MMIO);
		assert_true(exit.mmio.write);
		assert_int_equal(exit.mmio.address, writes[i].address);
		assert_int_equal(exit.mmio.bytes, writes[i].bytes);
		assert_int_equal(
		    get_le(exit.mmio.data, exit.mmio.bytes), writes[i].value);
	}
	kvm->run(rig.cpu[0], &exit);
	assert_int_equal(exit.kind, EXIT_MMIO);
	assert_false(exit.mmio.write);
	exit.mmio.data[0] = 0x77;
	expect_out(rig.cpu[0], 0x10, 1, 0x77);
	kvm->run(rig.cpu[0], &exit);
	assert_int_equal(exit.mmio.bytes, 8);
	put_le64(exit.mmio.data, 0xaabbccdd00000000);
	expect_out(rig.cpu[0], 0x14, 4, 0xaabbccdd);
	rig_free(&rig);
}

static void
a_triple_fault_is_a_shutdown(void **state)
{
	struct rig rig = { 0 };
	struct engine_exit exit = { 0 };
	struct cpu_state *s;

	(void)state;
	rig_make(&rig, 1, true);
	s = malloc(sizeof(*s));
	LOAD(&rig, triple);
	assert_int_equal(kvm->state_get(rig.cpu[0], s, NULL), 0);
	s->idt.limit = 0;
	s->msr_valid = 1u << CPU_MSR_EFER;
	assert_int_equal(kvm->state_set(rig.cpu[0], s, NULL), 0);
	kvm->run(rig.cpu[0], &exit);
	assert_int_equal(exit.kind, EXIT_SHUTDOWN);
	free(s);
	rig_free(&rig);
}

#define MAX_SAID 8

static void
instructions_that_kvm_cannot_do_are_emulated(void **state)
{
	static const struct {
		const char *name;
		const uint8_t *code, *end, *irq;
		uint32_t said[MAX_SAID];
		unsigned int n;
	} guests[] = {
		{ "CMPXCHG16B", guest_wide, guest_wide_end, NULL,
		    { 1, 0x33, 0x44, 0x33, 0x44, 0 }, 6 },
		{ "vectors", guest_vectors, guest_vectors_end, NULL,
		    { 42, 0xaaaa, 0xff00ff00, 0, 0x1f80 }, 5 },
		{ "floats", guest_floats, guest_floats_end, NULL,
		    { 0xaaaaaaab, 0x4002aaaa, 42, 0 }, 4 },
		{ "bits", guest_bits, guest_bits_end, NULL, { 12, 0xfa745634 },
		    2 },
		{ "XSAVE", guest_xsave, guest_xsave_end, NULL,
		    { 3, 3, 42, 42, 0x3000, 0, 0x3000 }, 7 },
		{ "INT n", guest_software, guest_software_end,
		    guest_software_irq, { 1, 6, 7 }, 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
		struct rig rig = { 0 };
		struct engine_exit exit = { 0 };

		rig_make(&rig, 1, true);
		rig_load(&rig, guests[i].code, guests[i].end, guests[i].irq);
		for (unsigned int k = 0; k < guests[i].n; k++) {
			kvm->run(rig.cpu[0], &exit);
			if (exit.kind != EXIT_PORT)
				fail_msg("%s, %u: %s", guests[i].name, k,
				    exit.err.text);
			if (get_le32(exit.port.data) != guests[i].said[k])
				fail_msg("%s, %u: %x, not %x", guests[i].name,
				    k, get_le32(exit.port.data),
				    guests[i].said[k]);
		}
		rig_free(&rig);
	}
}

static void *
run_to_done(void *arg)
{
	expect_out(arg, 0x10, 1, 'D');
	return NULL;
}

static void
locked_instructions_are_atomic_among_cpus(void **state)
{
	struct rig rig = { 0 };
	struct cpu_state *s = malloc(sizeof(*s));
	const uint8_t *at;
	pthread_t thread;

	(void)state;
	rig_make(&rig, 2, true);
	LOAD(&rig, counter);
	memcpy(rig.memory.base + OTHER_AT, guest_adder,
	    (size_t)(guest_adder_end - guest_adder));
	assert_int_equal(kvm->state_get(rig.cpu[1], s, NULL), 0);
	linux_cpu(OTHER_AT, s);
	s->msr_valid = 1u << CPU_MSR_EFER;
	s->run = CPU_RUNNING;
	assert_int_equal(kvm->state_set(rig.cpu[1], s, NULL), 0);
	assert_int_equal(
	    pthread_create(&thread, NULL, run_to_done, rig.cpu[1]), 0);
	run_to_done(rig.cpu[0]);
	pthread_join(thread, NULL);
	at = rig.memory.base + 0x110000;
	assert_true(get_le64(at + 24) > 0);
	assert_int_equal(get_le64(at), COUNTS + get_le64(at + 24));
	free(s);
	rig_free(&rig);
}

static void
an_instruction_that_nobody_can_do_is_named(void **state)
{
	struct rig rig = { 0 };
	struct engine_exit exit = { 0 };
	bool can;

	(void)state;
	rig_make(&rig, 1, true);
	LOAD(&rig, unknown);
	kvm->run(rig.cpu[0], &exit);
	/* A CPU finds that CR4 does not allow it. */
	can = exit.kind == EXIT_SHUTDOWN;
	if (!can) {
		assert_int_equal(exit.kind, EXIT_FAILED);
		assert_non_null(strstr(exit.err.text,
		    "KVM on this host cannot execute the instruction that "
		    "begins with c5 ec 58 d9"));
		assert_non_null(strstr(exit.err.text, "rip 0010:100000"));
	}
	rig_free(&rig);
	if (can) {
		print_message("skipped: this KVM executes all\n");
		skip();
	}
}

/* ---- interrupts ---- */

static void *
send_msi(void *arg)
{
	const struct msi msi = { MSI_CPU0, VECTOR };

	kvm->msi(arg, &msi);
	return NULL;
}

static void
a_message_wakes_a_halted_cpu(void **state)
{
	struct rig rig = { 0 };
	pthread_t thread;

	(void)state;
	rig_make(&rig, 1, true);
	LOAD_IRQ(&rig, sleeper);
	expect_out(rig.cpu[0], 0x10, 1, 'R');
	for (unsigned int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, send_msi, rig.vm);
		expect_out(rig.cpu[0], 0x10, 1, 'I');
		pthread_join(thread, NULL);
	}
	rig_free(&rig);
}

static void
an_eventfd_that_is_bound_interrupts(void **state)
{
	struct rig rig = { 0 };
	const struct msi msi = { MSI_CPU0, VECTOR };
	const struct msi other = { MSI_CPU0, VECTOR + 1 };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t one = 1, count;

	(void)state;
	rig_make(&rig, 1, true);
	LOAD_IRQ(&rig, sleeper);
	expect_out(rig.cpu[0], 0x10, 1, 'R');
	assert_int_equal(kvm->msi_fd(rig.vm, 7, fd, &other), 0);
	assert_int_equal(kvm->msi_fd(rig.vm, 7, fd, &msi), 0);
	assert_int_equal(write(fd, &one, 8), 8);
	expect_out(rig.cpu[0], 0x10, 1, 'I');
	/* No longer bound, the count is ours to read. */
	assert_int_equal(kvm->msi_fd(rig.vm, 7, fd, NULL), 0);
	assert_int_equal(kvm->msi_fd(rig.vm, 7, fd, NULL), 0);
	assert_int_equal(write(fd, &one, 8), 8);
	assert_int_equal(read(fd, &count, 8), 8);
	/* What was written before it is bound arrives with the binding. */
	assert_int_equal(write(fd, &one, 8), 8);
	assert_int_equal(kvm->msi_fd(rig.vm, 127, fd, &msi), 0);
	expect_out(rig.cpu[0], 0x10, 1, 'I');
	assert_int_equal(
	    kvm->msi_fd(rig.vm, ENGINE_MSI_SLOTS, fd, &msi), -EINVAL);
	rig_free(&rig);
	close(fd);
}

static void
a_line_interrupts_until_it_falls(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_make(&rig, 1, true);
	LOAD_IRQ(&rig, ioapic);
	expect_out(rig.cpu[0], 0x10, 1, 'R');
	kvm->line(rig.vm, 11, true);
	expect_out(rig.cpu[0], 0x10, 1, 'I');
	expect_out(rig.cpu[0], 0x10, 1, 'I'); /* still high after the EOI */
	kvm->line(rig.vm, 11, false);
	kvm->line(rig.vm, 11, true);
	expect_out(rig.cpu[0], 0x10, 1, 'I');
	rig_free(&rig);
}

static void
without_chips_vectors_are_injected(void **state)
{
	struct rig rig = { 0 };
	struct engine_exit exit = { 0 };

	(void)state;
	rig_make(&rig, 1, false);
	LOAD_IRQ(&rig, sleeper);
	/* The local APIC is not there: its registers exit. */
	kvm->run(rig.cpu[0], &exit);
	assert_int_equal(exit.kind, EXIT_MMIO);
	expect_out(rig.cpu[0], 0x10, 1, 'R');
	assert_int_equal(kvm->inject(rig.cpu[0], VECTOR), -EAGAIN);
	kvm->want_window(rig.cpu[0], true);
	/* STI's shadow covers the HLT: either may be seen first. */
	kvm->run(rig.cpu[0], &exit);
	assert_true(exit.kind == EXIT_WINDOW || exit.kind == EXIT_HALT);
	kvm->want_window(rig.cpu[0], false);
	assert_int_equal(kvm->inject(rig.cpu[0], VECTOR), 0);
	expect_out(rig.cpu[0], 0x10, 1, 'I');
	rig_free(&rig);
}

static void
a_notify_address_wakes_an_eventfd_without_an_exit(void **state)
{
	struct rig rig = { 0 };
	struct engine_exit exit = { 0 };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t count;

	(void)state;
	rig_make(&rig, 1, true);
	assert_int_equal(kvm->notify_fd(rig.vm, NOTIFY, fd, true), 0);
	LOAD(&rig, notify);
	expect_out(rig.cpu[0], 0x10, 1, 'D');
	assert_int_equal(read(fd, &count, 8), 8);
	assert_int_equal(count, 5);
	assert_int_equal(kvm->notify_fd(rig.vm, NOTIFY, fd, false), 0);
	settle(rig.cpu[0]);
	LOAD(&rig, notify);
	kvm->run(rig.cpu[0], &exit);
	assert_int_equal(exit.kind, EXIT_MMIO);
	assert_int_equal(exit.mmio.address, NOTIFY);
	rig_free(&rig);
	close(fd);
}

/* ---- kicks and CPUs ---- */

static void *
kick(void *arg)
{
	kvm->kick(arg);
	return NULL;
}

static void
a_kick_takes_a_spinning_guest_out(void **state)
{
	struct rig rig = { 0 };
	struct engine_exit exit = { 0 };
	pthread_t thread;

	(void)state;
	rig_make(&rig, 1, true);
	LOAD_IRQ(&rig, spinner);
	expect_out(rig.cpu[0], 0x10, 1, 'R');
	for (unsigned int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, kick, rig.cpu[0]);
		kvm->run(rig.cpu[0], &exit);
		assert_int_equal(exit.kind, EXIT_INTERRUPTED);
		pthread_join(thread, NULL);
	}
	kvm->kick(rig.cpu[0]); /* before it runs */
	kvm->run(rig.cpu[0], &exit);
	assert_int_equal(exit.kind, EXIT_INTERRUPTED);
	send_msi(rig.vm); /* and it goes on as if nothing had been */
	expect_out(rig.cpu[0], 0x10, 1, 'I');
	rig_free(&rig);
}

static void
real_mode_leads_to_protected_mode(void **state)
{
	static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff,
		0x00cf93000000ffff };
	struct rig rig = { 0 };
	struct cpu_state *s = malloc(sizeof(*s));
	struct err err = { "" };

	(void)state;
	rig_make(&rig, 1, false);
	memcpy(rig.memory.base + AP_AT, guest_modes,
	    (size_t)(guest_modes_end - guest_modes));
	memcpy(rig.memory.base + 0x7000, gdt, sizeof(gdt));
	put_le16(rig.memory.base + 0x7020, sizeof(gdt) - 1);
	put_le32(rig.memory.base + 0x7022, 0x7000);
	assert_int_equal(kvm->state_get(rig.cpu[0], s, &err), 0);
	s->seg[CPU_CS].base = 0;
	s->seg[CPU_CS].selector = 0;
	s->rip = AP_AT;
	s->msr_valid = 0;
	assert_int_equal(kvm->state_set(rig.cpu[0], s, &err), 0);
	assert_int_equal(out_long(rig.cpu[0]), 0x12345678);
	assert_int_equal(out_long(rig.cpu[0]), 1);
	free(s);
	rig_free(&rig);
}

static void *
run_ap(void *arg)
{
	struct engine_exit exit = { 0 };

	kvm->run(arg, &exit);
	return exit.kind == EXIT_PORT && exit.port.data[0] == 'A' ? arg : NULL;
}

static void
a_second_cpu_starts_by_init_and_sipi(void **state)
{
	struct rig rig = { 0 };
	pthread_t thread;
	void *result;

	(void)state;
	rig_make(&rig, 2, true);
	LOAD(&rig, starter);
	memcpy(rig.memory.base + AP_AT, guest_ap,
	    (size_t)(guest_ap_end - guest_ap));
	pthread_create(&thread, NULL, run_ap, rig.cpu[1]);
	expect_out(rig.cpu[0], 0x10, 1, 'B');
	pthread_join(thread, &result);
	assert_ptr_equal(result, rig.cpu[1]);
	rig_free(&rig);
}

static void
a_cpu_that_was_never_started_can_be_kicked(void **state)
{
	struct rig rig = { 0 };
	struct engine_exit exit = { 0 };
	pthread_t thread;

	(void)state;
	rig_make(&rig, 2, true);
	pthread_create(&thread, NULL, kick, rig.cpu[1]);
	kvm->run(rig.cpu[1], &exit);
	assert_int_equal(exit.kind, EXIT_INTERRUPTED);
	pthread_join(thread, NULL);
	rig_free(&rig);
}

/* ---- state ---- */

/* Zeroes what runs by itself or is a host's own affair. */
static void
still(struct cpu_state *s)
{
	s->msr[CPU_MSR_TSC] = 0;
	memset(s->apic + 0x390, 0, 4); /* the timer's current count */
}

static void
a_state_moves_into_another_machine(void **state)
{
	struct rig one = { 0 }, two = { 0 };
	struct cpu_state *a, *b;
	struct err err = { "" };

	(void)state;
	rig_make(&one, 1, true);
	a = malloc(sizeof(*a));
	b = malloc(sizeof(*b));
	LOAD(&one, registers);
	expect_out(one.cpu[0], 0x10, 1, 'R');
	settle(one.cpu[0]);
	assert_int_equal(kvm->state_get(one.cpu[0], a, &err), 0);
	assert_int_equal(a->gpr[CPU_RBX], 0x2222);
	assert_int_equal(a->gpr[CPU_R8], 0x123456789abcdef0);
	assert_int_equal(a->gpr[CPU_R15], 0x1515);
	assert_int_equal(a->dr[0], 0x123456789abcdef0);
	assert_int_equal(a->msr[CPU_MSR_KERNEL_GS_BASE], 0x5678);
	assert_int_equal(a->rflags & 0x400, 0x400);
	assert_int_equal(a->seg[CPU_CS].selector, 0x10);
	assert_true(a->seg[CPU_CS].attributes & CPU_SEG_LONG);
	assert_int_equal(a->run, CPU_RUNNING);

	rig_make(&two, 1, true);
	memcpy(two.memory.base, one.memory.base, two.memory.size_bytes);
	if (kvm->state_set(two.cpu[0], a, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(kvm->state_get(two.cpu[0], b, &err), 0);
	still(a);
	still(b);
	assert_memory_equal(a, b, sizeof(*a));
	assert_int_equal(out_long(two.cpu[0]), 0x9abcdef0 + 0x1515);
	assert_int_equal(out_long(one.cpu[0]), 0x9abcdef0 + 0x1515);
	rig_free(&one);
	rig_free(&two);
	free(a);
	free(b);
}

static void
an_impossible_state_is_refused(void **state)
{
	struct rig rig = { 0 };
	struct cpu_state *s;
	struct err err = { "" };

	(void)state;
	rig_make(&rig, 1, true);
	s = malloc(sizeof(*s));
	assert_int_equal(kvm->state_get(rig.cpu[0], s, NULL), 0);
	s->run = 9;
	assert_int_equal(kvm->state_set(rig.cpu[0], s, &err), -EINVAL);
	assert_string_equal(err.text,
	    "CPU 0: run state 9 is not known; use another checkpoint");
	s->run = CPU_RUNNING;
	s->cr0 = 0x80000000; /* paging without protection */
	err_clear(&err);
	assert_true(kvm->state_set(rig.cpu[0], s, &err) < 0);
	assert_string_equal(err.text,
	    "kvm: cannot write the segments of CPU 0: Invalid argument");
	free(s);
	rig_free(&rig);
}

static void
a_guest_finds_kvm_and_its_frequencies(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_make(&rig, 1, true);
	LOAD(&rig, cpuid);
	assert_int_equal(out_long(rig.cpu[0]), 0x40000010);
	assert_int_equal(out_long(rig.cpu[0]), 0x4b4d564b); /* "KVMK" */
	assert_true(out_long(rig.cpu[0]) > 100000);         /* kHz of the TSC */
	assert_int_equal(out_long(rig.cpu[0]), 1000000);
	assert_true(out_long(rig.cpu[0]) & 1u << 31); /* a hypervisor */
	rig_free(&rig);
}

static void
sixty_four_cpus_of_one_machine_have_their_ids(void **state)
{
	struct memory memory;
	struct engine_config config = {
		.memory = &memory, .ncpus = ENGINE_CPUS_MAX, .chips = true
	};
	struct engine_cpu *cpu[ENGINE_CPUS_MAX];
	struct engine_vm *vm;

	(void)state;
	need_kvm();
	memory_init(&memory, 2 << 20, NULL);
	vm = kvm->vm_new(&config, NULL);
	assert_non_null(vm);
	for (unsigned int i = 0; i < ENGINE_CPUS_MAX; i++) {
		cpu[i] = kvm->cpu_new(vm, NULL);
		assert_non_null(cpu[i]);
		assert_int_equal(cpu[i]->id, i);
	}
	for (unsigned int i = 0; i < ENGINE_CPUS_MAX; i++)
		kvm->cpu_free(cpu[i]);
	kvm->vm_free(vm);
	memory_free(&memory);
}

static void
engines_are_found_by_name(void **state)
{
	struct err err = { "" };

	(void)state;
	assert_ptr_equal(engine_find("kvm", NULL), kvm);
	assert_string_equal(engine_find("emulate", NULL)->name, "emulate");
	assert_null(engine_find("warp", &err));
	assert_string_equal(
	    err.text, "engine \"warp\" is not known; use auto, kvm or emulate");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_probe_runs_a_guest),
		cmocka_unit_test(auto_takes_kvm_where_hardware_executes),
		cmocka_unit_test(the_probe_tells_when_system_calls_go_right),
		cmocka_unit_test(ports_are_written_and_read),
		cmocka_unit_test(memory_that_is_not_there_exits),
		cmocka_unit_test(a_triple_fault_is_a_shutdown),
		cmocka_unit_test(instructions_that_kvm_cannot_do_are_emulated),
		cmocka_unit_test(locked_instructions_are_atomic_among_cpus),
		cmocka_unit_test(an_instruction_that_nobody_can_do_is_named),
		cmocka_unit_test(a_message_wakes_a_halted_cpu),
		cmocka_unit_test(an_eventfd_that_is_bound_interrupts),
		cmocka_unit_test(a_line_interrupts_until_it_falls),
		cmocka_unit_test(without_chips_vectors_are_injected),
		cmocka_unit_test(
		    a_notify_address_wakes_an_eventfd_without_an_exit),
		cmocka_unit_test(a_kick_takes_a_spinning_guest_out),
		cmocka_unit_test(real_mode_leads_to_protected_mode),
		cmocka_unit_test(a_second_cpu_starts_by_init_and_sipi),
		cmocka_unit_test(a_cpu_that_was_never_started_can_be_kicked),
		cmocka_unit_test(a_state_moves_into_another_machine),
		cmocka_unit_test(an_impossible_state_is_refused),
		cmocka_unit_test(a_guest_finds_kvm_and_its_frequencies),
		cmocka_unit_test(sixty_four_cpus_of_one_machine_have_their_ids),
		cmocka_unit_test(engines_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
