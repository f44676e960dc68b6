/*
 * engine_io.h - what a software engine asks of the machine.
 *
 * An engine that has no interrupt controllers of its own does not leave run()
 * for ports and device registers, which would cost it the middle of an
 * instruction; it calls these in the thread of the CPU concerned, one CPU of a
 * machine at a time.
 */
#ifndef VMM_ENGINE_IO_H
#define VMM_ENGINE_IO_H

#include <stdbool.h>
#include <stdint.h>

struct engine_io {
	void *arg;
	/* bytes is 1, 2 or 4. */
	uint32_t (*port_in)(
	    void *arg, unsigned int cpu, uint16_t port, unsigned int bytes);
	void (*port_out)(void *arg, unsigned int cpu, uint16_t port,
	    unsigned int bytes, uint32_t value);
	/* What is not RAM; bytes is 1 to 8, within a page. */
	uint64_t (*mmio_read)(
	    void *arg, unsigned int cpu, uint64_t address, unsigned int bytes);
	void (*mmio_write)(void *arg, unsigned int cpu, uint64_t address,
	    unsigned int bytes, uint64_t value);
	/* The local APIC's and the hypervisor's registers, and the time-stamp
	 * counter to be set; false: there is no such register, or not that
	 * value. */
	bool (*msr_read)(
	    void *arg, unsigned int cpu, uint32_t index, uint64_t *value);
	bool (*msr_write)(
	    void *arg, unsigned int cpu, uint32_t index, uint64_t value);
	/* CR8 */
	uint8_t (*get_tpr)(void *arg, unsigned int cpu);
	void (*set_tpr)(void *arg, unsigned int cpu, uint8_t priority);
	/* A CPU's time-stamp counter, when it has retired so many
	 * instructions: real time, or that number if time is virtual. */
	uint64_t (*tsc)(void *arg, unsigned int cpu, uint64_t retired);
	uint32_t tsc_khz, apic_khz;
};

#endif
