/*
 * A control connection is in a bucket by its ends, and in one list by its last
 * use.  When all are in use, the least recently used ones are asked for whether
 * the NAT still has their session, a few at a time: who is alive goes to the end
 * of the list, so that the next new connection asks others.
 *
 * Only what comes in order is read.  After a gap, reading goes on where a line
 * begins for sure, that is, behind a segment that ends one; what filled the gap
 * is not read again.  The first line decides whether it is FTP at all: else a
 * web page could have a browser send a line that opens a port of its host, as
 * part of what it posts to port 21.
 */
#include "router/ftp_alg.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "net/ip4.h"
#include "router/nat_pin.h"
#include "router/nat_ports.h"

#define BUCKETS        1024
#define LINE_MAX_BYTES 512
#define ASKED_AT_ONCE  8
#define PORT_MIN       1024

struct ftp_control {
	struct ftp_control *next; /* in its bucket, or free */
	TAILQ_ENTRY(ftp_control) order;
	struct ftp_ends ends;
	enum ftp_speaker speaker; /* the one inside */
	uint32_t expect;          /* the number of what comes next */
	bool at_start;            /* ... which begins a line */
	bool opened;              /* it has said something of FTP */
	bool deaf;                /* it is something else */
	uint16_t pinned;          /* inside port; 0: none */
	struct tcp_edits edits;
};

struct ftp_alg {
	uint64_t key;
	struct ftp_control *free;
	uint32_t fresh;
	TAILQ_HEAD(ftp_list, ftp_control) used; /* least recently first */
	struct ftp_control *buckets[BUCKETS];
	uint16_t of_host[BUCKETS];
	struct ftp_control pool[FTP_CONTROLS];
};

static const uint8_t pin_nonce[12] = "ftp alg";

struct ftp_alg *
ftp_alg_new(uint64_t seed)
{
	struct ftp_alg *alg = calloc(1, sizeof(*alg));

	if (alg == NULL)
		return NULL;
	alg->key = seed;
	TAILQ_INIT(&alg->used);
	return alg;
}

void
ftp_alg_free(struct ftp_alg *alg)
{
	free(alg);
}

static uint32_t
hash(const struct ftp_alg *alg, uint64_t a, uint64_t b)
{
	uint64_t state = alg->key ^ a;

	state = nat_random(&state) ^ b;
	return (uint32_t)(nat_random(&state) % BUCKETS);
}

static struct ftp_control **
bucket_of(struct ftp_alg *alg, const struct ftp_ends *e)
{
	return &alg->buckets[hash(alg, (uint64_t)e->in_ip << 32 | e->remote_ip,
	    (uint32_t)e->in_port << 16 | e->remote_port)];
}

static uint16_t *
host_of(struct ftp_alg *alg, const struct ftp_ends *e)
{
	return &alg->of_host[hash(alg, e->in_ip, 0)];
}

static bool
same_ends(const struct ftp_ends *a, const struct ftp_ends *b)
{
	return a->in_ip == b->in_ip && a->remote_ip == b->remote_ip &&
	    a->in_port == b->in_port && a->remote_port == b->remote_port;
}

static void
close_control(struct ftp_alg *alg, struct ftp_control *c)
{
	struct ftp_control **at = bucket_of(alg, &c->ends);

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	TAILQ_REMOVE(&alg->used, c, order);
	--*host_of(alg, &c->ends);
	c->next = alg->free;
	alg->free = c;
}

static bool
is_alive(const struct nat *nat, const struct ftp_ends *ends, uint64_t now_ns)
{
	const struct nat_flow flow = { .ip = ends->in_ip,
		.port = ends->in_port,
		.remote_ip = ends->remote_ip,
		.remote_port = ends->remote_port,
		.protocol = IP_TCP };
	struct nat_hit hit;

	return nat_find_out(nat, &flow, now_ns, &hit);
}

/* Frees those that have ended among the least recently used. */
static void
sweep(struct ftp_alg *alg, const struct nat *nat, uint64_t now_ns)
{
	for (int i = 0; i < ASKED_AT_ONCE; i++) {
		struct ftp_control *c = TAILQ_FIRST(&alg->used);

		if (c == NULL)
			return;
		if (!is_alive(nat, &c->ends, now_ns)) {
			close_control(alg, c);
			continue;
		}
		TAILQ_REMOVE(&alg->used, c, order);
		TAILQ_INSERT_TAIL(&alg->used, c, order);
	}
}

/* A free one, or NULL. */
static struct ftp_control *
take_free(struct ftp_alg *alg)
{
	struct ftp_control *c = alg->free;

	if (c != NULL)
		alg->free = c->next;
	else if (alg->fresh < FTP_CONTROLS)
		c = &alg->pool[alg->fresh++];
	return c;
}

struct ftp_control *
ftp_alg_open(struct ftp_alg *alg, const struct nat *nat,
    const struct ftp_ends *ends, uint32_t seq, uint64_t now_ns)
{
	struct ftp_control *c = ftp_alg_find(alg, ends), **bucket;

	if (c != NULL)
		close_control(alg, c);
	if (*host_of(alg, ends) >= FTP_CONTROLS_OF_HOST ||
	    (alg->free == NULL && alg->fresh == FTP_CONTROLS))
		sweep(alg, nat, now_ns);
	if (*host_of(alg, ends) >= FTP_CONTROLS_OF_HOST)
		return NULL;
	c = take_free(alg);
	if (c == NULL)
		return NULL;
	bucket = bucket_of(alg, ends);
	*c = (struct ftp_control){ .next = *bucket,
		.ends = *ends,
		.speaker =
		    ends->remote_port == FTP_PORT ? FTP_CLIENT : FTP_SERVER,
		.expect = seq + 1,
		.at_start = true };
	*bucket = c;
	++*host_of(alg, ends);
	TAILQ_INSERT_TAIL(&alg->used, c, order);
	return c;
}

struct ftp_control *
ftp_alg_find(struct ftp_alg *alg, const struct ftp_ends *ends)
{
	struct ftp_control *c = *bucket_of(alg, ends);

	while (c != NULL && !same_ends(&c->ends, ends))
		c = c->next;
	if (c != NULL) {
		TAILQ_REMOVE(&alg->used, c, order);
		TAILQ_INSERT_TAIL(&alg->used, c, order);
	}
	return c;
}

struct tcp_edits *
ftp_control_edits(struct ftp_control *c)
{
	return &c->edits;
}

bool
ftp_control_wants(const struct ftp_control *c, uint32_t seq, size_t n)
{
	return (!c->deaf && (int32_t)(seq + (uint32_t)n - c->expect) > 0) ||
	    tcp_edits_touch(&c->edits, seq, n);
}

/* ---- lines ---- */

/* Pins the inside end, for the host at the other end.  False: it cannot be. */
static bool
pin(struct ftp_control *c, struct nat *nat, uint16_t port, uint64_t now_ns,
    struct nat_pin *p)
{
	uint32_t out_ip = p->out_ip;

	*p = (struct nat_pin){ .protocol = IP_TCP,
		.in_ip = c->ends.in_ip,
		.in_port = c->pinned,
		.by = NAT_PIN_BY_FTP,
		.until_ns = now_ns + FTP_ALG_PIN_S * NS_PER_S,
		.nfilters = 1,
		.filters = { { .ip = c->ends.remote_ip, .prefix = 32 } } };
	memcpy(p->nonce, pin_nonce, sizeof(p->nonce));
	if (c->pinned != 0 && c->pinned != port)
		nat_pin_delete(nat, p, now_ns);
	c->pinned = 0;
	p->in_port = port;
	p->out_ip = out_ip;
	p->out_port = port;
	switch (nat_pin_set(nat, p, now_ns)) {
	case NAT_PIN_MADE:
	case NAT_PIN_RENEWED: c->pinned = port; return true;
	case NAT_PIN_OTHERS: return true; /* it does as well */
	case NAT_PIN_TAKEN:
	case NAT_PIN_FOREIGN:
	case NAT_PIN_FULL:
	case NAT_PIN_HOST_FULL: return false;
	}
	return false;
}

/* A whole line, which begins at seq. */
static void
read_line(struct ftp_control *c, struct nat *nat, uint32_t out_ip, uint32_t seq,
    const uint8_t *line, size_t n, uint64_t now_ns)
{
	struct tcp_edit edit;
	struct ftp_end end;
	struct nat_pin p = { .out_ip = out_ip };

	if (!c->opened && !ftp_is_opening(line, n, c->speaker)) {
		c->deaf = true;
		return;
	}
	c->opened = true;
	if (n > LINE_MAX_BYTES || !ftp_read(line, n, c->speaker, &end) ||
	    end.bytes > FTP_TEXT_BYTES || end.port < PORT_MIN ||
	    (end.form != FTP_PORT_ONLY && end.ip != c->ends.in_ip) ||
	    !pin(c, nat, end.port, now_ns, &p))
		return;
	edit.at = seq + (uint32_t)end.from;
	edit.old_bytes = (uint8_t)end.bytes;
	edit.new_bytes =
	    (uint8_t)ftp_write(&end, p.out_ip, p.out_port, edit.text);
	if (edit.new_bytes != edit.old_bytes ||
	    memcmp(edit.text, line + end.from, end.bytes) != 0)
		tcp_edits_add(&c->edits, &edit);
}

void
ftp_control_read(struct ftp_control *c, struct nat *nat, uint32_t out_ip,
    uint32_t seq, const uint8_t *data, size_t n, uint64_t now_ns)
{
	uint32_t skip = c->expect - seq, end = seq + (uint32_t)n;
	const uint8_t *at = data, *feed;
	bool gap = (int32_t)skip < 0;

	if (n == 0 || (int32_t)(end - c->expect) <= 0)
		return;
	c->expect = end;
	if (!gap) {
		at += skip;
		if (!c->at_start && (feed = memchr(at, '\n', n - skip)) != NULL)
			at = feed + 1;
		else if (!c->at_start)
			at = data + n;
		while (!c->deaf && at < data + n &&
		    (feed = memchr(at, '\n', (size_t)(data + n - at))) !=
			NULL) {
			read_line(c, nat, out_ip, seq + (uint32_t)(at - data),
			    at, (size_t)(feed + 1 - at), now_ns);
			at = feed + 1;
		}
	}
	c->at_start = data[n - 1] == '\n';
	if (!c->opened)
		c->deaf = true; /* its first line is whole, if it is FTP's */
}
