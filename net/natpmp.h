/*
 * natpmp.h - the messages of NAT-PMP (RFC 6886).
 */
#ifndef NET_NATPMP_H
#define NET_NATPMP_H

#include "net/cursor.h"

#define NATPMP_VERSION       0
#define NATPMP_PORT          5351 /* of the router, for PCP too */
#define NATPMP_CLIENT_PORT   5350 /* where hosts hear announcements */
#define NATPMP_MAX_BYTES     16
#define NATPMP_REQUEST_BYTES 12 /* the longest */

enum natpmp_op {
	NATPMP_ADDRESS = 0,
	NATPMP_MAP_UDP = 1,
	NATPMP_MAP_TCP = 2,
	NATPMP_RESPONSE = 128, /* is added to the others */
};

/* RFC 6886 3.5 */
enum natpmp_result {
	NATPMP_SUCCESS,
	NATPMP_UNSUPP_VERSION,
	NATPMP_NOT_AUTHORIZED,
	NATPMP_NETWORK_FAILURE,
	NATPMP_NO_RESOURCES,
	NATPMP_UNSUPP_OPCODE,
	NATPMP_SILENCE, /* is not to be answered at all */
};

struct natpmp {
	uint8_t op;       /* enum natpmp_op; in a response without 128 */
	uint16_t result;  /* from here on in a response alone */
	uint32_t epoch_s; /* since the router knows what it knows */
	uint32_t address; /* NATPMP_ADDRESS: the outside one */
	/* The rest when mapping.  A lifetime of 0 deletes; then an inside port
	 * of 0 stands for all. */
	uint16_t in_port, out_port;
	uint32_t lifetime_s;
};

/* Reads the request in bytes.  NATPMP_SUCCESS, or how it is to be answered: then
 * only op is set.  What is longer than a request is not read to its end. */
enum natpmp_result natpmp_parse_request(
    struct natpmp *message, const uint8_t *bytes, size_t len);

/* Reads a response.  False: it is none.  One with another result than success
 * may end with the epoch. */
bool natpmp_parse_response(
    struct natpmp *message, const uint8_t *bytes, size_t len);

void natpmp_write_request(struct writer *w, const struct natpmp *message);
/* With another result than success too, it tells all that its kind has, but for
 * NATPMP_UNSUPP_VERSION, which ends with the epoch. */
void natpmp_write_response(struct writer *w, const struct natpmp *message);
/* To a request of an unknown opcode: the request, as far as there is room. */
void natpmp_write_unsupported(
    struct writer *w, const uint8_t *request, size_t len, uint32_t epoch_s);

#endif
