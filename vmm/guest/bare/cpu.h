/*
 * cpu.h - the bare machine: instructions, interrupts, clock, tasks.
 *
 * Interrupts are off but for the moments inside cpu_sleep(); a handler only
 * notes what rang.  So nothing in the guest is interrupted half-way.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void
outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void
outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void
outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t
inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t
inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint64_t
cpu_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* What can ring, a bit each. */
#define IRQ_TIMER     UINT32_C(0x00000001)
#define IRQ_UART(n)   (UINT32_C(0x00000002) << (n)) /* COM1, COM2 */
#define IRQ_QUEUE(n)  (UINT32_C(0x00000100) << (n)) /* NIC n: frames */
#define IRQ_CONFIG(n) (UINT32_C(0x00010000) << (n)) /* NIC n: its link */
#define IRQ_LINE      UINT32_C(0x01000000)          /* a shared PCI line */

/* Descriptor tables, local APIC, clock; masks the 8259. */
void cpu_init(void);

/* Microseconds since cpu_init(). */
uint64_t cpu_now_us(void);
/* A number that differs from boot to boot. */
uint64_t cpu_entropy(void);

/* Sleeps until something rings or until_us has come.  Returns what has rung
 * since the last call. */
uint32_t cpu_sleep(uint64_t until_us);

/* A vector that sets bit when it is delivered.  0 when all are taken. */
uint8_t cpu_vector(uint32_t bit);
/* Routes an ISA or PCI line through the I/O APIC to a vector for bit; a level
 * line also calls ack, with interrupts off, before the interrupt ends. */
void cpu_route_line(uint8_t line, uint32_t bit, bool level);
void cpu_line_ack(void (*ack)(void));

/* The address that a message-signalled interrupt is written to. */
uint64_t cpu_msi_address(void);

/* Makes the physical range addressable.  False: beyond what we can map. */
bool cpu_map(uint64_t at, uint64_t bytes);

__attribute__((noreturn)) void cpu_poweroff(void);
__attribute__((noreturn)) void cpu_reboot(void);
/* Says why on the console and stops the machine as a crash does. */
__attribute__((noreturn, format(printf, 1, 2))) void cpu_panic(
    const char *format, ...);

/* A flow of its own on stack; run must never return. */
struct task {
	uint64_t sp;
};

void task_start(
    struct task *task, void *stack, size_t bytes, void (*run)(void));
/* Runs task until it switches back.  save is the caller's place. */
void task_switch(uint64_t *save, uint64_t load);

#endif
