/*
 * acpi.h - the tables by which a guest finds its CPUs, its PCI bus and the way
 * to switch itself off (ACPI 6.4).
 *
 * Machines with one CPU need none: PC hardware is found without.
 */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include <stdint.h>

#include "vmm/memory.h"

#define ACPI_MAX_BYTES 0x20000 /* from BOOT_TABLES to 1 MiB */
#define ACPI_SCI       9

/* Writes the tables to BOOT_TABLES and returns where their root (RSDP) is. */
uint64_t acpi_write(const struct memory *memory, unsigned int ncpus);

#endif
