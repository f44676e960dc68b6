/*
 *     LAN ---- port [ MSDUs to Ethernet, and back ] bss ---- radio [ libpcap ]
 *
 * The cable between bss and radio is a plain one, there so that frames of the
 * air have a place where they are seen and judged as any others: radio's link
 * type tells captures what they are.
 */
#include "bridge/port_wifi.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bridge/nl80211.h"
#include "bridge/radiotap.h"
#include "bridge/wifi_bss.h"
#include "bridge/wifi_radio.h"
#include "net/eth.h"
#include "switch/locator.h"

#define POOL_BYTES     (256 * 1024)
#define ETHERNET_BYTES (ETH_HEADER_BYTES + WIFI_MSDU_BYTES)
#define SEND_MAX       (ETH_HEADER_BYTES + WIFI_MSDU_BYTES - 8)
#define AIR_BYTES      (RADIOTAP_SEND_BYTES + 32 + WIFI_MSDU_BYTES)

struct wifi_port {
	struct port port;       /* first: ports of this kind are these */
	struct port bss, radio; /* of the air */
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer timer; /* of a file */
	struct locator at;
	struct wifi_bss *filter;
	struct wifi_radio *source;
	bool ended;             /* no more comes from there */
	const uint8_t *waiting; /* of a file: the next one, or NULL */
	size_t waiting_bytes;
	bool based;
	uint64_t base_ns, start_ns, due_ns;
	uint64_t left_out;
	/* Received: as they came, and what is in them. */
	struct burst heard, brought;
	uint8_t pool[POOL_BYTES];
	uint8_t ethernet[BURST_MAX][ETHERNET_BYTES];
	/* Sent: one at a time. */
	struct burst spoken;
	uint8_t whole[SEND_MAX], air[AIR_BYTES];
};

static const struct port_ops wifi_ops;

/* ---- from the air into the LAN ---- */

static void
flush(struct wifi_port *w)
{
	port_send(&w->port, &w->brought);
	burst_clear(&w->brought);
}

static void
bring(struct wifi_port *w, struct wifi *wifi, const struct frame *cause)
{
	struct wifi_msdu msdu;

	while (wifi_next(wifi, &msdu)) {
		uint8_t *at = w->ethernet[w->brought.n];
		struct writer out = writer(at, ETHERNET_BYTES);
		struct frame *frame;

		wifi_write_ethernet(&out, &msdu);
		frame = burst_add(&w->brought, at, (size_t)(out.at - at));
		frame->cause = &cause->verdict;
		frame->verdict.journey = cause->verdict.journey;
		if (w->brought.n == BURST_MAX)
			flush(w);
	}
}

static void
take_heard(struct port *port, struct burst *burst)
{
	struct wifi_port *w = (struct wifi_port *)((char *)port -
	    offsetof(struct wifi_port, bss));
	int link = wifi_radio_link(w->source);

	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		struct wifi wifi;
		enum reason reason = wifi_bss_in(
		    w->filter, link, frame->data, frame->len, &wifi);

		node_judge(port->node, frame, reason);
		if (reason != REASON_WIFI_IN)
			continue;
		frame->verdict.out = &w->port;
		frame->verdict.nout = 1;
		bring(w, &wifi, frame);
	}
	flush(w);
}

static void
end(struct wifi_port *w, const struct err *err)
{
	w->ended = true;
	if (w->watch != NULL)
		loop_watch_events(w->watch, 0);
	if (err->text[0] == '\0')
		return;
	log_warn("%s; the link is down", err->text);
	port_set_down(&w->port, true);
}

/* The next frame of the radio that is whole.  False: none for now. */
static bool
next(struct wifi_port *w, const uint8_t **data, size_t *len, uint64_t *at_ns)
{
	struct err err = { "" };
	int n;

	if (w->ended)
		return false;
	while ((n = wifi_radio_next(w->source, data, len, at_ns, &err)) ==
	    -EMSGSIZE)
		w->left_out++;
	if (n < 0 || (n == 0 && wifi_radio_fd(w->source) < 0))
		end(w, &err);
	return n == 1;
}

static bool
keep(struct wifi_port *w, size_t *used, const uint8_t *data, size_t len)
{
	memcpy(w->pool + *used, data, len);
	burst_add(&w->heard, w->pool + *used, len);
	*used += (len + 15) & ~(size_t)15;
	return w->heard.n < BURST_MAX &&
	    POOL_BYTES - *used >= WIFI_RADIO_FRAME_MAX;
}

static void
readable(void *arg, unsigned int events)
{
	struct wifi_port *w = arg;
	const uint8_t *data;
	uint64_t at_ns;
	size_t used = 0, len;

	(void)events;
	burst_clear(&w->heard);
	while (next(w, &data, &len, &at_ns) && keep(w, &used, data, len))
		continue;
	port_send(&w->radio, &w->heard);
}

/* ---- a file that is played ---- */

static bool
look_ahead(struct wifi_port *w)
{
	uint64_t at_ns;

	if (w->waiting != NULL)
		return true;
	if (!next(w, &w->waiting, &w->waiting_bytes, &at_ns)) {
		w->waiting = NULL;
		return false;
	}
	if (!w->based) {
		w->based = true;
		w->base_ns = at_ns;
	}
	w->due_ns = w->start_ns + (at_ns > w->base_ns ? at_ns - w->base_ns : 0);
	return true;
}

static void
play(void *arg)
{
	struct wifi_port *w = arg;
	size_t used = 0;
	bool room = true;

	burst_clear(&w->heard);
	while (room && look_ahead(w) && w->due_ns <= loop_now_ns(w->loop)) {
		room = keep(w, &used, w->waiting, w->waiting_bytes);
		w->waiting = NULL;
	}
	port_send(&w->radio, &w->heard);
	if (look_ahead(w))
		loop_timer_set(&w->timer, w->due_ns);
}

/* ---- from the LAN into the air ---- */

static void
transmit(struct port *port, struct burst *burst)
{
	struct wifi_port *w = (struct wifi_port *)((char *)port -
	    offsetof(struct wifi_port, radio));

	for (unsigned int i = 0; i < burst->n; i++) {
		const struct frame *frame = &burst->frame[i];
		int e = 0;

		if (wifi_radio_fd(w->source) >= 0)
			e = wifi_radio_send(w->source, frame->data, frame->len);
		node_judge(port->node, &burst->frame[i],
		    e == 0                              ? REASON_DELIVERED
			: e == -ENOBUFS || e == -EAGAIN ? DROP_PORT_FULL
							: DROP_IO);
	}
}

static enum reason
send_one(struct wifi_port *w, const struct frame *frame)
{
	struct writer out = writer(w->air, sizeof(w->air));
	struct frame *spoken;
	enum reason reason;

	frame_copy(w->whole, frame, 0, frame->len);
	reason = wifi_bss_out(w->filter, &out, w->whole, frame->len);
	if (reason != DROP_NONE)
		return reason;
	burst_clear(&w->spoken);
	spoken = burst_add(&w->spoken, w->air, (size_t)(out.at - w->air));
	spoken->cause = &frame->verdict;
	spoken->verdict.journey = frame->verdict.journey;
	port_send(&w->bss, &w->spoken);
	return (enum reason)spoken->verdict.reason;
}

static void
take(struct port *port, struct burst *burst)
{
	struct wifi_port *w = (struct wifi_port *)port;

	for (unsigned int i = 0; i < burst->n; i++)
		node_judge(port->node, &burst->frame[i],
		    send_one(w, &burst->frame[i]));
}

/* ---- the port ---- */

struct port *
port_wifi_radio(const struct port *port)
{
	struct wifi_port *w = (struct wifi_port *)(uintptr_t)port;

	return port->ops == &wifi_ops ? &w->radio : NULL;
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct wifi_port *w = (const struct wifi_port *)port;
	char left_out[48] = "";

	if (w->left_out != 0)
		snprintf(left_out, sizeof(left_out),
		    ", %" PRIu64 " cut off or too long", w->left_out);
	snprintf(out, len, "%s, BSS %s, %" PRIu64 " frames heard%s%s",
	    w->at.place, locator_get(&w->at, "bssid", 0), w->radio.out_frames,
	    left_out, w->ended ? ", at the end" : "");
	return out;
}

static void
close_wifi(struct port *port)
{
	struct wifi_port *w = (struct wifi_port *)port;

	cable_cut(&w->radio);
	loop_timer_unset(&w->timer);
	loop_watch_free(w->watch);
	wifi_radio_close(w->source);
	wifi_bss_free(w->filter);
	free(w);
}

static const struct port_ops wifi_ops = {
	.take = take,
	.close = close_wifi,
	.describe = describe,
};

static const struct port_ops bss_ops = { .take = take_heard };
static const struct port_ops radio_ops = { .take = transmit };

/* ---- opening ---- */

static int
read_options(struct wifi_port *w, const char *rest, struct mac *bssid,
    uint64_t *channel, struct err *err)
{
	static const char *const keys[] = { "bssid", "channel", NULL };
	const char *text;

	if (locator_read(&w->at, w->port.name, rest, keys, err) < 0)
		return -EINVAL;
	text = locator_get(&w->at, "bssid", 0);
	if (text == NULL || !mac_read(bssid, text) || mac_is_group(bssid))
		return err_set(err, -EINVAL,
		    "%s: bssid=%.40s is no access point's address; use one as "
		    "02:00:00:00:00:01",
		    w->port.name, text != NULL ? text : "");
	if (!locator_number(&w->at, "channel", 0, 177, 0, channel, err))
		return -EINVAL;
	if (*channel != 0 && nl80211_mhz((unsigned int)*channel) == 0)
		return err_set(err, -EINVAL,
		    "%s: channel=%" PRIu64 ": there is none; use 1 to 14, or "
		    "36 to 177",
		    w->port.name, *channel);
	if (w->at.place[0] == '\0')
		return err_set(err, -EINVAL,
		    "%s: wifi: names no interface and no file", w->port.name);
	return 0;
}

static int
open_source(struct wifi_port *w, uint64_t channel, struct err *err)
{
	const char *place = w->at.place;

	if (strpbrk(place, "/.") != NULL) {
		if (channel != 0)
			return err_set(err, -EINVAL,
			    "%s: a file has no channel; remove it",
			    w->port.name);
		w->source = wifi_radio_open_file(w->port.name, place, err);
		if (w->source == NULL)
			return -EIO;
		w->start_ns = loop_now_ns(w->loop);
		loop_timer_set(&w->timer, w->start_ns);
		return 0;
	}
	w->source =
	    wifi_radio_open(w->port.name, place, (unsigned int)channel, err);
	if (w->source == NULL)
		return -EIO;
	w->watch = loop_watch_new(
	    w->loop, wifi_radio_fd(w->source), LOOP_READ, readable, w, err);
	return w->watch != NULL ? 0 : -ENOMEM;
}

static void
init(
    struct wifi_port *w, struct loop *loop, struct node *node, const char *name)
{
	char radio[NODE_NAME_BYTES], bss[NODE_NAME_BYTES];

	snprintf(radio, sizeof(radio), "%.50s.radio", node->name);
	snprintf(bss, sizeof(bss), "%.50s.bss", node->name);
	port_init(&w->port, &wifi_ops, node, name);
	port_init(&w->bss, &bss_ops, node, bss);
	port_init(&w->radio, &radio_ops, node, radio);
	(void)cable_join(&w->radio, &w->bss);
	w->port.mtu_bytes = SEND_MAX;
	w->loop = loop;
	loop_timer_init(&w->timer, loop, play, w);
}

static struct port *
open_wifi(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct wifi_port *w = calloc(1, sizeof(*w));
	struct mac bssid;
	uint64_t channel;

	if (w == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	init(w, loop, node, name);
	if (read_options(w, rest, &bssid, &channel, err) < 0 ||
	    open_source(w, channel, err) < 0)
		goto fail;
	w->filter = wifi_bss_new(&bssid, loop_now_ns(loop));
	if (w->filter == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", name);
		goto fail;
	}
	w->radio.linktype = w->bss.linktype =
	    (uint16_t)wifi_radio_link(w->source);
	return &w->port;
fail:
	close_wifi(&w->port);
	return NULL;
}

const struct port_kind port_wifi = {
	.scheme = "wifi",
	.syntax = "wifi:PLACE?bssid=MAC",
	.open = open_wifi,
};
