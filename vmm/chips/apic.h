/*
 * apic.h - what the interrupt controllers say to each other: the messages on
 * the bus between IOAPIC, PCI functions and local APICs (Intel SDM 3, 11.11).
 */
#ifndef VMM_CHIPS_APIC_H
#define VMM_CHIPS_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Delivery modes, as they stand in all registers. */
enum apic_mode {
	APIC_FIXED,
	APIC_LOWEST, /* to the one of the lowest priority */
	APIC_SMI,
	APIC_RESERVED,
	APIC_NMI,
	APIC_INIT,
	APIC_SIPI, /* between CPUs only */
	APIC_EXTINT,
};

#define APIC_VECTOR_MIN 16 /* lower ones are errors */

/* A destination that means all, in 8 and in 32 bits. */
#define APIC_ALL_8  0xffu
#define APIC_ALL_32 0xffffffffu

struct apic_message {
	uint32_t destination;
	bool wide;    /* of 32 bits: sent by a CPU in x2APIC mode */
	bool logical; /* a set, not an id */
	enum apic_mode mode;
	uint8_t vector;
	bool level; /* level-triggered: its EOI is to be told */
};

#endif
