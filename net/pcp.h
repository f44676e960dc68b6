/*
 * pcp.h - the messages of the Port Control Protocol, version 2 (RFC 6887).
 *
 * IPv4 addresses are within IPv6 ones, as ::ffff:a.b.c.d (5); no address is ::
 * or ::ffff:0.0.0.0.
 */
#ifndef NET_PCP_H
#define NET_PCP_H

#include "net/cursor.h"
#include "net/ip6.h"

#define PCP_VERSION      2
#define PCP_PORT         5351 /* of the router, for NAT-PMP too */
#define PCP_CLIENT_PORT  5350 /* where hosts hear announcements */
#define PCP_MAX_BYTES    1100
#define PCP_HEADER_BYTES 24
#define PCP_NONCE_BYTES  12
#define PCP_FILTERS_MAX  43   /* as many as a message of MAP has room for */
#define PCP_RESPONSE     0x80 /* in the byte of the opcode */

enum pcp_op { PCP_ANNOUNCE, PCP_MAP, PCP_PEER, PCP_OPS };

/* RFC 6887 7.4 */
enum pcp_result {
	PCP_SUCCESS,
	PCP_UNSUPP_VERSION,
	PCP_NOT_AUTHORIZED,
	PCP_MALFORMED_REQUEST,
	PCP_UNSUPP_OPCODE,
	PCP_UNSUPP_OPTION,
	PCP_MALFORMED_OPTION,
	PCP_NETWORK_FAILURE,
	PCP_NO_RESOURCES,
	PCP_UNSUPP_PROTOCOL,
	PCP_USER_EX_QUOTA,
	PCP_CANNOT_PROVIDE_EXTERNAL,
	PCP_ADDRESS_MISMATCH,
	PCP_EXCESSIVE_REMOTE_PEERS,
	PCP_RESULTS,
	PCP_SILENCE, /* is not to be answered at all */
};

/* The words of 7.4 without PCP's capitals, as "not authorized"; "unknown". */
const char *pcp_result_name(uint8_t result);

/* An option of MAP: from where packets are admitted (13.3). */
struct pcp_filter {
	struct ip6_addr remote;
	uint16_t remote_port; /* 0: all */
	uint8_t prefix; /* bits of remote; 0: forget what was said before */
};

struct pcp {
	uint8_t op; /* enum pcp_op */
	uint32_t lifetime_s;
	struct ip6_addr client; /* in a request */
	uint8_t result;         /* in a response; with the next */
	uint32_t epoch_s;
	/* MAP and PEER */
	uint8_t nonce[PCP_NONCE_BYTES];
	uint8_t protocol; /* of IP; 0: all */
	uint16_t in_port; /* 0: all */
	uint16_t out_port;
	struct ip6_addr out_ip;
	/* PEER */
	uint16_t remote_port;
	struct ip6_addr remote;
	/* options */
	bool has_third_party;
	struct ip6_addr third_party;
	bool prefer_failure; /* MAP: this outside end or none */
	uint8_t nfilters;
	struct pcp_filter filters[PCP_FILTERS_MAX];
};

/* Reads a request that src has sent, with its options.  src NULL: whoever it
 * says.  PCP_SUCCESS; or how it is to be answered, and *pcp is left alone:
 * PCP_UNSUPP_VERSION, PCP_MALFORMED_REQUEST, PCP_ADDRESS_MISMATCH,
 * PCP_UNSUPP_OPCODE, PCP_UNSUPP_OPTION, PCP_MALFORMED_OPTION; or PCP_SILENCE. */
enum pcp_result pcp_parse_request(struct pcp *pcp, const uint8_t *bytes,
    size_t len, const struct ip6_addr *src);

/* Reads a response.  False: it is none.  Of one that is not of success, only
 * what stands in the header is read. */
bool pcp_parse_response(struct pcp *pcp, const uint8_t *bytes, size_t len);

void pcp_write_request(struct writer *w, const struct pcp *pcp);
/* A response of success. */
void pcp_write_response(struct writer *w, const struct pcp *pcp);
/* A response to request, of len bytes and which may be none, of result: a copy
 * of it, cut off at PCP_MAX_BYTES. */
void pcp_write_error(struct writer *w, const uint8_t *request, size_t len,
    enum pcp_result result, uint32_t lifetime_s, uint32_t epoch_s);

#endif
