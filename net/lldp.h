/*
 * lldp.h - what a station says of itself to its neighbour (IEEE 802.1AB-2016,
 * clause 8; organizational parts of IEEE 802.1Q annex D and IEEE 802.3 79).
 *
 * A message is a row of parts, each with a type and a length.  The first three
 * and their lengths must be right, or all of it is refused; of the others, one
 * that is wrong or that comes twice is left out and counted (9.2.7.7).
 * Aggregation was a part of IEEE 802.3 before it was one of IEEE 802.1AX, and
 * many know the old part alone: of both, the new one counts.
 */
#ifndef NET_LLDP_H
#define NET_LLDP_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

#define LLDP_MAX_BYTES 1500 /* of a message, behind the EtherType */
#define LLDP_TEXT_MAX  255
#define LLDP_MGMT_MAX  4  /* management addresses that are read */
#define LLDP_VLANS_MAX 16 /* names of VLANs that are read */
#define LLDP_VLAN_NAME 32 /* bytes of one */

/* Subtypes of an id. */
#define LLDP_CHASSIS_MAC     4
#define LLDP_CHASSIS_ADDRESS 5
#define LLDP_PORT_MAC        3
#define LLDP_PORT_ADDRESS    4
#define LLDP_PORT_IFNAME     5

/* Families of an address (IANA). */
#define LLDP_FAMILY_IP4 1
#define LLDP_FAMILY_IP6 2
#define LLDP_FAMILY_MAC 6

/* Capabilities. */
#define LLDP_CAN_BRIDGE 0x0004
#define LLDP_CAN_ROUTER 0x0010

/* How links are aggregated. */
#define LLDP_AGGREGATION_CAPABLE 0x01
#define LLDP_AGGREGATION_ENABLED 0x02

#define LLDP_IFNUMBER_UNKNOWN 1
#define LLDP_IFNUMBER_IFINDEX 2

extern const struct mac lldp_group; /* 01:80:c2:00:00:0e, nearest bridge */

/* Bytes that were borrowed from the message. */
struct lldp_bytes {
	const uint8_t *data; /* NULL: the part is absent */
	uint16_t len;
};

struct lldp_id {
	uint8_t subtype;
	struct lldp_bytes id; /* 1 to 255 */
};

struct lldp_mgmt {
	uint8_t family;
	struct lldp_bytes address; /* 1 to 31 */
	uint8_t number_subtype;
	uint32_t number;
};

struct lldp_vlan {
	uint16_t id;
	struct lldp_bytes name; /* up to LLDP_VLAN_NAME */
};

struct lldp {
	struct lldp_id chassis, port;
	uint16_t ttl_s; /* 0: the neighbour goes away */
	struct lldp_bytes port_description, name, description;
	bool has_capabilities;
	uint16_t capabilities, enabled;
	struct lldp_mgmt mgmt[LLDP_MGMT_MAX];
	unsigned int nmgmt;
	bool has_pvid;
	uint16_t pvid; /* 0: no untagged VLAN */
	struct lldp_vlan vlan[LLDP_VLANS_MAX];
	unsigned int nvlans;
	uint16_t max_frame_bytes; /* with header and FCS; 0: absent */
	bool has_aggregation, has_old_aggregation;
	uint8_t aggregation;       /* LLDP_AGGREGATION_* */
	uint32_t aggregation_port; /* 0: of none */
	/* read only: parts that were left out as wrong, as beyond the limits
	 * above, or because nobody here knows them */
	unsigned int wrong, beyond, unknown;
};

/* Reads what follows the EtherType, the padding behind it included.
 * DROP_SHORT, DROP_LLDP. */
enum reason lldp_parse(struct lldp *lldp, struct cursor *c);

/* Writes a whole frame from src, padded to the shortest that Ethernet has. */
void lldp_write(
    struct writer *w, const struct mac *src, const struct lldp *lldp);

/*
 * An id as a person reads it: an address in its usual form, text with '?' for
 * what is not printable ASCII.  Cut to fit into len bytes with its end.
 * Returns out.
 */
char *lldp_chassis_text(char *out, size_t len, const struct lldp_id *id);
char *lldp_port_text(char *out, size_t len, const struct lldp_id *id);
char *lldp_address_text(
    char *out, size_t len, uint8_t family, const struct lldp_bytes *address);
char *lldp_text(char *out, size_t len, const struct lldp_bytes *bytes);
/* "bridge, router". */
char *lldp_capabilities_text(char *out, size_t len, uint16_t capabilities);

#endif
