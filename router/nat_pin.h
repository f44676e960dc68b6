/*
 * nat_pin.h - mappings that are there because they were asked for: by the lab
 * file (port forwards), or by an inside host (NAT-PMP, PCP, or in words of FTP
 * and SIP that the router understands).
 *
 * A pin keeps a mapping, and so its outside port, for as long as it lasts,
 * whether there is traffic or not.  There are two kinds.
 *
 *  - For anybody (PCP's MAP): the mapping is the inside end's towards all
 *    remote ends, and admits all senders, or those that filters name, whatever
 *    the rules say (RFC 6887 11.3).
 *  - For one remote end (PCP's PEER): the mapping is what a packet to that end
 *    would have made, and admits what it would have admitted.  A connection of
 *    TCP goes on even if its session has expired meanwhile.
 *
 * A mapping that is there already is pinned as it is, unless others share its
 * port; nobody does from then on.  When a pin ends, the mapping and its sessions
 * go on.
 *
 * A pin is never taken away for another.  It counts as a session to its host's
 * limit; and a host can ask for NAT_PINS_OF_HOST, but for those of the lab
 * file.  A packet of a session costs what it costs without pins.
 */
#ifndef ROUTER_NAT_PIN_H
#define ROUTER_NAT_PIN_H

#include <stdbool.h>
#include <stdint.h>

#define NAT_PINS_MAX     16384
#define NAT_PINS_OF_HOST 256
#define NAT_PIN_FILTERS  8
#define NAT_PIN_FOREVER  UINT64_MAX

struct nat;

/* Who asked. */
enum nat_pin_by {
	NAT_PIN_BY_FILE,
	NAT_PIN_BY_PMP,
	NAT_PIN_BY_PCP,
	NAT_PIN_BY_FTP,
	NAT_PIN_BY_SIP,
};

/* Senders that are admitted. */
struct nat_pin_filter {
	uint32_t ip;
	uint16_t port;  /* 0: any */
	uint8_t prefix; /* length, of ip */
};

struct nat_pin {
	uint8_t protocol; /* IP_TCP, IP_UDP */
	uint32_t in_ip;
	uint16_t in_port;
	uint32_t remote_ip; /* with port: for this end; both 0: for anybody */
	uint16_t remote_port;
	/* Where it is reached from outside: what is wanted, 0 is any, and then
	 * what it is. */
	uint32_t out_ip;
	uint16_t out_port;
	bool exact; /* no other will do */
	/* The same outside port of the other protocol, UDP or TCP, is no other
	 * host's by a pin (RFC 6886 3.3). */
	bool pair;
	enum nat_pin_by by;
	uint8_t nonce[12]; /* who knows it may change the pin (RFC 6887 11.3) */
	uint64_t until_ns; /* or NAT_PIN_FOREVER */
	unsigned int nfilters; /* 0: all senders; for anybody only */
	struct nat_pin_filter filters[NAT_PIN_FILTERS];
};

enum nat_pin_fate {
	NAT_PIN_MADE,
	NAT_PIN_RENEWED,
	/* Refused.  Nothing is changed, but see NAT_PIN_OTHERS. */
	NAT_PIN_OTHERS,    /* the inside end has a pin of another nonce, or of
			    * the lab file; *pin tells which */
	NAT_PIN_TAKEN,     /* the outside end wanted is another's, or all are */
	NAT_PIN_FOREIGN,   /* it is no outside address of the NAT */
	NAT_PIN_FULL,      /* there are NAT_PINS_MAX, or no memory */
	NAT_PIN_HOST_FULL, /* the host has all that it may have */
};

/* Makes a pin, or changes the one of the same inside and remote ends: how long
 * it lasts, and its filters.  Where it is reached is written to *pin. */
enum nat_pin_fate nat_pin_set(
    struct nat *nat, struct nat_pin *pin, uint64_t now_ns);

/* The pin of the same inside and remote ends, protocol and all, as it is.
 * False: there is none. */
bool nat_pin_find(const struct nat *nat, const struct nat_pin *ends,
    struct nat_pin *found, uint64_t now_ns);

/* Ends the pin of the same ends and nonce.  NAT_PIN_RENEWED: it is gone, or
 * there was none; NAT_PIN_OTHERS. */
enum nat_pin_fate nat_pin_delete(
    struct nat *nat, const struct nat_pin *ends, uint64_t now_ns);

/* Ends all pins of an inside host and a protocol that were asked for by by, and
 * with the nonce that is given.  Returns how many there were. */
unsigned int nat_pin_delete_all(struct nat *nat, uint32_t in_ip,
    uint8_t protocol, enum nat_pin_by by, const uint8_t nonce[12],
    uint64_t now_ns);

/* Has a host mappings of a protocol that were asked for by itself or the lab
 * file? */
bool nat_pin_host_has(
    const struct nat *nat, uint32_t in_ip, uint8_t protocol, uint64_t now_ns);

/* Is the inside end of ends in use by what it has sent, or by a pin for a remote
 * end?  Where mappings depend on the remote end, by the latter alone. */
bool nat_pin_is_outbound(
    const struct nat *nat, const struct nat_pin *ends, uint64_t now_ns);

/* In no order. */
void nat_pin_each(const struct nat *nat, uint64_t now_ns,
    void (*each)(void *arg, const struct nat_pin *pin), void *arg);

#endif
