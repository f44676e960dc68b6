/*
 * The paravirtual clock.
 *
 * A structure's version is odd while it is being written.  Its reader may be
 * another CPU than the one that waits here for the register's write, so the
 * order of the stores matters.
 */
#include "vmm/chips/clock_kvm.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "vmm/le.h"

#define NS_PER_S   UINT64_C(1000000000)
#define HZ_PER_KHZ 1000u

/* offsets; the wall clock has its version at the same place */
#define VERSION     0
#define WALL_SEC    4
#define WALL_NSEC   8
#define TSC         8
#define SYSTEM_TIME 16
#define MUL         24
#define SHIFT       28
#define FLAGS       29

void
clock_kvm_init(struct clock_kvm *clock, const struct memory *memory,
    uint32_t tsc_khz, uint64_t wall_ns)
{
	assert(tsc_khz != 0);
	memset(clock, 0, sizeof(*clock));
	clock->memory = memory;
	clock->tsc_khz = tsc_khz;
	clock->wall_ns = wall_ns;
}

bool
clock_kvm_has(uint32_t index)
{
	return index == CLOCK_KVM_MSR_WALL || index == CLOCK_KVM_MSR_SYSTEM ||
	    index == CLOCK_KVM_MSR_WALL_OLD ||
	    index == CLOCK_KVM_MSR_SYSTEM_OLD;
}

/* mul is at least half of what fits, so that nothing of its precision is given
 * away. */
void
clock_kvm_scale(uint32_t tsc_khz, uint32_t *mul, int8_t *shift)
{
	unsigned __int128 ns = NS_PER_S;
	uint64_t counts = (uint64_t)tsc_khz * HZ_PER_KHZ;

	*shift = 0;
	for (; ns >= counts; counts <<= 1)
		++*shift;
	for (; ns << 1 < counts; ns <<= 1)
		--*shift;
	*mul = (uint32_t)((ns << 32) / counts);
}

/* Between these two, the structure at p may be written. */
static void
begin(uint8_t *p)
{
	put_le32(p + VERSION, (get_le32(p + VERSION) | 1));
	atomic_thread_fence(memory_order_release);
}

static void
end(uint8_t *p)
{
	atomic_thread_fence(memory_order_release);
	put_le32(p + VERSION, get_le32(p + VERSION) + 1);
}

static bool
write_wall(struct clock_kvm *clock, uint64_t address)
{
	uint8_t *p = address & 3
	    ? NULL
	    : memory_at(clock->memory, address, CLOCK_KVM_WALL_BYTES);

	if (p == NULL)
		return false;
	clock->wall = address;
	begin(p);
	put_le32(p + WALL_SEC, (uint32_t)(clock->wall_ns / NS_PER_S));
	put_le32(p + WALL_NSEC, (uint32_t)(clock->wall_ns % NS_PER_S));
	end(p);
	return true;
}

static bool
write_system(struct clock_kvm *clock, unsigned int cpu, uint64_t value,
    uint64_t tsc, uint64_t now_ns)
{
	uint64_t address = value & ~(uint64_t)CLOCK_KVM_ENABLE;
	uint8_t *p;
	uint32_t mul;
	int8_t shift;

	if (!(value & CLOCK_KVM_ENABLE)) {
		clock->system[cpu] = value;
		return true;
	}
	p = address & 3 ? NULL
			: memory_at(clock->memory, address, CLOCK_KVM_BYTES);
	if (p == NULL)
		return false;
	clock->system[cpu] = value;
	clock_kvm_scale(clock->tsc_khz, &mul, &shift);
	begin(p);
	put_le64(p + TSC, tsc);
	put_le64(p + SYSTEM_TIME, now_ns);
	put_le32(p + MUL, mul);
	p[SHIFT] = (uint8_t)shift;
	p[FLAGS] = clock->differ ? 0 : CLOCK_KVM_STABLE;
	end(p);
	return true;
}

bool
clock_kvm_write(struct clock_kvm *clock, unsigned int cpu, uint32_t index,
    uint64_t value, uint64_t tsc, uint64_t now_ns)
{
	assert(cpu < CLOCK_KVM_CPUS_MAX && clock_kvm_has(index));
	if (index == CLOCK_KVM_MSR_WALL || index == CLOCK_KVM_MSR_WALL_OLD)
		return write_wall(clock, value);
	return write_system(clock, cpu, value, tsc, now_ns);
}

void
clock_kvm_update(
    struct clock_kvm *clock, unsigned int cpu, uint64_t tsc, uint64_t now_ns)
{
	if (clock->system[cpu] & CLOCK_KVM_ENABLE)
		write_system(clock, cpu, clock->system[cpu], tsc, now_ns);
}

uint64_t
clock_kvm_read(const struct clock_kvm *clock, unsigned int cpu, uint32_t index)
{
	assert(cpu < CLOCK_KVM_CPUS_MAX && clock_kvm_has(index));
	if (index == CLOCK_KVM_MSR_WALL || index == CLOCK_KVM_MSR_WALL_OLD)
		return clock->wall;
	return clock->system[cpu];
}
