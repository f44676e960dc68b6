/*
 * One NBD client.
 *
 * The connection's thread reads requests, many with one system call when the
 * client sends many, and answers reads from the page cache, writes and zeroes
 * at once.  Their replies wait in a buffer until the thread would have to wait
 * for more requests, and leave together.  Reads that must wait for a device, and
 * flushes, go to the queue; its threads send those replies themselves.
 *
 * The client is not trusted: lengths are bounded before memory is taken, at most
 * MAX_BYTES are in flight, and whoever breaks the protocol is hung up on.
 */
#include "disk/nbd_connection.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disk/file.h"

#define MAX_PAYLOAD (32u << 20)
#define MAX_OPTION  (64u << 10)
#define MAX_FLIGHT  128
#define MAX_BYTES   (64u << 20)
#define IN_BYTES    (64u << 10)
#define OUT_BYTES   (256u << 10)
#define MAX_EXTENTS 1024

#define MAGIC         UINT64_C(0x4e42444d41474943)
#define MAGIC_OPTION  UINT64_C(0x49484156454f5054)
#define MAGIC_ANSWER  UINT64_C(0x0003e889045565a9)
#define MAGIC_REQUEST UINT32_C(0x25609513)
#define MAGIC_SIMPLE  UINT32_C(0x67446698)
#define MAGIC_CHUNK   UINT32_C(0x668e33ef)
#define REQUEST_BYTES 28
#define SIMPLE_BYTES  16
#define CHUNK_HEAD    20

enum { FIXED_NEWSTYLE = 1, NO_ZEROES = 2 };
enum {
	OPT_EXPORT_NAME = 1,
	OPT_ABORT = 2,
	OPT_LIST = 3,
	OPT_INFO = 6,
	OPT_GO = 7,
	OPT_STRUCTURED = 8,
	OPT_LIST_META = 9,
	OPT_SET_META = 10,
};
#define REP_ACK     UINT32_C(1)
#define REP_SERVER  UINT32_C(2)
#define REP_INFO    UINT32_C(3)
#define REP_META    UINT32_C(4)
#define ERR_UNSUP   UINT32_C(0x80000001)
#define ERR_INVALID UINT32_C(0x80000003)
#define ERR_UNKNOWN UINT32_C(0x80000006)
#define ERR_TOO_BIG UINT32_C(0x80000009)
enum { INFO_EXPORT = 0, INFO_BLOCK_SIZE = 3 };
enum {
	SEND_HAS_FLAGS = 1 << 0,
	SEND_READ_ONLY = 1 << 1,
	SEND_FLUSH = 1 << 2,
	SEND_FUA = 1 << 3,
	SEND_TRIM = 1 << 5,
	SEND_ZEROES = 1 << 6,
	SEND_DF = 1 << 7,
	SEND_MULTI = 1 << 8,
};
enum {
	CMD_READ,
	CMD_WRITE,
	CMD_DISCONNECT,
	CMD_FLUSH,
	CMD_TRIM,
	CMD_CACHE,
	CMD_ZEROES,
	CMD_STATUS
};
enum { FLAG_FUA = 1 << 0, FLAG_REQ_ONE = 1 << 3 };
enum { CHUNK_NONE = 0, CHUNK_DATA = 1, CHUNK_STATUS = 5 };
#define CHUNK_ERROR 0x8001
#define CHUNK_DONE  1
enum { STATE_HOLE = 1, STATE_ZERO = 2 };
#define CONTEXT_ALLOCATION 1
#define CONTEXT_DEPTH      2
#define NAME_ALLOCATION    "base:allocation"
#define NAME_DEPTH         "qemu:allocation-depth"

struct client {
	const struct nbd_shared *shared;
	int fd;
	bool structured, no_zeroes;
	unsigned int contexts; /* 1 << CONTEXT_... */
	uint8_t *in;
	size_t in_at, in_end;
	uint8_t *out; /* replies of this thread */
	size_t out_bytes;
	pthread_mutex_t sending; /* guards the socket and the next three */
	pthread_cond_t landed;
	unsigned int flight; /* requests in the queue */
	size_t bytes;        /* of theirs */
	bool broken;
};

struct request {
	uint16_t flags, type;
	uint8_t cookie[8];
	uint64_t offset;
	uint32_t len;
};

/* A request in the queue, with room for its reply. */
struct flight {
	struct disk_request work;
	struct client *client;
	struct request request;
	struct iovec iov;
	size_t bytes, head;
	uint8_t reply[];
};

/* ---- the socket ---- */

static bool
send_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

static void
send_locked(struct client *c, const uint8_t *p, size_t n)
{
	pthread_mutex_lock(&c->sending);
	if (!c->broken && !send_all(c->fd, p, n)) {
		c->broken = true;
		shutdown(c->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&c->sending);
}

static void
send_replies(struct client *c)
{
	if (c->out_bytes > 0)
		send_locked(c, c->out, c->out_bytes);
	c->out_bytes = 0;
}

/* Room for n bytes of a reply, at most OUT_BYTES. */
static uint8_t *
reply_room(struct client *c, size_t n)
{
	if (c->out_bytes + n > OUT_BYTES)
		send_replies(c);
	return c->out + c->out_bytes;
}

/* Receives n bytes; what is buffered first. */
static bool
receive(struct client *c, uint8_t *to, size_t n)
{
	while (n > 0) {
		size_t have = c->in_end - c->in_at;
		ssize_t got;

		if (have > 0) {
			have = have < n ? have : n;
			memcpy(to, c->in + c->in_at, have);
			c->in_at += have;
			to += have;
			n -= have;
			continue;
		}
		send_replies(c);
		/* Large payloads go straight to where they belong. */
		if (n >= IN_BYTES) {
			got = recv(c->fd, to, n, 0);
			if (got > 0) {
				to += got;
				n -= (size_t)got;
			}
		} else {
			got = recv(c->fd, c->in, IN_BYTES, 0);
			c->in_at = 0;
			c->in_end = got > 0 ? (size_t)got : 0;
		}
		if (got == 0 || (got < 0 && errno != EINTR))
			return false;
	}
	return true;
}

/* ---- negotiation ---- */

static bool
answer(struct client *c, uint32_t option, uint32_t type, const void *data,
    uint32_t len)
{
	uint8_t head[20];

	put_be64(head, MAGIC_ANSWER);
	put_be32(head + 8, option);
	put_be32(head + 12, type);
	put_be32(head + 16, len);
	return send_all(c->fd, head, sizeof(head)) &&
	    send_all(c->fd, data, len);
}

static uint16_t
export_flags(const struct client *c)
{
	unsigned int flags =
	    SEND_HAS_FLAGS | SEND_MULTI | (c->structured ? SEND_DF : 0);

	if (c->shared->read_only)
		return (uint16_t)(flags | SEND_READ_ONLY);
	return (
	    uint16_t)(flags | SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_ZEROES);
}

static bool
is_export(const struct client *c, const uint8_t *name, size_t len)
{
	const char *ours = c->shared->export;

	return ours == NULL ||
	    (strlen(ours) == len && memcmp(ours, name, len) == 0);
}

static bool
answer_export(struct client *c, uint32_t option)
{
	uint8_t info[14];

	put_be16(info, INFO_EXPORT);
	put_be64(info + 2, disk_size(c->shared->disk));
	put_be16(info + 10, export_flags(c));
	if (!answer(c, option, REP_INFO, info, 12))
		return false;
	put_be16(info, INFO_BLOCK_SIZE);
	put_be32(info + 2, 1);
	put_be32(info + 6, 65536);
	put_be32(info + 10, MAX_PAYLOAD);
	return answer(c, option, REP_INFO, info, 14) &&
	    answer(c, option, REP_ACK, "", 0);
}

/* INFO or GO.  *go: the client may begin. */
static bool
option_info(struct client *c, uint32_t option, const uint8_t *data,
    uint32_t len, bool *go)
{
	uint32_t name = len >= 4 ? get_be32(data) : 0;

	if (len < 6 || name > len - 6 ||
	    len != 6 + name + 2 * (uint32_t)get_be16(data + 4 + name))
		return answer(c, option, ERR_INVALID, "", 0);
	if (!is_export(c, data + 4, name))
		return answer(c, option, ERR_UNKNOWN, "", 0);
	*go = option == OPT_GO;
	return answer_export(c, option);
}

static bool
answer_context(struct client *c, uint32_t option, uint32_t id, const char *name)
{
	uint8_t data[64];
	size_t n = strlen(name);

	put_be32(data, option == OPT_SET_META ? id : 0);
	memcpy(data + 4, name, n);
	if (option == OPT_SET_META)
		c->contexts |= 1u << id;
	return answer(c, option, REP_META, data, (uint32_t)(4 + n));
}

static bool
wants(const uint8_t *query, uint32_t len, const char *name)
{
	size_t colon = (size_t)(strchr(name, ':') - name) + 1;

	return (len == strlen(name) && memcmp(query, name, len) == 0) ||
	    (len == colon && memcmp(query, name, len) == 0);
}

static bool
option_meta(
    struct client *c, uint32_t option, const uint8_t *data, uint32_t len)
{
	uint32_t name = len >= 8 ? get_be32(data) : 0, n, at;
	bool allocation, depth;

	if (option == OPT_SET_META)
		c->contexts = 0;
	if (!c->structured || len < 8 || name > len - 8)
		return answer(c, option, ERR_INVALID, "", 0);
	if (!is_export(c, data + 4, name))
		return answer(c, option, ERR_UNKNOWN, "", 0);
	n = get_be32(data + 4 + name);
	at = 8 + name;
	allocation = depth = n == 0 && option == OPT_LIST_META;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t query;

		if (len - at < 4)
			return answer(c, option, ERR_INVALID, "", 0);
		query = get_be32(data + at);
		at += 4;
		if (query > len - at)
			return answer(c, option, ERR_INVALID, "", 0);
		allocation |= wants(data + at, query, NAME_ALLOCATION);
		depth |= wants(data + at, query, NAME_DEPTH);
		at += query;
	}
	if (allocation &&
	    !answer_context(c, option, CONTEXT_ALLOCATION, NAME_ALLOCATION))
		return false;
	if (depth && !answer_context(c, option, CONTEXT_DEPTH, NAME_DEPTH))
		return false;
	return answer(c, option, REP_ACK, "", 0);
}

static bool
option_list(struct client *c, uint32_t len)
{
	const char *name = c->shared->export != NULL ? c->shared->export : "";
	uint8_t data[4 + 256];
	size_t n = strlen(name) < 256 ? strlen(name) : 255;

	if (len > 0)
		return answer(c, OPT_LIST, ERR_INVALID, "", 0);
	put_be32(data, (uint32_t)n);
	memcpy(data + 4, name, n);
	return answer(c, OPT_LIST, REP_SERVER, data, (uint32_t)(4 + n)) &&
	    answer(c, OPT_LIST, REP_ACK, "", 0);
}

/* The old way to begin, which knows no refusal but hanging up. */
static bool
option_export_name(struct client *c, const uint8_t *data, uint32_t len)
{
	uint8_t reply[10 + 124] = { 0 };

	if (!is_export(c, data, len))
		return false;
	put_be64(reply, disk_size(c->shared->disk));
	put_be16(reply + 8, export_flags(c));
	return send_all(c->fd, reply, c->no_zeroes ? 10 : sizeof(reply));
}

/* One option.  False: hang up; *go: requests follow. */
static bool
handle_option(struct client *c, uint32_t option, const uint8_t *data,
    uint32_t len, bool *go)
{
	switch (option) {
	case OPT_EXPORT_NAME:
		*go = option_export_name(c, data, len);
		return *go;
	case OPT_ABORT: answer(c, option, REP_ACK, "", 0); return false;
	case OPT_LIST: return option_list(c, len);
	case OPT_INFO:
	case OPT_GO: return option_info(c, option, data, len, go);
	case OPT_STRUCTURED:
		c->structured = len == 0;
		return answer(
		    c, option, len == 0 ? REP_ACK : ERR_INVALID, "", 0);
	case OPT_LIST_META:
	case OPT_SET_META: return option_meta(c, option, data, len);
	default: return answer(c, option, ERR_UNSUP, "", 0);
	}
}

static bool
negotiate(struct client *c)
{
	uint8_t head[18], *data = malloc(MAX_OPTION);
	bool good = data != NULL, go = false;

	put_be64(head, MAGIC);
	put_be64(head + 8, MAGIC_OPTION);
	put_be16(head + 16, FIXED_NEWSTYLE | NO_ZEROES);
	good =
	    good && send_all(c->fd, head, sizeof(head)) && receive(c, head, 4);
	good = good &&
	    (get_be32(head) & ~(uint32_t)(FIXED_NEWSTYLE | NO_ZEROES)) == 0;
	c->no_zeroes = good && (get_be32(head) & NO_ZEROES) != 0;
	while (good && !go) {
		uint32_t option, len;

		good = receive(c, head, 16) && get_be64(head) == MAGIC_OPTION;
		if (!good)
			break;
		option = get_be32(head + 8);
		len = get_be32(head + 12);
		good = len <= MAX_OPTION && receive(c, data, len) &&
		    handle_option(c, option, data, len, &go);
	}
	free(data);
	return good;
}

/* ---- replies ---- */

static uint32_t
nbd_error(int code)
{
	switch (code) {
	case 0: return 0;
	case -EPERM:
	case -EROFS: return 1;
	case -ENOMEM: return 12;
	case -EINVAL: return 22;
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG: return 28;
	case -ENOTSUP: return 95;
	default: return 5;
	}
}

static void
put_chunk(uint8_t *p, uint16_t type, const uint8_t cookie[8], uint32_t len)
{
	put_be32(p, MAGIC_CHUNK);
	put_be16(p + 4, CHUNK_DONE);
	put_be16(p + 6, type);
	memcpy(p + 8, cookie, 8);
	put_be32(p + 16, len);
}

/* The head of a reply with data, which follow it.  How long it is. */
static size_t
put_data_head(const struct client *c, uint8_t *p, const struct request *r)
{
	if (!c->structured) {
		put_be32(p, MAGIC_SIMPLE);
		put_be32(p + 4, 0);
		memcpy(p + 8, r->cookie, 8);
		return SIMPLE_BYTES;
	}
	put_chunk(p, CHUNK_DATA, r->cookie, 8 + r->len);
	put_be64(p + CHUNK_HEAD, r->offset);
	return CHUNK_HEAD + 8;
}

/* A whole reply without data. */
static size_t
put_plain(const struct client *c, uint8_t *p, const struct request *r, int code)
{
	/* Only what may have data must be told in chunks. */
	bool chunks =
	    c->structured && (r->type == CMD_READ || r->type == CMD_STATUS);

	if (!chunks) {
		put_be32(p, MAGIC_SIMPLE);
		put_be32(p + 4, nbd_error(code));
		memcpy(p + 8, r->cookie, 8);
		return SIMPLE_BYTES;
	}
	if (code == 0) {
		put_chunk(p, CHUNK_NONE, r->cookie, 0);
		return CHUNK_HEAD;
	}
	put_chunk(p, CHUNK_ERROR, r->cookie, 6);
	put_be32(p + CHUNK_HEAD, nbd_error(code));
	put_be16(p + CHUNK_HEAD + 4, 0);
	return CHUNK_HEAD + 6;
}

static void
reply(struct client *c, const struct request *r, int code)
{
	c->out_bytes += put_plain(c, reply_room(c, 64), r, code);
}

/* ---- requests that wait ---- */

static void
landed(struct disk_request *work, int result)
{
	struct flight *f = work->arg;
	struct client *c = f->client;

	if (result == 0 && f->request.type == CMD_READ)
		send_locked(c, f->reply, f->head + f->request.len);
	else
		send_locked(
		    c, f->reply, put_plain(c, f->reply, &f->request, result));
	pthread_mutex_lock(&c->sending);
	c->flight--;
	c->bytes -= f->bytes;
	pthread_cond_signal(&c->landed);
	pthread_mutex_unlock(&c->sending);
	free(f);
}

/* Waits until at most so much is in the queue. */
static void
wait_for_room(struct client *c, unsigned int flights, size_t bytes)
{
	pthread_mutex_lock(&c->sending);
	while (c->flight > flights || (c->flight > 0 && c->bytes > bytes))
		pthread_cond_wait(&c->landed, &c->sending);
	pthread_mutex_unlock(&c->sending);
}

/* data: what the reply carries. */
static void
launch(struct client *c, const struct request *r, enum disk_op op, size_t data)
{
	size_t bytes = sizeof(struct flight) + 64 + data;
	struct flight *f;

	wait_for_room(c, MAX_FLIGHT - 1, MAX_BYTES - MAX_PAYLOAD);
	f = malloc(bytes);
	if (f == NULL) {
		reply(c, r, -ENOMEM);
		return;
	}
	f->client = c;
	f->request = *r;
	f->bytes = bytes;
	f->head = put_data_head(c, f->reply, r);
	f->iov = (struct iovec){ f->reply + f->head, data };
	f->work = (struct disk_request){ .disk = c->shared->disk,
		.op = op,
		.iov = &f->iov,
		.iovs = 1,
		.offset = r->offset,
		.len = r->len,
		.done = landed,
		.arg = f };
	pthread_mutex_lock(&c->sending);
	c->flight++;
	c->bytes += bytes;
	pthread_mutex_unlock(&c->sending);
	disk_submit(c->shared->queue, &f->work);
}

/* ---- requests ---- */

static bool
in_range(const struct client *c, const struct request *r)
{
	uint64_t size = disk_size(c->shared->disk);

	return r->offset <= size && r->len <= size - r->offset;
}

static void
handle_read(struct client *c, const struct request *r)
{
	struct iovec iov = { NULL, r->len };
	size_t head;
	uint8_t *p;

	if (r->len > MAX_PAYLOAD || !in_range(c, r)) {
		reply(c, r, -EINVAL);
		return;
	}
	if (r->len > OUT_BYTES / 2) {
		launch(c, r, DISK_OP_READ, r->len);
		return;
	}
	p = reply_room(c, 64 + r->len);
	head = put_data_head(c, p, r);
	iov.iov_base = p + head;
	if (disk_readv_cached(c->shared->disk, &iov, 1, r->offset) == 0)
		c->out_bytes += head + r->len;
	else
		launch(c, r, DISK_OP_READ, r->len);
}

/* False: the client is gone. */
static bool
handle_write(struct client *c, const struct request *r)
{
	uint8_t *data = malloc(r->len + 1u);
	int code;

	if (data == NULL || !receive(c, data, r->len)) {
		free(data);
		return false;
	}
	if (c->shared->read_only)
		code = -EPERM;
	else if (!in_range(c, r))
		code = -ENOSPC;
	else
		code =
		    disk_write(c->shared->disk, data, r->len, r->offset, NULL);
	free(data);
	if (code == 0 && (r->flags & FLAG_FUA) != 0)
		launch(c, r, DISK_OP_FLUSH, 0);
	else
		reply(c, r, code);
	return true;
}

static void
handle_zeroes(struct client *c, const struct request *r)
{
	int code;

	if (c->shared->read_only)
		code = -EPERM;
	else if (!in_range(c, r))
		code = r->type == CMD_TRIM ? -EINVAL : -ENOSPC;
	else if (r->type == CMD_TRIM)
		code = disk_discard(c->shared->disk, r->offset, r->len, NULL);
	else
		code = disk_zero(c->shared->disk, r->offset, r->len, NULL);
	if (code == 0 && (r->flags & FLAG_FUA) != 0)
		launch(c, r, DISK_OP_FLUSH, 0);
	else
		reply(c, r, code);
}

static uint32_t
extent_state(const struct disk_extent *x, int context)
{
	if (context == CONTEXT_DEPTH)
		return x->present ? x->depth + 1 : 0;
	return (x->present ? 0 : STATE_HOLE) | (x->data ? 0 : STATE_ZERO);
}

/* One chunk with the states of the range in one context. */
static size_t
put_status(struct client *c, const struct request *r, uint8_t *p, int context,
    bool last)
{
	unsigned int most = (r->flags & FLAG_REQ_ONE) != 0 ? 1 : MAX_EXTENTS;
	uint64_t at = r->offset, end = r->offset + r->len;
	unsigned int n = 0;

	while (at < end) {
		uint8_t *row = p + CHUNK_HEAD + 4 + (size_t)n * 8;
		struct disk_extent x;
		uint32_t state;

		if (disk_extent(c->shared->disk, at, end - at, &x, NULL) != 0)
			break;
		state = extent_state(&x, context);
		if (n > 0 && get_be32(row - 4) == state) {
			put_be32(row - 8, get_be32(row - 8) + (uint32_t)x.len);
		} else if (n == most) {
			break;
		} else {
			put_be32(row, (uint32_t)x.len);
			put_be32(row + 4, state);
			n++;
		}
		at += x.len;
	}
	if (n == 0)
		return 0;
	put_chunk(p, CHUNK_STATUS, r->cookie, 4 + n * 8);
	if (!last)
		put_be16(p + 4, 0);
	put_be32(p + CHUNK_HEAD, (uint32_t)context);
	return CHUNK_HEAD + 4 + (size_t)n * 8;
}

static void
handle_status(struct client *c, const struct request *r)
{
	size_t room = 2 * (64 + MAX_EXTENTS * 8), n = 0, more;
	bool depth = (c->contexts & 1u << CONTEXT_DEPTH) != 0;
	uint8_t *p;

	if (c->contexts == 0 || r->len == 0 || !in_range(c, r)) {
		reply(c, r, -EINVAL);
		return;
	}
	p = reply_room(c, room);
	if ((c->contexts & 1u << CONTEXT_ALLOCATION) != 0) {
		n = put_status(c, r, p, CONTEXT_ALLOCATION, !depth);
		if (n == 0) {
			reply(c, r, -EIO);
			return;
		}
	}
	if (depth) {
		more = put_status(c, r, p + n, CONTEXT_DEPTH, true);
		if (more == 0) {
			reply(c, r, -EIO);
			return;
		}
		n += more;
	}
	c->out_bytes += n;
}

/* False: hang up. */
static bool
handle_request(struct client *c, const struct request *r)
{
	switch (r->type) {
	case CMD_READ: handle_read(c, r); return true;
	case CMD_WRITE: return r->len <= MAX_PAYLOAD && handle_write(c, r);
	case CMD_DISCONNECT: return false;
	case CMD_FLUSH: launch(c, r, DISK_OP_FLUSH, 0); return true;
	case CMD_TRIM:
	case CMD_ZEROES: handle_zeroes(c, r); return true;
	case CMD_STATUS: handle_status(c, r); return true;
	default: reply(c, r, -EINVAL); return true;
	}
}

static void
serve_requests(struct client *c)
{
	uint8_t head[REQUEST_BYTES];
	struct request r;

	while (receive(c, head, sizeof(head))) {
		if (get_be32(head) != MAGIC_REQUEST)
			break;
		r.flags = get_be16(head + 4);
		r.type = get_be16(head + 6);
		memcpy(r.cookie, head + 8, 8);
		r.offset = get_be64(head + 16);
		r.len = get_be32(head + 24);
		if (!handle_request(c, &r))
			break;
	}
	send_replies(c);
}

void
nbd_connection(const struct nbd_shared *shared, int fd)
{
	struct client c = { .shared = shared, .fd = fd };

	c.in = malloc(IN_BYTES);
	c.out = malloc(OUT_BYTES);
	pthread_mutex_init(&c.sending, NULL);
	pthread_cond_init(&c.landed, NULL);
	if (c.in != NULL && c.out != NULL && negotiate(&c))
		serve_requests(&c);
	wait_for_room(&c, 0, 0);
	pthread_cond_destroy(&c.landed);
	pthread_mutex_destroy(&c.sending);
	free(c.in);
	free(c.out);
}
