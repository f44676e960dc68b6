/*
 * command_nat.c - stund, and nattest, which asks it how a NAT behaves.
 */
#include <string.h>

#include "vmm/guest/command.h"
#include "vmm/guest/nattest.h"
#include "vmm/guest/text.h"

#define TIMERS_MAX_S    86400
#define NEIGHBOUR_TRIES 4

/* ---- stund ---- */

static int
stund(struct shell *sh, int argc, char **argv)
{
	char text[IP4_TEXT_BYTES];
	uint32_t partner = sh->stack->stund.partner;

	if (argc > 2)
		return STATUS_USAGE;
	if (argc == 2 && strcmp(argv[1], "off") == 0) {
		stund_stop(sh->stack);
	} else if (argc == 2) {
		partner = 0;
		if (strcmp(argv[1], "on") != 0 &&
		    !command_host4(sh, "stund", argv[1], &partner))
			return STATUS_ERROR;
		if (!stund_start(sh->stack, partner)) {
			command_say(sh, "stund", "its ports are taken");
			return STATUS_FAILED;
		}
	}
	shell_printf(sh, "STUN (ports %u and %u) is %s", STUN_PORT,
	    STUN_PORT + 1, stund_runs(sh->stack) ? "on" : "off");
	if (stund_runs(sh->stack) && partner != 0)
		shell_printf(sh, ", with %s", ip4_text(text, partner));
	shell_printf(sh, "\n");
	return STATUS_OK;
}

/* ---- the neighbour ---- */

struct neighbour {
	struct udpsock *sock;
	struct stun_end outer;
};

/* Answers who asks, or, if it wants that, at the outer end it names. */
static void
neighbour_hear(void *arg, struct stack *stack, const struct udp_from *from,
    const uint8_t *data)
{
	struct neighbour *n = arg;
	struct cursor c = cursor(data, from->data_bytes);
	struct stun request, answer = { .type = STUN_ANSWER };
	struct udp_to to = { .dst = from->src, .dport = from->sport };
	uint8_t room[128];
	struct writer w = writer(room, sizeof(room));

	if (stun_parse(&request, &c) != REASON_NONE ||
	    request.type != STUN_REQUEST)
		return;
	memcpy(answer.id, request.id, sizeof(answer.id));
	answer.mapped = (struct stun_end){ ip_get4(&from->src), from->sport };
	answer.other = n->outer;
	if (request.respond_to.ip != 0) {
		to.dst = ip6_of_ip4(request.respond_to.ip);
		to.dport = request.respond_to.port;
	}
	stun_write(&w, &answer);
	(void)udpsock_send(stack, n->sock, &to, room, (size_t)(w.at - room));
}

/* Takes one port towards an end of the servers, and clears *kept if it is
 * another one outside. */
static bool
hold(struct nattest *t, uint16_t port, bool other_ip, bool other_port,
    bool *kept)
{
	struct udpsock *sock = asker_socket(&t->asker, port);
	struct stun_end mapped;
	bool ok =
	    sock != NULL && nattest_ask(t, sock, other_ip, other_port, &mapped);

	if (sock != NULL)
		udpsock_free(sock);
	*kept = *kept && ok && mapped.port == port;
	return ok;
}

static bool
hold_all(struct nattest *t, uint16_t first, bool *kept)
{
	bool ok =
	    hold(t, (uint16_t)(first + NEIGHBOUR_PORT), false, true, kept) &&
	    hold(t, (uint16_t)(first + NEIGHBOUR_ADDR), true, false, kept);

	for (unsigned int i = NEIGHBOUR_SAME; ok && i < NEIGHBOUR_PORTS; i++)
		ok = hold(t, (uint16_t)(first + i), false, false, kept);
	return ok;
}

/* A socket on an even port with room behind it. */
static struct udpsock *
neighbour_socket(struct nattest *t)
{
	struct udpsock *sock = NULL;

	for (int i = 0; i < 8 && sock == NULL; i++)
		sock = asker_socket(&t->asker,
		    (uint16_t)(10000 +
			2 * random_below(&t->asker.sh->stack->random, 24000)));
	return sock;
}

/* Takes ports that are the same outside, so that who wants them collides with
 * us; or, from a NAT that keeps none, any.  NULL: a server does not answer. */
static struct udpsock *
settle(struct nattest *t, struct stun_end *outer)
{
	struct udpsock *sock = NULL;
	bool kept = false, ok = true;

	for (int i = 0; i < NEIGHBOUR_TRIES && ok && !kept; i++) {
		if (sock != NULL)
			udpsock_free(sock);
		sock = neighbour_socket(t);
		ok = sock != NULL && nattest_ask(t, sock, false, false, outer);
		kept = ok && outer->port == sock->port;
		ok = ok && hold_all(t, sock->port, &kept);
	}
	if (!ok && sock != NULL)
		udpsock_free(sock);
	return ok ? sock : NULL;
}

static int
be_neighbour(struct nattest *t)
{
	struct shell *sh = t->asker.sh;
	struct neighbour n = { .sock = NULL };
	struct stun_end own;
	char text[2][END_TEXT_BYTES];

	n.sock = settle(t, &n.outer);
	if (n.sock == NULL) {
		if (!sh->interrupted)
			command_say(sh, "nattest", "a server does not answer");
		return STATUS_FAILED;
	}
	own = (struct stun_end){ ipv4_source(sh->stack, t->server.ip),
		n.sock->port };
	n.sock->call = neighbour_hear;
	n.sock->arg = &n;
	shell_printf(sh, "neighbour %s is %s outside\n",
	    nattest_end(text[0], &own), nattest_end(text[1], &n.outer));
	(void)shell_sleep(sh, TIMER_NEVER);
	udpsock_free(n.sock);
	return STATUS_OK;
}

/* ---- nattest ---- */

/* "10.0.0.101:41200", or a host with the port of STUN. */
static bool
read_end(struct shell *sh, struct stun_end *end, char *text)
{
	char *colon = strchr(text, ':');
	uint32_t port = STUN_PORT;

	if (colon != NULL) {
		*colon = '\0';
		if (!text_number(&port, colon + 1, 1, 65535)) {
			command_say(sh, "nattest",
			    "%s: not a port from 1 to 65535", colon + 1);
			return false;
		}
	}
	end->port = (uint16_t)port;
	return command_host4(sh, "nattest", text, &end->ip);
}

static int
nattest(struct shell *sh, int argc, char **argv)
{
	struct options o = { sh, argc, argv, "nb:t:", 1, NULL, NULL };
	struct nattest t = { 0 };
	bool neighbour = false;
	int c;

	asker_init(&t.asker, sh);
	while ((c = options_next(&o)) > 0) {
		bool ok = true;
		char text[64];

		switch (c) {
		case 'n': neighbour = true; break;
		case 'b':
			text_copy(text, sizeof(text), o.value);
			if (!read_end(sh, &t.neighbour, text))
				return STATUS_ERROR;
			break;
		case 't':
			ok =
			    options_seconds(&o, c, &t.longest_us, TIMERS_MAX_S);
			break;
		}
		if (!ok)
			return STATUS_USAGE;
	}
	if (c < 0 || argc - o.at != 1)
		return STATUS_USAGE;
	if (!read_end(sh, &t.server, argv[o.at]))
		return STATUS_ERROR;
	if (neighbour)
		return nattest_meet(&t) ? be_neighbour(&t) : STATUS_FAILED;
	return nattest_run(&t) ? STATUS_OK : STATUS_FAILED;
}

const struct command commands_nat[] = {
	{ "stund", "[on|off|PARTNER]",
	    "STUN, by which a NAT is examined; from PARTNER's address as well",
	    stund },
	{ "nattest", "[-b NEIGHBOUR] [-t SECONDS] SERVER | -n SERVER",
	    "how the NAT on the way to a stund behaves", nattest },
	{ NULL, NULL, NULL, NULL },
};
