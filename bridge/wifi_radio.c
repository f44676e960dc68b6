/*
 * Frames that are sent on a monitor interface come back on it; libpcap is asked
 * for received ones only, and what comes back nevertheless is known by its
 * source (wifi_bss.h).
 *
 * Rejected: libpcap's rfmon, which makes an interface that a kill leaves there.
 */
#include "bridge/wifi_radio.h"

#include <errno.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/loop.h"
#include "bridge/nl80211.h"
#include "bridge/privilege.h"
#include "bridge/wifi_bss.h"

#define RING_BYTES (4 * 1024 * 1024)

struct wifi_radio {
	const char *name;
	pcap_t *pcap;
	struct nl80211 *nl; /* if it had to be asked */
	int link, fd;
};

/* ---- live ---- */

static bool
is_wifi(pcap_t *pcap)
{
	int link = pcap_datalink(pcap);

	return link == WIFI_LINK_RADIOTAP || link == WIFI_LINK_80211;
}

static int
errno_of(int pcap_error)
{
	switch (pcap_error) {
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED: return EPERM;
	case PCAP_ERROR_NO_SUCH_DEVICE: return ENODEV;
	case PCAP_ERROR_IFACE_NOT_UP: return ENETDOWN;
	default: return EIO;
	}
}

static const char *
remedy_of(int error)
{
	switch (error) {
	case ENODEV: return "\"ip link\" lists the interfaces";
	case ENETDOWN: return "bring it up by \"ip link set ... up\"";
	default: return privilege_remedy(error);
	}
}

/* An interface, as it is; NULL: *err. */
static pcap_t *
activate(const char *name, const char *interface, struct err *err)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *pcap = pcap_create(interface, text);
	int e;

	if (pcap == NULL) {
		err_set(err, -EIO, "%s: %s: %s", name, interface, text);
		return NULL;
	}
	pcap_set_snaplen(pcap, WIFI_RADIO_FRAME_MAX);
	pcap_set_promisc(pcap, 1);
	pcap_set_immediate_mode(pcap, 1);
	pcap_set_buffer_size(pcap, RING_BYTES);
	e = pcap_activate(pcap);
	if (e >= 0) /* above 0 are warnings */
		return pcap;
	err_set(err, -errno_of(e), "%s: cannot open the interface %s: %s%s%s",
	    name, interface, pcap_statustostr(e),
	    remedy_of(errno_of(e)) != NULL ? "; " : "",
	    remedy_of(errno_of(e)) != NULL ? remedy_of(errno_of(e)) : "");
	pcap_close(pcap);
	return NULL;
}

static int
need_nl(struct wifi_radio *r, struct err *err)
{
	if (r->nl == NULL)
		r->nl = nl80211_new(r->name, err);
	return r->nl == NULL ? -ENODEV : 0;
}

/* Another interface, of the same radio, that is a monitor. */
static int
open_beside(
    struct wifi_radio *r, const char *interface, char *used, struct err *err)
{
	int e = need_nl(r, err);

	snprintf(used, IF_NAMESIZE, "lym%u", if_nametoindex(interface));
	if (e == 0)
		e = nl80211_add_monitor(r->nl, interface, used, err);
	if (e < 0)
		return e;
	r->pcap = activate(r->name, used, err);
	if (r->pcap == NULL)
		return -EIO;
	if (is_wifi(r->pcap))
		return 0;
	return err_set(err, -EOPNOTSUPP,
	    "%s: the monitor of %s gives no frames of WiFi; use another "
	    "interface",
	    r->name, interface);
}

static int
open_live(struct wifi_radio *r, const char *interface, unsigned int channel,
    struct err *err)
{
	char used[IF_NAMESIZE], text[PCAP_ERRBUF_SIZE];
	int e = 0;

	snprintf(used, sizeof(used), "%s", interface);
	r->pcap = activate(r->name, interface, err);
	if (r->pcap == NULL)
		return -EIO;
	(void)pcap_set_datalink(r->pcap, WIFI_LINK_RADIOTAP);
	if (!is_wifi(r->pcap)) {
		pcap_close(r->pcap);
		r->pcap = NULL;
		e = open_beside(r, interface, used, err);
	}
	if (e == 0 && channel != 0)
		e = need_nl(r, err);
	if (e == 0 && channel != 0)
		e = nl80211_tune(r->nl, used, channel, err);
	if (e < 0)
		return e;
	/* Drivers that cannot tell give them too. */
	(void)pcap_setdirection(r->pcap, PCAP_D_IN);
	if (pcap_setnonblock(r->pcap, 1, text) < 0)
		return err_set(err, -EIO, "%s: %s: %s", r->name, used, text);
	r->fd = pcap_get_selectable_fd(r->pcap);
	r->link = pcap_datalink(r->pcap);
	return 0;
}

static struct wifi_radio *
new_radio(const char *name, struct err *err)
{
	struct wifi_radio *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	r->name = name;
	r->fd = -1;
	return r;
}

struct wifi_radio *
wifi_radio_open(const char *name, const char *interface, unsigned int channel,
    struct err *err)
{
	struct wifi_radio *r = new_radio(name, err);

	if (r == NULL || open_live(r, interface, channel, err) == 0)
		return r;
	wifi_radio_close(r);
	return NULL;
}

/* ---- files ---- */

static int
open_file(struct wifi_radio *r, const char *path, struct err *err)
{
	char text[PCAP_ERRBUF_SIZE];

	r->pcap = pcap_open_offline_with_tstamp_precision(
	    path, PCAP_TSTAMP_PRECISION_NANO, text);
	if (r->pcap == NULL)
		return err_set(err, -EIO, "%s: %s", r->name, text);
	r->link = pcap_datalink(r->pcap);
	if (is_wifi(r->pcap))
		return 0;
	return err_set(err, -EINVAL,
	    "%s: %s: its frames are not those of WiFi (link type %d); use "
	    "pcap:FILE for Ethernet",
	    r->name, path, r->link);
}

struct wifi_radio *
wifi_radio_open_file(const char *name, const char *path, struct err *err)
{
	struct wifi_radio *r = new_radio(name, err);

	if (r == NULL || open_file(r, path, err) == 0)
		return r;
	wifi_radio_close(r);
	return NULL;
}

void
wifi_radio_close(struct wifi_radio *r)
{
	if (r == NULL)
		return;
	if (r->pcap != NULL)
		pcap_close(r->pcap);
	nl80211_free(r->nl);
	free(r);
}

/* ---- frames ---- */

int
wifi_radio_link(const struct wifi_radio *r)
{
	return r->link;
}

int
wifi_radio_fd(const struct wifi_radio *r)
{
	return r->fd;
}

int
wifi_radio_next(struct wifi_radio *r, const uint8_t **data, size_t *len,
    uint64_t *at_ns, struct err *err)
{
	struct pcap_pkthdr *header;
	/* A file has nanoseconds, which the struct calls microseconds. */
	uint64_t unit_ns = r->fd < 0 ? 1 : 1000;
	int n = pcap_next_ex(r->pcap, &header, data);

	if (n == PCAP_ERROR)
		return err_set(
		    err, -EIO, "%s: %s", r->name, pcap_geterr(r->pcap));
	if (n != 1)
		return 0;
	*at_ns = (uint64_t)header->ts.tv_sec * NS_PER_S +
	    (uint64_t)header->ts.tv_usec * unit_ns;
	*len = header->caplen;
	return header->caplen < header->len ||
		header->caplen > WIFI_RADIO_FRAME_MAX
	    ? -EMSGSIZE
	    : 1;
}

int
wifi_radio_send(struct wifi_radio *r, const uint8_t *data, size_t len)
{
	if (pcap_inject(r->pcap, data, len) >= 0)
		return 0;
	return errno != 0 ? -errno : -EIO;
}
