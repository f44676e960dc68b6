/*
 * Both tables are sets of four rows, found by a seeded hash.
 *
 * A radio that listens hears what its receiver missed and the other way round,
 * and with block acknowledgements retries come out of order: so a retry is
 * judged by what was heard here, in a window of sequence numbers, rather than
 * by the last one alone.  A number far from the window begins it anew, since
 * the transmitter has.
 */
#include "bridge/wifi_bss.h"

#include <stdlib.h>

#include "bridge/radiotap.h"
#include "net/eth.h"

#define WAYS      4
#define WINDOW    64
#define SEQUENCES 4096
#define NO_TID    16

struct transmitter {
	struct mac mac;
	uint8_t tid;
	uint16_t newest;
	uint64_t heard; /* bit n: newest - n was */
	uint64_t used;  /* 0: free */
};

struct guest {
	struct mac mac;
	uint64_t used;
};

struct wifi_bss {
	struct mac bssid;
	uint64_t seed, clock;
	uint16_t sequence;
	struct transmitter transmitters[WIFI_BSS_TRANSMITTERS];
	struct guest guests[WIFI_BSS_GUESTS];
};

struct wifi_bss *
wifi_bss_new(const struct mac *bssid, uint64_t seed)
{
	struct wifi_bss *bss = calloc(1, sizeof(*bss));

	if (bss != NULL) {
		bss->bssid = *bssid;
		bss->seed = seed;
	}
	return bss;
}

void
wifi_bss_free(struct wifi_bss *bss)
{
	free(bss);
}

/* The first row of a set. */
static unsigned int
place_of(const struct wifi_bss *bss, const struct mac *mac, uint8_t tid,
    unsigned int rows)
{
	uint64_t h = bss->seed ^ tid;

	for (int i = 0; i < 6; i++)
		h = (h ^ mac->b[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return (unsigned int)(h >> 40) % (rows / WAYS) * WAYS;
}

/* ---- retries ---- */

static struct transmitter *
transmitter_of(struct wifi_bss *bss, const struct wifi *w)
{
	uint8_t tid = w->qos ? w->tid : NO_TID;
	struct transmitter *set = &bss->transmitters[place_of(
	    bss, &w->transmitter, tid, WIFI_BSS_TRANSMITTERS)];
	struct transmitter *oldest = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].used != 0 && set[i].tid == tid &&
		    mac_equal(&set[i].mac, &w->transmitter))
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	*oldest = (struct transmitter){
		.mac = w->transmitter, .tid = tid, .newest = w->sequence
	};
	return oldest;
}

static bool
is_heard_before(struct wifi_bss *bss, const struct wifi *w)
{
	struct transmitter *t = transmitter_of(bss, w);
	unsigned int ahead = (0u + w->sequence - t->newest) % SEQUENCES;
	unsigned int behind = (0u + t->newest - w->sequence) % SEQUENCES;
	bool before = false;

	t->used = ++bss->clock;
	if (behind < WINDOW) {
		before = w->retry && (t->heard >> behind & 1) != 0;
		t->heard |= UINT64_C(1) << behind;
		return before;
	}
	t->heard = ahead < WINDOW ? t->heard << ahead | 1 : 1;
	t->newest = w->sequence;
	return false;
}

/* ---- guests that have sent ---- */

static struct guest *
guest_of(struct wifi_bss *bss, const struct mac *mac, bool add)
{
	struct guest *set =
	    &bss->guests[place_of(bss, mac, 0, WIFI_BSS_GUESTS)];
	struct guest *oldest = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].used != 0 && mac_equal(&set[i].mac, mac))
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	if (!add)
		return NULL;
	oldest->mac = *mac;
	return oldest;
}

/* ---- in ---- */

static enum reason
open_frame(struct cursor *c, int link, bool *padded)
{
	struct radiotap radiotap = { .fcs = false };
	enum reason reason = DROP_NONE;

	if (link == WIFI_LINK_RADIOTAP)
		reason = radiotap_parse(&radiotap, c);
	if (reason != DROP_NONE)
		return reason;
	*padded = radiotap.padded;
	if (radiotap.bad_fcs)
		return DROP_WIFI_FCS;
	if (!radiotap.fcs)
		return DROP_NONE;
	if (cur_left(c) < WIFI_FCS_BYTES)
		return DROP_SHORT;
	if (!wifi_fcs_is_right(c->at, cur_left(c)))
		return DROP_WIFI_FCS;
	c->end -= WIFI_FCS_BYTES;
	return DROP_NONE;
}

/* Between access points either of the two may be ours. */
static bool
is_of_bss(const struct wifi_bss *bss, const struct wifi *w)
{
	return mac_equal(&w->bssid, &bss->bssid) ||
	    (w->to_ds && w->from_ds && mac_equal(&w->receiver, &bss->bssid));
}

static bool
is_echo(struct wifi_bss *bss, const struct wifi *wifi)
{
	struct wifi w = *wifi;
	struct wifi_msdu msdu;

	while (wifi_next(&w, &msdu))
		if (guest_of(bss, &msdu.src, false) != NULL)
			return true;
	return false;
}

enum reason
wifi_bss_in(struct wifi_bss *bss, int link, const uint8_t *data, size_t len,
    struct wifi *wifi)
{
	struct cursor c = cursor(data, len);
	struct wifi w;
	bool padded;
	enum reason reason = open_frame(&c, link, &padded);

	if (reason == DROP_NONE)
		reason = wifi_parse(&w, &c, padded);
	if (reason != DROP_NONE)
		return reason;
	if (!is_of_bss(bss, &w))
		return DROP_WIFI_BSSID;
	if (is_heard_before(bss, &w))
		return DROP_WIFI_RETRY;
	if (w.to_ds && !w.from_ds && !w.amsdu && mac_is_group(&w.dst))
		return DROP_WIFI_RELAYED;
	if (is_echo(bss, &w))
		return DROP_WIFI_ECHO;
	*wifi = w;
	return REASON_WIFI_IN;
}

/* ---- out ---- */

enum reason
wifi_bss_out(
    struct wifi_bss *bss, struct writer *w, const uint8_t *ethernet, size_t len)
{
	struct cursor c = cursor(ethernet, len);
	enum reason reason;
	struct mac src;

	cur_skip(&c, sizeof(src));
	cur_mac(&c, &src);
	radiotap_write_send(w);
	reason = wifi_write(w, &bss->bssid, bss->sequence, ethernet, len);
	if (reason != DROP_NONE)
		return reason;
	if (mac_is_group(&src))
		return DROP_ETH_SOURCE;
	guest_of(bss, &src, true)->used = ++bss->clock;
	bss->sequence = (bss->sequence + 1) % SEQUENCES;
	return DROP_NONE;
}
