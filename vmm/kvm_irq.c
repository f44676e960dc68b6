/*
 * Interrupts on KVM: the controllers in the kernel, lines, messages, and the
 * two short cuts that keep us out of the data path.
 *
 * The first 24 routes are the board's wiring: lines 0 to 15 reach the 8259 and
 * the IOAPIC, the 8254's line 0 at the IOAPIC's pin 2, the rest the IOAPIC
 * alone.  Behind them is one route for each message bound to a descriptor.
 * KVM takes the whole table at each change; guests change it a few times when
 * their drivers start.
 *
 * PCI's lines are shared and level-triggered.  A firmware would say so to the
 * 8259 (by its ELCR); we are the firmware.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define PIC_PINS        16
#define PIC_SLAVE_LEVEL 0x0c /* lines 10 and 11 */
#define ROUTES_MAX      (PIC_PINS + ENGINE_LINES + ENGINE_MSI_SLOTS)

static void
route_pin(
    struct kvm_irq_routing *table, uint32_t gsi, uint32_t chip, uint32_t pin)
{
	table->entries[table->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static int
set_routes(struct kvm_vm *vm)
{
	struct kvm_irq_routing *table =
	    calloc(1, sizeof(*table) + ROUTES_MAX * sizeof(table->entries[0]));
	int r = 0;

	if (table == NULL)
		return -ENOMEM;
	for (uint32_t gsi = 0; gsi < ENGINE_LINES; gsi++) {
		if (gsi == 2)
			continue; /* the slave 8259 hangs on it */
		if (gsi < 8)
			route_pin(table, gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
		else if (gsi < PIC_PINS)
			route_pin(table, gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8);
		route_pin(table, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
	}
	for (uint32_t i = 0; i < ENGINE_MSI_SLOTS; i++) {
		const struct msi *msi = &vm->slot[i].msi;

		if (!vm->slot[i].used)
			continue;
		table->entries[table->nr++] = (struct kvm_irq_routing_entry){
			.gsi = ENGINE_LINES + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = (uint32_t)msi->address,
			    .address_hi = (uint32_t)(msi->address >> 32),
			    .data = msi->data },
		};
	}
	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, table) < 0)
		r = -errno;
	free(table);
	return r;
}

static int
set_level_lines(struct kvm_vm *vm)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_SLAVE };

	if (ioctl(vm->fd, KVM_GET_IRQCHIP, &chip) < 0)
		return -errno;
	chip.chip.pic.elcr = PIC_SLAVE_LEVEL;
	if (ioctl(vm->fd, KVM_SET_IRQCHIP, &chip) < 0)
		return -errno;
	return 0;
}

int
kvm_irq_init(struct kvm_vm *vm, struct err *err)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int r;

	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(err, -errno, NULL,
		    "kvm: cannot make the interrupt controllers");
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
		return err_sys(err, -errno, NULL, "kvm: cannot make the timer");
	r = set_level_lines(vm);
	if (r == 0)
		r = set_routes(vm);
	if (r < 0)
		return err_sys(err, r, NULL, "kvm: cannot route interrupts");
	return 0;
}

void
kvm_line(struct engine_vm *evm, unsigned int line, bool level)
{
	struct kvm_irq_level irq = { .irq = line, .level = level };

	/* Fails for a line that does not exist only. */
	(void)ioctl(kvm_of_vm(evm)->fd, KVM_IRQ_LINE, &irq);
}

void
kvm_msi(struct engine_vm *evm, const struct msi *msi)
{
	struct kvm_msi request = {
		.address_lo = (uint32_t)msi->address,
		.address_hi = (uint32_t)(msi->address >> 32),
		.data = msi->data,
	};

	/* A message to a CPU that is not there is lost, as on a real bus. */
	(void)ioctl(kvm_of_vm(evm)->fd, KVM_SIGNAL_MSI, &request);
}

static int
irqfd(struct kvm_vm *vm, unsigned int slot, int fd, uint32_t flags)
{
	struct kvm_irqfd request = {
		.fd = (uint32_t)fd, .gsi = ENGINE_LINES + slot, .flags = flags
	};

	return ioctl(vm->fd, KVM_IRQFD, &request) < 0 ? -errno : 0;
}

/* Unbinds first when the descriptor is another one or the message goes; binds
 * once the route is there. */
static int
bind_slot(struct kvm_vm *vm, unsigned int i, int fd, const struct msi *msi)
{
	struct kvm_msi_slot *slot = &vm->slot[i];
	bool bound = slot->used;
	int r;

	if (bound && (msi == NULL || slot->fd != fd)) {
		irqfd(vm, i, slot->fd, KVM_IRQFD_FLAG_DEASSIGN);
		slot->used = bound = false;
	}
	if (msi == NULL)
		return set_routes(vm);
	*slot = (struct kvm_msi_slot){ .used = true, .fd = fd, .msi = *msi };
	r = set_routes(vm);
	if (r == 0 && !bound)
		r = irqfd(vm, i, fd, 0);
	if (r < 0)
		slot->used = false;
	return r;
}

int
kvm_msi_fd(
    struct engine_vm *evm, unsigned int slot, int fd, const struct msi *msi)
{
	struct kvm_vm *vm = kvm_of_vm(evm);
	int r;

	if (!vm->chips || slot >= ENGINE_MSI_SLOTS)
		return -EINVAL;
	pthread_mutex_lock(&vm->route_lock);
	r = 0;
	if (vm->slot[slot].used || msi != NULL)
		r = bind_slot(vm, slot, fd, msi);
	pthread_mutex_unlock(&vm->route_lock);
	return r;
}

int
kvm_notify_fd(struct engine_vm *evm, uint64_t address, int fd, bool on)
{
	struct kvm_ioeventfd request = {
		.addr = address,
		.fd = fd,
		.flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return ioctl(kvm_of_vm(evm)->fd, KVM_IOEVENTFD, &request) < 0 ? -errno
								      : 0;
}
