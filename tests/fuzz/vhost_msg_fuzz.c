/* libs: switch net base */
/*
 * Messages of a front end: parsed as bytes, and sent to a port with real
 * descriptors, in whatever order.
 *
 * Input: for each message a byte for what to do beside it, a byte for its
 * descriptors, and the message, whose payload length follows from its header.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "switch/port_vhost.h"
#include "switch/vring.h"
#include "tests/fuzz/rounds.h"

static const struct port_kind *const kinds[] = { &port_vhost, NULL };

#define MEMORY 0x10000

static struct loop *loop;
static struct node nodes[2];
static struct port *ports[2];
static char path[64];
static int memfd, event, plain;
static uint8_t *memory;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void
remove_socket(void)
{
	for (unsigned int i = 0; i < 2; i++)
		port_close(ports[i]);
	loop_free(loop);
}

static void
set_up(void)
{
	struct err err = { "" };

	log_set_level(LOG_ERROR);
	loop = loop_new(LOOP_REAL, &err);
	for (unsigned int i = 0; i < 2; i++) {
		char at[80];

		node_init(&nodes[i], i == 0 ? "one" : "other");
		snprintf(path, sizeof(path), "/tmp/vhost-fuzz-%d-%u",
		    (int)getpid(), 1 - i);
		snprintf(at, sizeof(at), "vhost-user:%s", path);
		ports[1 - i] =
		    port_open(kinds, loop, &nodes[i], nodes[i].name, at, &err);
		if (ports[1 - i] == NULL)
			abort();
	}
	cable_join(ports[0], ports[1]);
	atexit(remove_socket);
	memfd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	plain = memfd_create("plain", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, MEMORY) < 0)
		abort();
	memory =
	    mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
}

/* What was understood is written again as it was. */
static void
parse(const uint8_t *bytes, size_t size)
{
	uint8_t again[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
	struct vhost_msg msg;
	size_t n;

	if (size < VHOST_HEADER_BYTES ||
	    vhost_msg_header(&msg, bytes) != VHOST_OK)
		return;
	assert(msg.bytes <= VHOST_PAYLOAD_MAX);
	if (size < VHOST_HEADER_BYTES + msg.bytes)
		return;
	for (msg.nfds = 0; msg.nfds <= VHOST_FDS_MAX; msg.nfds++) {
		if (vhost_msg_payload(&msg, bytes + VHOST_HEADER_BYTES) !=
		    VHOST_OK)
			continue;
		n = vhost_msg_write(&msg, again);
		assert(n == VHOST_HEADER_BYTES + msg.bytes);
		assert(memcmp(again, bytes, VHOST_HEADER_BYTES) == 0);
	}
}

/* Sends n bytes with the descriptors that what says. */
static void
put(int fd, const uint8_t *bytes, size_t n, uint8_t what)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 8)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	struct msghdr to = { .msg_iov = &iov, .msg_iovlen = 1 };
	const int kinds[4] = { memfd, event, plain, fd };
	unsigned int nfds = what % 9;

	if (nfds > 0) {
		struct cmsghdr *c = &control.align;

		to.msg_control = control.bytes;
		to.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (unsigned int i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int),
			    &kinds[(what >> 6) & 3], sizeof(int));
	}
	(void)!sendmsg(fd, &to, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int
connect_to_port(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		abort();
	return fd;
}

/* Memory at 0 and two rings of 16 in it, so that few bytes get far. */
static void
set_up_rings(int fd)
{
	const uint64_t one = 1;
	static const uint32_t features[] = { 2, 1, 8, 0x70000801, 1 };
	static const uint32_t table[] = { 5, 1, 40, 1, 0, 0, 0, MEMORY, 0, 0, 0,
		0, 0 };

	put(fd, (const uint8_t *)features, sizeof(features), 0);
	put(fd, (const uint8_t *)table, sizeof(table), 1);
	for (uint32_t q = 0; q < 2; q++) {
		const uint32_t at = 0x1000 * q;
		const uint32_t num[] = { 8, 1, 8, q, 16 };
		const uint32_t addr[] = { 9, 1, 40, q, 0, at, 0, at + 0x800, 0,
			at + 0x400, 0, 0, 0 };
		const uint32_t enable[] = { 18, 1, 8, q, 1 };
		const uint32_t kick[] = { 12, 1, 8, q, 0 };

		put(fd, (const uint8_t *)num, sizeof(num), 0);
		put(fd, (const uint8_t *)addr, sizeof(addr), 0);
		put(fd, (const uint8_t *)enable, sizeof(enable), 0);
		put(fd, (const uint8_t *)kick, sizeof(kick), 0x41);
	}
	(void)!write(event, &one, sizeof(one));
	run_rounds(loop);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t count;
	int fd, lowest;

	if (loop == NULL)
		set_up();
	lowest = lowest_free();
	parse(data, size);
	fd = connect_to_port();
	memset(memory, 0, MEMORY);
	if (size > 0 && data[0] & 1)
		set_up_rings(fd);
	for (unsigned int i = 0; i < 64 && size >= 2 + VHOST_HEADER_BYTES;
	     i++) {
		uint8_t what = data[0], fds = data[1];
		uint32_t len;

		data += 2;
		size -= 2;
		memcpy(&len, data + 8, sizeof(len));
		len = VHOST_HEADER_BYTES + len % 300;
		if (len > size)
			len = (uint32_t)size;
		if (what & 2) { /* what follows goes into memory instead */
			memcpy(memory + what / 4 * 64u, data, len);
			(void)!write(event, &(uint64_t){ 1 }, 8);
		} else {
			put(fd, data, len, fds);
		}
		if (what & 4)
			run_rounds(loop);
		data += len;
		size -= len;
	}
	run_rounds(loop);
	close(fd);
	run_rounds(loop);
	(void)!read(event, &count, sizeof(count));
	assert(!port_vhost_stats(ports[0]).connected);
	assert(lowest_free() == lowest);
	return 0;
}
