/*
 * How long entries live, and what keeps them alive.
 *
 * A trial makes an entry, leaves it alone for some time, and has the server
 * send to it.  Many run side by side, each on a port of its own.  The first
 * round tries times that grow by the same factor, the second divides the gap
 * that the first has left, and a third asks what refreshes.
 *
 * Another socket, the caller, asks the server for all of them (RFC 5780, 7.5):
 * what it asks goes by an entry of its own.  Likewise the answer that would
 * make an entry one with two ways is sent there instead.
 */
#include "vmm/guest/nattest.h"

#include "vmm/guest/command.h"
#include "vmm/guest/text.h"

#define POINTS   5 /* of each kind in a round */
#define KINDS    2
#define ONE_WAY  0 /* no answer has come */
#define TWO_WAY  1
#define NUDGE_AT 6 /* tenths of the time, of a trial about refreshing */
#define PROBE_AT 12
#define NUDGES   3 /* kinds of them */

#define MAKE_TRIES   12
#define NUDGE_COPIES 2 /* of a packet, for one may get lost */

enum nudge { NO_NUDGE, NUDGE_OUT, NUDGE_IN };

struct trial {
	struct udpsock *sock;
	uint64_t made_us, idle_us, nudge_us, probe_us;
	struct stun_end mapped;
	uint8_t id[STUN_ID_BYTES];
	enum nudge nudge;
	unsigned int asked;
	bool alive;
};

/* What is known of a timer: it is more than lo and at most hi. */
struct bracket {
	uint64_t lo_us, hi_us; /* hi TIMER_NEVER: longer than was looked for */
};

static struct question
by_caller(const struct nattest *t, struct udpsock *caller, uint16_t port)
{
	return (struct question){
		.sock = caller, .to = t->server, .response_port = port
	};
}

/* Where the caller is to be found. */
static bool
find_caller(struct nattest *t, struct udpsock *caller, struct stun_end *mapped)
{
	return nattest_ask(t, caller, false, false, mapped);
}

/* Has the trial's socket send something that is answered to the caller, who is
 * at back. */
static bool
send_one_way(struct nattest *t, struct trial *trial, struct udpsock *caller,
    const struct stun_end *back)
{
	struct question q = { .sock = trial->sock,
		.hear = caller,
		.to = t->server,
		.response_port = back->port,
		.tries = 1 };

	if (!asker_ask(&t->asker, &q))
		return false;
	trial->mapped = t->asker.answer.mapped;
	return true;
}

/* Each try is another socket's: what did not come back may have arrived.  The
 * caller can have packets sent to its own outside address alone, which a socket
 * need not have, if there are several. */
static bool
make(struct nattest *t, struct trial *trial, int kind, struct udpsock *caller)
{
	struct stun_end back;

	for (int i = 0; i < MAKE_TRIES && !t->asker.sh->interrupted; i++) {
		trial->sock = asker_socket(&t->asker, UDPSOCK_PORT_ANY);
		if (trial->sock == NULL || !find_caller(t, caller, &back))
			return false;
		trial->made_us = t->asker.sh->stack->now_us;
		if ((kind == ONE_WAY ? send_one_way(t, trial, caller, &back)
				     : nattest_ask(t, trial->sock, false, false,
					   &trial->mapped)) &&
		    trial->mapped.ip == back.ip)
			return true;
		udpsock_free(trial->sock);
		trial->sock = NULL;
	}
	return false;
}

/* Has the server send to the trial's outer end, again if nothing comes: that
 * cannot bring back an entry that is gone.  When to look again. */
static uint64_t
probe(struct nattest *t, struct trial *trial, struct udpsock *caller)
{
	uint64_t now_us = t->asker.sh->stack->now_us;
	const struct question q = by_caller(t, caller, trial->mapped.port);

	if (trial->asked > 0)
		trial->alive |= asker_heard(&t->asker, trial->sock, trial->id);
	if (trial->alive)
		return TIMER_NEVER;
	if (now_us < trial->probe_us)
		return trial->probe_us;
	if (trial->asked == STUN_TRIES)
		return TIMER_NEVER;
	if (trial->asked++ == 0)
		asker_id(&t->asker, trial->id);
	asker_send(&t->asker, &q, trial->id);
	trial->probe_us = now_us + t->asker.wait_us;
	return trial->probe_us;
}

/* What is due of one trial; when it wants to be asked again. */
static uint64_t
step(struct nattest *t, struct trial *trial, struct udpsock *caller)
{
	uint64_t now_us = t->asker.sh->stack->now_us;
	struct question q = by_caller(t, caller, trial->mapped.port);
	uint8_t id[STUN_ID_BYTES];

	if (trial->nudge != NO_NUDGE && now_us < trial->nudge_us)
		return trial->nudge_us;
	asker_id(&t->asker, id);
	if (trial->nudge == NUDGE_OUT) {
		struct stun_end back;

		q.sock = trial->sock;
		if (find_caller(t, caller, &back))
			q.response_port = back.port;
	}
	for (int i = 0; trial->nudge != NO_NUDGE && i < NUDGE_COPIES; i++)
		asker_send(&t->asker, &q, id);
	trial->nudge = NO_NUDGE;
	return probe(t, trial, caller);
}

/* Runs trials side by side to their ends.  False: interrupted. */
static bool
run(struct nattest *t, struct trial *trials, unsigned int n,
    struct udpsock *caller)
{
	for (;;) {
		uint64_t next_us = TIMER_NEVER;

		for (unsigned int i = 0; i < n; i++) {
			uint64_t us = trials[i].sock != NULL
			    ? step(t, &trials[i], caller)
			    : TIMER_NEVER;

			next_us = us < next_us ? us : next_us;
		}
		if (next_us == TIMER_NEVER)
			return true;
		if (!shell_wait(t->asker.sh, next_us))
			return false;
	}
}

static void
end(struct trial *trials, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (trials[i].sock != NULL)
			udpsock_free(trials[i].sock);
}

/* The time of point i: between lo and hi, or by a factor up to the longest while
 * hi is not known. */
static uint64_t
point(const struct bracket *b, unsigned int i, uint64_t longest_us)
{
	uint64_t us = longest_us;

	if (b->hi_us != TIMER_NEVER)
		return b->lo_us +
		    (b->hi_us - b->lo_us) * (i + 1) / (POINTS + 1);
	for (unsigned int k = POINTS - 1; k > i; k--)
		us = us * 5 / 8;
	return us;
}

/* One round of trials for both kinds narrows their brackets. */
static bool
narrow(
    struct nattest *t, struct bracket brackets[KINDS], struct udpsock *caller)
{
	struct trial trials[KINDS * POINTS] = { 0 };
	bool ok = true;

	for (unsigned int i = 0; i < KINDS * POINTS; i++) {
		const struct bracket *b = &brackets[i / POINTS];

		if (b->lo_us != 0 && b->hi_us == TIMER_NEVER)
			continue;
		ok = ok && make(t, &trials[i], (int)(i / POINTS), caller);
		trials[i].idle_us = point(b, i % POINTS, t->longest_us);
		trials[i].probe_us = trials[i].made_us + trials[i].idle_us;
	}
	ok = ok && run(t, trials, KINDS * POINTS, caller);
	for (unsigned int i = 0; ok && i < KINDS * POINTS; i++) {
		struct bracket *b = &brackets[i / POINTS];
		uint64_t us = trials[i].idle_us;

		if (trials[i].sock == NULL)
			continue;
		if (trials[i].alive && us > b->lo_us)
			b->lo_us = us;
		else if (!trials[i].alive && us < b->hi_us)
			b->hi_us = us;
	}
	end(trials, KINDS * POINTS);
	return ok;
}

static void
say_timer(struct nattest *t, const char *what, const struct bracket *b)
{
	char found[48];

#define S_FORMAT "%lu.%02lu"
#define S(us)    (us) / US_PER_S, (us) % US_PER_S / (10 * US_PER_MS)
	if (b->hi_us == TIMER_NEVER)
		text_format(
		    found, sizeof(found), ">" S_FORMAT "s", S(b->lo_us));
	else
		text_format(found, sizeof(found), S_FORMAT "s-" S_FORMAT "s",
		    S(b->lo_us), S(b->hi_us));
	nattest_say(t, what, found, "without packets");
}

/* What keeps an entry alive whose timer is known. */
static bool
find_refresh(struct nattest *t, const struct bracket *b, struct udpsock *caller)
{
	static const char *const words[] = { "none", "outbound", "inbound",
		"both" };
	struct trial trials[NUDGES] = { 0 };
	unsigned int found;
	bool ok = true;

	for (unsigned int i = NUDGE_OUT; i < NUDGES; i++) {
		ok = ok && make(t, &trials[i], TWO_WAY, caller);
		trials[i].nudge = (enum nudge)i;
		trials[i].nudge_us =
		    trials[i].made_us + b->hi_us * NUDGE_AT / 10;
		trials[i].probe_us =
		    trials[i].made_us + b->hi_us * PROBE_AT / 10;
	}
	ok = ok && run(t, trials, NUDGES, caller);
	found = (trials[NUDGE_OUT].alive ? 1u : 0) |
	    (trials[NUDGE_IN].alive ? 2u : 0);
	if (ok)
		nattest_say(t, "refresh", words[found],
		    "one packet outwards %s, one inwards %s",
		    found & 1 ? "kept an entry" : "did not keep it",
		    found & 2 ? "kept an entry" : "did not keep it");
	end(trials, NUDGES);
	return ok;
}

bool
nattest_timers(struct nattest *t)
{
	struct bracket brackets[KINDS] = { { 0, TIMER_NEVER },
		{ 0, TIMER_NEVER } };
	struct udpsock *caller = asker_socket(&t->asker, UDPSOCK_PORT_ANY);
	const struct bracket *b = &brackets[TWO_WAY];
	bool ok = caller != NULL && narrow(t, brackets, caller) &&
	    narrow(t, brackets, caller);

	if (ok) {
		say_timer(t, "udp-one-way", &brackets[ONE_WAY]);
		say_timer(t, "udp-idle", b);
	}
	if (ok && b->hi_us != TIMER_NEVER)
		ok = find_refresh(t, b, caller);
	if (!ok && !t->asker.sh->interrupted)
		command_say(t->asker.sh, "nattest",
		    "the timers cannot be found: a server does not answer");
	if (caller != NULL)
		udpsock_free(caller);
	return ok;
}
