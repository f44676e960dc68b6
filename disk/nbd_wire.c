#include "disk/nbd_wire.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "disk/file.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the handshake ---- */

/* What has not been read yet of an option's data. */
struct rest {
	const uint8_t *bytes;
	size_t len;
};

static bool
take(struct rest *r, size_t n, const uint8_t **bytes)
{
	if (r->len < n)
		return false;
	*bytes = r->bytes;
	r->bytes += n;
	r->len -= n;
	return true;
}

static bool
take_be16(struct rest *r, uint16_t *v)
{
	const uint8_t *p;

	if (!take(r, 2, &p))
		return false;
	*v = get_be16(p);
	return true;
}

static bool
take_be32(struct rest *r, uint32_t *v)
{
	const uint8_t *p;

	if (!take(r, 4, &p))
		return false;
	*v = get_be32(p);
	return true;
}

/* A length of 32 bits, and so many bytes without a zero among them. */
static bool
take_string(struct rest *r, struct nbd_string *s)
{
	uint32_t n;

	if (!take_be32(r, &n) || n > NBD_MAX_NAME_BYTES ||
	    !take(r, n, &s->bytes))
		return false;
	s->len = n;
	return n == 0 || memchr(s->bytes, 0, n) == NULL;
}

bool
nbd_string_is(struct nbd_string s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.bytes, text, s.len) == 0;
}

bool
nbd_parse_go(struct nbd_go *go, const uint8_t *data, size_t len)
{
	struct rest r = { data, len };
	uint16_t n, info;

	*go = (struct nbd_go){ .wanted = 0 };
	if (!take_string(&r, &go->name) || !take_be16(&r, &n) ||
	    r.len != (size_t)n * 2)
		return false;
	while (take_be16(&r, &info))
		if (info <= NBD_INFO_BLOCK_SIZE)
			go->wanted |= UINT32_C(1) << info;
	return true;
}

const char *const nbd_context_names[] = {
	[NBD_BASE_ALLOCATION] = "base:allocation",
	[NBD_ALLOCATION_DEPTH] = "qemu:allocation-depth",
};
static_assert(
    NITEMS(nbd_context_names) == NBD_NCONTEXTS, "a context has no name");

static void
read_query(struct nbd_meta *meta, struct nbd_string query)
{
	for (uint32_t i = 0; i < NBD_NCONTEXTS; i++) {
		const char *name = nbd_context_names[i];
		size_t space = (size_t)(strchr(name, ':') - name) + 1;

		if (nbd_string_is(query, name))
			meta->named |= 1u << i;
		if (query.len == space && memcmp(query.bytes, name, space) == 0)
			meta->wildcard |= 1u << i;
	}
}

bool
nbd_parse_meta(struct nbd_meta *meta, const uint8_t *data, size_t len)
{
	struct rest r = { data, len };

	*meta = (struct nbd_meta){ .queries = 0 };
	if (!take_string(&r, &meta->name) || !take_be32(&r, &meta->queries))
		return false;
	for (uint32_t i = 0; i < meta->queries; i++) {
		struct nbd_string query;

		if (!take_string(&r, &query))
			return false;
		read_query(meta, query);
	}
	return r.len == 0;
}

void
nbd_put_rep(uint8_t *to, uint32_t option, uint32_t type, size_t len)
{
	put_be64(to, NBD_REPLY_MAGIC);
	put_be32(to + 8, option);
	put_be32(to + 12, type);
	put_be32(to + 16, (uint32_t)len);
}

/* ---- requests ---- */

static const struct {
	uint16_t flags; /* that it may have */
	bool writes;
	bool payload;          /* in either direction */
	enum nbd_error beyond; /* when it reaches past the end of the disk */
} commands[] = {
	[NBD_CMD_READ] = { NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_DF, false, true,
	    NBD_EINVAL },
	[NBD_CMD_WRITE] = { NBD_CMD_FLAG_FUA, true, true, NBD_ENOSPC },
	[NBD_CMD_DISC] = { NBD_CMD_FLAG_FUA, false, false, NBD_EINVAL },
	[NBD_CMD_FLUSH] = { NBD_CMD_FLAG_FUA, false, false, NBD_EINVAL },
	[NBD_CMD_TRIM] = { NBD_CMD_FLAG_FUA, true, false, NBD_EINVAL },
	[NBD_CMD_CACHE] = { NBD_CMD_FLAG_FUA, false, false, NBD_EINVAL },
	[NBD_CMD_WRITE_ZEROES] = { NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE |
		NBD_CMD_FLAG_FAST_ZERO,
	    true, false, NBD_ENOSPC },
	[NBD_CMD_BLOCK_STATUS] = { NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE,
	    false, false, NBD_EINVAL },
};
static_assert(NITEMS(commands) == NBD_NCMDS, "a command has no row");

bool
nbd_parse_request(struct nbd_request *r, const uint8_t bytes[NBD_REQUEST_BYTES])
{
	*r = (struct nbd_request){ .flags = get_be16(bytes + 4),
		.type = get_be16(bytes + 6),
		.cookie = get_be64(bytes + 8),
		.offset = get_be64(bytes + 16),
		.len = get_be32(bytes + 24) };
	return get_be32(bytes) == NBD_REQUEST_MAGIC;
}

uint32_t
nbd_payload(const struct nbd_request *r)
{
	return r->type == NBD_CMD_WRITE ? r->len : 0;
}

/* What only one command has to keep to. */
static enum nbd_error
check_terms(
    const struct nbd_request *r, const struct nbd_terms *t, const char **why)
{
	bool fast = (r->flags & NBD_CMD_FLAG_FAST_ZERO) != 0;

	if ((r->flags & NBD_CMD_FLAG_DF) != 0 && !t->structured) {
		*why = "the flag DF needs structured replies";
		return NBD_EINVAL;
	}
	if (r->type == NBD_CMD_BLOCK_STATUS && t->contexts == 0) {
		*why = "no context was selected for block status";
		return NBD_EINVAL;
	}
	if (r->type == NBD_CMD_BLOCK_STATUS && r->len == 0) {
		*why = "block status of no bytes";
		return NBD_EINVAL;
	}
	if (fast &&
	    (t->cluster_bytes == 0 || (r->flags & NBD_CMD_FLAG_NO_HOLE) != 0 ||
		r->offset % t->cluster_bytes != 0 ||
		(r->len % t->cluster_bytes != 0 &&
		    r->offset + r->len != t->size))) {
		*why = "only whole clusters become zeros fast";
		return NBD_ENOTSUP;
	}
	return NBD_OK;
}

enum nbd_error
nbd_check_request(
    const struct nbd_request *r, const struct nbd_terms *t, const char **why)
{
	if (r->type >= NBD_NCMDS) {
		*why = "the command is unknown here";
		return NBD_EINVAL;
	}
	if ((r->flags & ~commands[r->type].flags) != 0) {
		*why = "the command has a flag that is unknown here";
		return NBD_EINVAL;
	}
	if (r->type == NBD_CMD_FLUSH && (r->offset != 0 || r->len != 0)) {
		*why = "a flush has neither offset nor length";
		return NBD_EINVAL;
	}
	if (commands[r->type].writes && t->read_only) {
		*why = "the disk is served for reading only";
		return NBD_EPERM;
	}
	if (r->type == NBD_CMD_DISC)
		return NBD_OK;
	if (r->offset > t->size || r->len > t->size - r->offset) {
		*why = "this reaches past the end of the disk";
		return commands[r->type].beyond;
	}
	if (commands[r->type].payload && r->len > NBD_MAX_PAYLOAD) {
		*why = "more than 32 MiB at a time";
		return r->type == NBD_CMD_READ && t->structured ? NBD_EOVERFLOW
								: NBD_EINVAL;
	}
	return check_terms(r, t, why);
}

enum nbd_error
nbd_error_of(int code)
{
	switch (-code) {
	case 0: return NBD_OK;
	case EPERM:
	case EACCES:
	case EROFS: return NBD_EPERM;
	case ENOMEM: return NBD_ENOMEM;
	case EINVAL: return NBD_EINVAL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG: return NBD_ENOSPC;
	case ESHUTDOWN: return NBD_ESHUTDOWN;
	default: return NBD_EIO;
	}
}

/* ---- replies ---- */

static void
put_chunk(
    uint8_t *to, uint16_t type, uint64_t cookie, bool done, uint32_t payload)
{
	put_be32(to, NBD_STRUCTURED_MAGIC);
	put_be16(to + 4, done ? NBD_REPLY_FLAG_DONE : 0);
	put_be16(to + 6, type);
	put_be64(to + 8, cookie);
	put_be32(to + 16, payload);
}

size_t
nbd_put_simple(uint8_t *to, uint64_t cookie, enum nbd_error error)
{
	put_be32(to, NBD_SIMPLE_MAGIC);
	put_be32(to + 4, (uint32_t)error);
	put_be64(to + 8, cookie);
	return NBD_SIMPLE_BYTES;
}

size_t
nbd_put_data(
    uint8_t *to, uint64_t cookie, bool done, uint64_t offset, uint32_t len)
{
	put_chunk(to, NBD_REPLY_TYPE_OFFSET_DATA, cookie, done, len + 8);
	put_be64(to + NBD_CHUNK_BYTES, offset);
	return NBD_DATA_BYTES;
}

size_t
nbd_put_hole(
    uint8_t *to, uint64_t cookie, bool done, uint64_t offset, uint32_t len)
{
	put_chunk(to, NBD_REPLY_TYPE_OFFSET_HOLE, cookie, done, 12);
	put_be64(to + NBD_CHUNK_BYTES, offset);
	put_be32(to + NBD_CHUNK_BYTES + 8, len);
	return NBD_HOLE_BYTES;
}

size_t
nbd_put_status(uint8_t *to, uint64_t cookie, bool done,
    enum nbd_context context, uint32_t descriptors)
{
	put_chunk(to, NBD_REPLY_TYPE_BLOCK_STATUS, cookie, done,
	    4 + descriptors * NBD_DESCRIPTOR_BYTES);
	put_be32(to + NBD_CHUNK_BYTES, context);
	return NBD_STATUS_BYTES;
}

size_t
nbd_put_descriptor(uint8_t *to, uint32_t len, uint32_t flags)
{
	put_be32(to, len);
	put_be32(to + 4, flags);
	return NBD_DESCRIPTOR_BYTES;
}

size_t
nbd_put_done(
    uint8_t *to, const struct nbd_terms *t, const struct nbd_request *r)
{
	if (!t->structured || r->type != NBD_CMD_READ)
		return nbd_put_simple(to, r->cookie, NBD_OK);
	put_chunk(to, NBD_REPLY_TYPE_NONE, r->cookie, true, 0);
	return NBD_CHUNK_BYTES;
}

size_t
nbd_put_error(uint8_t *to, const struct nbd_terms *t,
    const struct nbd_request *r, enum nbd_error error, const char *text)
{
	size_t n = strnlen(text, NBD_ERROR_BYTES - NBD_CHUNK_BYTES - 6);

	assert(error != NBD_OK);
	if (!t->structured)
		return nbd_put_simple(to, r->cookie, error);
	put_chunk(to, NBD_REPLY_TYPE_ERROR, r->cookie, true, (uint32_t)(6 + n));
	put_be32(to + NBD_CHUNK_BYTES, (uint32_t)error);
	put_be16(to + NBD_CHUNK_BYTES + 4, (uint16_t)n);
	memcpy(to + NBD_CHUNK_BYTES + 6, text, n);
	return NBD_CHUNK_BYTES + 6 + n;
}
