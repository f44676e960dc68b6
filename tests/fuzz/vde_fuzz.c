/* libs: switch net base */
/*
 * What comes on VDE's control sockets: requests to a vde-listen: port, and
 * answers to a vde: port, as bytes and through the ports.
 *
 * Input: a byte whose bit 0 says which, then what is sent.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "switch/port.h"
#include "switch/vde.h"
#include "tests/fuzz/rounds.h"

static const struct port_kind *const kinds[] = { &port_vde_listen, &port_vde,
	NULL };

static struct loop *loop;
static struct node node;
static struct port *listening;
static char dir[64];
static int ctl; /* of a switch of ours */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
tear_down(void)
{
	char path[100];

	port_close(listening);
	loop_free(loop);
	snprintf(path, sizeof(path), "%s/ctl", dir);
	unlink(path);
	rmdir(dir);
}

static struct port *
open_port(const char *format, const char *where)
{
	struct err err = { "" };
	char at[120];

	snprintf(at, sizeof(at), format, where);
	return port_open(kinds, loop, &node, "out", at, &err);
}

static void
set_up(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char where[80];

	log_set_level(LOG_ERROR - 1);
	loop = loop_new(LOOP_REAL, NULL);
	node_init(&node, "out");
	strcpy(dir, "/tmp/vde-fuzz-XXXXXX");
	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(where, sizeof(where), "%s.listen", dir);
	listening = open_port("vde-listen:%s", where);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ctl", dir);
	ctl = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listening == NULL ||
	    bind(ctl, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(ctl, 8) < 0)
		abort();
	atexit(tear_down);
}

/* What was understood is understood again when it is written. */
static void
parse(const uint8_t *data, size_t size)
{
	struct vde_request r, again_r;
	uint8_t bytes[VDE_REQUEST_MAX];

	if (size > VDE_REQUEST_MAX)
		size = VDE_REQUEST_MAX;
	if (vde_request_read(&r, data, size) != NULL)
		return;
	assert(r.port <= VDE_PORTS_MAX);
	assert(strlen(r.description) < sizeof(r.description));
	assert(vde_request_read(
		   &again_r, bytes, vde_request_write(&r, bytes)) == NULL);
	assert(again_r.port == r.port);
	assert(strcmp(again_r.description, r.description) == 0);
	assert(memcmp(&again_r.plug, &r.plug, sizeof(r.plug)) == 0);
}

static void
send_request(const uint8_t *data, size_t size)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.listen/ctl", dir);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		abort();
	(void)!send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	run_rounds(loop);
	close(fd);
	run_rounds(loop);
}

static void
send_answer(const uint8_t *data, size_t size)
{
	struct port *plug = open_port("vde:%s", dir);
	int fd;

	if (plug == NULL)
		abort();
	fd = accept(ctl, NULL, NULL);
	(void)!send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	run_rounds(loop);
	close(fd);
	run_rounds(loop);
	port_close(plug);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (loop == NULL)
		set_up();
	parse(data + 1, size - 1);
	if (data[0] & 1)
		send_request(data + 1, size - 1);
	else
		send_answer(data + 1, size - 1);
	return 0;
}
