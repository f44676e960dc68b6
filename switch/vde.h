/*
 * vde.h - what VDE says on its control socket.
 *
 * A plug connects to DIR/ctl, a stream socket, and sends a request that names a
 * datagram socket of its own; the switch answers with the address of one of
 * its.  Frames pass between the two, one per datagram, for as long as the
 * stream is open.  All of version 3, in host order, as both run on one machine:
 *
 *     request   magic, version, type: 32 bits each; struct sockaddr_un; a
 *               description for people, up to the end of what is sent at once
 *     answer    struct sockaddr_un
 */
#ifndef SWITCH_VDE_H
#define SWITCH_VDE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define VDE_ANSWER_BYTES      sizeof(struct sockaddr_un)
#define VDE_REQUEST_BYTES     (12 + sizeof(struct sockaddr_un))
#define VDE_DESCRIPTION_BYTES 128
#define VDE_REQUEST_MAX       (VDE_REQUEST_BYTES + VDE_DESCRIPTION_BYTES)
#define VDE_PORTS_MAX         0xffffff

struct vde_request {
	uint32_t port;           /* that it wants to have, 0: any */
	struct sockaddr_un plug; /* its datagram socket */
	char description[VDE_DESCRIPTION_BYTES]; /* printable */
};

/* Reads a request of bytes, of which VDE_REQUEST_BYTES must be there.  NULL, or
 * what is wrong with it, for people. */
const char *vde_request_read(
    struct vde_request *request, const uint8_t *bytes, size_t n);

/* Returns how many bytes it has, up to VDE_REQUEST_MAX. */
size_t vde_request_write(
    const struct vde_request *request, uint8_t bytes[VDE_REQUEST_MAX]);

/* Reads an answer.  NULL, or what is wrong with it. */
const char *vde_answer_read(
    struct sockaddr_un *plug, const uint8_t bytes[VDE_ANSWER_BYTES]);

#endif
