/* libs: switch net base */
/*
 * The bytes that a peer of a qemu: port sends, in whatever pieces.  Framing
 * alone is compared with a reader of all bytes at once; a port is fed the same.
 *
 * Input: a byte for the size of pieces, then what is sent.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "switch/frame_stream.h"
#include "switch/port.h"
#include "tests/fuzz/rounds.h"

static const struct port_kind *const kinds[] = { &port_qemu, NULL };

static struct loop *loop;
static struct node nodes[2];
static struct port *ports[2];
static char path[64];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
remove_sockets(void)
{
	for (unsigned int i = 0; i < 2; i++)
		port_close(ports[i]);
	loop_free(loop);
}

static void
set_up(void)
{
	struct err err = { "" };

	log_set_level(LOG_ERROR - 1);
	loop = loop_new(LOOP_REAL, &err);
	for (unsigned int i = 0; i < 2; i++) {
		char at[80];

		node_init(&nodes[i], i == 0 ? "one" : "other");
		snprintf(path, sizeof(path), "/tmp/qemu-fuzz-%d-%u",
		    (int)getpid(), 1 - i);
		snprintf(at, sizeof(at), "qemu:%s", path);
		ports[1 - i] =
		    port_open(kinds, loop, &nodes[i], nodes[i].name, at, &err);
		if (ports[1 - i] == NULL)
			abort();
	}
	cable_join(ports[0], ports[1]);
	atexit(remove_sockets);
}

/* How many frames a reader of all finds; *bad: and then nonsense. */
static unsigned int
count_frames(const uint8_t *data, size_t size, int *bad)
{
	unsigned int n = 0;

	*bad = 0;
	while (size >= 4) {
		size_t len = (size_t)data[0] << 24 | (size_t)data[1] << 16 |
		    (size_t)data[2] << 8 | data[3];

		*bad = len > FRAME_MAX_BYTES;
		if (*bad || size - 4 < len)
			break;
		data += 4 + len;
		size -= 4 + len;
		n++;
	}
	return n;
}

static void
frame_it(const uint8_t *data, size_t size, size_t piece)
{
	static struct frame_stream s;
	unsigned int frames = 0, want;
	int bad, r = 0;

	want = count_frames(data, size, &bad);
	stream_clear(&s);
	while (size > 0 && r == 0) {
		const uint8_t *frame;
		size_t room, len;
		uint8_t *at = stream_room(&s, &room);

		assert(room > 0);
		if (room > piece)
			room = piece;
		if (room > size)
			room = size;
		memcpy(at, data, room);
		stream_came(&s, room);
		data += room;
		size -= room;
		while ((r = stream_next(&s, &frame, &len)) == 1) {
			uint8_t sum = 0;

			assert(len <= FRAME_MAX_BYTES);
			for (size_t i = 0; i < len; i++)
				sum ^= frame[i];
			*(volatile uint8_t *)&sum;
			frames++;
		}
	}
	assert(frames == want);
	assert((r == -EPROTO) == bad);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t piece;
	int fd;

	if (size < 1)
		return 0;
	if (loop == NULL)
		set_up();
	piece = 1 + data[0];
	data++;
	size--;
	frame_it(data, size, piece);
	frame_it(data, size, piece * 1000);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strcpy(addr.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		abort();
	run_rounds(loop);
	(void)!send(fd, data, size, MSG_NOSIGNAL);
	run_rounds(loop);
	close(fd);
	run_rounds(loop);
	return 0;
}
