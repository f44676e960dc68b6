/*
 * The virtio-pci transport.
 *
 * One 64-bit BAR of 32 KiB holds everything: a page each for the common
 * configuration, the ISR, the device's own configuration, the notify registers
 * (one of four bytes for each queue), the MSI-X table and its pending bits.
 *
 * Reads of the common configuration come from an image of all its registers,
 * writes change the bytes in a register's image and set it whole: so each
 * width of access works, 64-bit addresses in halves too.
 *
 * Interrupts take the shortest way that the engine has.  A queue's vector that
 * is enabled and not masked is bound to its call eventfd, so that a backend's
 * write reaches the guest without us.  Without that, the loop reads the
 * eventfd and decides here.  Both may be in force at the same time: who reads
 * the count first delivers it.
 */
#include "vmm/virtio_pci.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <unistd.h>

#include "vmm/le.h"

#define VENDOR      0x1af4
#define DEVICE_BASE 0x1040
#define REVISION    1
#define SUBSYSTEM   0x1100 /* not a legacy device's */

#define BAR_BYTES    0x8000
#define PAGE_BYTES   0x1000
#define PAGE_COMMON  0x0000
#define PAGE_ISR     0x1000
#define PAGE_DEVICE  0x2000
#define PAGE_NOTIFY  0x3000
#define PAGE_TABLE   0x4000
#define PAGE_PENDING 0x5000
#define NOTIFY_BYTES 4 /* a queue's share: notify_off_multiplier */

#define ISR_QUEUE  0x1
#define ISR_CONFIG 0x2

#define CAP_BYTES     16
#define CAP_NOTIFY    20
#define CAP_CFG_BYTES 20
#define NO_VECTOR     VIRTIO_MSI_NO_VECTOR

/* ---- interrupts ---- */

static void
isr_raise(struct virtio_pci *vp, uint8_t bit)
{
	vp->isr |= bit;
	pci_intx(&vp->fn, true);
}

void
virtio_pci_called(struct virtio_pci *vp, unsigned int queue)
{
	if (pci_msix_enabled(&vp->fn))
		pci_msix_send(&vp->fn, vp->queue[queue].vector);
	else
		isr_raise(vp, ISR_QUEUE);
}

static void
config_changed(void *transport)
{
	struct virtio_pci *vp = transport;

	if (pci_msix_enabled(&vp->fn)) {
		vp->isr |= ISR_CONFIG;
		pci_msix_send(&vp->fn, vp->config_vector);
	} else {
		isr_raise(vp, ISR_CONFIG);
	}
}

/* Loop thread, without the lock. */
static void
call_ready(void *arg, unsigned int events)
{
	struct virtio_pci_queue *q = arg;
	struct virtio_pci *vp = q->owner;
	unsigned int i = (unsigned int)(q - vp->queue);
	pthread_mutex_t *lock = &vp->fn.pci->machine->lock;
	uint64_t count;

	(void)events;
	pthread_mutex_lock(lock);
	if (read(vp->device->queue[i].call_fd, &count, sizeof(count)) > 0)
		virtio_pci_called(vp, i);
	pthread_mutex_unlock(lock);
}

/* Binds the queue's call eventfd to its message, or lets it go. */
static void
queue_bind(struct virtio_pci *vp, unsigned int i)
{
	struct machine *machine = vp->fn.pci->machine;
	struct virtio_pci_queue *q = &vp->queue[i];
	struct msi msi;
	bool can = q->vector != NO_VECTOR &&
	    pci_msix_message(&vp->fn, q->vector, &msi);

	machine_msi_fd(
	    machine, q->slot, vp->device->queue[i].call_fd, can ? &msi : NULL);
}

static void
vector_changed(struct pci_function *fn, unsigned int vector)
{
	struct virtio_pci *vp = (struct virtio_pci *)fn;

	for (unsigned int i = 0; i < vp->device->nqueues; i++)
		if (vp->queue[i].vector == vector)
			queue_bind(vp, i);
}

static void
set_queue_vector(struct virtio_pci *vp, unsigned int i, uint16_t vector)
{
	/* An impossible vector reads back as none: the driver asks. */
	vp->queue[i].vector = vector < vp->fn.msix.n ? vector : NO_VECTOR;
	queue_bind(vp, i);
}

/* ---- common configuration ---- */

#define COMMON_BYTES 64 /* its 56, rounded up */

static void
common_image(struct virtio_pci *vp, uint8_t *c)
{
	struct virtio_device *d = vp->device;
	uint64_t offered = d->ops->features(d);
	uint32_t dsel = vp->device_feature_select;
	uint32_t gsel = vp->driver_feature_select;

	memset(c, 0, COMMON_BYTES);
	put_le32(c + VIRTIO_PCI_COMMON_DFSELECT, dsel);
	put_le32(c + VIRTIO_PCI_COMMON_DF,
	    dsel < 2 ? (uint32_t)(offered >> 32 * dsel) : 0);
	put_le32(c + VIRTIO_PCI_COMMON_GFSELECT, gsel);
	put_le32(c + VIRTIO_PCI_COMMON_GF,
	    gsel < 2 ? (uint32_t)(d->features >> 32 * gsel) : 0);
	put_le16(c + VIRTIO_PCI_COMMON_MSIX, vp->config_vector);
	put_le16(c + VIRTIO_PCI_COMMON_NUMQ, (uint16_t)d->nqueues);
	c[VIRTIO_PCI_COMMON_STATUS] = d->status;
	c[VIRTIO_PCI_COMMON_CFGGENERATION] = d->generation;
	put_le16(c + VIRTIO_PCI_COMMON_Q_SELECT, vp->queue_select);
	if (vp->queue_select < d->nqueues) {
		const struct virtio_queue *q = &d->queue[vp->queue_select];

		put_le16(c + VIRTIO_PCI_COMMON_Q_SIZE, q->size);
		put_le16(c + VIRTIO_PCI_COMMON_Q_MSIX,
		    vp->queue[vp->queue_select].vector);
		put_le16(c + VIRTIO_PCI_COMMON_Q_ENABLE, q->enabled);
		put_le16(c + VIRTIO_PCI_COMMON_Q_NOFF, vp->queue_select);
		put_le64(c + VIRTIO_PCI_COMMON_Q_DESCLO, q->desc);
		put_le64(c + VIRTIO_PCI_COMMON_Q_AVAILLO, q->driver);
		put_le64(c + VIRTIO_PCI_COMMON_Q_USEDLO, q->device);
	} else {
		put_le16(c + VIRTIO_PCI_COMMON_Q_MSIX, NO_VECTOR);
	}
}

static void
set_driver_feature(struct virtio_pci *vp, uint32_t word)
{
	struct virtio_device *d = vp->device;
	unsigned int shift = 32 * (vp->driver_feature_select & 1);

	if (vp->driver_feature_select < 2)
		virtio_set_features(d,
		    (d->features & ~(UINT64_C(0xffffffff) << shift)) |
			(uint64_t)word << shift);
}

/* Registers of the queue that is selected; its ring can change only before it
 * is enabled. */
static void
set_queue_register(struct virtio_pci *vp, unsigned int at, uint64_t value)
{
	struct virtio_device *d = vp->device;
	unsigned int i = vp->queue_select;
	struct virtio_queue *q;

	if (i >= d->nqueues)
		return;
	q = &d->queue[i];
	if (at == VIRTIO_PCI_COMMON_Q_MSIX)
		set_queue_vector(vp, i, (uint16_t)value);
	else if (q->enabled)
		return;
	else if (at == VIRTIO_PCI_COMMON_Q_SIZE)
		q->size = (uint16_t)value;
	else if (at == VIRTIO_PCI_COMMON_Q_ENABLE && value == 1)
		virtio_enable_queue(d, i);
	else if (at == VIRTIO_PCI_COMMON_Q_DESCLO)
		q->desc = value;
	else if (at == VIRTIO_PCI_COMMON_Q_AVAILLO)
		q->driver = value;
	else if (at == VIRTIO_PCI_COMMON_Q_USEDLO)
		q->device = value;
}

static void
set_register(struct virtio_pci *vp, unsigned int at, uint64_t value)
{
	switch (at) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vp->device_feature_select = (uint32_t)value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vp->driver_feature_select = (uint32_t)value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		set_driver_feature(vp, (uint32_t)value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		vp->config_vector =
		    value < vp->fn.msix.n ? (uint16_t)value : NO_VECTOR;
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		if (value == 0)
			virtio_pci_reset(vp);
		else
			virtio_set_status(vp->device, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vp->queue_select = (uint16_t)value;
		break;
	default: set_queue_register(vp, at, value); break;
	}
}

/* Registers that can be written. */
static const struct {
	uint8_t at, bytes;
} common_register[] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4 },
	{ VIRTIO_PCI_COMMON_GFSELECT, 4 },
	{ VIRTIO_PCI_COMMON_GF, 4 },
	{ VIRTIO_PCI_COMMON_MSIX, 2 },
	{ VIRTIO_PCI_COMMON_STATUS, 1 },
	{ VIRTIO_PCI_COMMON_Q_SELECT, 2 },
	{ VIRTIO_PCI_COMMON_Q_SIZE, 2 },
	{ VIRTIO_PCI_COMMON_Q_MSIX, 2 },
	{ VIRTIO_PCI_COMMON_Q_ENABLE, 2 },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, 8 },
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, 8 },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, 8 },
};

/* An access that covers several registers writes each of them. */
static void
common_write(
    struct virtio_pci *vp, uint64_t offset, unsigned int bytes, uint64_t value)
{
	const unsigned int n =
	    sizeof(common_register) / sizeof(common_register[0]);
	uint8_t image[COMMON_BYTES];

	if (offset + bytes > COMMON_BYTES)
		return;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = common_register[i].at;
		unsigned int size = common_register[i].bytes;

		if (offset >= at + size || offset + bytes <= at)
			continue;
		common_image(vp, image);
		put_le(image + offset, bytes, value);
		set_register(vp, at, get_le(image + at, size));
	}
}

static uint64_t
common_read(struct virtio_pci *vp, uint64_t offset, unsigned int bytes)
{
	uint8_t image[COMMON_BYTES];

	if (offset + bytes > COMMON_BYTES)
		return 0;
	common_image(vp, image);
	return get_le(image + offset, bytes);
}

/* ---- the BAR ---- */

static uint64_t
isr_read(struct virtio_pci *vp)
{
	uint8_t isr = vp->isr;

	vp->isr = 0;
	pci_intx(&vp->fn, false);
	return isr;
}

static uint64_t
device_read(struct virtio_pci *vp, uint64_t offset, unsigned int bytes)
{
	uint8_t config[VIRTIO_CONFIG_BYTES_MAX] = { 0 };

	if (offset + bytes > sizeof(config))
		return 0;
	vp->device->ops->config(vp->device, config);
	return get_le(config + offset, bytes);
}

static void
device_write(
    struct virtio_pci *vp, uint64_t offset, unsigned int bytes, uint64_t value)
{
	if (vp->device->ops->set_config != NULL &&
	    offset + bytes <= VIRTIO_CONFIG_BYTES_MAX)
		vp->device->ops->set_config(
		    vp->device, (unsigned int)offset, bytes, value);
}

static uint64_t
bar_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct virtio_pci *vp = arg;
	uint64_t at = offset % PAGE_BYTES;

	switch (offset - at) {
	case PAGE_COMMON: return common_read(vp, at, bytes);
	case PAGE_ISR: return at == 0 ? isr_read(vp) : 0;
	case PAGE_DEVICE: return device_read(vp, at, bytes);
	case PAGE_TABLE: return pci_msix_table_read(&vp->fn, at, bytes);
	case PAGE_PENDING: return pci_msix_pending_read(&vp->fn, at, bytes);
	default: return 0;
	}
}

static void
bar_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct virtio_pci *vp = arg;
	uint64_t at = offset % PAGE_BYTES;

	switch (offset - at) {
	case PAGE_COMMON: common_write(vp, at, bytes, value); break;
	case PAGE_DEVICE: device_write(vp, at, bytes, value); break;
	case PAGE_NOTIFY:
		if (at % NOTIFY_BYTES == 0)
			virtio_kick(
			    vp->device, (unsigned int)(at / NOTIFY_BYTES));
		break;
	case PAGE_TABLE: pci_msix_table_write(&vp->fn, at, bytes, value); break;
	default: break; /* read-only, or nothing */
	}
}

static const struct bus_ops bar_bus = { bar_read, bar_write, 8 };

static void
bar_moved(
    struct pci_function *fn, unsigned int bar, uint64_t address, bool mapped)
{
	struct virtio_pci *vp = (struct virtio_pci *)fn;

	(void)bar;
	for (unsigned int i = 0; i < vp->device->nqueues; i++)
		machine_notify_fd(fn->pci->machine,
		    address + PAGE_NOTIFY + (uint64_t)i * NOTIFY_BYTES,
		    vp->device->queue[i].kick_fd, mapped);
}

/* ---- the window into the BAR from configuration space (4.1.4.9) ---- */

/* Does the access mean the window's data, and where does the window look? */
static bool
window(struct virtio_pci *vp, unsigned int offset, uint32_t *at,
    unsigned int *bytes)
{
	const uint8_t *cap = vp->fn.config + vp->cfg_cap;

	if (offset / 4 != (vp->cfg_cap + CAP_BYTES) / 4)
		return false;
	*at = get_le32(cap + VIRTIO_PCI_CAP_OFFSET);
	*bytes = get_le32(cap + VIRTIO_PCI_CAP_LENGTH);
	return cap[VIRTIO_PCI_CAP_BAR] == 0 &&
	    (*bytes == 1 || *bytes == 2 || *bytes == 4) && *at % *bytes == 0 &&
	    *at < BAR_BYTES;
}

static bool
cfg_read(struct pci_function *fn, unsigned int offset, unsigned int bytes,
    uint32_t *value)
{
	struct virtio_pci *vp = (struct virtio_pci *)fn;
	unsigned int want;
	uint32_t at;

	if (!window(vp, offset, &at, &want))
		return false;
	*value = (uint32_t)bar_read(vp, at, want < bytes ? want : bytes);
	return true;
}

static bool
cfg_write(struct pci_function *fn, unsigned int offset, unsigned int bytes,
    uint32_t value)
{
	struct virtio_pci *vp = (struct virtio_pci *)fn;
	unsigned int want;
	uint32_t at;

	if (!window(vp, offset, &at, &want))
		return false;
	bar_write(vp, at, want < bytes ? want : bytes, value);
	return true;
}

/* ---- making and ending ---- */

static const struct pci_function_ops function_ops = {
	.moved = bar_moved,
	.vector = vector_changed,
	.config_read = cfg_read,
	.config_write = cfg_write,
};

static unsigned int
add_cap(struct virtio_pci *vp, uint8_t type, unsigned int bytes, uint32_t page,
    uint32_t length)
{
	unsigned int at = pci_cap_add(&vp->fn, PCI_CAP_ID_VNDR, bytes);
	uint8_t *cap = vp->fn.config + at;

	cap[VIRTIO_PCI_CAP_LEN] = (uint8_t)bytes;
	cap[VIRTIO_PCI_CAP_CFG_TYPE] = type;
	put_le32(cap + VIRTIO_PCI_CAP_OFFSET, page);
	put_le32(cap + VIRTIO_PCI_CAP_LENGTH, length);
	return at;
}

static void
add_caps(struct virtio_pci *vp)
{
	unsigned int at;

	add_cap(vp, VIRTIO_PCI_CAP_COMMON_CFG, CAP_BYTES, PAGE_COMMON,
	    VIRTIO_PCI_COMMON_Q_USEDHI + 4);
	at = add_cap(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, CAP_NOTIFY, PAGE_NOTIFY,
	    vp->device->nqueues * NOTIFY_BYTES);
	put_le32(vp->fn.config + at + VIRTIO_PCI_NOTIFY_CAP_MULT, NOTIFY_BYTES);
	add_cap(vp, VIRTIO_PCI_CAP_ISR_CFG, CAP_BYTES, PAGE_ISR, 1);
	add_cap(vp, VIRTIO_PCI_CAP_DEVICE_CFG, CAP_BYTES, PAGE_DEVICE,
	    VIRTIO_CONFIG_BYTES_MAX);
	at = add_cap(vp, VIRTIO_PCI_CAP_PCI_CFG, CAP_CFG_BYTES, 0, 0);
	vp->fn.writable[at + VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(vp->fn.writable + at + VIRTIO_PCI_CAP_OFFSET, 0xff, 12);
	vp->cfg_cap = at;
}

static void
driver_gone(struct virtio_pci *vp)
{
	vp->device_feature_select = vp->driver_feature_select = 0;
	vp->queue_select = 0;
	vp->config_vector = NO_VECTOR;
	for (unsigned int i = 0; i < vp->device->nqueues; i++)
		vp->queue[i].vector = NO_VECTOR;
}

void
virtio_pci_reset(struct virtio_pci *vp)
{
	virtio_reset(vp->device);
	for (unsigned int i = 0; i < vp->device->nqueues; i++)
		set_queue_vector(vp, i, NO_VECTOR);
	driver_gone(vp);
	isr_read(vp);
}

int
virtio_pci_init(struct virtio_pci *vp, struct virtio_device *device,
    struct pci *pci, uint32_t class_code, struct loop *loop, struct err *err)
{
	memset(vp, 0, sizeof(*vp));
	vp->device = device;
	device->changed = config_changed;
	device->transport = vp;
	driver_gone(vp);
	pci_function_init(&vp->fn, &function_ops, VENDOR,
	    (uint16_t)(DEVICE_BASE + device->ops->id),
	    class_code << 8 | REVISION, VENDOR, SUBSYSTEM);
	add_caps(vp);
	pci_bar_add(&vp->fn, 0, BAR_BYTES, &bar_bus, vp);
	pci_msix_add(&vp->fn, device->nqueues + 1, 0, PAGE_TABLE, PAGE_PENDING);
	for (unsigned int i = 0; i < device->nqueues; i++)
		vp->queue[i] = (struct virtio_pci_queue){
			.owner = vp, .slot = -1, .vector = NO_VECTOR
		};
	if (pci_add(pci, &vp->fn, true) < 0)
		return err_set(err, -ENOSPC,
		    "%s: no room on the PCI bus; use fewer devices",
		    device->ops->name);
	for (unsigned int i = 0; i < device->nqueues; i++) {
		vp->queue[i].slot = machine_slot_new(pci->machine);
		if (loop == NULL)
			continue;
		vp->queue[i].watch =
		    loop_watch_new(loop, device->queue[i].call_fd, LOOP_READ,
			call_ready, &vp->queue[i], err);
		if (vp->queue[i].watch == NULL)
			return -ENOMEM;
	}
	return 0;
}

void
virtio_pci_fini(struct virtio_pci *vp)
{
	if (vp->fn.pci == NULL)
		return;
	virtio_pci_reset(vp);
	for (unsigned int i = 0; i < vp->device->nqueues; i++) {
		loop_watch_free(vp->queue[i].watch);
		machine_slot_free(vp->fn.pci->machine, vp->queue[i].slot);
	}
	pci_remove(&vp->fn);
}

static void
archive_vector(const struct virtio_pci *vp, uint16_t *vector, struct archive *a)
{
	archive_u16(a, vector);
	if (*vector >= vp->fn.msix.n)
		*vector = NO_VECTOR;
}

/* The function comes last: it binds what the queues say. */
void
virtio_pci_archive(struct virtio_pci *vp, struct archive *a)
{
	virtio_archive(vp->device, a);
	archive_u32(a, &vp->device_feature_select);
	archive_u32(a, &vp->driver_feature_select);
	archive_u16(a, &vp->queue_select);
	archive_u8(a, &vp->isr);
	archive_vector(vp, &vp->config_vector, a);
	for (unsigned int i = 0; i < vp->device->nqueues; i++)
		archive_vector(vp, &vp->queue[i].vector, a);
	pci_function_archive(&vp->fn, a);
}
