/*
 *    GREETED --flags--> HAGGLING --GO, EXPORT_NAME--> READY
 *       |                 |  ^  '--too long--> SKIPPING
 *       |                 |  '-------------------'  |
 *       '--bad flags--> ENDED <--bad magic, ABORT --'
 *
 * There is one export, so that contexts selected for it under one of its names
 * hold under the other.
 */
#include "disk/nbd_shake.h"

#include <assert.h>
#include <string.h>

#include "disk/file.h"

#define TO(state) (1u << SHAKE_##state)

static const unsigned int next_states[] = {
	[SHAKE_GREETED] = TO(HAGGLING) | TO(ENDED),
	[SHAKE_HAGGLING] = TO(SKIPPING) | TO(READY) | TO(ENDED),
	[SHAKE_SKIPPING] = TO(HAGGLING) | TO(ENDED),
	[SHAKE_READY] = 0,
	[SHAKE_ENDED] = 0,
};
static_assert(sizeof(next_states) / sizeof(next_states[0]) == SHAKE_NSTATES,
    "a state has no row");

static void
shake_set(struct nbd_shake *s, enum shake_state to)
{
	assert((next_states[s->state] & 1u << to) != 0);
	s->state = to;
}

/* What is sent in answer to one option. */
struct answer {
	uint8_t *out;
	size_t len;
	uint32_t option;
};

static void
add(struct answer *a, const void *bytes, size_t n)
{
	assert(n <= NBD_SHAKE_OUT_BYTES - a->len);
	memcpy(a->out + a->len, bytes, n);
	a->len += n;
}

static void
add_rep(struct answer *a, uint32_t type, size_t data_len)
{
	uint8_t rep[NBD_REP_BYTES];

	nbd_put_rep(rep, a->option, type, data_len);
	add(a, rep, sizeof(rep));
}

static void
add_be16(struct answer *a, uint16_t v)
{
	uint8_t bytes[2];

	put_be16(bytes, v);
	add(a, bytes, sizeof(bytes));
}

static void
add_be32(struct answer *a, uint32_t v)
{
	uint8_t bytes[4];

	put_be32(bytes, v);
	add(a, bytes, sizeof(bytes));
}

static void
add_be64(struct answer *a, uint64_t v)
{
	uint8_t bytes[8];

	put_be64(bytes, v);
	add(a, bytes, sizeof(bytes));
}

static void
refuse(struct answer *a, uint32_t type, const char *text)
{
	add_rep(a, type, strlen(text));
	add(a, text, strlen(text));
}

static uint16_t
transmission_flags(const struct nbd_shake *s)
{
	const struct nbd_export *e = s->export;
	unsigned int flags =
	    NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_CACHE;

	if (e->read_only)
		flags |= NBD_FLAG_READ_ONLY;
	else
		flags |= NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_TRIM |
		    NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;
	if (s->structured)
		flags |= NBD_FLAG_SEND_DF;
	if (e->multi_conn)
		flags |= NBD_FLAG_CAN_MULTI_CONN;
	return (uint16_t)flags;
}

static bool
is_ours(const struct nbd_shake *s, struct nbd_string name)
{
	return s->export->any_name || name.len == 0 ||
	    nbd_string_is(name, s->export->name);
}

/* ---- options ---- */

static void
add_text_info(struct answer *a, uint16_t info, const char *text)
{
	add_rep(a, NBD_REP_INFO, 2 + strlen(text));
	add_be16(a, info);
	add(a, text, strlen(text));
}

static void
do_go(struct nbd_shake *s, struct answer *a, const uint8_t *data, size_t len)
{
	const struct nbd_export *e = s->export;
	struct nbd_go go;

	if (!nbd_parse_go(&go, data, len)) {
		refuse(a, NBD_REP_ERR_INVALID, "the option is malformed");
		return;
	}
	if (!is_ours(s, go.name)) {
		refuse(a, NBD_REP_ERR_UNKNOWN, "no disk has this name here");
		return;
	}
	add_rep(a, NBD_REP_INFO, 12);
	add_be16(a, NBD_INFO_EXPORT);
	add_be64(a, e->size);
	add_be16(a, transmission_flags(s));
	if ((go.wanted & 1u << NBD_INFO_NAME) != 0)
		add_text_info(a, NBD_INFO_NAME, e->name);
	if ((go.wanted & 1u << NBD_INFO_DESCRIPTION) != 0)
		add_text_info(a, NBD_INFO_DESCRIPTION, e->description);
	if ((go.wanted & 1u << NBD_INFO_BLOCK_SIZE) != 0) {
		add_rep(a, NBD_REP_INFO, 14);
		add_be16(a, NBD_INFO_BLOCK_SIZE);
		add_be32(a, 1);
		add_be32(a, 4096);
		add_be32(a, NBD_MAX_PAYLOAD);
	}
	add_rep(a, NBD_REP_ACK, 0);
	if (a->option == NBD_OPT_GO)
		shake_set(s, SHAKE_READY);
}

/* This option has no way to say no but to leave. */
static void
do_export_name(
    struct nbd_shake *s, struct answer *a, const uint8_t *data, size_t len)
{
	static const uint8_t zeros[NBD_EXPORT_MAX_ZERO];

	if (!is_ours(s, (struct nbd_string){ data, len })) {
		shake_set(s, SHAKE_ENDED);
		return;
	}
	add_be64(a, s->export->size);
	add_be16(a, transmission_flags(s));
	if (!s->no_zeroes)
		add(a, zeros, sizeof(zeros));
	shake_set(s, SHAKE_READY);
}

static void
do_list(struct nbd_shake *s, struct answer *a, size_t len)
{
	const struct nbd_export *e = s->export;

	if (len != 0) {
		refuse(a, NBD_REP_ERR_INVALID, "the option has no data");
		return;
	}
	add_rep(
	    a, NBD_REP_SERVER, 4 + strlen(e->name) + strlen(e->description));
	add_be32(a, (uint32_t)strlen(e->name));
	add(a, e->name, strlen(e->name));
	add(a, e->description, strlen(e->description));
	add_rep(a, NBD_REP_ACK, 0);
}

static void
do_structured(struct nbd_shake *s, struct answer *a, size_t len)
{
	if (len != 0) {
		refuse(a, NBD_REP_ERR_INVALID, "the option has no data");
		return;
	}
	s->structured = true;
	add_rep(a, NBD_REP_ACK, 0);
}

static void
add_context(struct answer *a, uint32_t context, uint32_t id)
{
	const char *name = nbd_context_names[context];

	add_rep(a, NBD_REP_META_CONTEXT, 4 + strlen(name));
	add_be32(a, id);
	add(a, name, strlen(name));
}

static void
do_meta(struct nbd_shake *s, struct answer *a, const uint8_t *data, size_t len)
{
	bool set = a->option == NBD_OPT_SET_META_CONTEXT;
	struct nbd_meta meta;
	uint32_t found;

	if (set)
		s->contexts = 0;
	if (!nbd_parse_meta(&meta, data, len)) {
		refuse(a, NBD_REP_ERR_INVALID, "the option is malformed");
		return;
	}
	if (set && !s->structured) {
		refuse(a, NBD_REP_ERR_INVALID,
		    "ask for structured replies before");
		return;
	}
	if (!is_ours(s, meta.name)) {
		refuse(a, NBD_REP_ERR_UNKNOWN, "no disk has this name here");
		return;
	}
	found = meta.named;
	if (!set)
		found |= meta.queries == 0 ? (1u << NBD_NCONTEXTS) - 1
					   : meta.wildcard;
	for (uint32_t i = 0; i < NBD_NCONTEXTS; i++)
		if ((found & 1u << i) != 0)
			add_context(a, i, set ? i : 0);
	add_rep(a, NBD_REP_ACK, 0);
	if (set)
		s->contexts = found;
}

static void
do_option(
    struct nbd_shake *s, struct answer *a, const uint8_t *data, size_t len)
{
	if (s->stopping && a->option != NBD_OPT_ABORT) {
		if (a->option == NBD_OPT_EXPORT_NAME)
			shake_set(s, SHAKE_ENDED);
		else
			refuse(a, NBD_REP_ERR_SHUTDOWN, "the server ends");
		return;
	}
	switch (a->option) {
	case NBD_OPT_EXPORT_NAME: do_export_name(s, a, data, len); break;
	case NBD_OPT_ABORT:
		add_rep(a, NBD_REP_ACK, 0);
		shake_set(s, SHAKE_ENDED);
		break;
	case NBD_OPT_LIST: do_list(s, a, len); break;
	case NBD_OPT_INFO:
	case NBD_OPT_GO: do_go(s, a, data, len); break;
	case NBD_OPT_STRUCTURED_REPLY: do_structured(s, a, len); break;
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT: do_meta(s, a, data, len); break;
	default: /* the client's number: any */
		refuse(
		    a, NBD_REP_ERR_UNSUPPORTED, "the option is unknown here");
		break;
	}
}

/* ---- messages ---- */

void
nbd_shake_init(
    struct nbd_shake *s, const struct nbd_export *export, uint8_t *out)
{
	assert(strlen(export->name) <= NBD_MAX_NAME_BYTES);
	assert(strlen(export->description) <= NBD_MAX_NAME_BYTES);
	*s = (struct nbd_shake){ .export = export, .state = SHAKE_GREETED };
	put_be64(out, NBD_MAGIC);
	put_be64(out + 8, NBD_OPTION_MAGIC);
	put_be16(out + 16, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
}

static size_t
take_flags(struct nbd_shake *s, const uint8_t *in, size_t len)
{
	uint32_t flags;

	if (len < 4)
		return 0;
	flags = get_be32(in);
	s->no_zeroes = (flags & NBD_NO_ZEROES) != 0;
	shake_set(s,
	    (flags & ~(uint32_t)(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)) == 0
		? SHAKE_HAGGLING
		: SHAKE_ENDED);
	return 4;
}

/* The next option has more data than we take. */
static size_t
begin_skip(struct nbd_shake *s, uint32_t option, uint32_t data_len)
{
	/* A name so long is not ours. */
	if (option == NBD_OPT_EXPORT_NAME) {
		shake_set(s, SHAKE_ENDED);
	} else {
		s->option = option;
		s->skip = data_len;
		shake_set(s, SHAKE_SKIPPING);
	}
	return NBD_OPTION_BYTES;
}

static size_t
skip(struct nbd_shake *s, size_t len, struct answer *a)
{
	size_t n = len < s->skip ? len : s->skip;

	s->skip -= (uint32_t)n;
	if (s->skip > 0)
		return n;
	a->option = s->option;
	if (s->option == NBD_OPT_ABORT) {
		add_rep(a, NBD_REP_ACK, 0);
		shake_set(s, SHAKE_ENDED);
		return n;
	}
	refuse(a, NBD_REP_ERR_TOO_BIG, "the option has too much data");
	shake_set(s, SHAKE_HAGGLING);
	return n;
}

static size_t
take_option(
    struct nbd_shake *s, const uint8_t *in, size_t len, struct answer *a)
{
	uint32_t data_len;

	if (len < NBD_OPTION_BYTES)
		return 0;
	if (get_be64(in) != NBD_OPTION_MAGIC) {
		shake_set(s, SHAKE_ENDED);
		return len;
	}
	a->option = get_be32(in + 8);
	data_len = get_be32(in + 12);
	if (data_len > NBD_SHAKE_IN_BYTES - NBD_OPTION_BYTES)
		return begin_skip(s, a->option, data_len);
	if (len - NBD_OPTION_BYTES < data_len)
		return 0;
	do_option(s, a, in + NBD_OPTION_BYTES, data_len);
	return NBD_OPTION_BYTES + data_len;
}

size_t
nbd_shake_step(struct nbd_shake *s, const uint8_t *in, size_t len, uint8_t *out,
    size_t *out_len)
{
	struct answer a = { .out = out };
	size_t n = 0;

	switch (s->state) {
	case SHAKE_GREETED: n = take_flags(s, in, len); break;
	case SHAKE_HAGGLING: n = take_option(s, in, len, &a); break;
	case SHAKE_SKIPPING: n = skip(s, len, &a); break;
	case SHAKE_READY:
	case SHAKE_ENDED:
	case SHAKE_NSTATES: assert(!"a handshake that is over"); break;
	}
	*out_len = a.len;
	return n;
}

void
nbd_shake_terms(const struct nbd_shake *s, struct nbd_terms *terms)
{
	assert(s->state == SHAKE_READY);
	*terms = (struct nbd_terms){ .size = s->export->size,
		.cluster_bytes = s->export->cluster_bytes,
		.read_only = s->export->read_only,
		.structured = s->structured,
		.contexts = s->structured ? s->contexts : 0 };
}
