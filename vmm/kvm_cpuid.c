/*
 * The CPU that a guest on KVM sees: what KVM offers, less what would be a lie
 * about this machine's topology, plus the hypervisor's own leaves.
 *
 * Leaf 0x40000010 tells the frequencies of the TSC and of the local APIC's
 * timer in kHz, so that a guest need not measure them against the 8254 (a
 * convention of several hypervisors).
 *
 * One package, one thread per core.  Some software back ends of KVM show the
 * guest the host's leaves 1, 7 and 0xd whatever they are told; nothing here
 * depends on them.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define ENTRIES_MAX 256
/* Of a guest's leaves: the hypervisor's come last. */
#define HYPERVISOR_LEAF     0x40000000u
#define HYPERVISOR_FEATURES 0x40000001u
#define HYPERVISOR_TIMING   0x40000010u
#define APIC_BUS_KHZ        1000000 /* KVM's local APIC counts nanoseconds */

struct kvm_cpuid2 *
kvm_cpuid_new(int dev_fd, struct err *err)
{
	struct kvm_cpuid2 *cpuid = calloc(
	    1, sizeof(*cpuid) + (ENTRIES_MAX + 1) * sizeof(cpuid->entries[0]));

	if (cpuid == NULL) {
		err_sys(err, -ENOMEM, NULL, "kvm: CPUID");
		return NULL;
	}
	cpuid->nent = ENTRIES_MAX;
	if (ioctl(dev_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		err_sys(err, -errno, NULL,
		    "kvm: cannot ask which CPU features it offers");
		free(cpuid);
		return NULL;
	}
	return cpuid;
}

static unsigned int
bits_for(unsigned int n)
{
	unsigned int bits = 0;

	while (1u << bits < n)
		bits++;
	return bits;
}

/* Fields of a cache leaf: how many CPUs share it, how many cores there are. */
static uint32_t
cache_topology(uint32_t eax, unsigned int ncpus, bool cores)
{
	unsigned int level = eax >> 5 & 0x7;
	unsigned int sharing = level >= 3 ? ncpus : 1;

	eax &= cores ? 0x00003fffu : 0xfc003fffu;
	eax |= (sharing - 1) << 14;
	if (cores)
		eax |= (ncpus - 1) << 26;
	return eax;
}

static void
extended_topology(
    struct kvm_cpuid_entry2 *e, unsigned int id, unsigned int ncpus)
{
	e->eax = e->ebx = e->ecx = 0;
	e->edx = id;
	switch (e->index) {
	case 0:
		e->ebx = 1;
		e->ecx = 0x100;
		break;
	case 1:
		e->eax = bits_for(ncpus);
		e->ebx = ncpus;
		e->ecx = 0x201;
		break;
	default: e->ecx = e->index; break;
	}
}

static void
entry_for(struct kvm_cpuid_entry2 *e, unsigned int id, unsigned int ncpus,
    bool deadline)
{
	switch (e->function) {
	case 0x1:
		e->ebx = (e->ebx & 0xffff) | ncpus << 16 | id << 24;
		e->ecx |= 1u << 31;
		if (deadline)
			e->ecx |= 1u << 24;
		e->edx &= ~(1u << 28);
		if (ncpus > 1)
			e->edx |= 1u << 28;
		break;
	case 0x4: e->eax = cache_topology(e->eax, ncpus, true); break;
	case 0xb:
	case 0x1f: extended_topology(e, id, ncpus); break;
	case 0x80000008:
		e->ecx =
		    (e->ecx & ~0xf0ffu) | (ncpus - 1) | bits_for(ncpus) << 12;
		break;
	case 0x8000001d: e->eax = cache_topology(e->eax, ncpus, false); break;
	case 0x8000001e:
		e->eax = id;
		e->ebx = (e->ebx & ~0xffffu) | id;
		e->ecx = 0;
		break;
	default: break;
	}
}

static void
hypervisor_leaves(struct kvm_cpuid2 *cpuid, uint32_t tsc_khz)
{
	struct kvm_cpuid_entry2 *timing = NULL;

	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == HYPERVISOR_LEAF) {
			e->eax = HYPERVISOR_TIMING;
			memcpy(&e->ebx, "KVMK", 4);
			memcpy(&e->ecx, "VMKV", 4);
			memcpy(&e->edx, "M\0\0\0", 4);
		} else if (e->function == HYPERVISOR_TIMING)
			timing = e;
	}
	if (timing == NULL) /* kvm_cpuid_new() left room for one */
		timing = &cpuid->entries[cpuid->nent++];
	*timing = (struct kvm_cpuid_entry2){ .function = HYPERVISOR_TIMING,
		.eax = tsc_khz,
		.ebx = APIC_BUS_KHZ };
}

int
kvm_cpuid_set(struct kvm_cpu *cpu, struct err *err)
{
	struct kvm_vm *vm = kvm_of_vm(cpu->cpu.vm);
	struct kvm_cpuid2 *cpuid = vm->cpuid;
	int khz = ioctl(cpu->fd, KVM_GET_TSC_KHZ, 0);
	bool deadline = vm->chips &&
	    ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;

	for (uint32_t i = 0; i < cpuid->nent; i++)
		entry_for(&cpuid->entries[i], cpu->cpu.id, vm->ncpus, deadline);
	hypervisor_leaves(cpuid, khz > 0 ? (uint32_t)khz : 0);
	if (ioctl(cpu->fd, KVM_SET_CPUID2, cpuid) < 0)
		return err_sys(err, -errno, NULL,
		    "kvm: cannot set the features of CPU %u", cpu->cpu.id);
	return 0;
}
