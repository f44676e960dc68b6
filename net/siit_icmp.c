/*
 * Tables for what is a number for a number, a few lines for what is not: MTUs,
 * and what a parameter problem points at.
 */
#include "net/siit_icmp.h"

#include "net/icmp.h"

#define NO_FIELD 0xff /* there is none like it */

#define NOT_FOUND_ROUTE      0 /* codes of ICMP6_UNREACHABLE */
#define NOT_FOUND_PROHIBITED 1
#define NOT_FOUND_SCOPE      2
#define NOT_FOUND_ADDRESS    3
#define NOT_FOUND_PORT       4

#define WRONG_FIELD 0 /* codes of ICMP6_PARAMETER */
#define WRONG_NEXT  1

#define UNREACH_SOURCE_ROUTE    5 /* further codes of ICMP_UNREACHABLE */
#define UNREACH_NET_UNKNOWN     6
#define UNREACH_HOST_UNKNOWN    7
#define UNREACH_ISOLATED        8
#define UNREACH_NET_PROHIBITED  9
#define UNREACH_HOST_PROHIBITED 10
#define UNREACH_NET_TOS         11
#define UNREACH_HOST_TOS        12
#define UNREACH_PRECEDENCE      15

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- to IPv4 ---- */

/* What byte of an IPv4 header is like the one at of an IPv6 header. */
static uint8_t
field_to4(uint32_t at)
{
	static const uint8_t fields[] = { 0, 1, NO_FIELD, NO_FIELD,
		IP4_OFF_LENGTH, IP4_OFF_LENGTH, IP4_OFF_PROTOCOL, IP4_OFF_TTL };

	if (at < sizeof(fields))
		return fields[at];
	if (at < IP6_HEADER_BYTES)
		return at < 24 ? IP4_OFF_SRC : IP4_OFF_DST;
	return NO_FIELD;
}

static bool
unreachable_to4(struct siit_icmp *out, uint8_t code)
{
	out->type = ICMP_UNREACHABLE;
	switch (code) {
	case NOT_FOUND_ROUTE:
	case NOT_FOUND_SCOPE:
	case NOT_FOUND_ADDRESS: out->code = ICMP_UNREACH_HOST; return true;
	case NOT_FOUND_PROHIBITED:
		out->code = UNREACH_HOST_PROHIBITED;
		return true;
	case NOT_FOUND_PORT: out->code = ICMP_UNREACH_PORT; return true;
	default: return false; /* open: others exist */
	}
}

static void
too_big_to4(const struct siit *siit, struct siit_icmp *out, uint32_t mtu)
{
	out->type = ICMP_UNREACHABLE;
	out->code = ICMP_UNREACH_NEEDFRAG;
	out->quote_bytes = 0;  /* ICMPv6 says no more in this one */
	if (mtu < IP6_MTU_MIN) /* is only said to ask for fragment headers */
		mtu = IP6_MTU_MIN;
	mtu = least(mtu, siit->mtu6_bytes) -
	    (IP6_HEADER_BYTES - IP4_HEADER_BYTES);
	out->word = least(least(mtu, siit->mtu4_bytes), UINT16_MAX);
}

static bool
parameter_to4(struct siit_icmp *out, uint8_t code, uint32_t pointer)
{
	out->quote_bytes = 0;
	if (code == WRONG_NEXT) {
		out->type = ICMP_UNREACHABLE;
		out->code = ICMP_UNREACH_PROTOCOL;
		return true;
	}
	out->type = ICMP_PARAMETER;
	out->code = 0;
	out->word = (uint32_t)field_to4(pointer) << 24;
	return code == WRONG_FIELD && field_to4(pointer) != NO_FIELD;
}

bool
siit_icmp_to4(
    const struct siit *siit, const struct siit_icmp *m, struct siit_icmp *out)
{
	*out = (struct siit_icmp){ .quote_bytes = m->quote_bytes };
	switch (m->type) {
	case ICMP6_ECHO_REQUEST:
	case ICMP6_ECHO_REPLY:
		out->type = m->type == ICMP6_ECHO_REQUEST ? ICMP_ECHO_REQUEST
							  : ICMP_ECHO_REPLY;
		out->code = m->code;
		out->word = m->word;
		return true;
	case ICMP6_UNREACHABLE: return unreachable_to4(out, m->code);
	case ICMP6_TOO_BIG: too_big_to4(siit, out, m->word); return true;
	case ICMP6_TIME_EXCEEDED:
		out->type = ICMP_TIME_EXCEEDED;
		out->code = m->code;
		return true;
	case ICMP6_PARAMETER: return parameter_to4(out, m->code, m->word);
	default: return false; /* open: others exist, of one link mostly */
	}
}

/* ---- to IPv6 ---- */

static uint8_t
field_to6(uint8_t at)
{
	static const uint8_t fields[] = { 0, 1, 4, 4, NO_FIELD, NO_FIELD,
		NO_FIELD, NO_FIELD, SIIT_OFF_HOP_LIMIT, SIIT_OFF_NEXT, NO_FIELD,
		NO_FIELD, 8, 8, 8, 8, 24, 24, 24, 24 };

	return at < sizeof(fields) ? fields[at] : NO_FIELD;
}

/* The MTU of who does not tell it: the largest of those in use that is below
 * the packet (RFC 1191 7). */
static uint32_t
plateau(uint16_t bytes)
{
	static const uint16_t mtus[] = { 65535, 32000, 17914, 8166, 4352, 2002,
		1492, 1006, 508, 296 };

	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++)
		if (mtus[i] < bytes)
			return mtus[i];
	return 68;
}

static void
needfrag_to6(const struct siit *siit, struct siit_icmp *out, uint16_t mtu4,
    uint16_t quoted_bytes)
{
	const uint32_t more = IP6_HEADER_BYTES - IP4_HEADER_BYTES;
	uint32_t mtu = mtu4 != 0 ? mtu4 : plateau(quoted_bytes);

	mtu = least(least(mtu, siit->mtu4_bytes) + more, siit->mtu6_bytes);
	out->type = ICMP6_TOO_BIG;
	out->code = 0;
	out->quote_bytes = 0;
	out->word = mtu < IP6_MTU_MIN ? IP6_MTU_MIN : mtu;
}

static bool
unreachable_to6(const struct siit *siit, const struct siit_icmp *m,
    uint16_t quoted_bytes, struct siit_icmp *out)
{
	out->type = ICMP6_UNREACHABLE;
	switch (m->code) {
	case ICMP_UNREACH_NET:
	case ICMP_UNREACH_HOST:
	case UNREACH_SOURCE_ROUTE:
	case UNREACH_NET_UNKNOWN:
	case UNREACH_HOST_UNKNOWN:
	case UNREACH_ISOLATED:
	case UNREACH_NET_TOS:
	case UNREACH_HOST_TOS: out->code = NOT_FOUND_ROUTE; return true;
	case ICMP_UNREACH_PROTOCOL:
		out->type = ICMP6_PARAMETER;
		out->code = WRONG_NEXT;
		out->word = SIIT_OFF_NEXT;
		out->quote_bytes = 0;
		return true;
	case ICMP_UNREACH_PORT: out->code = NOT_FOUND_PORT; return true;
	case ICMP_UNREACH_NEEDFRAG:
		needfrag_to6(siit, out, (uint16_t)m->word, quoted_bytes);
		return true;
	case UNREACH_NET_PROHIBITED:
	case UNREACH_HOST_PROHIBITED:
	case ICMP_UNREACH_PROHIBITED:
	case UNREACH_PRECEDENCE: out->code = NOT_FOUND_PROHIBITED; return true;
	default: return false; /* open: others exist */
	}
}

bool
siit_icmp_to6(const struct siit *siit, const struct siit_icmp *m,
    uint16_t quoted_bytes, struct siit_icmp *out)
{
	*out = (struct siit_icmp){ .quote_bytes = m->quote_bytes };
	switch (m->type) {
	case ICMP_ECHO_REQUEST:
	case ICMP_ECHO_REPLY:
		out->type = m->type == ICMP_ECHO_REQUEST ? ICMP6_ECHO_REQUEST
							 : ICMP6_ECHO_REPLY;
		out->code = m->code;
		out->word = m->word;
		return true;
	case ICMP_UNREACHABLE:
		return unreachable_to6(siit, m, quoted_bytes, out);
	case ICMP_TIME_EXCEEDED:
		out->type = ICMP6_TIME_EXCEEDED;
		out->code = m->code;
		return true;
	case ICMP_PARAMETER:
		out->type = ICMP6_PARAMETER;
		out->code = WRONG_FIELD;
		out->quote_bytes = 0;
		out->word = field_to6((uint8_t)(m->word >> 24));
		return (m->code == 0 || m->code == 2) && out->word != NO_FIELD;
	default: return false; /* open: others exist */
	}
}
