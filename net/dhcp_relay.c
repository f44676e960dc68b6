#include "net/dhcp_relay.h"

#include "net/dhcp.h"
#include "net/ip4.h"

#define OFF_HTYPE   1
#define OFF_HLEN    2
#define OFF_HOPS    3
#define OFF_FLAGS   10
#define OFF_YIADDR  16
#define OFF_GIADDR  24
#define OFF_CHADDR  28
#define OFF_MAGIC   236
#define BOOTP_BYTES OFF_MAGIC
#define OFF_OPTIONS 240
#define MAGIC       UINT32_C(0x63825363)
#define HTYPE_ETHER 1
#define OPT_PAD     0
#define OPT_END     255
#define SUB_CIRCUIT 1 /* RFC 3046 3.1 */

bool
dhcp_relay_is_reply(const struct dhcp_relayed *m)
{
	return m->len > 0 && m->bytes[0] == DHCP_BOOTREPLY;
}

uint32_t
dhcp_relay_first(const struct dhcp_relayed *m)
{
	return m->len < BOOTP_BYTES ? 0 : get_be32(m->bytes + OFF_GIADDR);
}

/* Where options end, and where the relay's is, or 0.  False: they contradict
 * themselves.  Plain BOOTP has none; then both are 0. */
static bool
find_options(const struct dhcp_relayed *m, size_t *end, size_t *info)
{
	size_t at = OFF_OPTIONS;

	*end = *info = 0;
	if (m->len < OFF_OPTIONS || get_be32(m->bytes + OFF_MAGIC) != MAGIC)
		return true;
	while (at < m->len && m->bytes[at] != OPT_END) {
		if (m->bytes[at] == OPT_PAD) {
			at++;
			continue;
		}
		if (m->len - at < 2 || m->len - at - 2 < m->bytes[at + 1])
			return false;
		if (m->bytes[at] == DHCP_OPT_RELAY_INFO && *info == 0)
			*info = at;
		at += 2u + m->bytes[at + 1];
	}
	*end = at;
	return true;
}

static void
add_info(struct dhcp_relayed *m, size_t end, const char *circuit)
{
	size_t name = 0, bytes, len;
	struct writer w;

	while (name < DHCP_RELAY_INFO_BYTES && circuit[name] != '\0')
		name++;
	bytes = 4 + name;
	len = end + bytes + 1;
	if (len > m->room)
		return; /* the server does without (RFC 3046 2.1) */
	if (len > m->len) {
		memset(m->bytes + m->len, OPT_PAD, len - m->len);
		m->len = len;
	}
	w = writer(m->bytes + end, bytes + 1);
	wr_u8(&w, DHCP_OPT_RELAY_INFO);
	wr_u8(&w, (uint8_t)(2 + name));
	wr_u8(&w, SUB_CIRCUIT);
	wr_u8(&w, (uint8_t)name);
	wr_bytes(&w, circuit, name);
	wr_u8(&w, OPT_END);
}

enum reason
dhcp_relay_request(struct dhcp_relayed *m, uint32_t own, const char *circuit)
{
	size_t end, info;

	if (m->len < BOOTP_BYTES || m->bytes[0] != DHCP_BOOTREQUEST ||
	    !find_options(m, &end, &info))
		return DROP_DHCP;
	if (m->bytes[OFF_HOPS] > DHCP_RELAY_HOPS)
		return DROP_DHCP_HOPS;
	m->bytes[OFF_HOPS]++;
	if (dhcp_relay_first(m) != 0)
		return REASON_DHCP_RELAYED; /* another relay's */
	if (info != 0)
		return DROP_DHCP_RELAY;
	put_be32(m->bytes + OFF_GIADDR, own);
	if (circuit != NULL && end != 0)
		add_info(m, end, circuit);
	return REASON_DHCP_RELAYED;
}

static void
strip_info(struct dhcp_relayed *m, size_t info)
{
	size_t bytes = 2u + m->bytes[info + 1];

	memmove(
	    m->bytes + info, m->bytes + info + bytes, m->len - info - bytes);
	memset(m->bytes + m->len - bytes, OPT_PAD, bytes);
}

enum reason
dhcp_relay_reply(struct dhcp_relayed *m, bool strip, struct dhcp_relay_to *to)
{
	size_t end, info;
	bool to_all;

	if (m->len < BOOTP_BYTES || m->bytes[0] != DHCP_BOOTREPLY ||
	    m->bytes[OFF_HTYPE] != HTYPE_ETHER ||
	    m->bytes[OFF_HLEN] != sizeof(to->mac.b) ||
	    !find_options(m, &end, &info))
		return DROP_DHCP;
	to->relay = get_be32(m->bytes + OFF_GIADDR);
	to->ip = get_be32(m->bytes + OFF_YIADDR);
	memcpy(to->mac.b, m->bytes + OFF_CHADDR, sizeof(to->mac.b));
	to_all = to->ip == 0 || mac_is_group(&to->mac) ||
	    get_be16(m->bytes + OFF_FLAGS) & DHCP_BROADCAST;
	if (to_all) {
		to->ip = IP4_BROADCAST;
		to->mac = mac_broadcast;
	}
	if (strip && info != 0)
		strip_info(m, info);
	return REASON_DHCP_RELAYED;
}
