/*
 * vxlan.h - the header before an Ethernet frame in VXLAN (RFC 7348).
 *
 *     0                   1                   2                   3
 *     |R|R|R|R|I|R|R|R|                reserved                     |
 *     |                  VNI                          |  reserved   |
 */
#ifndef NET_VXLAN_H
#define NET_VXLAN_H

#include "net/cursor.h"
#include "net/reason.h"

#define VXLAN_HEADER_BYTES 8
#define VXLAN_PORT         4789     /* of UDP */
#define VXLAN_VNI_MAX      0xffffff /* 24 bits */

/* Reads one header; *c is left at the frame, of which there may be nothing.
 * Reserved bits are ignored (RFC 7348 5).  DROP_SHORT, or DROP_VXLAN if there
 * is no VNI. */
enum reason vxlan_parse(uint32_t *vni, struct cursor *c);

void vxlan_write(struct writer *w, uint32_t vni);

#endif
