/* libs: disk base */
/*
 * NBD: handshakes of any bytes end in a defined state, alike however they are
 * cut; requests of any kind against a disk and a model of it, whose replies are
 * taken apart to the byte.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/disk.h"
#include "disk/file.h"
#include "disk/nbd_shake.h"
#include "disk/nbd_work.h"

#define SIZE       (UINT64_C(1) << 20)
#define IN_BYTES   70000
#define CASE_BYTES 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* ---- the handshake ---- */

static const struct nbd_export export = { .name = "disk",
	.description = "what is behind it",
	.size = SIZE,
	.cluster_bytes = 4096 };

struct end {
	enum shake_state state;
	bool structured;
	uint32_t contexts;
	uint64_t sum; /* of all output */
	size_t out;
};

static void
check_output(const uint8_t *out, size_t len, bool ready)
{
	while (len >= NBD_REP_BYTES && get_be64(out) == NBD_REPLY_MAGIC) {
		size_t n = NBD_REP_BYTES + get_be32(out + 16);

		assert(n <= len);
		out += n;
		len -= n;
	}
	/* All but what answers EXPORT_NAME is an option reply. */
	assert(len == 0 || (ready && (len == 10 || len == 134)));
}

static struct end
shake(const uint8_t *data, size_t len, size_t step)
{
	static uint8_t out[NBD_SHAKE_OUT_BYTES];
	struct end end = { .sum = 7 };
	struct nbd_shake s;
	size_t at = 0, have = 0;

	nbd_shake_init(&s, &export, out);
	while (s.state < SHAKE_READY) {
		size_t n, out_len;

		n = nbd_shake_step(&s, data + at, have - at, out, &out_len);
		assert(n <= have - at && out_len <= sizeof(out));
		check_output(out, out_len, s.state == SHAKE_READY);
		for (size_t i = 0; i < out_len; i++)
			end.sum = end.sum * 31 + out[i];
		end.out += out_len;
		at += n;
		if (n > 0)
			continue;
		/* So much is always enough for a step. */
		assert(have - at < NBD_SHAKE_IN_BYTES || s.skip > 0);
		if (have == len)
			break;
		have = len - have < step ? len : have + step;
	}
	end.state = s.state;
	end.structured = s.structured;
	end.contexts = s.contexts;
	if (s.state == SHAKE_READY) {
		struct nbd_terms t;

		nbd_shake_terms(&s, &t);
		assert(t.contexts == 0 || t.structured);
		assert(t.contexts < 1u << NBD_NCONTEXTS);
	}
	return end;
}

static void
fuzz_handshake(const uint8_t *data, size_t len)
{
	struct end whole = shake(data, len, len + 1);
	struct end parts = shake(data, len, len > 0 ? 1 + data[0] % 40u : 1);

	assert(whole.state == parts.state && whole.sum == parts.sum &&
	    whole.out == parts.out && whole.structured == parts.structured &&
	    whole.contexts == parts.contexts);
}

/* ---- requests ---- */

static struct disk *disk;
static uint8_t model[SIZE];

static void
open_disk(void)
{
	char dir[] = "/tmp/nbd-fuzz-XXXXXX", path[64];
	struct disk_options options = { .size = SIZE, .cluster_bits = 12 };
	struct disk_set *set = disk_set_new();
	int code;

	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/d.qcow2", dir);
	if (disk_create(path, &options, NULL) != 0)
		abort();
	disk = disk_open(set, path, DISK_WRITE, &code, NULL);
	if (disk == NULL || unlink(path) != 0 || rmdir(dir) != 0)
		abort();
}

/* One structured reply to a read covers it, with what the model has. */
static void
check_chunks(const struct nbd_job *job)
{
	const struct nbd_request *r = &job->request;
	const uint8_t *p = job->bytes, *end = p + job->len;
	uint64_t at = r->offset;
	bool done = false;

	while (p < end) {
		uint32_t n = get_be32(p + 16);

		assert(!done && end - p >= NBD_CHUNK_BYTES);
		assert(get_be32(p) == NBD_STRUCTURED_MAGIC);
		assert(get_be64(p + 8) == r->cookie);
		assert(n <= (size_t)(end - p) - NBD_CHUNK_BYTES);
		done = get_be16(p + 4) == NBD_REPLY_FLAG_DONE;
		switch (get_be16(p + 6)) {
		case NBD_REPLY_TYPE_NONE: assert(n == 0 && done); break;
		case NBD_REPLY_TYPE_OFFSET_DATA:
			assert(n > 8 && get_be64(p + 20) == at);
			assert(at + n - 8 <= r->offset + r->len);
			assert(memcmp(p + 28, model + at, n - 8) == 0);
			at += n - 8;
			break;
		case NBD_REPLY_TYPE_OFFSET_HOLE:
			assert(n == 12 && get_be64(p + 20) == at);
			n = get_be32(p + 28);
			assert(n > 0 && at + n <= r->offset + r->len);
			for (uint32_t i = 0; i < n; i++)
				assert(model[at + i] == 0);
			at += n;
			n = 12;
			break;
		default: abort();
		}
		p += NBD_CHUNK_BYTES + n;
	}
	assert(done && at == r->offset + r->len);
}

static void
check_read(const struct nbd_job *job, const struct nbd_terms *t)
{
	const struct nbd_request *r = &job->request;

	if (t->structured) {
		check_chunks(job);
		return;
	}
	assert(job->len == NBD_SIMPLE_BYTES + r->len);
	assert(get_be32(job->bytes) == NBD_SIMPLE_MAGIC);
	assert(get_be32(job->bytes + 4) == NBD_OK);
	assert(memcmp(job->bytes + NBD_SIMPLE_BYTES, model + r->offset,
		   r->len) == 0);
}

/* What is said to be zeros is zeros, and as much is told as was asked for. */
static void
check_status(const struct nbd_job *job, const struct nbd_terms *t)
{
	const struct nbd_request *r = &job->request;
	const uint8_t *p = job->bytes, *end = p + job->len;
	uint32_t seen = 0;

	while (p < end) {
		uint32_t rows = (get_be32(p + 16) - 4) / NBD_DESCRIPTOR_BYTES;
		uint32_t context = get_be32(p + NBD_CHUNK_BYTES);
		uint64_t at = r->offset;

		assert(get_be16(p + 6) == NBD_REPLY_TYPE_BLOCK_STATUS);
		assert((t->contexts & 1u << context) != 0);
		seen |= 1u << context;
		assert((seen == t->contexts) == (get_be16(p + 4) == 1));
		assert(rows >= 1);
		p += NBD_STATUS_BYTES;
		for (; rows > 0; rows--, p += NBD_DESCRIPTOR_BYTES) {
			uint32_t n = get_be32(p), state = get_be32(p + 4);

			assert(n > 0 && at + n <= r->offset + r->len);
			for (uint32_t i = 0; context == NBD_BASE_ALLOCATION &&
			     (state & NBD_STATE_ZERO) != 0 && i < n;
			     i++)
				assert(model[at + i] == 0);
			at += n;
		}
		assert((r->flags & NBD_CMD_FLAG_REQ_ONE) != 0 ||
		    at == r->offset + r->len);
	}
	assert(seen == t->contexts);
}

static void
check_reply(const struct nbd_job *job, const struct nbd_terms *t)
{
	const struct nbd_request *r = &job->request;

	assert(job->len <= job->room);
	switch (r->type) {
	case NBD_CMD_READ: check_read(job, t); return;
	case NBD_CMD_BLOCK_STATUS: check_status(job, t); return;
	case NBD_CMD_WRITE_ZEROES: memset(model + r->offset, 0, r->len); break;
	case NBD_CMD_TRIM:
		/* Anything goes, but it stays. */
		if (disk_read(
			disk, model + r->offset, r->len, r->offset, NULL) != 0)
			abort();
		break;
	default: break;
	}
	assert(job->len == NBD_SIMPLE_BYTES);
	assert(get_be32(job->bytes + 4) == NBD_OK);
}

static void
run(const struct nbd_request *r, const struct nbd_terms *t, uint8_t pattern)
{
	static const atomic_bool going_on;
	static uint8_t cached[SIZE + NBD_DATA_BYTES];
	struct nbd_job *job = nbd_job_new(r, t);
	size_t n;

	if (job == NULL)
		abort();
	memset(job->bytes, pattern, job->len);
	if (r->type == NBD_CMD_WRITE)
		memset(model + r->offset, pattern, r->len);
	nbd_job_run(job, disk, t, &going_on);
	check_reply(job, t);
	if (r->type == NBD_CMD_READ) {
		n = nbd_read_cached(disk, t, r, cached, sizeof(cached));
		assert(n == 0 ||
		    (n == job->len && memcmp(cached, job->bytes, n) == 0));
	}
	nbd_job_free(job);
}

/* 12 bytes make one request: mostly within the disk. */
static void
one_request(const uint8_t *p, const struct nbd_terms *t)
{
	uint8_t bytes[NBD_REQUEST_BYTES], out[NBD_ERROR_BYTES];
	uint64_t offset = (uint64_t)get_be32(p + 2) << (p[10] & 32);
	struct nbd_request r;
	const char *why = NULL;
	enum nbd_error error;

	put_be32(bytes, NBD_REQUEST_MAGIC ^ (p[10] == 255));
	put_be16(bytes + 4, (uint16_t)(1u << (p[1] & 15)));
	if ((p[1] & 16) != 0)
		put_be16(bytes + 4, 0);
	put_be16(bytes + 6, p[0] & 15);
	put_be64(bytes + 8, get_be64(p));
	put_be64(bytes + 16, (p[10] & 1) != 0 ? offset : offset % SIZE);
	put_be32(bytes + 24, get_be32(p + 6) >> (p[10] >> 3));
	if (!nbd_parse_request(&r, bytes)) {
		assert(p[10] == 255);
		return;
	}
	error = nbd_check_request(&r, t, &why);
	if (error != NBD_OK) {
		size_t n = nbd_put_error(out, t, &r, error, why);

		assert(n <= sizeof(out));
		assert(get_be32(out) ==
		    (t->structured ? NBD_STRUCTURED_MAGIC : NBD_SIMPLE_MAGIC));
		return;
	}
	if (r.type == NBD_CMD_DISC)
		return;
	assert(r.offset <= t->size && r.len <= t->size - r.offset);
	assert(!t->read_only || r.type == NBD_CMD_READ ||
	    r.type == NBD_CMD_FLUSH || r.type == NBD_CMD_CACHE ||
	    r.type == NBD_CMD_BLOCK_STATUS);
	run(&r, t, p[11]);
}

static void
fuzz_requests(uint8_t kind, const uint8_t *data, size_t len)
{
	struct nbd_terms t = { .size = SIZE,
		.cluster_bytes = (kind & 1) != 0 ? 4096 : 0,
		.read_only = (kind & 14) == 0,
		.structured = (kind & 16) != 0,
		.contexts = (kind & 16) != 0 ? kind >> 6 : 0 };

	if (disk == NULL)
		open_disk();
	if (disk_zero(disk, 0, SIZE, NULL) != 0)
		abort();
	memset(model, 0, sizeof(model));
	for (; len >= CASE_BYTES; len -= CASE_BYTES, data += CASE_BYTES)
		one_request(data, &t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2 || len > IN_BYTES)
		return 0;
	if ((data[0] & 1) != 0)
		fuzz_handshake(data + 1, len - 1);
	else
		fuzz_requests(data[1], data + 2, len - 2);
	return 0;
}
