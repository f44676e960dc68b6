#include "net/mld.h"

#include "net/checksum.h"

#define MLD_V1_REPORT 131
#define MLD_DONE      132
#define MLD_V2_REPORT 143

#define OPTION_ROUTER_ALERT 5
#define CLASS_CONTROL       0xc0 /* internetwork control, as of IGMP */

/* All MLDv2 routers, and who snoops (RFC 3810 5.2.14). */
static const struct ip6_addr all_v2 = { { 0xff, 2, [15] = 0x16 } };

uint8_t *
mld_begin(struct writer *w, const struct ip6_addr *src,
    const struct ip6_addr *dst, size_t bytes)
{
	static const uint8_t alert[MLD_ALERT_BYTES] = { IP_ICMP6, 0,
		OPTION_ROUTER_ALERT, 2, 0, 0, 1, 0 };
	struct ip6 ip = { .traffic_class = CLASS_CONTROL,
		.payload_bytes = (uint16_t)(sizeof(alert) + bytes),
		.next = IP_HOP_BY_HOP,
		.hop_limit = 1,
		.src = *src,
		.dst = *dst };

	ip6_write(w, &ip);
	wr_bytes(w, alert, sizeof(alert));
	return w->at;
}

void
mld_end(const struct writer *w, uint8_t *start, const struct ip6_addr *src,
    const struct ip6_addr *dst, size_t bytes)
{
	if (!w->overrun)
		put_be16(start + 2,
		    csum_finish(csum_add_bytes(
			csum_pseudo6(src, dst, IP_ICMP6, (uint32_t)bytes),
			start, bytes)));
}

void
mld_report_write(struct writer *w, const struct ip6_addr *src,
    const struct mld_record *record, unsigned int n)
{
	size_t bytes = 8 + (size_t)n * MLD_RECORD_BYTES;
	uint8_t *start = mld_begin(w, src, &all_v2, bytes);

	wr_u8(w, MLD_V2_REPORT);
	wr_zeros(w, 5);
	wr_be16(w, (uint16_t)n);
	for (unsigned int i = 0; i < n; i++) {
		wr_u8(w, (uint8_t)record[i].change);
		wr_zeros(w, 3); /* no sources, nothing else */
		wr_ip6(w, &record[i].group);
	}
	mld_end(w, start, src, &all_v2, bytes);
}

void
mld1_write(struct writer *w, const struct ip6_addr *src,
    const struct mld_record *record)
{
	bool done = record->change == MEMBER_TO_INCLUDE;
	const struct ip6_addr *dst = done ? &ip6_all_routers : &record->group;
	uint8_t *start = mld_begin(w, src, dst, 24);

	wr_u8(w, done ? MLD_DONE : MLD_V1_REPORT);
	wr_zeros(w, 7);
	wr_ip6(w, &record->group);
	mld_end(w, start, src, dst, 24);
}
