/*
 * nat_rows.h - the NAT table as people see it, of a running router or as it was
 * at a frame of a capture.
 */
#ifndef LAB_NAT_ROWS_H
#define LAB_NAT_ROWS_H

#include "lab/table.h"
#include "net/ip6.h"
#include "router/router.h"

#define NAT_END_BYTES (IP6_TEXT_BYTES + 10) /* and " id 65535" */

extern const struct table_head nat_rows_head;

/* "tcp", "udp", "icmp", "ip". */
const char *nat_protocol_text(uint8_t protocol);
/* "10.0.0.1:80"; an ICMP id, or nothing, behind it for other protocols.  Returns
 * out. */
const char *nat_end_text(
    char out[NAT_END_BYTES], uint8_t protocol, uint32_t ip, uint16_t port);

/* A row of a table of nat_rows_head.  An end with address 0 is not known. */
void nat_rows_add(
    struct table *table, const char *router, const struct nat_row *row);

#endif
