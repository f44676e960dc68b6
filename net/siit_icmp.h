/*
 * siit_icmp.h - what messages of ICMP and ICMPv6 become of each other (RFC 7915
 * 4.2, 5.2), but for the packets they quote.
 */
#ifndef NET_SIIT_ICMP_H
#define NET_SIIT_ICMP_H

#include <stdbool.h>
#include <stdint.h>

#include "net/icmp6.h"
#include "net/siit.h"

/* The first eight bytes of a message, without its checksum. */
struct siit_icmp {
	uint8_t type, code;
	uint32_t word;
	/* Of an error, how many bytes it quotes before it says more (RFC 4884);
	 * 0: it quotes to its end. */
	uint16_t quote_bytes;
};

/* False: there is none like it. */
bool siit_icmp_to4(
    const struct siit *siit, const struct siit_icmp *m, struct siit_icmp *out);
/* quoted_bytes: how long the packet that an error quotes was. */
bool siit_icmp_to6(const struct siit *siit, const struct siit_icmp *m,
    uint16_t quoted_bytes, struct siit_icmp *out);

#endif
