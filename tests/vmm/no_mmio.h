/*
 * no_mmio.h - a machine's memory-mapped I/O where nothing is mapped, for tests.
 */
#ifndef TESTS_VMM_NO_MMIO_H
#define TESTS_VMM_NO_MMIO_H

#include <stdint.h>

static uint64_t
no_mmio_read(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes)
{
	(void)arg;
	(void)cpu;
	(void)address;
	(void)bytes;
	return UINT64_MAX;
}

static void
no_mmio_write(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes,
    uint64_t value)
{
	(void)arg;
	(void)cpu;
	(void)address;
	(void)bytes;
	(void)value;
}

#endif
