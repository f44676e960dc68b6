/*
 * nbd_wire.h - the messages of the NBD protocol: pure functions on bytes.
 *
 * After doc/proto.md of the reference implementation (NetworkBlockDevice/nbd):
 * fixed newstyle negotiation, simple and structured replies, base:allocation.
 * No TLS, no extended headers.  Names and numbers are the protocol's.
 */
#ifndef DISK_NBD_WIRE_H
#define DISK_NBD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the handshake ---- */

#define NBD_MAGIC           UINT64_C(0x4e42444d41474943)
#define NBD_OPTION_MAGIC    UINT64_C(0x49484156454f5054)
#define NBD_REPLY_MAGIC     UINT64_C(0x0003e889045565a9)
#define NBD_MAX_NAME_BYTES  4096
#define NBD_GREETING_BYTES  18
#define NBD_OPTION_BYTES    16 /* before an option's data */
#define NBD_REP_BYTES       20 /* before an option reply's data */
#define NBD_EXPORT_MAX_ZERO 124

/* of the server and of the client alike */
enum {
	NBD_FIXED_NEWSTYLE = 1 << 0,
	NBD_NO_ZEROES = 1 << 1,
};

enum {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8,
	NBD_OPT_LIST_META_CONTEXT = 9,
	NBD_OPT_SET_META_CONTEXT = 10,
};

#define NBD_REP_ACK             UINT32_C(1)
#define NBD_REP_SERVER          UINT32_C(2)
#define NBD_REP_INFO            UINT32_C(3)
#define NBD_REP_META_CONTEXT    UINT32_C(4)
#define NBD_REP_ERROR           (UINT32_C(1) << 31)
#define NBD_REP_ERR_UNSUPPORTED (NBD_REP_ERROR + 1)
#define NBD_REP_ERR_INVALID     (NBD_REP_ERROR + 3)
#define NBD_REP_ERR_UNKNOWN     (NBD_REP_ERROR + 6)
#define NBD_REP_ERR_SHUTDOWN    (NBD_REP_ERROR + 7)
#define NBD_REP_ERR_TOO_BIG     (NBD_REP_ERROR + 9)

enum {
	NBD_INFO_EXPORT = 0,
	NBD_INFO_NAME = 1,
	NBD_INFO_DESCRIPTION = 2,
	NBD_INFO_BLOCK_SIZE = 3,
};

/* transmission flags */
enum {
	NBD_FLAG_HAS_FLAGS = 1 << 0,
	NBD_FLAG_READ_ONLY = 1 << 1,
	NBD_FLAG_SEND_FLUSH = 1 << 2,
	NBD_FLAG_SEND_FUA = 1 << 3,
	NBD_FLAG_SEND_TRIM = 1 << 5,
	NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
	NBD_FLAG_SEND_DF = 1 << 7,
	NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
	NBD_FLAG_SEND_CACHE = 1 << 10,
	NBD_FLAG_SEND_FAST_ZERO = 1 << 11,
};

/* What block status tells of; a context's id is its number here. */
enum nbd_context {
	NBD_BASE_ALLOCATION,  /* bits NBD_STATE_* */
	NBD_ALLOCATION_DEPTH, /* 0 nobody has it, 1 the top image, 2 the next */
	NBD_NCONTEXTS
};
extern const char *const nbd_context_names[NBD_NCONTEXTS];

/* A string of a message, borrowed; no zero at its end. */
struct nbd_string {
	const uint8_t *bytes;
	size_t len;
};

bool nbd_string_is(struct nbd_string s, const char *text);

/* The data of NBD_OPT_INFO and NBD_OPT_GO. */
struct nbd_go {
	struct nbd_string name;
	uint32_t wanted; /* 1 << NBD_INFO_* of those that we know */
};

/* False: it is not what the protocol says. */
bool nbd_parse_go(struct nbd_go *go, const uint8_t *data, size_t len);

/* The data of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
struct nbd_meta {
	struct nbd_string name;
	uint32_t queries;
	uint32_t named;    /* 1 << context of those asked for by name */
	uint32_t wildcard; /* 1 << context of those of a namespace asked for */
};

bool nbd_parse_meta(struct nbd_meta *meta, const uint8_t *data, size_t len);

/* The header of an option reply, for len bytes of data.  NBD_REP_BYTES. */
void nbd_put_rep(uint8_t *to, uint32_t option, uint32_t type, size_t len);

/* ---- transmission ---- */

#define NBD_REQUEST_MAGIC    UINT32_C(0x25609513)
#define NBD_SIMPLE_MAGIC     UINT32_C(0x67446698)
#define NBD_STRUCTURED_MAGIC UINT32_C(0x668e33ef)
#define NBD_REQUEST_BYTES    28
#define NBD_SIMPLE_BYTES     16
#define NBD_CHUNK_BYTES      20                    /* before a payload */
#define NBD_DATA_BYTES       (NBD_CHUNK_BYTES + 8) /* before read data */
#define NBD_HOLE_BYTES       (NBD_CHUNK_BYTES + 12)
#define NBD_STATUS_BYTES     (NBD_CHUNK_BYTES + 4) /* before descriptors */
#define NBD_DESCRIPTOR_BYTES 8

/* What a client may have in one request or one reply; the protocol wants a
 * server to take this much. */
#define NBD_MAX_PAYLOAD (UINT32_C(32) << 20)

enum {
	NBD_CMD_READ,
	NBD_CMD_WRITE,
	NBD_CMD_DISC,
	NBD_CMD_FLUSH,
	NBD_CMD_TRIM,
	NBD_CMD_CACHE,
	NBD_CMD_WRITE_ZEROES,
	NBD_CMD_BLOCK_STATUS,
	NBD_NCMDS
};

/* command flags */
enum {
	NBD_CMD_FLAG_FUA = 1 << 0,
	NBD_CMD_FLAG_NO_HOLE = 1 << 1,
	NBD_CMD_FLAG_DF = 1 << 2,
	NBD_CMD_FLAG_REQ_ONE = 1 << 3,
	NBD_CMD_FLAG_FAST_ZERO = 1 << 4,
};

#define NBD_REPLY_FLAG_DONE 1

enum {
	NBD_REPLY_TYPE_NONE = 0,
	NBD_REPLY_TYPE_OFFSET_DATA = 1,
	NBD_REPLY_TYPE_OFFSET_HOLE = 2,
	NBD_REPLY_TYPE_BLOCK_STATUS = 5,
	NBD_REPLY_TYPE_ERROR = 0x8001,
};

enum {
	NBD_STATE_HOLE = 1 << 0,
	NBD_STATE_ZERO = 1 << 1,
};

enum nbd_error {
	NBD_OK = 0,
	NBD_EPERM = 1,
	NBD_EIO = 5,
	NBD_ENOMEM = 12,
	NBD_EINVAL = 22,
	NBD_ENOSPC = 28,
	NBD_EOVERFLOW = 75,
	NBD_ENOTSUP = 95,
	NBD_ESHUTDOWN = 108,
};

/* What both sides have agreed on when transmission begins. */
struct nbd_terms {
	uint64_t size;
	uint32_t cluster_bytes; /* fast zeroes have multiples of it; 0: none */
	bool read_only;
	bool structured;
	uint32_t
	    contexts; /* 1 << context of those that block status tells of */
};

struct nbd_request {
	uint16_t flags;
	uint16_t type;
	uint64_t cookie;
	uint64_t offset;
	uint32_t len;
};

/* False: no request begins here, and nobody knows where the next one does. */
bool nbd_parse_request(
    struct nbd_request *r, const uint8_t bytes[NBD_REQUEST_BYTES]);

/* Whether the terms allow it.  Any other value is the reply to it, and *why a
 * sentence.  A request that is allowed lies within the disk, and what it
 * transfers has at most NBD_MAX_PAYLOAD bytes. */
enum nbd_error nbd_check_request(
    const struct nbd_request *r, const struct nbd_terms *t, const char **why);

/* Bytes that follow the request, allowed or not. */
uint32_t nbd_payload(const struct nbd_request *r);

/* The protocol's number for -Exxx. */
enum nbd_error nbd_error_of(int code);

/* Each writes one message, or the part of it before its data, and returns how
 * many bytes that are. */
size_t nbd_put_simple(uint8_t *to, uint64_t cookie, enum nbd_error error);
size_t nbd_put_data(
    uint8_t *to, uint64_t cookie, bool done, uint64_t offset, uint32_t len);
size_t nbd_put_hole(
    uint8_t *to, uint64_t cookie, bool done, uint64_t offset, uint32_t len);
size_t nbd_put_status(uint8_t *to, uint64_t cookie, bool done,
    enum nbd_context context, uint32_t descriptors);
size_t nbd_put_descriptor(uint8_t *to, uint32_t len, uint32_t flags);

/* That a request has been carried out which has no data to give. */
size_t nbd_put_done(
    uint8_t *to, const struct nbd_terms *t, const struct nbd_request *r);

/* That it has not been; text is for people, and is cut if it is too long. */
#define NBD_ERROR_BYTES 544
size_t nbd_put_error(uint8_t *to, const struct nbd_terms *t,
    const struct nbd_request *r, enum nbd_error error, const char *text);

#endif
