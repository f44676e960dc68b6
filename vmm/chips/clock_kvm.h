/*
 * clock_kvm.h - the clock that KVM offers its guests ("kvmclock"): structures
 * in guest memory that turn the time-stamp counter into nanoseconds.
 *
 * Documentation/virt/kvm/x86/msr.rst of the Linux kernel: a CPU writes the
 * address of a structure of its own to a register, and finds there a moment, as
 * counter and as time, and a factor.  Another register has the wall-clock time
 * of instant 0 written.
 *
 * A CPU's counter runs evenly at tsc_khz.  A structure is written when its
 * register is, and anew when that counter or the clock is set
 * (clock_kvm_update()); it says whether all CPUs' counters are the same.
 */
#ifndef VMM_CHIPS_CLOCK_KVM_H
#define VMM_CHIPS_CLOCK_KVM_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"

#define CLOCK_KVM_MSR_WALL       0x4b564d00u
#define CLOCK_KVM_MSR_SYSTEM     0x4b564d01u
#define CLOCK_KVM_MSR_WALL_OLD   0x11u
#define CLOCK_KVM_MSR_SYSTEM_OLD 0x12u
#define CLOCK_KVM_ENABLE         1u /* in the system time's address */
#define CLOCK_KVM_BYTES          32
#define CLOCK_KVM_WALL_BYTES     12
#define CLOCK_KVM_STABLE         1u /* flag: the same on all CPUs */
#define CLOCK_KVM_CPUS_MAX       64

struct clock_kvm {
	const struct memory *memory;
	uint32_t tsc_khz;
	uint64_t wall_ns; /* at instant 0, since 1970 */
	uint64_t wall;    /* as written last: an address */
	bool differ;      /* the CPUs' counters do */
	uint64_t system[CLOCK_KVM_CPUS_MAX];
};

/* memory outlives the clock. */
void clock_kvm_init(struct clock_kvm *clock, const struct memory *memory,
    uint32_t tsc_khz, uint64_t wall_ns);

/* Is index one of the registers named above? */
bool clock_kvm_has(uint32_t index);

/* One of them.  tsc is the CPU's counter now, now_ns the time.  False: the
 * address is not RAM, or not aligned to 4. */
bool clock_kvm_write(struct clock_kvm *clock, unsigned int cpu, uint32_t index,
    uint64_t value, uint64_t tsc, uint64_t now_ns);
/* The structure of cpu, if it has one: its counter is tsc now, the time
 * now_ns. */
void clock_kvm_update(
    struct clock_kvm *clock, unsigned int cpu, uint64_t tsc, uint64_t now_ns);
uint64_t clock_kvm_read(
    const struct clock_kvm *clock, unsigned int cpu, uint32_t index);

/* The factor that turns counts into nanoseconds: (counts << shift) * mul /
 * 2^32, a negative shift being one to the right. */
void clock_kvm_scale(uint32_t tsc_khz, uint32_t *mul, int8_t *shift);

#endif
