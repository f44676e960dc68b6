/*
 * nbd_shake.h - the handshake of one NBD connection, as the server has it: bytes
 * in, bytes out, no socket.
 *
 * The client may use INFO, GO, LIST, STRUCTURED_REPLY, LIST_META_CONTEXT,
 * SET_META_CONTEXT, EXPORT_NAME and ABORT; any other option gets ERR_UNSUP, one
 * with more data than we read ERR_TOO_BIG.
 */
#ifndef DISK_NBD_SHAKE_H
#define DISK_NBD_SHAKE_H

#include "disk/nbd_wire.h"

/* What is served.  The strings are borrowed, of at most NBD_MAX_NAME_BYTES. */
struct nbd_export {
	const char *name; /* the empty one always means it, too */
	bool any_name;    /* and so does each other one */
	const char *description;
	uint64_t size;
	uint32_t cluster_bytes; /* 0: it has none */
	bool read_only;
	bool multi_conn; /* several clients see each other's flushes */
};

enum shake_state {
	SHAKE_GREETED,
	SHAKE_HAGGLING,
	SHAKE_SKIPPING,
	SHAKE_READY, /* what follows is transmission */
	SHAKE_ENDED, /* send what there is, and close */
	SHAKE_NSTATES
};

struct nbd_shake {
	const struct nbd_export *export;
	enum shake_state state;
	bool no_zeroes, structured;
	uint32_t contexts; /* 1 << context of those selected */
	bool stopping;     /* set it: options are refused from then on */
	uint32_t option;   /* whose data is skipped */
	uint32_t skip;     /* bytes of them to come */
};

#define NBD_SHAKE_IN_BYTES  (NBD_OPTION_BYTES + 32768)
#define NBD_SHAKE_OUT_BYTES 16384

/* Writes the greeting, NBD_GREETING_BYTES. */
void nbd_shake_init(
    struct nbd_shake *s, const struct nbd_export *export, uint8_t *out);

/*
 * Takes at most one message from in.  Returns how many bytes of it are used up;
 * 0: come back with more, and with all of these; NBD_SHAKE_IN_BYTES are always
 * enough.  The *out_len bytes in out, which has NBD_SHAKE_OUT_BYTES, are to be
 * sent.  Only while the state is none of the last two.
 */
size_t nbd_shake_step(struct nbd_shake *s, const uint8_t *in, size_t len,
    uint8_t *out, size_t *out_len);

/* What was agreed on.  When the state is SHAKE_READY. */
void nbd_shake_terms(const struct nbd_shake *s, struct nbd_terms *terms);

#endif
