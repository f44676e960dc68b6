/*
 * vm.h - one virtual machine in this process: what `lanyard vm` runs.
 *
 * vm_run() makes the machine, attaches its NICs to the fabric as vhost-user
 * front ends, runs its vCPUs in threads of their own and returns when the guest
 * has powered off or somebody asked it to stop.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"

#define VM_NICS_MAX 8

struct vm_nic {
	const char *socket; /* vhost-user socket to connect to */
	struct mac mac;
	uint16_t mtu_bytes; /* 0: not told to the guest */
};

struct vm_config {
	const char *name;
	const char *engine;  /* "auto", "kvm", "emulate": engine.h */
	const char *kernel;  /* path to ELF or bzImage; NULL: the tiny guest */
	const char *initrd;  /* path or NULL */
	const char *cmdline; /* "" for none */
	const char *boot;    /* "auto" or NULL, "linux", "pvh": boot.h */
	bool acpi;           /* tables for a guest with a single CPU too */
	uint64_t memory_bytes;
	unsigned int vcpus;
	struct vm_nic nic[VM_NICS_MAX];
	unsigned int nnics;
	/* Unix stream sockets to listen on for the serial ports; NULL: COM1 is
	 * the process's standard input and output, COM2 goes nowhere. */
	const char *console, *agent;
	const char
	    *console_log; /* file that COM1 is also written to, or NULL */
};

/* Why a machine stopped. */
enum vm_end { VM_POWEROFF, VM_STOPPED, VM_CRASHED };

/* Runs until the guest powers off (0), SIGTERM or SIGINT (0), or it cannot go
 * on (-Exxx with *err).  A guest's reboot starts it again in place. */
int vm_run(const struct vm_config *config, enum vm_end *end, struct err *err);

#endif
