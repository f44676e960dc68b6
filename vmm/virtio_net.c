/*
 * The network card.
 *
 * We own its configuration (address, link, MTU) and hand everything else to
 * the back end: the features offered are those that both sides know, and the
 * rings' memory and eventfds are passed on when the driver is ready.
 *
 * Threads: the CPUs' threads start and stop the device; all else is the
 * loop's.  The socket is used under the machine's lock, but for the first talk
 * with a new back end, which nobody else knows of yet: a slow one then does
 * not hold the guest up.  A CPU's thread that finds the back end dead shuts the
 * socket down; the loop sees that and cleans up.
 *
 * A back end that comes back is told to go on after the last entry that its
 * predecessor returned.  What that one took and did not return is given again:
 * a frame may be sent twice, none is forgotten.
 */
#include "vmm/virtio_net.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/le.h"

#define CONNECT_STEP_MS 5
#define RETRY_FIRST_NS  (50 * NS_PER_MS)
#define RETRY_MAX_NS    NS_PER_S
#define USED_IDX        2  /* in the device's ring */
#define CONTROL_PIECES  16 /* of one command */

/* Ours alone; and those that the back end must have too. */
#define OWN_FEATURES \
	(VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS))
#define PAIRS_FEATURES \
	(VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ))
#define SHARED_FEATURES                                                        \
	(VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | \
	    VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) |                              \
	    VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) |                              \
	    VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) |                               \
	    VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |                               \
	    VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) |                               \
	    VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN) |                                \
	    VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |                               \
	    VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) |                          \
	    VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) |                              \
	    VIRTIO_BIT(VIRTIO_F_VERSION_1))

static struct virtio_net *
net_of(struct virtio_device *device)
{
	return (struct virtio_net *)device;
}

bool
virtio_net_link(const struct virtio_net *net)
{
	return net->front.fd >= 0 && net->front.link;
}

/* Is somebody there to serve the rings? */
static bool
has_back_end(const struct virtio_net *net)
{
	return net->front.fd >= 0;
}

/* ---- the device ---- */

static uint64_t
net_features(struct virtio_device *device)
{
	const struct virtio_net *net = net_of(device);
	uint64_t own = OWN_FEATURES;

	if (net->mtu_bytes != 0)
		own |= VIRTIO_BIT(VIRTIO_NET_F_MTU);
	if (net->pairs > 1)
		own |= PAIRS_FEATURES;
	return own | (net->backend & SHARED_FEATURES);
}

/* Where the control queue is depends on whether there are pairs. */
static bool
net_accepts(uint64_t features)
{
	features &= PAIRS_FEATURES;
	return features == 0 || features == PAIRS_FEATURES;
}

static void
net_config(struct virtio_device *device, uint8_t to[VIRTIO_CONFIG_BYTES_MAX])
{
	const struct virtio_net *net = net_of(device);

	memcpy(to, net->mac.b, sizeof(net->mac.b));
	put_le16(to + 6, virtio_net_link(net) ? VIRTIO_NET_S_LINK_UP : 0);
	put_le16(to + 8, (uint16_t)net->pairs);
	put_le16(to + 10, net->mtu_bytes);
}

/* The queues that the driver uses. */
static unsigned int
fill_rings(struct virtio_net *net, struct vhost_ring *rings)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 2 * net->pairs; i++) {
		const struct virtio_queue *q = &net->device.queue[i];
		struct vhost_ring *ring = &rings[n];
		const struct memory *m = net->memory;

		if (!q->enabled)
			continue;
		/* In RAM: virtio.c has checked it. */
		*ring = (struct vhost_ring){
			.index = i,
			.size = q->size,
			.desc = memory_at(m, q->desc, 1),
			.driver = memory_at(m, q->driver, 1),
			.device = memory_at(m, q->device, 4),
			.kick_fd = q->kick_fd,
			.call_fd = q->call_fd,
			.base = net->base[i],
			.enabled = i / 2 < net->pairs_on,
		};
		n++;
	}
	return n;
}

/* Behind what a back end that died has given back. */
static void
find_bases(struct virtio_net *net)
{
	for (unsigned int i = 0; i < 2 * net->pairs; i++) {
		const struct virtio_queue *q = &net->device.queue[i];

		if (q->enabled)
			net->base[i] = get_le16((const uint8_t *)memory_at(
						    net->memory, q->device, 4) +
			    USED_IDX);
	}
}

static int
serve(struct virtio_net *net)
{
	struct vhost_ring rings[2 * VIRTIO_NET_PAIRS_MAX];
	unsigned int n = fill_rings(net, rings);
	uint64_t shared = SHARED_FEATURES |
	    (net->front.features & VIRTIO_BIT(VIRTIO_NET_F_MQ));
	struct err err = { "" };
	int r;

	r = vhost_front_start(&net->front, net->device.features & shared,
	    net->memory, rings, n, &err);
	net->serving = r == 0;
	if (r < 0)
		log_warn("%s: %s", net->name, err.text);
	return r;
}

/* Any thread with the lock: the loop will see it and clean up. */
static void
hang_up(struct virtio_net *net)
{
	net->serving = false;
	shutdown(net->front.fd, SHUT_RDWR);
}

/* Only frames that come in are written to memory. */
static void
watch_received(struct virtio_net *net)
{
	for (unsigned int i = 0; i < net->pairs; i++)
		virtq_watch_start(
		    &net->received[i], net->machine, &net->device, 2 * i);
}

static int
net_start(struct virtio_device *device)
{
	struct virtio_net *net = net_of(device);

	net->life++;
	net->pairs_on = 1; /* until the driver wants more */
	if (net->pairs > 1) {
		virtq_start(&net->control, device, 2 * net->pairs);
		virtio_kick(device, 2 * net->pairs);
	}
	memset(net->base, 0, sizeof(net->base));
	watch_received(net);
	/* Without a back end the card works with its link down. */
	if (has_back_end(net) && serve(net) < 0)
		hang_up(net);
	return 0;
}

/* Takes the rings back.  False: the back end is gone. */
static bool
take_back(struct virtio_net *net)
{
	struct vhost_ring rings[2 * VIRTIO_NET_PAIRS_MAX];
	unsigned int n = fill_rings(net, rings);
	struct err err = { "" };

	if (!net->serving)
		return false;
	net->serving = false;
	if (vhost_front_stop(&net->front, rings, n, &err) < 0) {
		log_info("%s: %s", net->name, err.text);
		hang_up(net);
		return false;
	}
	for (unsigned int i = 0; i < n; i++)
		net->base[rings[i].index] = rings[i].base;
	return true;
}

static void
net_stop(struct virtio_device *device)
{
	struct virtio_net *net = net_of(device);

	net->life++;
	for (unsigned int i = 0; i < net->pairs; i++)
		virtq_watch_stop(&net->received[i], net->machine);
	virtq_stop(&net->control);
	take_back(net);
}

static void
net_pause(struct virtio_device *device)
{
	struct virtio_net *net = net_of(device);

	pthread_mutex_lock(net->lock);
	if (!take_back(net))
		find_bases(net);
	pthread_mutex_unlock(net->lock);
}

static void
net_resume(struct virtio_device *device)
{
	struct virtio_net *net = net_of(device);

	if (has_back_end(net) && serve(net) < 0)
		hang_up(net);
	if (net->link_told != virtio_net_link(net))
		virtio_config_changed(device);
}

static void
net_archive(struct virtio_device *device, struct archive *a)
{
	struct virtio_net *net = net_of(device);

	net->link_told = virtio_net_link(net);
	archive_bool(a, &net->link_told);
	archive_uint(a, &net->pairs_on, net->pairs, "pairs of queues in use");
	for (unsigned int i = 0; i < 2 * net->pairs; i++)
		archive_u16(a, &net->base[i]);
	virtq_archive(&net->control, device, 2 * net->pairs, a);
	if (!a->loads)
		return;
	net->life++;
	watch_received(net);
}

static const struct virtio_ops net_ops = {
	.name = "virtio-net",
	.id = 1,
	.features = net_features,
	.accepts = net_accepts,
	.config = net_config,
	.start = net_start,
	.stop = net_stop,
	.pause = net_pause,
	.resume = net_resume,
	.archive = net_archive,
};

/* ---- the control queue; loop thread, with the lock ---- */

/* As many pairs as the driver says (5.1.6.5.6). */
static bool
set_pairs(struct virtio_net *net, unsigned int pairs)
{
	struct err err = { "" };
	int r = 0;

	if (pairs < 1 || pairs > net->pairs)
		return false;
	net->pairs_on = pairs;
	for (unsigned int i = 0; net->serving && r == 0 && i < 2 * net->pairs;
	     i++)
		if (net->device.queue[i].enabled)
			r = vhost_front_enable(
			    &net->front, i, i / 2 < pairs, &err);
	if (r < 0) {
		log_info("%s: %s", net->name, err.text);
		hang_up(net); /* the next back end is told at its start */
	}
	return true;
}

static bool
obey(struct virtio_net *net, struct virtq_chain *chain)
{
	uint8_t command[2], pairs[2];

	return virtq_pull(chain, command, sizeof(command)) &&
	    command[0] == VIRTIO_NET_CTRL_MQ &&
	    command[1] == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET &&
	    chain->read_bytes == sizeof(pairs) &&
	    virtq_pull(chain, pairs, sizeof(pairs)) &&
	    set_pairs(net, get_le16(pairs));
}

static void
control_give_back(struct virtio_net *net, uint16_t head, uint32_t bytes)
{
	virtq_put(&net->control, head, bytes);
	if (virtq_wants_call(&net->control))
		virtio_call(&net->device, 2 * net->pairs);
}

static void
control_broken(struct virtio_net *net)
{
	if (!net->device.warned)
		log_warn("%s: the guest's control queue makes no sense; "
			 "card stopped",
		    net->name);
	net->device.warned = true;
	virtio_broken(&net->device);
}

/* One command.  False: there is none. */
static bool
serve_control(struct virtio_net *net)
{
	struct iovec piece[CONTROL_PIECES], status;
	struct virtq_chain chain = { .piece = piece, .max = CONTROL_PIECES };
	uint64_t life = net->life;
	uint8_t *answer = NULL;

	switch (virtq_take(&net->control, &chain)) {
	case VIRTQ_NONE: return false;
	case VIRTQ_BROKEN: control_broken(net); return false;
	case VIRTQ_BAD: break;
	case VIRTQ_TAKEN: answer = virtq_last(&chain); break;
	}
	if (answer == NULL) {
		net->bad++;
		control_give_back(net, chain.head, 0);
		return true;
	}
	*answer = VIRTIO_NET_ERR;
	if (obey(net, &chain))
		*answer = VIRTIO_NET_OK;
	else
		net->bad++;
	status = (struct iovec){ answer, 1 };
	pthread_mutex_unlock(net->lock);
	machine_written(net->machine, &status, 1);
	pthread_mutex_lock(net->lock);
	if (life == net->life)
		control_give_back(net, chain.head, 1);
	return true;
}

/* No more in one go than the ring has: others want the loop, too. */
static void
control_kicked(void *arg, unsigned int events)
{
	struct virtio_net *net = arg;
	unsigned int n = 0;
	bool more = true;
	uint64_t count;
	ssize_t got = read(
	    net->device.queue[2 * net->pairs].kick_fd, &count, sizeof(count));

	(void)events;
	if (got < 0)
		return; /* a reset was faster */
	pthread_mutex_lock(net->lock);
	while (more && n++ < VIRTIO_NET_QUEUE_SIZE)
		more = serve_control(net);
	if (more || virtq_kicks_on(&net->control))
		virtio_kick(&net->device, 2 * net->pairs);
	pthread_mutex_unlock(net->lock);
}

/* ---- the back end; loop thread ---- */

static void
link_down(struct virtio_net *net)
{
	loop_watch_free(net->watch);
	net->watch = NULL;
	vhost_front_close(&net->front);
	net->serving = false;
	virtio_config_changed(&net->device);
	if (net->socket == NULL)
		return;
	net->retry_ns = RETRY_FIRST_NS;
	loop_timer_set(&net->retry, loop_now_ns(net->loop) + net->retry_ns);
}

static void
socket_ready(void *arg, unsigned int events)
{
	struct virtio_net *net = arg;

	(void)events;
	pthread_mutex_lock(net->lock);
	if (!vhost_front_alive(&net->front)) {
		log_info("%s: the back end is gone", net->name);
		link_down(net);
	}
	pthread_mutex_unlock(net->lock);
}

/* The back end wrote that the link has changed. */
static void
link_news(void *arg, unsigned int events)
{
	struct virtio_net *net = arg;
	bool before;
	uint64_t count;

	(void)events;
	if (read(net->link_fd, &count, sizeof(count)) < 0)
		return; /* nobody did */
	pthread_mutex_lock(net->lock);
	before = net->front.link;
	if (has_back_end(net) && vhost_front_ask_link(&net->front, NULL) < 0) {
		hang_up(net);
	} else if (has_back_end(net) && net->front.link != before) {
		log_info("%s: the link is %s", net->name,
		    net->front.link ? "up" : "down");
		virtio_config_changed(&net->device);
	}
	pthread_mutex_unlock(net->lock);
}

/* Takes fd.  0: the back end can do what this card needs. */
static int
talk(struct virtio_net *net, int fd, struct vhost_front *front, struct err *err)
{
	int r = vhost_front_open(front, fd, err);

	if (r == 0 && !(front->features & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
		r = err_set(err, -ENOTSUP,
		    "%s: the back end does not speak virtio 1; use a newer "
		    "one",
		    net->socket != NULL ? net->socket : net->name);
	if (r == 0 && net->mtu_bytes != 0)
		r = vhost_front_set_mtu(front, net->mtu_bytes, err);
	if (r == 0)
		r = vhost_front_watch_link(front, net->link_fd, err);
	if (r < 0)
		vhost_front_close(front);
	return r;
}

/* Under the lock.  The guest keeps the features it took: a back end that lacks
 * some of them cannot serve it. */
static int
link_up(struct virtio_net *net, const struct vhost_front *front)
{
	uint64_t taken = net->device.features & SHARED_FEATURES;

	if (net->device.started && taken & ~front->features)
		return -ENOTSUP;
	if (front->pairs < net->pairs)
		return -ENOTSUP;
	net->front = *front;
	net->backend = front->features;
	net->watch = loop_watch_new(
	    net->loop, front->fd, LOOP_READ, socket_ready, net, NULL);
	if (net->watch == NULL)
		return -ENOMEM;
	if (!net->device.started)
		return 0;
	find_bases(net);
	if (serve(net) < 0)
		return -EIO;
	return 0;
}

static void
try_again(void *arg)
{
	struct virtio_net *net = arg;
	struct vhost_front front = { .fd = -1 };
	struct porter *porter = net->machine->porter;
	int fd = porter != NULL ? porter_connect(porter, net->socket)
				: vhost_front_connect(net->socket);
	int r;

	r = fd < 0 ? fd : talk(net, fd, &front, NULL);
	pthread_mutex_lock(net->lock);
	if (r == 0)
		r = link_up(net, &front);
	if (r < 0) {
		loop_watch_free(net->watch);
		net->watch = NULL;
		net->front = (struct vhost_front){ .fd = -1 };
		vhost_front_close(&front);
		if (net->retry_ns < RETRY_MAX_NS)
			net->retry_ns *= 2;
		loop_timer_set(
		    &net->retry, loop_now_ns(net->loop) + net->retry_ns);
	} else {
		log_info("%s: the back end is back", net->name);
		virtio_config_changed(&net->device);
	}
	pthread_mutex_unlock(net->lock);
}

/* Waits for somebody to listen: a lab starts us and its fabric together. */
static int
connect_first(const struct virtio_net_setup *setup, struct err *err)
{
	const struct timespec step = { .tv_nsec = CONNECT_STEP_MS * 1000000 };
	int fd = setup->fd;

	for (unsigned int i = 0; setup->socket != NULL; i++) {
		fd = vhost_front_connect(setup->socket);
		if (fd >= 0 || i >= VIRTIO_NET_WAIT_MS / CONNECT_STEP_MS ||
		    (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN))
			break;
		nanosleep(&step, NULL);
	}
	if (fd < 0)
		err_sys(err, fd, "start the vhost-user back end first",
		    "%s: cannot connect to %s", setup->name, setup->socket);
	return fd;
}

/* As many pairs as both sides can. */
static int
make_queues(struct virtio_net *net, unsigned int pairs, struct err *err)
{
	unsigned int n = 2;
	int r;

	if (pairs > VIRTIO_NET_PAIRS_MAX)
		pairs = VIRTIO_NET_PAIRS_MAX;
	if (pairs > net->front.pairs)
		log_warn("%s: the back end has %u pairs of queues, not %u",
		    net->name, net->front.pairs, pairs);
	net->pairs = pairs < net->front.pairs ? pairs : net->front.pairs;
	if (net->pairs < 1)
		net->pairs = 1;
	net->pairs_on = 1;
	if (net->pairs > 1)
		n = 2 * net->pairs + 1;
	r = virtio_init(
	    &net->device, &net_ops, net->memory, n, VIRTIO_NET_QUEUE_SIZE, err);
	if (r < 0 || net->pairs == 1)
		return r;
	net->control_watch =
	    loop_watch_new(net->loop, net->device.queue[n - 1].kick_fd,
		LOOP_READ, control_kicked, net, err);
	return net->control_watch != NULL ? 0 : -ENOMEM;
}

int
virtio_net_init(struct virtio_net *net, const struct virtio_net_setup *setup,
    struct err *err)
{
	int r;

	memset(net, 0, sizeof(*net));
	net->front.fd = net->link_fd = -1;
	snprintf(net->name, sizeof(net->name), "%s", setup->name);
	net->socket = setup->socket;
	net->mac = setup->mac;
	net->mtu_bytes = setup->mtu_bytes;
	net->machine = setup->machine;
	net->memory = setup->machine->memory;
	net->loop = setup->loop;
	net->lock = &setup->machine->lock;
	net->link_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (net->link_fd < 0)
		return err_sys(err, -errno, NULL, "%s: eventfd", net->name);
	loop_timer_init(&net->retry, net->loop, try_again, net);
	r = connect_first(setup, err);
	if (r >= 0)
		r = talk(net, r, &net->front, err);
	if (r < 0)
		return r;
	net->backend = net->front.features;
	r = make_queues(net, setup->pairs, err);
	if (r < 0)
		return r;
	net->watch = loop_watch_new(
	    net->loop, net->front.fd, LOOP_READ, socket_ready, net, err);
	net->link_watch = loop_watch_new(
	    net->loop, net->link_fd, LOOP_READ, link_news, net, err);
	return net->watch != NULL && net->link_watch != NULL ? 0 : -ENOMEM;
}

void
virtio_net_leave(struct virtio_net *net)
{
	if (has_back_end(net))
		hang_up(net);
}

void
virtio_net_fini(struct virtio_net *net)
{
	if (net->loop != NULL)
		loop_timer_unset(&net->retry);
	loop_watch_free(net->watch);
	net->watch = NULL;
	loop_watch_free(net->control_watch);
	net->control_watch = NULL;
	loop_watch_free(net->link_watch);
	net->link_watch = NULL;
	if (net->loop != NULL && net->link_fd >= 0)
		close(net->link_fd);
	net->link_fd = -1;
	vhost_front_close(&net->front);
	virtio_fini(&net->device);
}
