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
#include "vmm/sandbox.h"

#define VM_NICS_MAX      8
#define VM_DISKS_MAX     8
#define VM_DISK_ID_BYTES 20

struct vm_nic {
	const char *socket; /* vhost-user socket to connect to */
	struct mac mac;
	uint16_t mtu_bytes; /* 0: not told to the guest */
	unsigned int pairs; /* of queues; 0: one */
};

struct vm_disk {
	const char *path;
	bool image;     /* qcow2; else a raw file or a block device */
	const char *id; /* what the guest is told; NULL: disk0, disk1, ... */
	bool read_only;
};

struct vm_config {
	const char *name;
	const char *engine;  /* "auto", "kvm", "emulate": engine.h */
	const char *kernel;  /* path: see boot.h; NULL: the tiny guest ... */
	bool from_disk;      /* ... or what the first disk boots */
	const char *initrd;  /* path or NULL */
	const char *cmdline; /* "" for none */
	const char *boot;    /* "auto", NULL, or a protocol: boot.h */
	bool acpi;           /* tables for a guest with a single CPU too */
	/* Time by instructions (engine.h); engine emulate with one CPU.  At the
	 * end a log line tells how many there were, and a hash of the RAM. */
	bool virtual_clock;
	bool tsc_host;      /* time-stamp counters are as on this host's KVM */
	bool until_ready;   /* ends when the guest's agent says "ready" */
	uint16_t exit_port; /* exit_port.h; 0: none */
	uint64_t memory_bytes;
	unsigned int vcpus;
	struct vm_nic nic[VM_NICS_MAX];
	unsigned int nnics;
	struct vm_disk disk[VM_DISKS_MAX];
	unsigned int ndisks;
	bool rng;     /* an entropy source */
	bool balloon; /* memory that the guest has no use for comes back ... */
	uint64_t balloon_bytes; /* ... and the guest is asked for so much */
	/* Unix stream sockets to listen on for the serial ports; NULL: COM1 is
	 * the process's standard input and output, COM2 goes nowhere. */
	const char *console, *agent;
	const char
	    *virtio_console; /* the same for a virtio console; NULL: none */
	const char
	    *control; /* socket to listen on for questions: vm_control.h */
	const char *checkpoints; /* where those of a VM without disks are */
	const char *restore;     /* begin where this one was made, or NULL */
	const char *save; /* only make this one of it, as it is off; or NULL */
	const char
	    *console_log; /* file that COM1 is also written to, or NULL */
	/* Confines the process from before the guest is loaded; NULL: not. */
	const struct sandbox *sandbox;
};

/* Why a machine stopped. */
enum vm_end { VM_POWEROFF, VM_STOPPED, VM_CRASHED, VM_EXITED };

/* Runs until the guest powers off (0), SIGTERM or SIGINT (0), the guest writes
 * to its exit port (the status, 1 to 255), or it cannot go on (-Exxx with
 * *err).  A guest's reboot starts it again in place. */
int vm_run(const struct vm_config *config, enum vm_end *end, struct err *err);

#endif
