/*
 * cpu.c - descriptor tables, exceptions, local APIC, clock and sleep.
 *
 * Sleeping is "sti; hlt; cli": sti holds interrupts off for one instruction
 * more, so nothing can ring between the last look and the halt.  The timer is
 * the local APIC's, by TSC deadline where the APIC takes that mode, else as a
 * one-shot counter measured against the 8254.  The clock is the TSC, at the
 * rate of hypervisor leaf 0x40000010 or measured against the 8254.
 *
 * The local APIC is reached by MMIO, or by MSR if whoever started us left it
 * in x2APIC mode.
 */
#include "vmm/guest/bare/cpu.h"

#include <stdarg.h>

#include "vmm/guest/bare/serial.h"
#include "vmm/guest/text.h"

#define MSR_APIC_BASE    0x1b
#define APIC_BASE_X2     0x400
#define APIC_BASE_ENABLE 0x800
#define MSR_TSC_DEADLINE 0x6e0

#define APIC_ID       0x20
#define APIC_TPR      0x80
#define APIC_EOI      0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_TIMER    0x320
#define APIC_LINT0    0x350
#define APIC_LINT1    0x360
#define APIC_ERROR    0x370
#define APIC_INITIAL  0x380
#define APIC_CURRENT  0x390
#define APIC_DIVIDE   0x3e0
#define APIC_MASKED   0x10000
#define TIMER_TSC     0x40000

#define IOAPIC ((volatile uint32_t *)UINT64_C(0xfec00000))

#define VECTOR_FIRST    0x30
#define VECTOR_TIMER    0xe0
#define VECTOR_SPURIOUS 0xff

#define CODE_SELECTOR 0x10

extern const uint8_t cpu_stubs[];
extern uint64_t pages_pdpt[];
void cpu_irq(uint32_t vector);

/* What the exception stub pushed. */
struct exception_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx,
	    rcx, rax, vector, error, rip, cs, rflags, rsp, ss;
};
__attribute__((noreturn)) void cpu_exception(const struct exception_frame *f);

/* The one CPU.  It is hardware: this state is nobody else's. */
static struct {
	uint64_t idt[256][2];
	uint32_t bits[256]; /* per vector */
	uint32_t rung;
	uint8_t next_vector;
	bool level[256];
	void (*line_ack)(void);

	bool x2apic, deadline_mode;
	volatile uint32_t *apic;
	uint32_t apic_khz;
	uint64_t tsc_start, tsc_khz;
	uint64_t us_per_tick; /* times 2^32 */
	uint64_t timer_us;    /* what the timer is set for; 0: nothing */
	unsigned int maps;
} cpu;

static inline uint64_t
read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void
write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile(
	    "wrmsr"
	    :
	    : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
	    : "memory");
}

static inline void
read_cpuid(uint32_t leaf, uint32_t out[4])
{
	__asm__ volatile(
	    "cpuid"
	    : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
	    : "a"(leaf), "c"(0));
}

static inline uint32_t
apic_read(uint32_t at)
{
	if (cpu.x2apic)
		return (uint32_t)read_msr(0x800 + at / 16);
	return cpu.apic[at / 4];
}

static inline void
apic_write(uint32_t at, uint32_t value)
{
	if (cpu.x2apic)
		write_msr(0x800 + at / 16, value);
	else
		cpu.apic[at / 4] = value;
}

/* ---- interrupts ---- */

static void
set_gate(unsigned int vector)
{
	uint64_t at = (uint64_t)cpu_stubs + vector * 16;

	cpu.idt[vector][0] = (at & 0xffff) | (uint64_t)CODE_SELECTOR << 16 |
	    UINT64_C(0x8e00) << 32 | (at >> 16 & 0xffff) << 48;
	cpu.idt[vector][1] = at >> 32;
}

void
cpu_irq(uint32_t vector)
{
	vector &= 0xff;
	if (vector == VECTOR_SPURIOUS)
		return;
	cpu.rung |= cpu.bits[vector];
	if (cpu.level[vector] && cpu.line_ack != NULL)
		cpu.line_ack();
	apic_write(APIC_EOI, 0);
}

uint8_t
cpu_vector(uint32_t bit)
{
	uint8_t vector = cpu.next_vector;

	if (vector >= VECTOR_TIMER)
		return 0;
	cpu.next_vector++;
	cpu.bits[vector] = bit;
	set_gate(vector);
	return vector;
}

static uint32_t
apic_id(void)
{
	return cpu.x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

uint64_t
cpu_msi_address(void)
{
	return UINT64_C(0xfee00000) | (uint64_t)(apic_id() & 0xff) << 12;
}

static void
ioapic_write(uint32_t at, uint32_t value)
{
	IOAPIC[0] = at;
	IOAPIC[4] = value;
}

void
cpu_route_line(uint8_t line, uint32_t bit, bool level)
{
	uint8_t vector = cpu_vector(bit);

	if (vector == 0)
		return;
	cpu.level[vector] = level;
	ioapic_write(0x11 + 2 * (uint32_t)line, apic_id() << 24);
	ioapic_write(0x10 + 2 * (uint32_t)line, vector | (level ? 0x8000u : 0));
}

void
cpu_line_ack(void (*ack)(void))
{
	cpu.line_ack = ack;
}

static void
load_idt(const void *table, uint16_t limit)
{
	const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t at;
	} pointer = { limit, (uint64_t)table };

	__asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}

static void
apic_start(void)
{
	uint64_t base = read_msr(MSR_APIC_BASE);

	if ((base & APIC_BASE_ENABLE) == 0)
		write_msr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	cpu.x2apic = (base & APIC_BASE_X2) != 0;
	cpu.apic = (volatile uint32_t *)(base & UINT64_C(0xfffff000));
	apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LINT0, APIC_MASKED);
	apic_write(APIC_LINT1, APIC_MASKED);
	apic_write(APIC_ERROR, APIC_MASKED);
}

/* ---- clock ---- */

/* Runs the TSC and the APIC's counter against 10 ms of the 8254 (channel 2,
 * which the gate in port 0x61 starts and reports). */
static void
measure_clocks(void)
{
	const uint32_t ms = 10, ticks = 1193182 / (1000 / ms);
	uint64_t tsc;

	outb(0x61, (inb(0x61) & 0xfc) | 1);
	outb(0x43, 0xb0); /* channel 2, both bytes, mode 0 */
	outb(0x42, ticks & 0xff);
	outb(0x42, ticks >> 8);
	apic_write(APIC_INITIAL, UINT32_MAX);
	tsc = cpu_tsc();
	while (
	    (inb(0x61) & 0x20) == 0 && cpu_tsc() - tsc < UINT64_C(1000000000))
		;
	tsc = cpu_tsc() - tsc;
	cpu.apic_khz = (UINT32_MAX - apic_read(APIC_CURRENT)) / ms;
	apic_write(APIC_INITIAL, 0);
	if (cpu.tsc_khz == 0)
		cpu.tsc_khz = tsc / ms;
}

/* Does the APIC keep the mode?  One that does not know it masks the bit. */
static bool
try_deadline_mode(void)
{
	apic_write(APIC_TIMER, TIMER_TSC | VECTOR_TIMER);
	return (apic_read(APIC_TIMER) & TIMER_TSC) != 0;
}

static void
clock_start(void)
{
	uint32_t id[4], top[4], one[4];
	bool leaf = false;

	read_cpuid(1, one);
	if (one[2] >> 31 & 1) {
		read_cpuid(0x40000000, top);
		leaf = top[0] >= 0x40000010 && top[0] < 0x40010000;
	}
	if (leaf) {
		read_cpuid(0x40000010, id);
		cpu.tsc_khz = id[0];
		cpu.apic_khz = id[1];
	}
	apic_write(APIC_DIVIDE, 0xb); /* by 1 */
	if (leaf || (one[2] >> 24 & 1))
		cpu.deadline_mode = try_deadline_mode();
	if (!cpu.deadline_mode)
		apic_write(APIC_TIMER, APIC_MASKED | VECTOR_TIMER);
	if (cpu.tsc_khz == 0 || (!cpu.deadline_mode && cpu.apic_khz == 0))
		measure_clocks();
	if (!cpu.deadline_mode)
		apic_write(APIC_TIMER, VECTOR_TIMER);
	if (cpu.tsc_khz == 0)
		cpu.tsc_khz = 1000000;
	cpu.us_per_tick = (UINT64_C(1000) << 32) / cpu.tsc_khz;
	cpu.tsc_start = cpu_tsc();
}

uint64_t
cpu_now_us(void)
{
	unsigned __int128 ticks = cpu_tsc() - cpu.tsc_start;

	return (uint64_t)(ticks * cpu.us_per_tick >> 32);
}

/* The TSC when cpu_now_us() says us. */
static uint64_t
tsc_of(uint64_t us)
{
	return cpu.tsc_start + us / 1000 * cpu.tsc_khz +
	    us % 1000 * cpu.tsc_khz / 1000 + 1;
}

static void
timer_program(uint64_t until_us)
{
	uint64_t now, us;

	if (until_us == cpu.timer_us)
		return;
	cpu.timer_us = until_us;
	if (cpu.deadline_mode) {
		write_msr(MSR_TSC_DEADLINE,
		    until_us == UINT64_MAX ? 0 : tsc_of(until_us));
		return;
	}
	if (until_us == UINT64_MAX) {
		apic_write(APIC_INITIAL, 0);
		return;
	}
	now = cpu_now_us();
	us = until_us > now ? until_us - now : 1;
	if (us > 1000000) /* the counter is short: wake early, look again */
		us = 1000000;
	us = us * cpu.apic_khz / 1000 + 1;
	apic_write(APIC_INITIAL, us > UINT32_MAX ? UINT32_MAX : (uint32_t)us);
}

uint32_t
cpu_sleep(uint64_t until_us)
{
	uint32_t rung;

	if (cpu.rung == 0 && cpu_now_us() < until_us) {
		timer_program(until_us);
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
	rung = cpu.rung;
	cpu.rung = 0;
	if (rung & IRQ_TIMER)
		cpu.timer_us = 0;
	return rung;
}

uint64_t
cpu_entropy(void)
{
	uint32_t one[4];
	uint64_t value = 0;
	uint8_t ok = 0;

	read_cpuid(1, one);
	if (one[2] >> 30 & 1) {
		for (int i = 0; i < 8 && !ok; i++)
			__asm__ volatile("rdrand %0; setc %1"
					 : "=r"(value), "=qm"(ok)
					 :
					 : "cc");
	}
	return value ^ cpu_tsc() * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- set-up, memory, ends ---- */

bool
cpu_map(uint64_t at, uint64_t bytes)
{
	static uint64_t directory[4][512] __attribute__((aligned(4096)));
	const uint64_t gib = UINT64_C(1) << 30;

	if (bytes == 0 || at + bytes < at || at + bytes > gib * 512)
		return false;
	for (uint64_t g = at / gib; g <= (at + bytes - 1) / gib; g++) {
		if (pages_pdpt[g] != 0)
			continue;
		if (cpu.maps == 4)
			return false;
		for (uint64_t i = 0; i < 512; i++)
			directory[cpu.maps][i] =
			    (g * gib + i * 0x200000) | 0xfb;
		pages_pdpt[g] = (uint64_t)directory[cpu.maps++] | 0x23;
	}
	return true;
}

void
cpu_init(void)
{
	for (unsigned int v = 0; v < 32; v++)
		set_gate(v);
	set_gate(VECTOR_TIMER);
	set_gate(VECTOR_SPURIOUS);
	cpu.bits[VECTOR_TIMER] = IRQ_TIMER;
	cpu.next_vector = VECTOR_FIRST;
	load_idt(cpu.idt, sizeof(cpu.idt) - 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	apic_start();
	clock_start();
}

void
cpu_poweroff(void)
{
	serial_drain();
	outw(0x604, 0x2000);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void
cpu_reboot(void)
{
	serial_drain();
	outb(0x64, 0xfe);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* With no table to find a handler in, the next exception resets the CPU, and
 * whoever runs the machine sees that it crashed. */
static __attribute__((noreturn)) void
crash(void)
{
	serial_drain();
	load_idt(NULL, 0);
	for (;;)
		__asm__ volatile("ud2");
}

void
cpu_panic(const char *format, ...)
{
	char line[200];
	va_list args;

	va_start(args, format);
	text_vformat(line, sizeof(line), format, args);
	va_end(args);
	serial_emergency("\r\ntiny: panic: ");
	serial_emergency(line);
	serial_emergency("\r\n");
	crash();
}

void
cpu_exception(const struct exception_frame *f)
{
	static const char *const names[] = { "divide error", "debug", "NMI",
		"breakpoint", "overflow", "bound range", "invalid opcode",
		"no FPU", "double fault", "coprocessor", "invalid TSS",
		"segment not present", "stack fault", "general protection",
		"page fault" };
	char line[400];
	uint64_t cr2;

	__asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
	text_format(line, sizeof(line),
	    "\r\ntiny: exception %lu (%s) error %lx\r\n"
	    "rip %lx rsp %lx rflags %lx cr2 %lx\r\n"
	    "rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx\r\n"
	    "r8 %lx r9 %lx r10 %lx r11 %lx r12 %lx r13 %lx r14 %lx r15 %lx\r\n",
	    f->vector,
	    f->vector < sizeof(names) / sizeof(names[0]) ? names[f->vector]
							 : "?",
	    f->error, f->rip, f->rsp, f->rflags, cr2, f->rax, f->rbx, f->rcx,
	    f->rdx, f->rsi, f->rdi, f->rbp, f->r8, f->r9, f->r10, f->r11,
	    f->r12, f->r13, f->r14, f->r15);
	serial_emergency(line);
	crash();
}

/* What a failed assert() of <assert.h> calls. */
__attribute__((noreturn)) void __assert_fail(const char *assertion,
    const char *file, unsigned int line, const char *function);

void
__assert_fail(const char *assertion, const char *file, unsigned int line,
    const char *function)
{
	cpu_panic(
	    "%s:%u: %s: %s does not hold", file, line, function, assertion);
}

void
task_start(struct task *task, void *stack, size_t bytes, void (*run)(void))
{
	uint64_t *sp = (uint64_t *)((uint8_t *)stack + bytes);

	*--sp = 0; /* as after a call, so that the stack is aligned */
	*--sp = (uint64_t)run;
	for (int i = 0; i < 6; i++)
		*--sp = 0;
	task->sp = (uint64_t)sp;
}
