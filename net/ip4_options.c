/*
 * An option is its kind, its length, and for these two a pointer to where the
 * next router writes, which counts from 1:
 *
 *    | 7  | length | pointer |            address | address | ...
 *    | 68 | length | pointer | over, flag | time or address and time | ...
 */
#include "net/ip4_options.h"

#include "net/cursor.h"

#define OPT_END       0
#define OPT_NOP       1
#define OPT_RECORD    7
#define OPT_TIMESTAMP 68
#define OPT_LOOSE     131 /* source routes */
#define OPT_STRICT    137
#define RECORD_FIRST  4 /* the least that its pointer can be */
#define STAMP_FIRST   5
#define STAMP_TIME    0 /* flags: times alone, */
#define STAMP_BOTH    1 /* ... each with an address, */
#define STAMP_ASKED   3 /* ... of the routers that are named */
#define OVER_MAX      15

/* The next option from *at on, of *len bytes.  False: there is none. */
static bool
next_option(const uint8_t *options, size_t bytes, size_t *at, size_t *len)
{
	while (*at < bytes && options[*at] == OPT_NOP)
		++*at;
	if (*at + 1 >= bytes || options[*at] == OPT_END)
		return false;
	*len = options[*at + 1];
	return *len >= 2 && *len <= bytes - *at;
}

enum ip4_source_route
ip4_source_route(const struct ip4 *ip)
{
	size_t bytes = (size_t)(ip->header_bytes - IP4_HEADER_BYTES), at = 0,
	       len;

	for (; next_option(ip->options, bytes, &at, &len); at += len) {
		const uint8_t *option = ip->options + at;

		if (len > 2 &&
		    (option[0] == OPT_LOOSE || option[0] == OPT_STRICT))
			return option[2] <= len ? IP4_SOURCE_ROUTE_GOES_ON
						: IP4_SOURCE_ROUTE_ENDED;
	}
	return IP4_SOURCE_ROUTE_NONE;
}

static void
sign_record(uint8_t *option, size_t len, uint32_t addr)
{
	size_t pointer = len > 2 ? option[2] : 0;

	if (pointer < RECORD_FIRST || pointer + 3 > len)
		return;
	put_be32(option + pointer - 1, addr);
	option[2] = (uint8_t)(pointer + 4);
}

static void
sign_stamp(
    uint8_t *option, size_t len, uint32_t addr, bool asked, uint32_t time)
{
	size_t pointer = len > 3 ? option[2] : 0, bytes;
	uint8_t *at = option + pointer - 1;
	unsigned int flag, over;

	if (pointer < STAMP_FIRST)
		return;
	flag = option[3] & 15;
	over = option[3] >> 4;
	bytes = flag == STAMP_TIME ? 4 : 8;
	if (flag != STAMP_TIME && flag != STAMP_BOTH && flag != STAMP_ASKED)
		return;
	if (pointer + bytes - 1 > len) {
		if (over < OVER_MAX && flag != STAMP_ASKED)
			option[3] = (uint8_t)((over + 1) << 4 | flag);
		return;
	}
	if (flag == STAMP_ASKED && !asked)
		return;
	if (flag == STAMP_BOTH)
		put_be32(at, addr);
	put_be32(at + bytes - 4, time);
	option[2] = (uint8_t)(pointer + bytes);
}

uint32_t
ip4_options_asked(const uint8_t *options, size_t bytes)
{
	size_t at = 0, len;

	for (; next_option(options, bytes, &at, &len); at += len) {
		const uint8_t *option = options + at;
		size_t pointer = len > 3 ? option[2] : 0;

		if (option[0] == OPT_TIMESTAMP && pointer >= STAMP_FIRST &&
		    (option[3] & 15) == STAMP_ASKED && pointer + 7 <= len)
			return get_be32(option + pointer - 1);
	}
	return 0;
}

void
ip4_options_sign(
    uint8_t *options, size_t bytes, uint32_t addr, bool asked, uint32_t time)
{
	size_t at = 0, len;

	for (; next_option(options, bytes, &at, &len); at += len) {
		if (options[at] == OPT_RECORD)
			sign_record(options + at, len, addr);
		else if (options[at] == OPT_TIMESTAMP)
			sign_stamp(options + at, len, addr, asked, time);
	}
}

size_t
ip4_options_keep_signed(uint8_t *options, size_t bytes)
{
	size_t at = 0, end = 0, len;

	for (; next_option(options, bytes, &at, &len); at += len) {
		if (options[at] != OPT_RECORD && options[at] != OPT_TIMESTAMP)
			memset(options + at, OPT_NOP, len);
		else
			end = at + len;
	}
	memset(options + end, OPT_END, bytes - end);
	return (end + 3) / 4 * 4;
}
