/*
 * Finding out how a NAT behaves, by packets alone (RFC 5780, RFC 4787).
 *
 * A server has two addresses with two ports each.  What an outer end depends on
 * shows when one inner end asks three of the four; who may use it, when they
 * answer in each other's place.
 *
 * A neighbour, another host inside, makes visible what one host alone cannot
 * see.  It takes some ports first, so that ours collide with them: a NAT that
 * keeps ports while nobody else wants them looks endpoint-independent until
 * then (RFC 4787, REQ-11), and only of a port that could not be kept can it be
 * said how the other was chosen.  And it is whom we reach by its outer end.
 *
 * Each step takes ports that none has used before, so that what one has opened
 * does not help the next.
 */
#include "vmm/guest/nattest.h"

#include <string.h>

#include "vmm/guest/command.h"
#include "vmm/guest/text.h"

#define SAMPLES       16
#define FIRST_PORT    10000
#define LAST_PORT     59999
#define BLOCK_MAX     16384 /* of a block that can be told from all ports */
#define PADDING_BYTES 3000
#define FIRST_TRIES   8     /* where only an answer leads on */
#define CLOSED_PORT   40000 /* and on: where nobody listens */

#define MAPPING_WORDS(n)                            \
	((n) == 0          ? "endpoint-independent" \
		: (n) == 1 ? "address-dependent"    \
			   : "address-and-port-dependent")

void
nattest_say(struct nattest *t, const char *what, const char *found,
    const char *format, ...)
{
	char text[192];
	va_list args;

	va_start(args, format);
	text_vformat(text, sizeof(text), format, args);
	va_end(args);
	shell_printf(t->asker.sh, "%-19s %-27s %s\n", what, found, text);
}

const char *
nattest_end(char out[END_TEXT_BYTES], const struct stun_end *end)
{
	char ip[IP4_TEXT_BYTES];

	text_format(
	    out, END_TEXT_BYTES, "%s:%u", ip4_text(ip, end->ip), end->port);
	return out;
}

static struct stun_end
server_end(const struct nattest *t, bool other_ip, bool other_port)
{
	return (struct stun_end){ other_ip ? t->other.ip : t->server.ip,
		other_port ? t->other.port : t->server.port };
}

bool
nattest_ask(struct nattest *t, struct udpsock *sock, bool other_ip,
    bool other_port, struct stun_end *mapped)
{
	const struct question q = { .sock = sock,
		.to = server_end(t, other_ip, other_port),
		.tries = FIRST_TRIES };

	if (!asker_ask(&t->asker, &q) || t->asker.answer.mapped.ip == 0)
		return false;
	if (mapped != NULL)
		*mapped = t->asker.answer.mapped;
	return true;
}

static bool
same_end(const struct stun_end *a, const struct stun_end *b)
{
	return a->ip == b->ip && a->port == b->port;
}

/* A socket on a port that was not used before, of a wide range. */
static struct udpsock *
fresh_socket(struct nattest *t)
{
	struct random *random = &t->asker.sh->stack->random;
	struct udpsock *sock = NULL;

	for (int i = 0; i < 8 && sock == NULL; i++)
		sock = asker_socket(&t->asker,
		    (uint16_t)(FIRST_PORT +
			random_below(random, LAST_PORT - FIRST_PORT)));
	return sock;
}

/* ---- the servers ---- */

bool
nattest_meet(struct nattest *t)
{
	struct udpsock *sock = fresh_socket(t);
	const struct question q = {
		.sock = sock, .to = t->server, .tries = FIRST_TRIES
	};
	char end[END_TEXT_BYTES];
	bool met;

	if (sock == NULL) {
		command_say(t->asker.sh, "nattest", "all sockets are taken");
		return false;
	}
	met = asker_ask(&t->asker, &q);
	udpsock_free(sock);
	if (!met) {
		if (!t->asker.sh->interrupted)
			command_say(t->asker.sh, "nattest",
			    "%s does not answer; run stund there",
			    nattest_end(end, &t->server));
		return false;
	}
	t->other = t->asker.answer.other;
	if (t->other.ip == 0 || t->other.ip == t->server.ip ||
	    t->other.port == t->server.port) {
		command_say(t->asker.sh, "nattest",
		    "%s has no other address; run stund there with that of a "
		    "partner",
		    nattest_end(end, &t->server));
		return false;
	}
	return true;
}

/* ---- ports ---- */

struct samples {
	unsigned int n, kept, even; /* kept: the port; even: the parity */
	uint16_t ports[SAMPLES];    /* sorted */
	uint32_t ip[SAMPLES];
	unsigned int addresses; /* that differ */
};

static void
note_sample(struct samples *s, uint16_t port, const struct stun_end *mapped)
{
	unsigned int at = s->n;
	bool seen = false;

	s->kept += mapped->port == port;
	s->even += (mapped->port & 1) == (port & 1);
	for (; at > 0 && s->ports[at - 1] > mapped->port; at--)
		s->ports[at] = s->ports[at - 1];
	s->ports[at] = mapped->port;
	for (unsigned int i = 0; i < s->addresses; i++)
		seen |= s->ip[i] == mapped->ip;
	if (!seen)
		s->ip[s->addresses++] = mapped->ip;
	s->n++;
}

static void
take_samples(struct nattest *t, struct samples *s)
{
	for (unsigned int i = 0; i < SAMPLES; i++) {
		struct udpsock *sock = fresh_socket(t);
		struct stun_end mapped;
		bool ok =
		    sock != NULL && nattest_ask(t, sock, false, false, &mapped);

		if (ok)
			note_sample(s, sock->port, &mapped);
		if (sock != NULL)
			udpsock_free(sock);
		if (!ok)
			return;
	}
}

/* What colliding with a neighbour shows. */
struct collisions {
	unsigned int n, kept, even, pairs, beside;
	bool shared; /* a port that the neighbour has, towards others */
};

static void
collide(struct nattest *t, struct collisions *c)
{
	uint16_t first = (uint16_t)(t->neighbour.port + NEIGHBOUR_SAME);
	struct stun_end mapped[2];

	for (unsigned int i = 0; i < 2 * NEIGHBOUR_PAIRS; i++) {
		uint16_t port = (uint16_t)(first + i);
		struct udpsock *sock = asker_socket(&t->asker, port);
		bool ok = sock != NULL &&
		    nattest_ask(t, sock, false, false, &mapped[i % 2]);

		/* Towards another server the same port may do for both. */
		if (ok && i == 0) {
			struct stun_end elsewhere;

			c->shared =
			    nattest_ask(t, sock, true, true, &elsewhere) &&
			    elsewhere.port == port &&
			    elsewhere.ip == t->neighbour_outer.ip;
		}
		if (sock != NULL)
			udpsock_free(sock);
		/* Nothing collides behind another outside address. */
		if (!ok || mapped[i % 2].ip != t->neighbour_outer.ip)
			return;
		c->n++;
		c->kept += mapped[i % 2].port == port;
		c->even += (mapped[i % 2].port & 1) == (port & 1);
		if (i % 2 == 1) {
			c->pairs++;
			c->beside += mapped[1].port == mapped[0].port + 1;
		}
	}
}

static void
say_ports_kept(struct nattest *t, const struct collisions *c)
{
	if (t->neighbour.ip == 0)
		nattest_say(t, "ports", "preserving",
		    "the inside port, with nobody else having it");
	else if (c->n == 0)
		nattest_say(t, "ports", "preserving",
		    "our neighbour's ports have other outside addresses");
	else if (c->kept == c->n &&
	    t->neighbour.port == t->neighbour_outer.port)
		nattest_say(t, "ports", "overloaded-in-vain",
		    "two hosts have one outer end towards one server");
	else if (c->shared)
		nattest_say(t, "ports", "overloading",
		    "also one that our neighbour has, towards others");
	else if (c->beside > 0 && c->beside * 2 >= c->pairs)
		nattest_say(t, "ports", "contiguous",
		    "%u of %u pairs that could not be kept stayed pairs",
		    c->beside, c->pairs);
	else
		nattest_say(t, "ports", "preserving",
		    "another where our neighbour has it");
}

static void
say_parity(struct nattest *t, unsigned int even, unsigned int of)
{
	if (of < 2 * NEIGHBOUR_PAIRS)
		nattest_say(
		    t, "parity", "unknown", "no port was taken that we wanted");
	else
		nattest_say(t, "parity", even == of ? "true" : "false",
		    "%u of %u other ports as even as the inside ones", even,
		    of);
}

/* How far ports lie apart, but for one at each end: they may be left from other
 * times. */
static unsigned int
span(const struct samples *s)
{
	return s->n < SAMPLES / 2 ? UINT16_MAX
				  : s->ports[s->n - 2] - s->ports[1];
}

static void
say_ports_changed(struct nattest *t, const struct samples *s)
{
	char found[16];

	nattest_say(t, "ports", span(s) < BLOCK_MAX ? "blocks" : "random",
	    "%u ports from %u to %u", s->n, s->ports[0], s->ports[s->n - 1]);
	if (span(s) >= BLOCK_MAX)
		return;
	text_format(found, sizeof(found), ">%u", span(s));
	nattest_say(t, "block", found, "as far as they lie apart");
}

static bool
find_ports(struct nattest *t)
{
	struct samples s = { 0 };
	struct collisions c = { 0 };

	take_samples(t, &s);
	if (s.n == 0)
		return false;
	t->preserves = s.kept * 4 >= s.n * 3;
	if (t->neighbour.ip != 0 && t->preserves && s.addresses == 1)
		collide(t, &c);
	if (t->preserves)
		say_ports_kept(t, &c);
	else
		say_ports_changed(t, &s);
	if (t->preserves)
		say_parity(t, c.even, c.n);
	else
		say_parity(t, s.even, s.n);
	nattest_say(t, "pooling", s.addresses == 1 ? "paired" : "arbitrary",
	    "%u ports, %u outside addresses", s.n, s.addresses);
	if (s.n < SAMPLES)
		nattest_say(t, "host-limit", "reached",
		    "no answer to the port after %u", s.n);
	return true;
}

/* ---- mapping ---- */

/* The outer ends of one port towards a server and another of its ends. */
static bool
two_ends(
    struct nattest *t, uint16_t port, bool other_ip, struct stun_end mapped[2])
{
	struct udpsock *sock =
	    port != 0 ? asker_socket(&t->asker, port) : fresh_socket(t);
	bool ok = sock != NULL &&
	    nattest_ask(t, sock, false, false, &mapped[0]) &&
	    nattest_ask(t, sock, other_ip, !other_ip, &mapped[1]);

	if (sock != NULL)
		udpsock_free(sock);
	return ok;
}

static bool
find_mapping(struct nattest *t)
{
	uint16_t first = t->neighbour.ip != 0 ? t->neighbour.port : 0;
	struct stun_end by_port[2], by_ip[2];
	char text[3][END_TEXT_BYTES];
	int depends;

	if (!two_ends(t, first != 0 ? (uint16_t)(first + NEIGHBOUR_PORT) : 0,
		false, by_port) ||
	    !two_ends(t, first != 0 ? (uint16_t)(first + NEIGHBOUR_ADDR) : 0,
		true, by_ip)) {
		nattest_say(t, "mapping", "unknown", "a server did not answer");
		return !t->asker.sh->interrupted;
	}
	depends = !same_end(&by_port[0], &by_port[1]) ? 2
	    : !same_end(&by_ip[0], &by_ip[1])         ? 1
						      : 0;
	nattest_say(t, "mapping", MAPPING_WORDS(depends),
	    "%s; %s to another port, from there %s to another address",
	    nattest_end(text[0], &by_port[0]),
	    same_end(&by_port[0], &by_port[1])
		? "the same"
		: nattest_end(text[1], &by_port[1]),
	    same_end(&by_ip[0], &by_ip[1]) ? "the same"
					   : nattest_end(text[2], &by_ip[1]));
	return true;
}

/* ---- filtering ---- */

/* Do the servers answer in each other's place?  The other one is asked first,
 * so that no filter can keep it from us. */
static bool
servers_help(struct nattest *t)
{
	struct udpsock *sock = fresh_socket(t);
	struct stun_end mapped;
	bool ok = sock != NULL && nattest_ask(t, sock, true, true, &mapped);

	if (ok) {
		const struct question q = { .sock = sock,
			.to = t->server,
			.change_ip = true,
			.change_port = true,
			.response_port = mapped.port };

		ok = asker_ask(&t->asker, &q);
	}
	if (sock != NULL)
		udpsock_free(sock);
	return ok;
}

/* Does an answer from another of the servers' ends come through? */
static bool
admits(struct nattest *t, bool *other_ip, bool *other_port)
{
	struct udpsock *sock = fresh_socket(t);
	struct question q = { .sock = sock, .to = t->server };

	if (sock == NULL)
		return false;
	if (nattest_ask(t, sock, false, false, NULL)) {
		q.change_ip = q.change_port = true;
		*other_ip = asker_ask(&t->asker, &q);
		q.change_ip = false;
		*other_port = *other_ip || asker_ask(&t->asker, &q);
	}
	udpsock_free(sock);
	return true;
}

static bool
find_filtering(struct nattest *t)
{
	bool other_ip = false, other_port = false;

	if (!servers_help(t)) {
		nattest_say(t, "filtering", "unknown",
		    "the servers do not answer in each other's place");
		return !t->asker.sh->interrupted;
	}
	if (!admits(t, &other_ip, &other_port) || t->asker.sh->interrupted)
		return false;
	nattest_say(t, "filtering",
	    MAPPING_WORDS(other_ip ? 0
		    : other_port   ? 1
				   : 2),
	    "%s from another address, %s from another port",
	    other_ip ? "answered" : "not answered",
	    other_port ? "answered" : "not answered");
	return true;
}

/* ---- hairpin ---- */

/* Reaches our neighbour by its outer end, and it tells where from.  First it is
 * told, by its inner end, to send to our outer one, as its filter may want. */
static bool
turn_round(struct nattest *t, struct udpsock *sock, struct stun_end *mapped)
{
	struct question call = { .sock = sock, .to = t->neighbour };
	struct question ask = {
		.sock = sock, .to = t->neighbour_outer, .tries = 1
	};
	uint8_t id[STUN_ID_BYTES];

	if (!nattest_ask(t, sock, false, false, mapped))
		return false;
	call.respond_to = *mapped;
	for (int i = 0; i < STUN_TRIES; i++) {
		asker_id(&t->asker, id);
		asker_send(&t->asker, &call, id);
		if (asker_ask(&t->asker, &ask))
			return true;
		if (t->asker.sh->interrupted)
			return false;
	}
	return false;
}

static bool
find_hairpin(struct nattest *t)
{
	struct udpsock *sock;
	struct stun_end mapped = { 0 };
	char text[2][END_TEXT_BYTES];
	bool turned;

	if (t->neighbour.ip == 0)
		return true;
	sock = fresh_socket(t);
	if (sock == NULL)
		return false;
	turned = turn_round(t, sock, &mapped);
	nattest_say(t, "hairpin", turned ? "true" : "false",
	    turned ? "our neighbour was reached by %s"
		   : "nothing came from our neighbour by %s",
	    nattest_end(text[0], &t->neighbour_outer));
	if (turned) {
		const struct stun_end *seen = &t->asker.answer.mapped;
		bool internal =
		    seen->ip == ipv4_source(t->asker.sh->stack, mapped.ip);

		nattest_say(t, "hairpin-source",
		    internal ? "internal" : "external", "it saw us as %s",
		    nattest_end(text[1], seen));
	}
	udpsock_free(sock);
	return !t->asker.sh->interrupted;
}

/* ---- ICMP errors and fragments ---- */

/* Is it told that nobody listens at a port of the server? */
static bool
error_comes(struct nattest *t, struct udpsock *sock, uint16_t port)
{
	struct shell *sh = t->asker.sh;
	const struct question q = { .sock = sock,
		.to = { t->server.ip, port } };
	uint64_t until_us;
	uint8_t id[STUN_ID_BYTES];
	struct icmp_note note;

	asker_id(&t->asker, id);
	for (int i = 0; i < STUN_TRIES; i++) {
		until_us =
		    sh->stack->now_us + t->asker.wait_us + 4 * t->asker.rtt_us;
		asker_send(&t->asker, &q, id);
		do {
			while (icmp_notes_take(&sock->notes, &note))
				if (icmp_note_is_port(&note) &&
				    ip_get4(&note.dst) == t->server.ip)
					return true;
		} while (
		    sh->stack->now_us < until_us && shell_wait(sh, until_us));
	}
	return false;
}

static bool
find_errors(struct nattest *t)
{
	struct udpsock *sock = fresh_socket(t);
	uint16_t port = (uint16_t)(CLOSED_PORT +
	    random_below(&t->asker.sh->stack->random, 20000));
	bool comes;

	if (sock == NULL)
		return false;
	comes = error_comes(t, sock, port);
	nattest_say(t, "icmp-errors", comes ? "translated" : "lost",
	    "port %u of the server is closed, and we %s", port,
	    comes ? "were told" : "did not hear of it");
	udpsock_free(sock);
	return !t->asker.sh->interrupted;
}

static bool
find_fragments(struct nattest *t, const char *what, bool last_first)
{
	struct udpsock *sock = fresh_socket(t);
	const struct question q = { .sock = sock,
		.to = t->server,
		.padding_bytes = PADDING_BYTES,
		.last_first = last_first };
	bool passed;

	if (sock == NULL)
		return false;
	passed = asker_ask(&t->asker, &q) &&
	    t->asker.answer.padding_bytes == PADDING_BYTES;
	nattest_say(t, what, passed ? "passed" : "lost",
	    "%u bytes %s, and an answer as long", PADDING_BYTES,
	    last_first ? "with the last fragment first" : "in fragments");
	udpsock_free(sock);
	return !t->asker.sh->interrupted;
}

/* ---- all of it ---- */

/* Learns our neighbour's outer end. */
static bool
meet_neighbour(struct nattest *t)
{
	struct udpsock *sock = fresh_socket(t);
	const struct question q = {
		.sock = sock, .to = t->neighbour, .tries = FIRST_TRIES
	};
	char end[END_TEXT_BYTES];
	bool met = sock != NULL && asker_ask(&t->asker, &q);

	if (sock != NULL)
		udpsock_free(sock);
	if (met) {
		t->neighbour_outer = t->asker.answer.other;
		return true;
	}
	if (!t->asker.sh->interrupted)
		command_say(t->asker.sh, "nattest",
		    "the neighbour %s does not answer; run nattest -n there",
		    nattest_end(end, &t->neighbour));
	return false;
}

static bool
find_translation(struct nattest *t)
{
	struct udpsock *sock = fresh_socket(t);
	struct stun_end mapped;
	char text[END_TEXT_BYTES];
	uint32_t own = ipv4_source(t->asker.sh->stack, t->server.ip);
	bool ok = sock != NULL && nattest_ask(t, sock, false, false, &mapped);

	if (ok)
		nattest_say(t, "translation", mapped.ip == own ? "none" : "nat",
		    "the server saw %s", nattest_end(text, &mapped));
	if (sock != NULL)
		udpsock_free(sock);
	return ok;
}

bool
nattest_run(struct nattest *t)
{
	/* What a neighbour holds is asked for first: it may not live long. */
	return nattest_meet(t) && (t->neighbour.ip == 0 || meet_neighbour(t)) &&
	    find_translation(t) && find_mapping(t) && find_ports(t) &&
	    find_hairpin(t) && find_filtering(t) && find_errors(t) &&
	    find_fragments(t, "fragments", false) &&
	    find_fragments(t, "fragments-reversed", true) &&
	    (t->longest_us == 0 || nattest_timers(t));
}
