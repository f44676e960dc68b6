/*
 * command_ping.c - ping, traceroute, nslookup.
 */
#include <string.h>

#include "vmm/guest/command.h"
#include "vmm/guest/resolve.h"
#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

#define PING_DATA_MAX (IP4_MAX_BYTES - IP4_HEADER_BYTES - ICMP_HEADER_BYTES)
#define PING_SEQ_KEPT 1024 /* how far back a duplicate is known as one */
#define TRACE_PORT    33434
#define TRACE_PROBES  3
#define TRACE_BYTES   32

static unsigned int
header_bytes(const struct ip6_addr *addr)
{
	return ip_is4(addr) ? IP4_HEADER_BYTES : IP6_HEADER_BYTES;
}

/* ---- ping ---- */

struct pinging {
	struct shell *sh;
	const char *host;
	enum host_kind kind;
	struct host to;
	uint32_t count; /* 0: until interrupted */
	uint64_t interval_us, wait_us;
	uint32_t bytes, ttl;
	bool dont_fragment, quiet;
	struct pingsock *sock;
	uint64_t started_us, sent_us;
	uint32_t sent, received, duplicates, errors;
	uint64_t min_us, max_us, sum_us, squares;
	uint8_t seen[PING_SEQ_KEPT / 8]; /* a bit per sequence number */
};

/* Microseconds as milliseconds with three digits behind the point. */
#define MS_FORMAT "%lu.%03lu"
#define MS(us)    (us) / 1000, (us) % 1000

static int
ping_options(struct pinging *p, int argc, char **argv)
{
	struct options o = { p->sh, argc, argv, "46c:i:W:s:t:M:qn", 1, NULL,
		NULL };
	int c;

	while ((c = options_next(&o)) > 0) {
		bool ok = true;

		switch (c) {
		case '4': p->kind = HOST_IP4; break;
		case '6': p->kind = HOST_IP6; break;
		case 'c':
			ok = options_number(&o, c, &p->count, 1, 1000000);
			break;
		case 'i':
			ok = options_seconds(&o, c, &p->interval_us, 3600);
			break;
		case 'W': ok = options_seconds(&o, c, &p->wait_us, 3600); break;
		case 's':
			ok = options_number(&o, c, &p->bytes, 0, PING_DATA_MAX);
			break;
		case 't': ok = options_number(&o, c, &p->ttl, 1, 255); break;
		case 'M':
			p->dont_fragment = strcmp(o.value, "do") == 0;
			ok = p->dont_fragment || strcmp(o.value, "dont") == 0;
			if (!ok)
				command_say(p->sh, "ping", "-M %s: do or dont",
				    o.value);
			break;
		case 'q': p->quiet = true; break;
		case 'n': break; /* names are never looked up for addresses */
		}
		if (!ok)
			return STATUS_USAGE;
	}
	if (c < 0 || argc - o.at != 1)
		return STATUS_USAGE;
	p->host = argv[o.at];
	return STATUS_OK;
}

static bool
is_duplicate(struct pinging *p, uint16_t seq)
{
	uint8_t *byte = &p->seen[seq % PING_SEQ_KEPT / 8];
	const uint8_t bit = (uint8_t)(1u << seq % 8);

	if (*byte & bit)
		return true;
	*byte |= bit;
	return false;
}

static void
ping_reply(struct pinging *p, const struct icmp_note *note)
{
	const bool timed =
	    p->bytes >= sizeof(note->stamp) && note->stamp <= note->at_us;
	const uint64_t us = timed ? note->at_us - note->stamp : 0;
	const bool duplicate = is_duplicate(p, note->seq);
	char from[IP6_TEXT_BYTES];

	if (duplicate)
		p->duplicates++;
	else
		p->received++;
	if (timed && !duplicate) {
		p->min_us = us < p->min_us ? us : p->min_us;
		p->max_us = us > p->max_us ? us : p->max_us;
		p->sum_us += us;
		p->squares += us * us;
	}
	if (p->quiet)
		return;
	shell_printf(p->sh, "%u bytes from %s: icmp_seq=%u ttl=%u",
	    note->data_bytes + ICMP_HEADER_BYTES, ip6_text(from, &note->from),
	    note->seq, note->ttl);
	if (timed)
		shell_printf(p->sh, " time=" MS_FORMAT " ms", MS(us));
	shell_printf(p->sh, "%s\n", duplicate ? " (DUP!)" : "");
}

static void
ping_error(struct pinging *p, const struct icmp_note *note)
{
	char from[IP6_TEXT_BYTES], what[80];

	p->errors++;
	if (p->quiet)
		return;
	command_icmp_text(what, sizeof(what), note);
	shell_printf(p->sh, "From %s icmp_seq=%u %s\n",
	    ip6_text(from, &note->from), note->seq, what);
}

static void
ping_hear(struct pinging *p)
{
	struct icmp_note note;

	while (icmp_notes_take(&p->sock->notes, &note)) {
		/* Not sent yet, or not to there: somebody guesses. */
		if ((uint16_t)(note.seq - 1) >= p->sent && p->sent < 0xffff)
			continue;
		if (note.kind != ICMP_NOTE_REPLY)
			ping_error(p, &note);
		else if (ip6_equal(&note.from, &p->to.addr) ||
		    ip6_is_multicast(&p->to.addr))
			ping_reply(p, &note);
	}
}

static void
ping_send(struct pinging *p)
{
	struct stack *stack = p->sh->stack;
	const struct ping ping = {
		.dst = p->to.addr,
		.src = p->to.from,
		.seq = (uint16_t)(p->sent + 1),
		.ttl = (uint8_t)p->ttl,
		.dont_fragment = p->dont_fragment,
		.data_bytes = p->bytes,
		.stamp = stack->now_us,
	};
	const uint16_t ahead = (uint16_t)(ping.seq + PING_SEQ_KEPT / 2);
	enum reason why = pingsock_send(stack, p->sock, &ping);

	p->seen[ahead % PING_SEQ_KEPT / 8] &= (uint8_t) ~(1u << ahead % 8);
	p->sent++;
	p->sent_us = stack->now_us;
	if (why == DROP_NONE)
		return;
	p->errors++;
	if (why == DROP_MTU)
		shell_printf(p->sh, "ping: local error: message too long\n");
	else
		command_say(p->sh, "ping", "%s", command_reason(why));
}

/* The square root of n, rounded down. */
static uint64_t
root(uint64_t n)
{
	uint64_t r = 0;

	for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1) {
		if ((r | bit) * (r | bit) <= n)
			r |= bit;
	}
	return r;
}

static void
ping_summary(struct pinging *p)
{
	struct shell *sh = p->sh;
	const uint64_t took_ms =
	    (sh->stack->now_us - p->started_us) / US_PER_MS;
	uint64_t mean, dev;

	shell_printf(sh, "\n--- %s ping statistics ---\n", p->host);
	shell_printf(
	    sh, "%u packets transmitted, %u received, ", p->sent, p->received);
	if (p->duplicates > 0)
		shell_printf(sh, "+%u duplicates, ", p->duplicates);
	if (p->errors > 0)
		shell_printf(sh, "+%u errors, ", p->errors);
	shell_printf(sh, "%u%% packet loss, time %lums\n",
	    p->sent > p->received
		? (uint32_t)((uint64_t)(p->sent - p->received) * 100 / p->sent)
		: 0,
	    took_ms);
	if (p->received == 0 || p->min_us == UINT64_MAX)
		return;
	mean = p->sum_us / p->received;
	dev = p->squares / p->received;
	dev = dev > mean * mean ? root(dev - mean * mean) : 0;
	shell_printf(sh,
	    "rtt min/avg/max/mdev = " MS_FORMAT "/" MS_FORMAT "/" MS_FORMAT
	    "/" MS_FORMAT " ms\n",
	    MS(p->min_us), MS(mean), MS(p->max_us), MS(dev));
}

/* Sends and hears until all is done or interrupted. */
static void
ping_run(struct pinging *p)
{
	struct stack *stack = p->sh->stack;
	uint64_t until_us;

	p->started_us = stack->now_us;
	for (;;) {
		const bool last = p->count != 0 && p->sent == p->count;

		ping_hear(p);
		if (last && p->received + p->errors >= p->count)
			return;
		until_us = p->sent == 0 ? 0
		    : last              ? p->sent_us + p->wait_us
					: p->sent_us + p->interval_us;
		if (stack->now_us < until_us) {
			if (!shell_wait(p->sh, until_us))
				return;
			continue;
		}
		if (last)
			return;
		ping_send(p);
		if (p->interval_us == 0 &&
		    !shell_wait(p->sh, stack->now_us + 1))
			return;
	}
}

static int
ping(struct shell *sh, int argc, char **argv)
{
	struct pinging p = {
		.sh = sh,
		.interval_us = US_PER_S,
		.wait_us = 5 * US_PER_S,
		.bytes = 56,
		.min_us = UINT64_MAX,
	};
	int status = ping_options(&p, argc, argv);
	char addr[IP6_TEXT_BYTES];
	struct ip6_addr src;

	if (status != STATUS_OK)
		return status;
	if (!command_host(sh, "ping", p.host, p.kind, &p.to))
		return STATUS_ERROR;
	if (!ip_source(sh->stack, &p.to.addr, &p.to.from, &src)) {
		command_say(sh, "ping", "%s: no route to host", p.host);
		return STATUS_ERROR;
	}
	p.sock = pingsock_new(sh->stack, &sh->woken);
	if (p.sock == NULL) {
		command_say(sh, "ping", "all ping sockets are taken");
		return STATUS_ERROR;
	}
	shell_printf(sh, "PING %s (%s) %u(%u) bytes of data.\n", p.host,
	    ip6_text(addr, &p.to.addr), p.bytes,
	    p.bytes + ICMP_HEADER_BYTES + header_bytes(&p.to.addr));
	ping_run(&p);
	pingsock_free(p.sock);
	ping_summary(&p);
	return p.received > 0 ? STATUS_OK : STATUS_FAILED;
}

/* ---- traceroute ---- */

#define TRACE_BYTES  32
#define TRACE_PORT   33434
#define TRACE_PROBES 3

struct tracing {
	struct shell *sh;
	const char *host;
	enum host_kind kind;
	struct host to;
	bool icmp;
	uint32_t max_ttl, probes;
	uint64_t wait_us;
	struct pingsock *ping;
	struct udpsock *udp;
	uint16_t
	    seq; /* of the last probe; for UDP the port is TRACE_PORT more */
};

static enum reason
trace_send(struct tracing *t, uint8_t ttl)
{
	static const uint8_t data[TRACE_BYTES];
	const struct ping ping = {
		.dst = t->to.addr,
		.src = t->to.from,
		.seq = ++t->seq,
		.ttl = ttl,
		.data_bytes = TRACE_BYTES,
	};
	const struct udp_to to = {
		.dst = t->to.addr,
		.src = t->to.from,
		.dport = (uint16_t)(TRACE_PORT + t->seq),
		.ttl = ttl,
	};

	if (t->icmp)
		return pingsock_send(t->sh->stack, t->ping, &ping);
	return udpsock_send(t->sh->stack, t->udp, &to, data, sizeof(data));
}

/* Waits for what is said about the last probe.  False: nothing was. */
static bool
trace_hear(struct tracing *t, struct icmp_note *note)
{
	const uint64_t until_us = t->sh->stack->now_us + t->wait_us;
	struct icmp_notes *notes = t->icmp ? &t->ping->notes : &t->udp->notes;
	const uint16_t seq = t->icmp ? t->seq : (uint16_t)(TRACE_PORT + t->seq);

	do {
		while (icmp_notes_take(notes, note)) {
			if (note->seq == seq &&
			    ip6_equal(&note->dst, &t->to.addr))
				return true;
		}
	} while (
	    t->sh->stack->now_us < until_us && shell_wait(t->sh, until_us));
	return false;
}

/* What traceroute prints behind the time of an error. */
static const char *
trace_mark(const struct icmp_note *note)
{
	static const char *const of4[] = { " !N", " !H", " !P", "" };
	static const char *const of6[] = { " !N", " !X", " !S", " !H", "" };
	const size_t known = note->ip6 ? sizeof(of6) / sizeof(of6[0])
				       : sizeof(of4) / sizeof(of4[0]);

	switch (note->kind) {
	case ICMP_NOTE_EXPIRED:
	case ICMP_NOTE_REPLY: return "";
	case ICMP_NOTE_TOO_BIG: return " !F";
	case ICMP_NOTE_PROBLEM: return " !?";
	case ICMP_NOTE_UNREACHABLE: break;
	}
	if (note->code >= known)
		return " !X";
	return note->ip6 ? of6[note->code] : of4[note->code];
}

enum hop { HOP_ON, HOP_REACHED, HOP_STOPPED };

static enum hop
trace_hop(struct tracing *t, uint8_t ttl)
{
	struct icmp_note note;
	char from[IP6_TEXT_BYTES];
	struct ip6_addr last = { { 0 } };
	uint64_t us;
	enum hop hop = HOP_ON;

	shell_printf(t->sh, "%2u", ttl);
	for (uint32_t i = 0; i < t->probes && !t->sh->interrupted; i++) {
		const uint64_t sent_us = t->sh->stack->now_us;

		if (trace_send(t, ttl) != DROP_NONE || !trace_hear(t, &note)) {
			shell_printf(t->sh, "  *");
			continue;
		}
		if (!ip6_equal(&note.from, &last))
			shell_printf(t->sh, "  %s", ip6_text(from, &note.from));
		last = note.from;
		us = note.at_us - sent_us;
		shell_printf(
		    t->sh, "  " MS_FORMAT " ms%s", MS(us), trace_mark(&note));
		if (note.kind == ICMP_NOTE_EXPIRED)
			continue;
		if (ip6_equal(&note.from, &t->to.addr))
			hop = HOP_REACHED;
		else if (hop == HOP_ON)
			hop = HOP_STOPPED;
	}
	shell_printf(t->sh, "\n");
	return hop;
}

static int
trace_options(struct tracing *t, int argc, char **argv)
{
	struct options o = { t->sh, argc, argv, "46Inm:q:w:", 1, NULL, NULL };
	int c;

	while ((c = options_next(&o)) > 0) {
		bool ok = true;

		switch (c) {
		case '4': t->kind = HOST_IP4; break;
		case '6': t->kind = HOST_IP6; break;
		case 'I': t->icmp = true; break;
		case 'n': break; /* names are never looked up for addresses */
		case 'm':
			ok = options_number(&o, c, &t->max_ttl, 1, 255);
			break;
		case 'q': ok = options_number(&o, c, &t->probes, 1, 10); break;
		case 'w': ok = options_seconds(&o, c, &t->wait_us, 60); break;
		}
		if (!ok)
			return STATUS_USAGE;
	}
	if (c < 0 || argc - o.at != 1)
		return STATUS_USAGE;
	t->host = argv[o.at];
	return STATUS_OK;
}

static int
traceroute(struct shell *sh, int argc, char **argv)
{
	struct tracing t = {
		.sh = sh,
		.max_ttl = 30,
		.probes = TRACE_PROBES,
		.wait_us = 2 * US_PER_S,
	};
	int status = trace_options(&t, argc, argv);
	char addr[IP6_TEXT_BYTES];
	struct ip6_addr src;
	enum hop hop = HOP_ON;

	if (status != STATUS_OK)
		return status;
	if (!command_host(sh, "traceroute", t.host, t.kind, &t.to))
		return STATUS_ERROR;
	if (!ip_source(sh->stack, &t.to.addr, &t.to.from, &src)) {
		command_say(sh, "traceroute", "%s: no route to host", t.host);
		return STATUS_ERROR;
	}
	if (t.icmp)
		t.ping = pingsock_new(sh->stack, &sh->woken);
	else
		t.udp = udpsock_new(sh->stack, UDPSOCK_PORT_ANY, &sh->woken);
	if (t.ping == NULL && t.udp == NULL) {
		command_say(sh, "traceroute", "all sockets are taken");
		return STATUS_ERROR;
	}
	shell_printf(sh,
	    "traceroute to %s (%s), %u hops max, %u byte packets\n", t.host,
	    ip6_text(addr, &t.to.addr), t.max_ttl,
	    header_bytes(&t.to.addr) + 8 + TRACE_BYTES);
	for (uint32_t ttl = 1;
	     ttl <= t.max_ttl && hop == HOP_ON && !sh->interrupted; ttl++)
		hop = trace_hop(&t, (uint8_t)ttl);
	if (t.icmp)
		pingsock_free(t.ping);
	else
		udpsock_free(t.udp);
	return hop == HOP_REACHED ? STATUS_OK : STATUS_FAILED;
}

/* ---- nslookup ---- */

static void
print_answer(struct shell *sh, const char *name, const struct dns *answer)
{
	char addr[IP6_TEXT_BYTES];

	for (uint8_t i = 0; i < answer->naddrs; i++)
		shell_printf(sh, "%s has address %s\n", name,
		    ip4_text(addr, answer->addr[i]));
	for (uint8_t i = 0; i < answer->naddrs6; i++)
		shell_printf(sh, "%s has IPv6 address %s\n", name,
		    ip6_text(addr, &answer->addr6[i]));
}

static bool
speaks_ip6(const struct stack *stack)
{
	for (unsigned int i = 0; i < stack->nnifs; i++)
		if (stack->nif[i].ip6.on)
			return true;
	return false;
}

static int
nslookup(struct shell *sh, int argc, char **argv)
{
	static const struct {
		const char *option;
		uint16_t type;
	} types[] = { { "-type=a", DNS_TYPE_A },
		{ "-type=aaaa", DNS_TYPE_AAAA } };
	const char *name = argv[argc - 1];
	uint16_t type = 0;
	struct dns answer;
	bool found;

	for (unsigned int i = 0; argc == 3 && i < 2; i++)
		if (strcmp(argv[1], types[i].option) == 0)
			type = types[i].type;
	if (argc < 2 || argc > 3 || (argc == 3 && type == 0) || name[0] == '-')
		return STATUS_USAGE;
	/* Of both types, if there is something to do with both. */
	found = command_resolve(
	    sh, "nslookup", name, type != 0 ? type : DNS_TYPE_A, &answer);
	if (found)
		print_answer(sh, name, &answer);
	if (type == 0 && !sh->interrupted && speaks_ip6(sh->stack) &&
	    resolve(sh, name, DNS_TYPE_AAAA, &answer) == RESOLVE_OK) {
		print_answer(sh, name, &answer);
		found = true;
	}
	return found ? STATUS_OK : STATUS_FAILED;
}

const struct command commands_ping[] = {
	{ "ping",
	    "[-46] [-c COUNT] [-i SECONDS] [-W SECONDS] [-s BYTES] [-t TTL]"
	    " [-M do|dont] [-q] HOST",
	    "sends echo requests and prints what comes back", ping },
	{ "traceroute", "[-46] [-I] [-m HOPS] [-q PROBES] [-w SECONDS] HOST",
	    "the routers on the way to a host", traceroute },
	{ "nslookup", "[-type=a|aaaa] NAME", "the addresses of a name",
	    nslookup },
	{ NULL, NULL, NULL, NULL },
};
