/*
 * What the inner engine asks for is answered by the chips if it is theirs, else
 * by the machine.  The lock is never held while the machine is asked.
 */
#include "vmm/chips/engine_chips_parts.h"

#define MSR_TSC 0x10

static bool
is_chips_port(uint16_t port)
{
	for (unsigned int i = 0; i < CHIPS_PORT_RANGES; i++)
		if (port >= chips_ports[i].first &&
		    port - chips_ports[i].first < chips_ports[i].count)
			return true;
	return false;
}

static uint32_t
port_in(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes)
{
	struct chips_vm *vm = arg;
	uint32_t v = 0;

	if (!is_chips_port(port))
		return vm->machine->port_in(vm->machine->arg, cpu, port, bytes);
	ec_enter(vm);
	for (unsigned int i = 0; i < bytes; i++) {
		uint16_t at = (uint16_t)(port + i);

		v |= (uint32_t)(is_chips_port(at)
			     ? chips_port_read(vm->chips, at)
			     : 0xff)
		    << 8 * i;
	}
	ec_leave(vm);
	return v;
}

static void
port_out(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	struct chips_vm *vm = arg;

	if (!is_chips_port(port)) {
		vm->machine->port_out(
		    vm->machine->arg, cpu, port, bytes, value);
		return;
	}
	ec_enter(vm);
	for (unsigned int i = 0; i < bytes; i++) {
		uint16_t at = (uint16_t)(port + i);

		if (is_chips_port(at))
			chips_port_write(
			    vm->chips, at, (uint8_t)(value >> 8 * i));
	}
	ec_leave(vm);
}

static uint64_t
mmio_read(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes)
{
	struct chips_vm *vm = arg;
	uint64_t v = 0;
	bool ours;

	ec_enter(vm);
	ours = chips_mmio_read(vm->chips, cpu, address, bytes, &v);
	ec_leave(vm);
	return ours
	    ? v
	    : vm->machine->mmio_read(vm->machine->arg, cpu, address, bytes);
}

static void
mmio_write(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes,
    uint64_t value)
{
	struct chips_vm *vm = arg;
	bool ours;

	ec_enter(vm);
	ours = chips_mmio_write(vm->chips, cpu, address, bytes, value);
	ec_leave(vm);
	if (!ours)
		vm->machine->mmio_write(
		    vm->machine->arg, cpu, address, bytes, value);
}

static bool
msr_read(void *arg, unsigned int cpu, uint32_t index, uint64_t *value)
{
	struct chips_vm *vm = arg;
	bool good = true;

	ec_enter(vm);
	if (clock_kvm_has(index))
		*value = clock_kvm_read(&vm->clock, cpu, index);
	else
		good = chips_msr_read(vm->chips, cpu, index, value);
	ec_leave(vm);
	return good;
}

static bool
msr_write(void *arg, unsigned int cpu, uint32_t index, uint64_t value)
{
	struct chips_vm *vm = arg;
	bool good = true;
	uint64_t now;

	ec_enter(vm);
	now = ec_now_ns(vm);
	if (clock_kvm_has(index))
		good = clock_kvm_write(&vm->clock, cpu, index, value,
		    ec_tsc_at(vm, cpu, now), now);
	else if (index == MSR_TSC)
		ec_set_tsc(vm, cpu, value);
	else
		good = chips_msr_write(vm->chips, cpu, index, value);
	ec_leave(vm);
	return good;
}

static uint8_t
get_tpr(void *arg, unsigned int cpu)
{
	struct chips_vm *vm = arg;
	uint8_t v;

	ec_enter(vm);
	v = chips_cr8(vm->chips, cpu);
	ec_leave(vm);
	return v;
}

static void
set_tpr(void *arg, unsigned int cpu, uint8_t priority)
{
	struct chips_vm *vm = arg;

	ec_enter(vm);
	chips_set_cr8(vm->chips, cpu, priority);
	ec_leave(vm);
}

static uint64_t
tsc(void *arg, unsigned int cpu, uint64_t retired)
{
	const struct chips_vm *vm = arg;

	return ec_tsc_at(vm, cpu, ec_ns_when(vm, retired));
}

struct engine_io
ec_io(struct chips_vm *vm, uint32_t tsc_khz)
{
	return (struct engine_io){ .arg = vm,
		.port_in = port_in,
		.port_out = port_out,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write,
		.msr_read = msr_read,
		.msr_write = msr_write,
		.get_tpr = get_tpr,
		.set_tpr = set_tpr,
		.tsc = tsc,
		.tsc_khz = tsc_khz,
		.apic_khz = LAPIC_BUS_KHZ };
}
