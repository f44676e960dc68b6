#include "switch/vde.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

#define MAGIC   UINT32_C(0xfeedface)
#define VERSION 3

enum { TYPE_CONTROL = 0, TYPE_PORT_0 = 1 }; /* the port is above 8 bits */

static uint32_t
host32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* An address that can be connected to: a path, or a name in the abstract
 * namespace, which is all of its bytes. */
static const char *
check_address(struct sockaddr_un *out, const uint8_t *bytes)
{
	const char *path = out->sun_path;

	memcpy(out, bytes, sizeof(*out));
	if (out->sun_family != AF_UNIX)
		return "sent an address that is no unix socket's";
	if (path[0] != '\0' &&
	    memchr(path, '\0', sizeof(out->sun_path)) == NULL)
		return "sent a path without an end";
	return NULL;
}

const char *
vde_request_read(struct vde_request *r, const uint8_t *bytes, size_t n)
{
	uint32_t type;
	size_t left;

	if (n < VDE_REQUEST_BYTES)
		return "sent a request that is cut off";
	if (host32(bytes) != MAGIC)
		return "sent something that is no request of VDE";
	if (host32(bytes + 4) != VERSION)
		return "sent a request of a version other than 3";
	type = host32(bytes + 8);
	if ((type & 0xff) != TYPE_CONTROL && (type & 0xff) != TYPE_PORT_0)
		return "sent a request of a type that is not known";
	*r = (struct vde_request){ .port = type >> 8 };
	left = n - VDE_REQUEST_BYTES;
	if (left > sizeof(r->description) - 1)
		left = sizeof(r->description) - 1;
	for (size_t i = 0; i < left; i++) {
		unsigned char c = bytes[VDE_REQUEST_BYTES + i];

		if (c == '\0')
			break;
		r->description[i] = isprint(c) ? (char)c : '?';
	}
	return check_address(&r->plug, bytes + 12);
}

size_t
vde_request_write(const struct vde_request *r, uint8_t bytes[VDE_REQUEST_MAX])
{
	const uint32_t head[3] = { MAGIC, VERSION,
		TYPE_CONTROL | r->port << 8 };
	size_t n = strlen(r->description);

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + sizeof(head), &r->plug, sizeof(r->plug));
	memcpy(bytes + VDE_REQUEST_BYTES, r->description, n);
	return VDE_REQUEST_BYTES + n;
}

const char *
vde_answer_read(struct sockaddr_un *plug, const uint8_t bytes[VDE_ANSWER_BYTES])
{
	return check_address(plug, bytes);
}
