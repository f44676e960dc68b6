/*
 * The I/O APIC (Intel 290566).
 *
 * A level-triggered pin sends a message and then waits for its EOI (remote
 * IRR); if the line is still asserted by then, it sends another.  When no CPU
 * takes the message (a destination that is not there, a local APIC that is off)
 * the pin does not wait, and tries again when something changes.
 *
 * An edge on a masked pin is lost, as the data sheet has it.  Turning an entry
 * into an edge-triggered one forgets a lost EOI; that is how systems mend one.
 *
 * Messages reach all local APICs at once, so the arbitration register stays
 * the id and the delivery status idle.  Version 0x11, like the chip: no EOI
 * register, which later ones have.
 */
#include "vmm/chips/ioapic.h"

#include <assert.h>
#include <string.h>

#define REG_ID      0x00
#define REG_VERSION 0x01
#define REG_ARB     0x02
#define REG_PIN     0x10 /* two for each */

#define VERSION  0x11
#define ID_SHIFT 24
#define ID_MASK  0x0f

/* Vector, delivery mode, destination mode, polarity, trigger, mask and
 * destination. */
#define PIN_WRITABLE UINT64_C(0xff0000000001afff)

static void
send(struct ioapic *io, unsigned int pin)
{
	uint64_t entry = io->pin[pin];
	struct apic_message message = {
		.destination = (uint32_t)(entry >> 56),
		.logical = entry & IOAPIC_LOGICAL,
		.mode = (enum apic_mode)(entry >> 8 & 7),
		.vector = (uint8_t)entry,
		.level = entry & IOAPIC_LEVEL,
	};
	/* The others are edges, whatever the entry says. */
	bool waits = message.level &&
	    (message.mode == APIC_FIXED || message.mode == APIC_LOWEST);

	if (message.mode == APIC_SIPI || message.mode == APIC_RESERVED)
		return;
	message.level = waits;
	/* Before it is sent: a CPU that takes it may end it at once. */
	if (waits)
		io->pin[pin] |= IOAPIC_REMOTE_IRR;
	if (!io->send(io->arg, &message))
		io->pin[pin] &= ~IOAPIC_REMOTE_IRR;
}

/* Sends what a level-triggered pin has to say. */
static void
look(struct ioapic *io, unsigned int pin)
{
	uint64_t entry = io->pin[pin];

	if ((entry & IOAPIC_LEVEL) && (io->level >> pin & 1) &&
	    !(entry & (IOAPIC_MASKED | IOAPIC_REMOTE_IRR)))
		send(io, pin);
}

void
ioapic_init(struct ioapic *io,
    bool (*to_cpus)(void *arg, const struct apic_message *message), void *arg)
{
	memset(io, 0, sizeof(*io));
	io->send = to_cpus;
	io->arg = arg;
	for (unsigned int i = 0; i < IOAPIC_PINS; i++)
		io->pin[i] = IOAPIC_MASKED;
}

void
ioapic_set(struct ioapic *io, uint8_t index, uint8_t id, uint32_t level,
    const uint64_t pin[IOAPIC_PINS])
{
	io->index = index;
	io->id = id & ID_MASK;
	io->level = level & ((UINT32_C(1) << IOAPIC_PINS) - 1);
	for (unsigned int i = 0; i < IOAPIC_PINS; i++) {
		io->pin[i] = pin[i] & (PIN_WRITABLE | IOAPIC_REMOTE_IRR);
		if (!(pin[i] & IOAPIC_LEVEL))
			io->pin[i] &= ~IOAPIC_REMOTE_IRR;
	}
}

/* ---- registers ---- */

static uint32_t
reg_read(const struct ioapic *io)
{
	unsigned int n = io->index;

	switch (n) {
	case REG_ID:
	case REG_ARB: return (uint32_t)io->id << ID_SHIFT;
	case REG_VERSION: return (IOAPIC_PINS - 1) << 16 | VERSION;
	default: break;
	}
	if (n < REG_PIN || n >= REG_PIN + 2 * IOAPIC_PINS)
		return 0;
	n -= REG_PIN;
	return (uint32_t)(io->pin[n / 2] >> (n & 1 ? 32 : 0));
}

static void
pin_write(struct ioapic *io, unsigned int pin, uint64_t value)
{
	uint64_t kept = io->pin[pin] & IOAPIC_REMOTE_IRR;

	if (!(value & IOAPIC_LEVEL))
		kept = 0;
	io->pin[pin] = (value & PIN_WRITABLE) | kept;
	look(io, pin);
}

static void
reg_write(struct ioapic *io, uint32_t value)
{
	unsigned int n = io->index, pin;

	if (n == REG_ID)
		io->id = value >> ID_SHIFT & ID_MASK;
	if (n < REG_PIN || n >= REG_PIN + 2 * IOAPIC_PINS)
		return;
	n -= REG_PIN;
	pin = n / 2;
	if (n & 1)
		pin_write(
		    io, pin, (uint64_t)value << 32 | (uint32_t)io->pin[pin]);
	else
		pin_write(
		    io, pin, (io->pin[pin] & ~UINT64_C(0xffffffff)) | value);
}

uint32_t
ioapic_read(const struct ioapic *io, uint32_t offset)
{
	switch (offset) {
	case IOAPIC_INDEX: return io->index;
	case IOAPIC_DATA: return reg_read(io);
	default: return 0;
	}
}

void
ioapic_write(struct ioapic *io, uint32_t offset, uint32_t value)
{
	if (offset == IOAPIC_INDEX)
		io->index = (uint8_t)value;
	else if (offset == IOAPIC_DATA)
		reg_write(io, value);
}

/* ---- lines ---- */

void
ioapic_line(struct ioapic *io, unsigned int pin, bool asserted)
{
	uint32_t bit = UINT32_C(1) << pin;
	bool was = io->level & bit;

	assert(pin < IOAPIC_PINS);
	io->level = asserted ? io->level | bit : io->level & ~bit;
	if (io->pin[pin] & IOAPIC_LEVEL)
		look(io, pin);
	else if (asserted && !was && !(io->pin[pin] & IOAPIC_MASKED))
		send(io, pin);
}

void
ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	for (unsigned int i = 0; i < IOAPIC_PINS; i++)
		if ((io->pin[i] & (IOAPIC_LEVEL | IOAPIC_REMOTE_IRR)) ==
			(IOAPIC_LEVEL | IOAPIC_REMOTE_IRR) &&
		    (uint8_t)io->pin[i] == vector) {
			io->pin[i] &= ~IOAPIC_REMOTE_IRR;
			look(io, i);
		}
}

void
ioapic_retry(struct ioapic *io)
{
	for (unsigned int i = 0; i < IOAPIC_PINS; i++)
		look(io, i);
}
