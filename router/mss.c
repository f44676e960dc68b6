#include "router/mss.h"

#include "net/checksum.h"
#include "net/tcp.h"

#define OPT_END   0
#define OPT_NOP   1
#define OPT_MSS   2
#define MSS_BYTES 4

/* Where the value of the option is in a TCP header, or 0. */
static size_t
find_value(const uint8_t *tcp, size_t bytes)
{
	size_t at = TCP_HEADER_BYTES;

	while (at + 1 < bytes) {
		uint8_t kind = tcp[at], len;

		if (kind == OPT_END)
			return 0;
		if (kind == OPT_NOP) {
			at++;
			continue;
		}
		len = tcp[at + 1];
		if (len < 2 || len > bytes - at)
			return 0;
		if (kind == OPT_MSS && len == MSS_BYTES)
			return at + 2;
		at += len;
	}
	return 0;
}

static uint16_t
swapped(uint16_t n)
{
	return (uint16_t)(n << 8 | n >> 8);
}

bool
mss_clamp(uint8_t *ip, size_t bytes, const struct ip4 *header,
    uint32_t mtu_bytes, bool sum)
{
	uint8_t *tcp = ip + header->header_bytes;
	size_t tcp_bytes, at;
	uint16_t old, new, check;

	if (header->protocol != IP_TCP || ip4_is_fragment(header) ||
	    bytes < header->header_bytes + (size_t)TCP_HEADER_BYTES ||
	    !(tcp[13] & TCP_SYN) ||
	    mtu_bytes <= IP4_HEADER_BYTES + TCP_HEADER_BYTES)
		return false;
	tcp_bytes = (size_t)(tcp[12] >> 4) * 4;
	if (tcp_bytes > bytes - header->header_bytes)
		return false;
	at = find_value(tcp, tcp_bytes);
	new = (uint16_t)(mtu_bytes - IP4_HEADER_BYTES - TCP_HEADER_BYTES);
	if (at == 0 || mtu_bytes > IP4_MAX_BYTES || get_be16(tcp + at) <= new)
		return false;
	old = get_be16(tcp + at);
	put_be16(tcp + at, new);
	if (!sum)
		return true;
	/* At an odd place its bytes are in two words of the sum. */
	check = get_be16(tcp + TCP_OFF_CHECKSUM);
	check = at % 2 == 0 ? csum_update16(check, old, new)
			    : csum_update16(check, swapped(old), swapped(new));
	put_be16(tcp + TCP_OFF_CHECKSUM, check);
	return true;
}
