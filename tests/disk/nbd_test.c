/*
 * The NBD server: its messages as tables, its handshake as bytes in and out,
 * and all of it on a socket with clients that do what they should not.
 */
#include "disk/live.h"
#include "disk/nbd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "disk/file.h"
#include "disk/nbd_connection.h"
#include "disk/nbd_shake.h"
#include "disk/nbd_work.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define SIZE      (UINT64_C(4) << 20)

/* ---- messages ---- */

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static void
go_is_read_to_the_byte(void **state)
{
	static const struct {
		const uint8_t *data;
		size_t len;
		bool good;
		uint32_t wanted;
	} cases[] = {
		{ BYTES("\0\0\0\0\0\0"), true, 0 },
		{ BYTES("\0\0\0\1x\0\0"), true, 0 },
		{ BYTES("\0\0\0\1x\0\2\0\3\0\1"), true,
		    1 << NBD_INFO_BLOCK_SIZE | 1 << NBD_INFO_NAME },
		{ BYTES("\0\0\0\0\0\2\0\2\xff\xff"), true,
		    1 << NBD_INFO_DESCRIPTION },
		{ BYTES(""), false, 0 },
		{ BYTES("\0\0\0"), false, 0 },
		{ BYTES("\0\0\0\0"), false, 0 },
		{ BYTES("\0\0\0\1x\0"), false, 0 },
		{ BYTES("\0\0\0\2x\0\0"), false, 0 },
		{ BYTES("\0\0\0\1\0\0\0"), false, 0 },
		{ BYTES("\0\0\0\0\0\1"), false, 0 },
		{ BYTES("\0\0\0\0\0\1\0\3\0"), false, 0 },
		{ BYTES("\xff\xff\xff\xffx\0\0"), false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct nbd_go go;

		assert_int_equal(nbd_parse_go(&go, cases[i].data, cases[i].len),
		    cases[i].good);
		if (cases[i].good)
			assert_int_equal(go.wanted, cases[i].wanted);
	}
}

static void
contexts_are_found_among_any_queries(void **state)
{
	static const struct {
		const uint8_t *data;
		size_t len;
		bool good;
		uint32_t named, wildcard;
	} cases[] = {
		{ BYTES("\0\0\0\0\0\0\0\0"), true, 0, 0 },
		{ BYTES("\0\0\0\0\0\0\0\1\0\0\0\17base:allocation"), true, 1,
		    0 },
		{ BYTES("\0\0\0\1d\0\0\0\2\0\0\0\5base:\0\0\0\3x:y"), true, 0,
		    1 },
		{ BYTES("\0\0\0\0\0\0\0\2\0\0\0\5qemu:"
			"\0\0\0\25qemu:allocation-depth"),
		    true, 2, 2 },
		{ BYTES("\0\0\0\0\0\0\0\1\0\0\0\16base:allocatio"), true, 0,
		    0 },
		{ BYTES("\0\0\0\0\0\0\0\1\0\0\0\0"), true, 0, 0 },
		{ BYTES("\0\0\0\0\0\0\0\0x"), false, 0, 0 },
		{ BYTES("\0\0\0\0\0\0\0\1"), false, 0, 0 },
		{ BYTES("\0\0\0\0\xff\xff\xff\xff\0\0\0\0"), false, 0, 0 },
		{ BYTES("\0\0\0\0\0\0\0\1\0\0\0\5base"), false, 0, 0 },
		{ BYTES("\0\0\0\0\0\0"), false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct nbd_meta meta;

		assert_int_equal(
		    nbd_parse_meta(&meta, cases[i].data, cases[i].len),
		    cases[i].good);
		if (!cases[i].good)
			continue;
		assert_int_equal(meta.named, cases[i].named);
		assert_int_equal(meta.wildcard, cases[i].wildcard);
	}
}

static const struct nbd_terms writable = {
	.size = SIZE, .cluster_bytes = 65536, .structured = true, .contexts = 1
};
static const struct nbd_terms simple = { .size = SIZE };
static const struct nbd_terms frozen = {
	.size = SIZE, .read_only = true, .structured = true
};
static const struct nbd_terms huge = { .size = UINT64_MAX, .structured = true };

static void
requests_are_judged_by_the_terms(void **state)
{
	static const struct {
		const struct nbd_terms *terms;
		uint16_t type, flags;
		uint64_t offset;
		uint32_t len;
		enum nbd_error verdict;
	} cases[] = {
		{ &writable, NBD_CMD_READ, 0, 0, 512, NBD_OK },
		{ &writable, NBD_CMD_READ, 0, SIZE - 1, 1, NBD_OK },
		{ &writable, NBD_CMD_READ, 0, SIZE, 0, NBD_OK },
		{ &writable, NBD_CMD_READ, 0, SIZE, 1, NBD_EINVAL },
		{ &writable, NBD_CMD_READ, 0, UINT64_MAX, 1, NBD_EINVAL },
		{ &writable, NBD_CMD_READ, 0, UINT64_MAX, UINT32_MAX,
		    NBD_EINVAL },
		{ &writable, NBD_CMD_WRITE, 0, SIZE - 1, 2, NBD_ENOSPC },
		{ &writable, NBD_CMD_TRIM, 0, SIZE - 1, 2, NBD_EINVAL },
		{ &writable, NBD_CMD_WRITE_ZEROES, 0, 1, SIZE, NBD_ENOSPC },
		{ &huge, NBD_CMD_READ, 0, 0, NBD_MAX_PAYLOAD, NBD_OK },
		{ &huge, NBD_CMD_READ, 0, 0, NBD_MAX_PAYLOAD + 1,
		    NBD_EOVERFLOW },
		{ &huge, NBD_CMD_WRITE, 0, 0, NBD_MAX_PAYLOAD + 1, NBD_EINVAL },
		{ &huge, NBD_CMD_TRIM, 0, 0, UINT32_MAX, NBD_OK },
		{ &huge, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FAST_ZERO, 0, 512,
		    NBD_ENOTSUP },
		{ &frozen, NBD_CMD_WRITE, 0, 0, 512, NBD_EPERM },
		{ &frozen, NBD_CMD_TRIM, 0, 0, 512, NBD_EPERM },
		{ &frozen, NBD_CMD_WRITE_ZEROES, 0, 0, 512, NBD_EPERM },
		{ &frozen, NBD_CMD_FLUSH, 0, 0, 0, NBD_OK },
		{ &frozen, NBD_CMD_BLOCK_STATUS, 0, 0, 512, NBD_EINVAL },
		{ &writable, NBD_CMD_FLUSH, 0, 1, 0, NBD_EINVAL },
		{ &writable, NBD_CMD_FLUSH, 0, 0, 1, NBD_EINVAL },
		{ &writable, NBD_CMD_BLOCK_STATUS, NBD_CMD_FLAG_REQ_ONE, 0, 1,
		    NBD_OK },
		{ &writable, NBD_CMD_BLOCK_STATUS, 0, 0, 0, NBD_EINVAL },
		{ &writable, NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, 512, NBD_OK },
		{ &simple, NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, 512, NBD_EINVAL },
		{ &writable, NBD_CMD_READ, NBD_CMD_FLAG_NO_HOLE, 0, 512,
		    NBD_EINVAL },
		{ &writable, NBD_CMD_WRITE, 1 << 15, 0, 512, NBD_EINVAL },
		{ &writable, NBD_NCMDS, 0, 0, 512, NBD_EINVAL },
		{ &writable, UINT16_MAX, UINT16_MAX, 0, 0, NBD_EINVAL },
		{ &writable, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FAST_ZERO,
		    65536, 131072, NBD_OK },
		{ &writable, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FAST_ZERO, 512,
		    65536, NBD_ENOTSUP },
		{ &writable, NBD_CMD_WRITE_ZEROES,
		    NBD_CMD_FLAG_FAST_ZERO | NBD_CMD_FLAG_NO_HOLE, 0, 65536,
		    NBD_ENOTSUP },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct nbd_request r = { .flags = cases[i].flags,
			.type = cases[i].type,
			.offset = cases[i].offset,
			.len = cases[i].len };
		const char *why = NULL;
		enum nbd_error verdict =
		    nbd_check_request(&r, cases[i].terms, &why);

		if (verdict != cases[i].verdict)
			fail_msg("case %zu: %d", i, verdict);
		assert_int_equal(why != NULL, verdict != NBD_OK);
	}
}

/* ---- the handshake ---- */

static const struct nbd_export export = { .name = "disk",
	.description = "a disk",
	.size = SIZE,
	.cluster_bytes = 65536,
	.multi_conn = true };

struct transcript {
	uint8_t out[4 * NBD_SHAKE_OUT_BYTES];
	size_t len;
	enum shake_state state;
	struct nbd_shake shake;
};

/* The handshake of a client that sends in, step bytes at a time. */
static void
shake(struct transcript *t, const uint8_t *in, size_t len, size_t step)
{
	size_t have = 0, at = 0;

	nbd_shake_init(&t->shake, &export, t->out);
	t->len = NBD_GREETING_BYTES;
	while (t->shake.state < SHAKE_READY) {
		size_t out_len, n;

		n = nbd_shake_step(
		    &t->shake, in + at, have - at, t->out + t->len, &out_len);
		t->len += out_len;
		at += n;
		assert_true(at <= have);
		assert_true(t->len <= sizeof(t->out) - NBD_SHAKE_OUT_BYTES);
		if (n > 0)
			continue;
		if (have == len)
			break;
		have = have + step < len ? have + step : len;
	}
	t->state = t->shake.state;
}

#define IHAVEOPT "IHAVEOPT\0\0\0"

static void
a_handshake_is_the_same_in_pieces(void **state)
{
	static const struct {
		const uint8_t *in;
		size_t len;
		enum shake_state end;
	} cases[] = {
		{ BYTES(
		      "\0\0\0\3" IHAVEOPT "\10\0\0\0\0" IHAVEOPT
		      "\12\0\0\0\33\0\0\0\0\0\0\0\1\0\0\0\17base:"
		      "allocation" IHAVEOPT "\7\0\0\0\14\0\0\0\4disk\0\1\0\3"),
		    SHAKE_READY },
		{ BYTES("\0\0\0\3" IHAVEOPT "\1\0\0\0\4disk"), SHAKE_READY },
		{ BYTES("\0\0\0\0" IHAVEOPT "\1\0\0\0\0"), SHAKE_READY },
		{ BYTES("\0\0\0\3" IHAVEOPT "\1\0\0\0\4disc"), SHAKE_ENDED },
		{ BYTES("\0\0\0\3" IHAVEOPT "\2\0\0\0\0"), SHAKE_ENDED },
		{ BYTES("\0\0\0\3" IHAVEOPT "\3\0\0\0\0" IHAVEOPT
			"\6\0\0\0\6\0\0\0\0\0\0" IHAVEOPT
			"\11\0\0\0\10\0\0\0\0\0\0\0\0"),
		    SHAKE_HAGGLING },
		{ BYTES("\0\0\0\3" IHAVEOPT "\143\0\0\0\3abc"),
		    SHAKE_HAGGLING },
		{ BYTES("\0\0\0\7"), SHAKE_ENDED },
		{ BYTES("\0\0\0\3IHAVEOPS\0\0\0\3\0\0\0\0"), SHAKE_ENDED },
		{ BYTES("\0\0\0\3" IHAVEOPT "\3\xff\xff\xff\xff"),
		    SHAKE_SKIPPING },
	};
	struct transcript *whole = malloc(sizeof(*whole));
	struct transcript *part = malloc(sizeof(*part));

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		shake(whole, cases[i].in, cases[i].len, cases[i].len);
		assert_int_equal(whole->state, cases[i].end);
		for (size_t step = 1; step < 20; step++) {
			shake(part, cases[i].in, cases[i].len, step);
			assert_int_equal(part->state, whole->state);
			assert_int_equal(part->len, whole->len);
			assert_memory_equal(part->out, whole->out, part->len);
		}
	}
	shake(whole, cases[0].in, cases[0].len, 7);
	assert_int_equal(whole->shake.structured, true);
	assert_int_equal(whole->shake.contexts, 1 << NBD_BASE_ALLOCATION);
	free(whole);
	free(part);
}

static void
a_server_that_ends_refuses_options(void **state)
{
	static const uint8_t go[] = IHAVEOPT "\7\0\0\0\6\0\0\0\0\0\0";
	uint8_t out[NBD_SHAKE_OUT_BYTES];
	struct nbd_shake s;
	size_t len;

	(void)state;
	nbd_shake_init(&s, &export, out);
	assert_int_equal(
	    nbd_shake_step(&s, (const uint8_t *)"\0\0\0\3", 4, out, &len), 4);
	s.stopping = true;
	assert_int_equal(
	    nbd_shake_step(&s, go, sizeof(go) - 1, out, &len), sizeof(go) - 1);
	assert_int_equal(s.state, SHAKE_HAGGLING);
	assert_true(len >= NBD_REP_BYTES);
	assert_int_equal(get_be32(out + 12), NBD_REP_ERR_SHUTDOWN);
}

/* ---- on a socket ---- */

struct scene {
	char dir[32], image[64], socket[64];
	struct disk_set *set;
	struct disk *disk;
	struct nbd_server *server;
};

static void
start(struct scene *s, const struct nbd_options *o)
{
	struct nbd_options options = *o;
	struct err err = { "" };

	options.socket = s->socket;
	s->server = nbd_server_new(s->disk, &options, &err);
	if (s->server == NULL)
		fail_msg("%s", err.text);
}

static int
set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct disk_options options = { .size = SIZE };
	struct err err = { "" };
	int code;

	strcpy(s->dir, "/tmp/nbd-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->image, sizeof(s->image), "%s/d.qcow2", s->dir);
	snprintf(s->socket, sizeof(s->socket), "%s/nbd", s->dir);
	assert_int_equal(disk_create(s->image, &options, &err), 0);
	s->set = disk_set_new();
	s->disk = disk_open(s->set, s->image, DISK_WRITE, &code, &err);
	assert_non_null(s->disk);
	assert_int_equal(disk_write(s->disk, "first", 5, 0, &err), 0);
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *s = *state;
	char command[64];

	nbd_server_free(s->server);
	assert_int_equal(disk_close(s->disk, NULL), 0);
	disk_set_free(s->set);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	assert_int_equal(system(command), 0);
	free(s);
	return 0;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(at.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

static bool
get(int fd, void *to, size_t len)
{
	return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static bool
is_hung_up_on(int fd)
{
	uint8_t byte;
	ssize_t n;

	do {
		n = recv(fd, &byte, 1, 0);
	} while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static void
say(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* A client that has come to transmission, with simple replies. */
static int
begin(const struct scene *s)
{
	static const uint8_t in[] = "\0\0\0\3" IHAVEOPT "\1\0\0\0\0";
	uint8_t out[NBD_GREETING_BYTES + 10];
	int fd = connect_to(s->socket);

	say(fd, in, sizeof(in) - 1);
	assert_true(get(fd, out, sizeof(out)));
	assert_int_equal(get_be64(out + NBD_GREETING_BYTES), SIZE);
	return fd;
}

static void
put_request(
    uint8_t *to, uint16_t type, uint16_t flags, uint64_t offset, uint32_t len)
{
	put_be32(to, NBD_REQUEST_MAGIC);
	put_be16(to + 4, flags);
	put_be16(to + 6, type);
	put_be64(to + 8, 42);
	put_be64(to + 16, offset);
	put_be32(to + 24, len);
}

static void
ask(int fd, uint16_t type, uint64_t offset, uint32_t len)
{
	uint8_t bytes[NBD_REQUEST_BYTES];

	put_request(bytes, type, 0, offset, len);
	say(fd, bytes, sizeof(bytes));
}

static uint32_t
reply_error(int fd)
{
	uint8_t bytes[NBD_SIMPLE_BYTES];

	assert_true(get(fd, bytes, sizeof(bytes)));
	assert_int_equal(get_be32(bytes), NBD_SIMPLE_MAGIC);
	assert_int_equal(get_be64(bytes + 8), 42);
	return get_be32(bytes + 4);
}

static void
is_served(const struct scene *s)
{
	uint8_t bytes[5];
	int fd = begin(s);

	ask(fd, NBD_CMD_READ, 0, 5);
	assert_int_equal(reply_error(fd), NBD_OK);
	assert_true(get(fd, bytes, 5));
	assert_memory_equal(bytes, "first", 5);
	close(fd);
}

static void
the_socket_is_its_owners(void **state)
{
	struct scene *s = *state;
	struct stat st;

	start(s, &(struct nbd_options){ .threads = 2 });
	assert_int_equal(stat(s->socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	is_served(s);
	nbd_server_free(s->server);
	s->server = NULL;
	assert_int_equal(stat(s->socket, &st), -1);
}

static void
a_handshake_takes_so_long_and_no_longer(void **state)
{
	struct scene *s = *state;
	int silent, slow;

	start(s, &(struct nbd_options){ .handshake_ms = 50 });
	silent = connect_to(s->socket);
	slow = connect_to(s->socket);
	say(slow, "\0\0\0\3IHAVE", 9);
	assert_true(is_hung_up_on(silent));
	assert_true(is_hung_up_on(slow));
	close(silent);
	close(slow);
	is_served(s);
}

static void
who_is_one_too_many_is_hung_up_on(void **state)
{
	struct scene *s = *state;
	int one, two;

	start(s, &(struct nbd_options){ .connections = 1, .queue_ms = 50 });
	one = begin(s);
	two = connect_to(s->socket);
	assert_true(is_hung_up_on(two));
	close(two);
	/* Whoever comes while the first one leaves is served. */
	two = connect_to(s->socket);
	close(one);
	close(two);
	for (int i = 0; i < 20; i++)
		is_served(s);
}

/* Reads are asked for, and nothing is taken, until the server reads no more. */
static int
flood(const struct scene *s, size_t *asked)
{
	struct timeval patience = { .tv_usec = 100000 };
	uint8_t request[NBD_REQUEST_BYTES];
	int fd = begin(s);

	put_request(request, NBD_CMD_READ, 0, 0, 1 << 20);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	*asked = 0;
	while (
	    send(fd, request, sizeof(request), MSG_NOSIGNAL) == sizeof(request))
		++*asked;
	return fd;
}

static void
who_takes_no_replies_holds_up_nobody(void **state)
{
	struct scene *s = *state;
	static uint8_t data[1 << 20];
	int stuck[4];
	size_t asked[4];

	start(s, &(struct nbd_options){ .threads = 2, .drain_ms = 50 });
	for (size_t i = 0; i < NITEMS(stuck); i++)
		stuck[i] = flood(s, &asked[i]);
	is_served(s);
	/* Late, but they come, all of them. */
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(reply_error(stuck[0]), NBD_OK);
		assert_true(get(stuck[0], data, sizeof(data)));
		assert_memory_equal(data, "first", 5);
	}
	/* The server does not wait for the others for ever. */
	nbd_server_free(s->server);
	s->server = NULL;
	for (size_t i = 0; i < NITEMS(stuck); i++)
		close(stuck[i]);
}

static void
what_was_asked_for_is_done_when_the_server_ends(void **state)
{
	struct scene *s = *state;
	uint8_t data[512], payload[NBD_REQUEST_BYTES + 512];
	int fd;

	start(s, &(struct nbd_options){ .threads = 2 });
	fd = begin(s);
	memset(payload, 'w', sizeof(payload));
	for (unsigned int i = 0; i < 50; i++) {
		put_request(
		    payload, NBD_CMD_WRITE, NBD_CMD_FLAG_FUA, i * 512, 512);
		say(fd, payload, sizeof(payload));
	}
	nbd_server_free(s->server);
	s->server = NULL;
	for (unsigned int i = 0; i < 50; i++)
		assert_int_equal(reply_error(fd), NBD_OK);
	assert_true(is_hung_up_on(fd));
	close(fd);
	for (unsigned int i = 0; i < 50; i++) {
		assert_int_equal(
		    disk_read(s->disk, data, 512, i * 512, NULL), 0);
		assert_memory_equal(data, payload + NBD_REQUEST_BYTES, 512);
	}
}

/* Bytes that begin well, with one in twenty changed, cut anywhere. */
static size_t
spoil(uint8_t *bytes, size_t len, unsigned int *seed)
{
	for (size_t i = 0; i < len; i++)
		if (rand_r(seed) % 20 == 0)
			bytes[i] = (uint8_t)rand_r(seed);
	return (size_t)rand_r(seed) % (len + 1);
}

static void
no_bytes_do_harm(void **state)
{
	static const uint8_t hello[] =
	    "\0\0\0\3" IHAVEOPT "\10\0\0\0\0" IHAVEOPT
	    "\12\0\0\0\33\0\0\0\0\0\0\0\1\0\0\0\17base:allocation" IHAVEOPT
	    "\7\0\0\0\14\0\0\0\4disk\0\1\0\3";
	struct scene *s = *state;
	unsigned int seed = 1;

	start(s, &(struct nbd_options){ .connections = 8, .drain_ms = 20 });
	for (int round = 0; round < 400; round++) {
		uint8_t bytes[sizeof(hello) - 1 + 40 * NBD_REQUEST_BYTES];
		size_t len = sizeof(hello) - 1;
		int fd = connect_to(s->socket);

		memcpy(bytes, hello, len);
		if (round % 2 == 0)
			len = spoil(bytes, len, &seed);
		for (int i = 0; i < 40 &&
		     len == sizeof(hello) - 1 + (size_t)i * NBD_REQUEST_BYTES;
		     i++) {
			put_request(bytes + len,
			    (uint16_t)(rand_r(&seed) % (NBD_NCMDS + 1)),
			    rand_r(&seed) % 3 == 0
				? (uint16_t)(1 << rand_r(&seed) % 6)
				: 0,
			    (uint64_t)rand_r(&seed) % (SIZE + 1000),
			    (uint32_t)rand_r(&seed) % 300000);
			len += NBD_REQUEST_BYTES;
		}
		if (round % 3 == 0)
			len = spoil(bytes, len, &seed);
		send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (round % 5 == 0)
			shutdown(fd, SHUT_WR);
		if (round % 7 == 0)
			shutdown(fd, SHUT_RD);
		if (round % 10 == 0) {
			shutdown(fd, SHUT_WR);
			is_hung_up_on(fd);
		}
		close(fd);
	}
	assert_int_equal(disk_write(s->disk, "first", 5, 0, NULL), 0);
	is_served(s);
}

static void
snapshots_come_by_the_other_socket(void **state)
{
	struct scene *s = *state;
	char control[80], snapshot[80], line[512];
	struct err err = { "" };
	int fd;

	start(s, &(struct nbd_options){ .threads = 2 });
	snprintf(control, sizeof(control), "%s~control", s->image);
	snprintf(snapshot, sizeof(snapshot), "%s/d@one.qcow2", s->dir);
	fd = connect_to(control);
	memset(line, 'x', sizeof(line));
	say(fd, line, sizeof(line));
	assert_true(is_hung_up_on(fd));
	close(fd);
	fd = connect_to(control);
	say(fd, "sna", 3);
	close(fd);
	assert_int_not_equal(live_ask_snapshot(s->image, "../x", &err), 0);
	assert_string_not_equal(err.text, "");
	err_clear(&err);
	assert_int_not_equal(live_ask_snapshot(s->image, "a\nb", &err), 0);
	err_clear(&err);
	assert_int_equal(live_ask_snapshot(s->image, "one", &err), 0);
	assert_int_equal(access(snapshot, F_OK), 0);
	is_served(s);
	nbd_server_free(s->server);
	s->server = NULL;
	err_clear(&err);
	assert_int_equal(
	    live_ask_snapshot(s->image, "two", &err), -ECONNREFUSED);
	assert_string_equal(err.text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go_is_read_to_the_byte),
		cmocka_unit_test(contexts_are_found_among_any_queries),
		cmocka_unit_test(requests_are_judged_by_the_terms),
		cmocka_unit_test(a_handshake_is_the_same_in_pieces),
		cmocka_unit_test(a_server_that_ends_refuses_options),
		cmocka_unit_test_setup_teardown(
		    the_socket_is_its_owners, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_handshake_takes_so_long_and_no_longer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    who_is_one_too_many_is_hung_up_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    who_takes_no_replies_holds_up_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    what_was_asked_for_is_done_when_the_server_ends, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    no_bytes_do_harm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    snapshots_come_by_the_other_socket, set_up, tear_down),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
