/*
 * vnet.c - virtio-net with one pair of queues.
 *
 * Received frames are handled where the device put them; a frame that it
 * spread over several buffers (mergeable buffers, used only where the MTU asks
 * for more than one buffer holds) is first joined.  Sent frames are written
 * by the stack into the next free buffer.
 *
 * Interrupts: MSI-X with one vector for frames and one for the configuration;
 * without MSI-X the PCI line through the I/O APIC; without a line a look every
 * 10 ms.  While the guest is awake it asks for no interrupts.
 *
 * No segmentation offload and none of the checksum on sending: the engine that
 * emulates us spends more on a frame's way than on its sum.  On receiving,
 * GUEST_CSUM saves the sum of what comes from a neighbour that offloads.
 */
#include "vmm/guest/bare/vnet.h"

#include <string.h>

#include "vmm/guest/bare/cpu.h"
#include "vmm/guest/bare/memory.h"
#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"
#include "vmm/guest/bare/virtio.h"

#define F_GUEST_CSUM (UINT64_C(1) << 1)
#define F_MTU        (UINT64_C(1) << 3)
#define F_MAC        (UINT64_C(1) << 5)
#define F_MRG_RXBUF  (UINT64_C(1) << 15)
#define F_STATUS     (UINT64_C(1) << 16)

#define CONFIG_STATUS 6
#define CONFIG_MTU    10
#define STATUS_LINK   1

#define HDR_BYTES       12 /* virtio_net_hdr */
#define HDR_FLAGS       0
#define HDR_GSO         1
#define HDR_BUFFERS     10
#define FLAG_NEEDS_CSUM 1
#define FLAG_DATA_VALID 2

#define RX_BUFFERS   64
#define TX_BUFFERS   64
#define RX_BYTES     2048
#define JOINED_BYTES 65568
#define RX_BURST     64 /* frames per card and round */
#define POLL_US      (10 * US_PER_MS)
#define TX_WAIT_US   (2 * US_PER_MS)

#define NO_LINE 0xff

struct vnet {
	struct virtio dev;
	struct virtqueue rx, tx;
	struct netif *nif;
	unsigned int index;
	uint8_t *rx_buffers, *tx_buffers;
	uint32_t tx_bytes; /* of one buffer */
	uint16_t tx_free[TX_BUFFERS], tx_nfree;
	uint8_t line; /* of the PCI interrupt; NO_LINE */
	uint8_t isr;  /* what the line's interrupts said */
	bool mergeable, polled, config_shared, tx_stalled, off;
	/* A frame being joined: how many of its buffers are still to come. */
	unsigned int joining;
	uint32_t joined_bytes;
	uint8_t joined_flags;
};

/* The cards are hardware: this state is nobody else's. */
static struct {
	struct vnet card[STACK_NICS];
	unsigned int ncards;
	bool lines[256]; /* routed */
	uint64_t polled_us;
	uint8_t joined[JOINED_BYTES];
	struct stack *stack;
	void (*complain)(void *arg, const char *sentence);
	void *arg;
} vnet;

/* ---- out ---- */

/* Takes back what the device has sent.  False: nothing. */
static bool
reclaim(struct vnet *v)
{
	const uint16_t before = v->tx_nfree;
	uint16_t id;
	uint32_t len;

	while (virtqueue_take(&v->tx, &id, &len))
		v->tx_free[v->tx_nfree++] = id;
	return v->tx_nfree != before;
}

/* The ring is full: tells the device and gives it a moment.  One that let us
 * wait in vain is not waited for again until it has moved. */
static void
wait_for_room(struct vnet *v)
{
	const uint64_t until_us = cpu_now_us() + TX_WAIT_US;

	virtqueue_publish(&v->tx);
	if (reclaim(v) || v->tx_stalled)
		return;
	do {
		if (reclaim(v))
			return;
	} while (cpu_now_us() < until_us);
	v->tx_stalled = true;
}

static uint8_t *
room(struct netif *nif, size_t len_bytes)
{
	struct vnet *v = nif->driver;

	if (reclaim(v))
		v->tx_stalled = false;
	if (v->tx_nfree == 0)
		wait_for_room(v);
	if (v->tx_nfree == 0 || HDR_BYTES + len_bytes > v->tx_bytes)
		return NULL;
	return v->tx_buffers + v->tx_free[v->tx_nfree - 1] * v->tx_bytes +
	    HDR_BYTES;
}

static void
send(struct netif *nif, size_t len_bytes)
{
	struct vnet *v = nif->driver;
	const uint16_t id = v->tx_free[--v->tx_nfree];

	memset(v->tx_buffers + id * v->tx_bytes, 0, HDR_BYTES);
	virtqueue_give(&v->tx, id, (uint32_t)(HDR_BYTES + len_bytes));
}

static void
flush(struct netif *nif)
{
	struct vnet *v = nif->driver;

	virtqueue_publish(&v->tx);
}

static const struct netif_ops vnet_ops = { room, send, flush };

/* ---- in ---- */

static void
deliver(struct vnet *v, const uint8_t *frame, uint32_t len, uint8_t flags)
{
	netif_input(v->nif, frame, len,
	    flags & (FLAG_NEEDS_CSUM | FLAG_DATA_VALID) ? RX_TRUSTED : 0);
}

/* One more buffer of a frame that began in an earlier one. */
static void
join(struct vnet *v, const uint8_t *data, uint32_t len)
{
	if (v->joined_bytes + len > JOINED_BYTES) {
		netif_drop(v->nif, DROP_TOO_LONG);
		v->joined_bytes = 0;
		v->joining--;
		return;
	}
	memcpy(vnet.joined + v->joined_bytes, data, len);
	v->joined_bytes += len;
	if (--v->joining == 0 && v->joined_bytes > 0)
		deliver(v, vnet.joined, v->joined_bytes, v->joined_flags);
}

static void
take_buffer(struct vnet *v, const uint8_t *data, uint32_t len)
{
	unsigned int buffers;

	if (v->joining > 0) {
		join(v, data, len);
		return;
	}
	if (len < HDR_BYTES || data[HDR_GSO] != 0) {
		netif_drop(v->nif, DROP_VNET_HEADER);
		return;
	}
	buffers = v->mergeable
	    ? data[HDR_BUFFERS] | (unsigned int)data[HDR_BUFFERS + 1] << 8
	    : 1;
	if (buffers == 0 || buffers > RX_BUFFERS) {
		netif_drop(v->nif, DROP_VNET_HEADER);
		return;
	}
	if (buffers == 1) {
		deliver(v, data + HDR_BYTES, len - HDR_BYTES, data[HDR_FLAGS]);
		return;
	}
	v->joining = buffers;
	v->joined_bytes = 0;
	v->joined_flags = data[HDR_FLAGS];
	join(v, data + HDR_BYTES, len - HDR_BYTES);
}

static bool
receive(struct vnet *v)
{
	uint32_t len;
	uint16_t id;

	for (unsigned int n = 0; n < RX_BURST || v->joining > 0; n++) {
		if (!virtqueue_take(&v->rx, &id, &len))
			break;
		take_buffer(v, v->rx_buffers + id * RX_BYTES, len);
		virtqueue_give(&v->rx, id, RX_BYTES);
	}
	virtqueue_publish(&v->rx);
	/* A device makes all buffers of a frame used at once. */
	if (v->joining > 0) {
		netif_drop(v->nif, DROP_VNET_HEADER);
		v->joining = 0;
	}
	return virtqueue_pending(&v->rx);
}

static void
read_link(struct vnet *v)
{
	bool up = true;

	if (v->dev.features & F_STATUS)
		up = virtio_config16(&v->dev, CONFIG_STATUS) & STATUS_LINK;
	netif_link(v->nif, up);
}

/* A device that breaks its queues is left alone from then on. */
static void
give_up(struct vnet *v)
{
	char sentence[96];

	text_format(sentence, sizeof(sentence),
	    "%s: the network card broke the rules of its queue; it is off",
	    v->nif->name);
	v->off = true;
	virtio_give_up(&v->dev);
	netif_link(v->nif, false);
	vnet.complain(vnet.arg, sentence);
}

bool
vnet_service(struct stack *stack, uint32_t bits)
{
	bool more = false;

	if (stack->now_us >= vnet.polled_us)
		vnet.polled_us = stack->now_us + POLL_US;
	for (unsigned int i = 0; i < vnet.ncards; i++) {
		struct vnet *v = &vnet.card[i];
		bool config = (bits & IRQ_CONFIG(i)) != 0 ||
		    (v->config_shared && (bits & IRQ_QUEUE(i)) != 0) ||
		    (v->isr & VIRTIO_ISR_CONFIG) != 0;

		v->isr = 0;
		if ((v->rx.broken || v->tx.broken) && !v->off)
			give_up(v);
		if (config && !v->off)
			read_link(v);
		if (virtqueue_pending(&v->rx))
			more |= receive(v);
	}
	return more;
}

bool
vnet_ready_to_sleep(void)
{
	bool ready = true;

	for (unsigned int i = 0; i < vnet.ncards; i++) {
		virtqueue_quiet(&vnet.card[i].rx, false);
		if (virtqueue_pending(&vnet.card[i].rx))
			ready = false;
	}
	return ready;
}

void
vnet_woke(void)
{
	for (unsigned int i = 0; i < vnet.ncards; i++)
		virtqueue_quiet(&vnet.card[i].rx, true);
}

uint64_t
vnet_next_us(uint64_t now_us)
{
	(void)now_us;
	for (unsigned int i = 0; i < vnet.ncards; i++) {
		if (vnet.card[i].polled)
			return vnet.polled_us;
	}
	return TIMER_NEVER;
}

/* ---- set-up ---- */

/* Inside the interrupt: the lines of all cards are let go. */
static void
ack_lines(void)
{
	for (unsigned int i = 0; i < vnet.ncards; i++) {
		if (vnet.card[i].line != NO_LINE)
			vnet.card[i].isr |= virtio_isr(&vnet.card[i].dev);
	}
}

static void
set_interrupts(struct vnet *v)
{
	struct virtio *dev = &v->dev;
	uint8_t queue, config;

	v->line = NO_LINE;
	if (dev->msix != 0) {
		queue = cpu_vector(IRQ_QUEUE(v->index));
		virtio_msix(dev, 0, queue);
		v->config_shared = dev->msix_entries < 2;
		if (!v->config_shared) {
			config = cpu_vector(IRQ_CONFIG(v->index));
			virtio_msix(dev, 1, config);
		}
		virtio_config_entry(dev, v->config_shared ? 0 : 1);
		virtio_queue_entry(dev, 0, 0);
		virtio_queue_entry(dev, 1, VIRTIO_NO_VECTOR);
		return;
	}
	v->line = pci_read8(&dev->pci, 0x3c);
	if (v->line == 0 || v->line >= 24) {
		v->line = NO_LINE;
		v->polled = true;
		return;
	}
	cpu_line_ack(ack_lines);
	if (!vnet.lines[v->line]) {
		vnet.lines[v->line] = true;
		cpu_route_line(v->line, IRQ_LINE, true);
	}
}

static const char *
set_queues(struct vnet *v, uint16_t mtu)
{
	const uint16_t nrx = virtio_queue_size(&v->dev, 0, RX_BUFFERS);
	const uint16_t ntx = virtio_queue_size(&v->dev, 1, TX_BUFFERS);

	v->tx_bytes =
	    (uint32_t)(HDR_BYTES + ETH_HEADER_BYTES + mtu + 63) & ~63u;
	v->rx_buffers = memory_take((size_t)nrx * RX_BYTES, 4096);
	v->tx_buffers = memory_take((size_t)ntx * v->tx_bytes, 4096);
	if (nrx == 0 || ntx == 0)
		return "it has no queues";
	if (v->rx_buffers == NULL || v->tx_buffers == NULL ||
	    !virtio_queue(
		&v->dev, &v->rx, 0, nrx, v->rx_buffers, RX_BYTES, true) ||
	    !virtio_queue(
		&v->dev, &v->tx, 1, ntx, v->tx_buffers, v->tx_bytes, false))
		return "there is not enough memory for its queues";
	for (uint16_t i = 0; i < ntx; i++)
		v->tx_free[v->tx_nfree++] = (uint16_t)(ntx - 1 - i);
	virtqueue_quiet(&v->rx, true);
	virtqueue_quiet(&v->tx, true);
	for (uint16_t i = 0; i < nrx; i++)
		virtqueue_give(&v->rx, i, RX_BYTES);
	return NULL;
}

static uint16_t
read_mtu(struct vnet *v)
{
	uint16_t mtu = ETH_MTU;

	if (v->dev.features & F_MTU)
		mtu = virtio_config16(&v->dev, CONFIG_MTU);
	if (mtu > RX_BYTES - HDR_BYTES - ETH_HEADER_BYTES && !v->mergeable)
		mtu = ETH_MTU;
	if (mtu > NETIF_MTU_MAX)
		mtu = NETIF_MTU_MAX;
	return mtu < NETIF_MTU_MIN ? NETIF_MTU_MIN : mtu;
}

static const char *
start(struct vnet *v, const struct pci *pci)
{
	const uint64_t wanted =
	    F_GUEST_CSUM | F_MTU | F_MAC | F_MRG_RXBUF | F_STATUS;
	const char *wrong = virtio_find(&v->dev, pci);
	struct mac mac;
	uint16_t mtu;

	if (wrong != NULL)
		return wrong;
	if (!virtio_negotiate(&v->dev, wanted))
		return "it does not accept our features";
	v->mergeable = (v->dev.features & F_MRG_RXBUF) != 0;
	mtu = read_mtu(v);
	wrong = set_queues(v, mtu);
	if (wrong != NULL)
		return wrong;
	set_interrupts(v);
	for (uint32_t i = 0; i < sizeof(mac.b); i++) {
		mac.b[i] = v->dev.features & F_MAC
		    ? virtio_config8(&v->dev, i)
		    : (uint8_t)random_u32(&vnet.stack->random);
	}
	if ((v->dev.features & F_MAC) == 0)
		mac.b[0] = (uint8_t)((mac.b[0] & 0xfc) | 2); /* ours, local */
	v->nif = netif_add(vnet.stack, &vnet_ops, v, &mac, mtu);
	virtio_run(&v->dev);
	virtqueue_publish(&v->rx);
	read_link(v);
	return NULL;
}

static void
probe(void *arg, const struct pci *pci)
{
	struct vnet *v;
	char sentence[128];
	const char *wrong;

	(void)arg;
	if (pci->vendor != VIRTIO_VENDOR ||
	    (pci->device != VIRTIO_MODERN + VIRTIO_TYPE_NET &&
		pci->device != VIRTIO_OLD_NET))
		return;
	if (vnet.ncards == STACK_NICS) {
		text_format(sentence, sizeof(sentence),
		    "network card in slot %u: not used, eight are enough",
		    pci->slot);
		vnet.complain(vnet.arg, sentence);
		return;
	}
	v = &vnet.card[vnet.ncards];
	v->index = vnet.ncards;
	wrong = start(v, pci);
	if (wrong == NULL) {
		vnet.ncards++;
		return;
	}
	if (v->dev.common != NULL)
		virtio_give_up(&v->dev);
	text_format(sentence, sizeof(sentence), "network card in slot %u: %s",
	    pci->slot, wrong);
	vnet.complain(vnet.arg, sentence);
	*v = (struct vnet){ 0 };
}

void
vnet_probe(struct stack *stack,
    void (*complain)(void *arg, const char *sentence), void *arg)
{
	vnet.stack = stack;
	vnet.complain = complain;
	vnet.arg = arg;
	pci_scan(probe, NULL);
}
