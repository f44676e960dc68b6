/*
 * A control connection is in a bucket by its ends, and in one list by its last
 * use.  When all are in use, the least recently used ones are asked for whether
 * the NAT still has their session, a few at a time: who is alive goes to the end
 * of the list, so that the next new connection asks others.
 *
 * What is read in them is in ftp_control.c.
 */
#include "router/ftp_alg.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "net/ip4.h"
#include "router/nat_ports.h"

#define BUCKETS       1024
#define ASKED_AT_ONCE 8

struct ftp_alg {
	uint64_t key;
	struct ftp_control *free;
	uint32_t fresh;
	TAILQ_HEAD(ftp_list, ftp_control) used; /* least recently first */
	struct ftp_control *buckets[BUCKETS];
	uint16_t of_host[BUCKETS];
	struct ftp_control pool[FTP_CONTROLS];
};

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

	if (c != NULL && c->first == seq)
		return c; /* it is said again */
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
	ftp_control_begin(c, ends, seq);
	c->next = *bucket;
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
