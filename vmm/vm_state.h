/*
 * vm_state.h - a whole machine but for its memory and its disks' contents, as
 * bytes.
 *
 *     "lanyard machine\n", version in 32 bits, then sections (archive.h):
 *     machine    what it is made of
 *     chips      interrupt controllers, timers, the clock
 *     com1 ...   the devices
 *     cpu0 ...   the CPUs
 *
 * Any engine can go on from what any other one said.
 */
#ifndef VMM_VM_STATE_H
#define VMM_VM_STATE_H

#include "vmm/archive.h"
#include "vmm/board.h"
#include "vmm/vm.h"

#define VM_STATE_VERSION 1

/* A machine whose CPUs do not run. */
struct vm_parts {
	const struct vm_config *config;
	const struct engine *engine;
	struct engine_vm *vm;
	struct engine_cpu *cpu[ENGINE_CPUS_MAX];
	struct board *board;
};

/* What comes first.  When read, what the machine was made of has to be what
 * config says; paths of files and sockets, and the engine, may differ. */
void vm_state_head(struct archive *a, const struct vm_config *config);

/* The rest: of one that is paused; or into one that was just made and started,
 * and then resumes.  What fails leaves the machine fit for its end only. */
void vm_state_archive(struct archive *a, const struct vm_parts *parts);

#endif
