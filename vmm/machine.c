/*
 * The machine as its devices see it: mostly wires to the engine.
 */
#include "vmm/machine.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "vmm/le.h"

/* ---- for engines that call back ---- */

static uint32_t
port_in(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes)
{
	struct machine *machine = arg;
	uint32_t v;

	(void)cpu;
	pthread_mutex_lock(&machine->lock);
	v = (uint32_t)bus_read(&machine->ports, port, bytes);
	pthread_mutex_unlock(&machine->lock);
	return v;
}

static void
port_out(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	struct machine *machine = arg;

	(void)cpu;
	pthread_mutex_lock(&machine->lock);
	bus_write(&machine->ports, port, bytes, value);
	pthread_mutex_unlock(&machine->lock);
}

static uint64_t
mmio_read(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes)
{
	struct machine *machine = arg;
	uint64_t v;

	(void)cpu;
	pthread_mutex_lock(&machine->lock);
	v = bus_read(&machine->mmio, address, bytes);
	pthread_mutex_unlock(&machine->lock);
	return v;
}

static void
mmio_write(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes,
    uint64_t value)
{
	struct machine *machine = arg;

	(void)cpu;
	pthread_mutex_lock(&machine->lock);
	bus_write(&machine->mmio, address, bytes, value);
	pthread_mutex_unlock(&machine->lock);
}

void
machine_init(struct machine *machine, struct memory *memory,
    void (*ask)(void *arg), void *arg)
{
	memset(machine, 0, sizeof(*machine));
	machine->memory = memory;
	machine->ask = ask;
	machine->arg = arg;
	machine->io = (struct engine_io){ .arg = machine,
		.port_in = port_in,
		.port_out = port_out,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write };
	pthread_mutex_init(&machine->lock, NULL);
}

void
machine_fini(struct machine *machine)
{
	pthread_mutex_destroy(&machine->lock);
}

void
machine_ask(struct machine *machine, enum machine_request request)
{
	enum machine_request none = MACHINE_GO_ON;

	atomic_compare_exchange_strong(&machine->request, &none, request);
	if (machine->ask != NULL)
		machine->ask(machine->arg);
}

void
machine_irq(struct machine *machine, unsigned int line, bool level)
{
	assert(line < ENGINE_LINES);
	if (machine->vm != NULL)
		machine->vm->engine->line(machine->vm, line, level);
}

void
machine_msi(struct machine *machine, const struct msi *msi)
{
	if (machine->vm != NULL)
		machine->vm->engine->msi(machine->vm, msi);
}

int
machine_slot_new(struct machine *machine)
{
	for (int i = 0; i < ENGINE_MSI_SLOTS; i++)
		if (!(machine->slots[i / 64] >> i % 64 & 1)) {
			machine->slots[i / 64] |= UINT64_C(1) << i % 64;
			return i;
		}
	return -ENOSPC;
}

void
machine_slot_free(struct machine *machine, int slot)
{
	if (slot >= 0)
		machine->slots[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

void
machine_msi_fd(struct machine *machine, int slot, int fd, const struct msi *msi)
{
	struct engine_vm *vm = machine->vm;

	if (vm != NULL && vm->engine->msi_fd != NULL && slot >= 0)
		(void)vm->engine->msi_fd(vm, (unsigned int)slot, fd, msi);
}

void
machine_notify_fd(struct machine *machine, uint64_t address, int fd, bool on)
{
	struct engine_vm *vm = machine->vm;

	if (vm != NULL && vm->engine->notify_fd != NULL)
		(void)vm->engine->notify_fd(vm, address, fd, on);
}

void
machine_written(
    struct machine *machine, const struct iovec *piece, unsigned int n)
{
	struct engine_vm *vm = machine->vm;

	if (vm != NULL && vm->engine->written != NULL && n > 0)
		vm->engine->written(vm, piece, n);
}

static void
port_exit(struct machine *machine, const struct engine_exit *exit)
{
	unsigned int bytes = exit->port.bytes;

	for (uint32_t i = 0; i < exit->port.count; i++) {
		uint8_t *data = exit->port.data + (size_t)i * bytes;

		if (exit->port.out)
			bus_write(&machine->ports, exit->port.port, bytes,
			    get_le(data, bytes));
		else
			put_le(data, bytes,
			    bus_read(&machine->ports, exit->port.port, bytes));
	}
}

void
machine_exit(struct machine *machine, const struct engine_exit *exit)
{
	pthread_mutex_lock(&machine->lock);
	if (exit->kind == EXIT_PORT)
		port_exit(machine, exit);
	else if (exit->kind == EXIT_MMIO && exit->mmio.write)
		bus_write(&machine->mmio, exit->mmio.address, exit->mmio.bytes,
		    get_le(exit->mmio.data, exit->mmio.bytes));
	else if (exit->kind == EXIT_MMIO)
		put_le(exit->mmio.data, exit->mmio.bytes,
		    bus_read(
			&machine->mmio, exit->mmio.address, exit->mmio.bytes));
	pthread_mutex_unlock(&machine->lock);
}
