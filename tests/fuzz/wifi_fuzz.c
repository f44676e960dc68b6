/* libs: bridge/wifi_bss.c bridge/ieee80211.c bridge/radiotap.c net */
/*
 * Frames of a radio through one BSS, and back: the first byte of each chooses
 * the link type, the next two its length.  The BSS is that of the first frame
 * that has one.
 */
#include "bridge/wifi_bss.h"

#include <stdlib.h>

#include "net/eth.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

static struct wifi_bss *
bss_of(const uint8_t *data, size_t len)
{
	struct cursor c = cursor(data, len);
	struct mac bssid = { { 2, 0, 0, 0, 0, 1 } };
	struct wifi w;

	if (wifi_parse(&w, &c, false) == DROP_NONE)
		bssid = w.bssid;
	return wifi_bss_new(&bssid, 1);
}

/* What comes in can be sent, and then means the same. */
static void
send_back(struct wifi_bss *bss, const struct wifi_msdu *m)
{
	uint8_t ethernet[14 + WIFI_MSDU_BYTES], air[WIFI_MSDU_BYTES + 64];
	struct writer e = writer(ethernet, sizeof(ethernet));
	struct writer w = writer(air, sizeof(air));
	struct wifi_msdu again;
	struct wifi wifi;
	struct cursor c;
	enum reason reason;

	wifi_write_ethernet(&e, m);
	CHECK(!e.overrun);
	if (m->type < 0x600)
		CHECK(m->type == m->len);
	reason = wifi_bss_out(bss, &w, ethernet, (size_t)(e.at - ethernet));
	if (reason == DROP_TOO_LONG)
		return;
	CHECK(reason == DROP_NONE);
	c = cursor(air + 10, (size_t)(w.at - air) - 10);
	CHECK(wifi_parse(&wifi, &c, false) == DROP_NONE);
	CHECK(wifi_next(&wifi, &again));
	CHECK(mac_equal(&again.src, &m->src) && mac_equal(&again.dst, &m->dst));
	CHECK(again.type == m->type && again.len == m->len);
	CHECK(memcmp(again.data, m->data, m->len) == 0);
}

static void
one(struct wifi_bss *bss, struct wifi_bss *other, int link, const uint8_t *data,
    size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct wifi_msdu m;
	struct wifi w;
	size_t n = 0;

	CHECK(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	if (wifi_bss_in(bss, link, copy, len, &w) == REASON_WIFI_IN) {
		while (wifi_next(&w, &m)) {
			CHECK(!mac_is_group(&m.src));
			CHECK(m.data >= copy && m.data + m.len <= copy + len);
			send_back(other, &m);
			n++;
		}
		CHECK(n > 0 && cur_left(&w.body) == 0);
	}
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t none[1];
	struct wifi_bss *bss, *other;
	struct cursor c;

	if (size == 0)
		data = none;
	c = cursor(data, size);
	bss = bss_of(data + (size > 3 ? 3 : 0), size - (size > 3 ? 3 : 0));
	other = bss_of(data, 0);
	CHECK(bss != NULL && other != NULL);
	while (cur_left(&c) > 3) {
		int link =
		    cur_u8(&c) & 1 ? WIFI_LINK_RADIOTAP : WIFI_LINK_80211;
		size_t len = cur_be16(&c);

		if (len > cur_left(&c))
			len = cur_left(&c);
		one(bss, other, link, cur_bytes(&c, len), len);
	}
	wifi_bss_free(bss);
	wifi_bss_free(other);
	return 0;
}
