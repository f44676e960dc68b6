/*
 * Addresses as text and back.  The readers take all of a text or nothing of
 * it: an address with a leading zero means two things to two programs (octal
 * or decimal), so it means nothing here.
 *
 * A MAC address made of a name is 0x52 and 40 bits of the name's FNV-1a hash.
 * 0x52 is local and unicast, in the quadrant that IEEE 802c leaves to the
 * administrator.  FNV alone leaves the last letter's bits low in the hash, so
 * that eth0 and eth1 would differ in few bits: a finaliser spreads them.  With
 * 40 bits, 10,000 names collide with a chance of 1 in 22,000.
 */
#include "net/addr.h"

const struct mac mac_broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static const char hex_digits[] = "0123456789abcdef";

char *
mac_text(char *out, const struct mac *mac)
{
	char *at = out;

	for (int i = 0; i < 6; i++) {
		if (i > 0)
			*at++ = ':';
		*at++ = hex_digits[mac->b[i] >> 4];
		*at++ = hex_digits[mac->b[i] & 0xf];
	}
	*at = '\0';
	return out;
}

/* Appends 0 to 255 in decimal; returns its end. */
static char *
put_decimal(char *at, unsigned int value)
{
	if (value >= 100)
		*at++ = (char)('0' + value / 100);
	if (value >= 10)
		*at++ = (char)('0' + value / 10 % 10);
	*at++ = (char)('0' + value % 10);
	return at;
}

static char *
put_ip4(char *at, uint32_t addr)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		at = put_decimal(at, addr >> shift & 0xff);
		if (shift > 0)
			*at++ = '.';
	}
	return at;
}

char *
ip4_text(char *out, uint32_t addr)
{
	*put_ip4(out, addr) = '\0';
	return out;
}

char *
ip4_net_text(char *out, struct ip4_net net)
{
	char *at = put_ip4(out, net.addr);

	*at++ = '/';
	*put_decimal(at, net.prefix) = '\0';
	return out;
}

/* The value of a hex digit, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
mac_read(struct mac *out, const char *text)
{
	struct mac mac;
	char separator = '\0';

	for (int i = 0; i < 6; i++) {
		int high, low;

		if (i == 1)
			separator = *text;
		if (i >= 1) {
			if (*text != separator ||
			    (separator != ':' && separator != '-'))
				return false;
			text++;
		}
		high = hex_value(text[0]);
		if (high < 0)
			return false;
		low = hex_value(text[1]);
		if (low < 0)
			return false;
		mac.b[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text != '\0')
		return false;
	*out = mac;
	return true;
}

/* Reads a number up to max without leading zeros and moves *text past it. */
static bool
take_decimal(unsigned int *out, const char **text, unsigned int max)
{
	const char *at = *text;
	unsigned int value = 0;

	if (*at < '0' || *at > '9')
		return false;
	if (at[0] == '0' && at[1] >= '0' && at[1] <= '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		value = value * 10 + (unsigned int)(*at - '0');
		if (value > max)
			return false;
	}
	*out = value;
	*text = at;
	return true;
}

static bool
take_ip4(uint32_t *out, const char **text)
{
	uint32_t addr = 0;

	for (int i = 0; i < 4; i++) {
		unsigned int part;

		if (i > 0 && *(*text)++ != '.')
			return false;
		if (!take_decimal(&part, text, 255))
			return false;
		addr = addr << 8 | part;
	}
	*out = addr;
	return true;
}

bool
ip4_read(uint32_t *out, const char *text)
{
	uint32_t addr;

	if (!take_ip4(&addr, &text) || *text != '\0')
		return false;
	*out = addr;
	return true;
}

bool
ip4_net_read(struct ip4_net *out, const char *text)
{
	uint32_t addr;
	unsigned int prefix;

	if (!take_ip4(&addr, &text) || *text++ != '/' ||
	    !take_decimal(&prefix, &text, 32) || *text != '\0')
		return false;
	*out = (struct ip4_net){ .addr = addr, .prefix = (uint8_t)prefix };
	return true;
}

struct mac
mac_of_name(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct mac mac = { { 0x52 } };

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	hash ^= hash >> 33;
	hash *= UINT64_C(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64_C(0xc4ceb9fe1a85ec53);
	hash ^= hash >> 33;
	for (int i = 1; i < 6; i++)
		mac.b[i] = (uint8_t)(hash >> (i - 1) * 8);
	return mac;
}
