/*
 * kvm.h - what the files of the KVM engine share: engine_kvm.c runs CPUs,
 * kvm_irq.c has the interrupt routes, kvm_cpuid.c says what CPU a guest sees,
 * kvm_state.c reads and writes a CPU's state, kvm_chips.c that of the
 * interrupt controllers and timers, kvm_fallback.c executes what KVM cannot,
 * kvm_probe.c tries it out.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "vmm/engine.h"

struct kvm_msi_slot {
	bool used;
	int fd;
	struct msi msi;
};

struct kvm_fallback;

struct kvm_vm {
	struct engine_vm vm;
	int fd;
	int dev_fd; /* /dev/kvm, until the CPUs are made */
	bool chips;
	unsigned int ncpus, made;
	struct kvm_cpuid2 *cpuid; /* for all CPUs, but for their ids */
	uint32_t tsc_khz;         /* of the CPUs' counters */
	uint32_t tsc_khz_wanted;  /* by a state; 0: that is right */
	pthread_mutex_t route_lock;
	struct kvm_msi_slot slot[ENGINE_MSI_SLOTS];
	struct kvm_cpu *cpu[ENGINE_CPUS_MAX];
	/* kvm_fallback.c */
	const struct memory *memory;
	const struct engine_io *io; /* NULL: no devices */
	pthread_mutex_t fallback_lock;
	struct kvm_fallback *fallback; /* NULL: not needed yet */
	pthread_mutex_t inside_lock;
	pthread_cond_t inside_changed;
	atomic_uint inside; /* CPUs in KVM_RUN, if there are several ... */
	atomic_bool alone;  /* ... which are to get out */
};

struct kvm_cpu {
	struct engine_cpu cpu;
	int fd;
	struct kvm_run *run;
	size_t run_bytes;
	pthread_t thread;
	atomic_bool has_thread, kicked;
};

static inline struct kvm_vm *
kvm_of_vm(struct engine_vm *vm)
{
	return (struct kvm_vm *)vm;
}

static inline struct kvm_cpu *
kvm_of_cpu(struct engine_cpu *cpu)
{
	return (struct kvm_cpu *)cpu;
}

/* kvm_cpuid.c.  What the host's KVM offers, the caller's to free; NULL: *err.
 * Then the CPU with that id is told what it is. */
struct kvm_cpuid2 *kvm_cpuid_new(int dev_fd, struct err *err);
int kvm_cpuid_set(struct kvm_cpu *cpu, struct err *err);

/* kvm_irq.c.  0 or -Exxx with *err. */
int kvm_irq_init(struct kvm_vm *vm, struct err *err);
void kvm_line(struct engine_vm *vm, unsigned int line, bool level);
void kvm_msi(struct engine_vm *vm, const struct msi *msi);
int kvm_msi_fd(
    struct engine_vm *vm, unsigned int slot, int fd, const struct msi *msi);
int kvm_notify_fd(struct engine_vm *vm, uint64_t address, int fd, bool on);

/* kvm_state.c. */
int kvm_state_get(
    struct engine_cpu *cpu, struct cpu_state *state, struct err *err);
int kvm_state_set(
    struct engine_cpu *cpu, const struct cpu_state *state, struct err *err);

/* What one instruction may change, in both directions. */
int kvm_core_get(struct kvm_cpu *cpu, struct cpu_state *state, struct err *err);
int kvm_core_set(
    struct kvm_cpu *cpu, const struct cpu_state *state, struct err *err);
/* False: there is no such register, or not that value. */
bool kvm_msr_get(struct kvm_cpu *cpu, uint32_t index, uint64_t *value);
bool kvm_msr_set(struct kvm_cpu *cpu, uint32_t index, uint64_t value);

/* engine_kvm.c.  Takes it out of KVM_RUN, to come back: not a kick. */
void kvm_cpu_interrupt(struct kvm_cpu *cpu);

/* kvm_chips.c. */
int kvm_chips_get(
    struct engine_vm *vm, struct chips_state *state, struct err *err);
int kvm_chips_set(
    struct engine_vm *vm, const struct chips_state *state, struct err *err);

#endif
