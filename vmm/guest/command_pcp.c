/*
 * command_pcp.c - asks the router for a mapping of its NAT, by PCP (RFC 6887)
 * or NAT-PMP (RFC 6886).
 *
 * The nonce of a mapping follows from its port, so that a later command can
 * renew or delete it, and from what only this machine knows.
 */
#include <string.h>

#include "net/natpmp.h"
#include "net/pcp.h"
#include "vmm/guest/command.h"
#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

#define TRIES        5
#define FIRST_TRY_US (250 * US_PER_MS) /* doubles each time */
#define LIFETIME_MAX UINT32_C(31536000)

struct asking {
	struct shell *sh;
	const char *host; /* the router; NULL: the gateway */
	uint32_t port, out_port, lifetime_s;
	uint8_t protocol;
	bool natpmp, delete, exactly;
	uint32_t router, own;
	struct pcp pcp; /* the request, and then the answer */
};

static int
read_options(struct asking *a, int argc, char **argv)
{
	struct options o = { a->sh, argc, argv, "dfl:no:r:t", 1, NULL, NULL };
	int c;

	while ((c = options_next(&o)) > 0) {
		bool ok = true;

		switch (c) {
		case 'd': a->delete = true; break;
		case 'f': a->exactly = true; break;
		case 'l':
			ok = options_number(
			    &o, c, &a->lifetime_s, 1, LIFETIME_MAX);
			break;
		case 'n': a->natpmp = true; break;
		case 'o':
			ok = options_number(&o, c, &a->out_port, 1, 65535);
			break;
		case 'r': a->host = o.value; break;
		case 't': a->protocol = IP_TCP; break;
		}
		if (!ok)
			return STATUS_USAGE;
	}
	if (c < 0 || argc - o.at != 1 ||
	    (a->exactly && (a->natpmp || a->delete || a->out_port == 0)))
		return STATUS_USAGE;
	if (text_number(&a->port, argv[o.at], 1, 65535))
		return STATUS_OK;
	command_say(a->sh, "pcp", "%s: not a port from 1 to 65535", argv[o.at]);
	return STATUS_USAGE;
}

/* The gateway of the first interface that has one. */
static uint32_t
gateway(const struct stack *stack)
{
	for (unsigned int i = 0; i < stack->nnifs; i++)
		if (stack->nif[i].net.addr != 0 && stack->nif[i].gateway != 0)
			return stack->nif[i].gateway;
	return 0;
}

/* Whom to ask, and as whom. */
static bool
find_router(struct asking *a)
{
	/* Any address outside waits for a lease that is on its way. */
	if (!command_host4(a->sh, "pcp",
		a->host != NULL ? a->host : "192.0.0.9", &a->router))
		return false;
	if (a->host == NULL)
		a->router = gateway(a->sh->stack);
	a->own = ipv4_source(a->sh->stack, a->router);
	if (a->router == 0 || a->own == 0) {
		command_say(a->sh, "pcp", "there is no router to ask");
		return false;
	}
	return true;
}

/* ---- one request ---- */

static void
write_request(const struct asking *a, struct writer *w)
{
	const struct natpmp m = { .op = a->protocol == IP_TCP ? NATPMP_MAP_TCP
							      : NATPMP_MAP_UDP,
		.in_port = a->pcp.in_port,
		.out_port = a->pcp.out_port,
		.lifetime_s = a->pcp.lifetime_s };

	if (a->natpmp)
		natpmp_write_request(w, &m);
	else
		pcp_write_request(w, &a->pcp);
}

static bool
take_natpmp(struct asking *a, const uint8_t *bytes, size_t len)
{
	static const uint8_t results[] = { PCP_SUCCESS, PCP_UNSUPP_VERSION,
		PCP_NOT_AUTHORIZED, PCP_NETWORK_FAILURE, PCP_NO_RESOURCES,
		PCP_UNSUPP_OPCODE };
	struct natpmp m;

	if (!natpmp_parse_response(&m, bytes, len) ||
	    (m.result == NATPMP_SUCCESS && m.in_port != a->pcp.in_port))
		return false;
	a->pcp.result = m.result < sizeof(results) ? results[m.result]
						   : (uint8_t)PCP_RESULTS;
	a->pcp.out_port = m.out_port;
	a->pcp.lifetime_s = m.lifetime_s;
	return true;
}

/* Is it the answer?  Then it takes the place of the request. */
static bool
take_answer(struct asking *a, const uint8_t *bytes, size_t len)
{
	struct pcp m;

	if (len > 0 && bytes[0] == NATPMP_VERSION)
		return take_natpmp(a, bytes, len);
	if (!pcp_parse_response(&m, bytes, len) ||
	    (m.result == PCP_SUCCESS &&
		(m.op != PCP_MAP || m.in_port != a->pcp.in_port ||
		    m.protocol != a->protocol ||
		    memcmp(m.nonce, a->pcp.nonce, PCP_NONCE_BYTES) != 0)))
		return false;
	a->pcp = m;
	return true;
}

static bool
has_answer(struct asking *a, struct udpsock *sock)
{
	uint8_t bytes[PCP_MAX_BYTES];
	struct udp_from from;

	while (udpsock_take(sock, &from, bytes, sizeof(bytes)))
		if (ip_get4(&from.src) == a->router && from.sport == PCP_PORT &&
		    from.data_bytes <= sizeof(bytes) &&
		    take_answer(a, bytes, from.data_bytes))
			return true;
	return false;
}

/* True: answered.  False after having said why not, or interrupted. */
static bool
ask(struct asking *a, struct udpsock *sock)
{
	const struct udp_to to = { .dst = ip6_of_ip4(a->router),
		.dport = PCP_PORT };
	uint8_t bytes[PCP_MAX_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));
	struct icmp_note note;

	write_request(a, &w);
	for (int try = 0; try < TRIES; try++) {
		uint64_t until_us =
		    a->sh->stack->now_us + (FIRST_TRY_US << try);
		enum reason why = udpsock_send(
		    a->sh->stack, sock, &to, bytes, (size_t)(w.at - bytes));

		if (why != DROP_NONE) {
			command_say(a->sh, "pcp", "%s", command_reason(why));
			return false;
		}
		while (a->sh->stack->now_us < until_us) {
			if (!shell_wait(a->sh, until_us))
				return false;
			if (has_answer(a, sock))
				return true;
			if (icmp_notes_take(&sock->notes, &note) &&
			    ip_get4(&note.from) == a->router) {
				command_say(a->sh, "pcp",
				    "the router does not speak it");
				return false;
			}
		}
	}
	command_say(a->sh, "pcp", "no answer");
	return false;
}

/* ---- the command ---- */

static void
make_request(struct asking *a)
{
	const struct random *random = &a->sh->stack->random;
	uint64_t key = (uint64_t)a->protocol << 16 | a->port;
	uint64_t nonce[2] = { random_hash(random, key, 1),
		random_hash(random, key, 2) };

	a->pcp = (struct pcp){ .op = PCP_MAP,
		.lifetime_s = a->delete ? 0 : a->lifetime_s,
		.client = ip6_of_ip4(a->own),
		.protocol = a->protocol,
		.in_port = (uint16_t)a->port,
		.out_port = (uint16_t)a->out_port,
		.out_ip = ip6_of_ip4(0),
		.prefer_failure = a->exactly };
	memcpy(a->pcp.nonce, nonce, PCP_NONCE_BYTES);
}

static int
print_answer(const struct asking *a)
{
	const struct pcp *m = &a->pcp;
	char text[IP4_TEXT_BYTES];
	uint32_t ip;

	if (m->result != PCP_SUCCESS) {
		command_say(a->sh, "pcp", "%s", pcp_result_name(m->result));
		return STATUS_FAILED;
	}
	if (a->delete)
		shell_printf(a->sh, "port %u is not mapped\n", a->port);
	else if (ip6_to_ip4(&ip, &m->out_ip) && ip != 0)
		shell_printf(a->sh, "port %u is %s:%u for %u s\n", a->port,
		    ip4_text(text, ip), m->out_port, m->lifetime_s);
	else
		shell_printf(a->sh, "port %u is %u for %u s\n", a->port,
		    m->out_port, m->lifetime_s);
	return STATUS_OK;
}

static int
pcp(struct shell *sh, int argc, char **argv)
{
	struct asking a = { .sh = sh, .lifetime_s = 3600, .protocol = IP_UDP };
	int status = read_options(&a, argc, argv);
	struct udpsock *sock;
	bool answered;

	if (status != STATUS_OK)
		return status;
	if (!find_router(&a))
		return STATUS_FAILED;
	make_request(&a);
	sock = udpsock_new(sh->stack, UDPSOCK_PORT_ANY, &sh->woken);
	if (sock == NULL) {
		command_say(sh, "pcp", "all sockets are taken");
		return STATUS_FAILED;
	}
	answered = ask(&a, sock);
	udpsock_free(sock);
	return answered ? print_answer(&a) : STATUS_FAILED;
}

const struct command commands_pcp[] = {
	{ "pcp", "[-dfnt] [-l SECONDS] [-o OUTSIDE-PORT] [-r ROUTER] PORT",
	    "has a port of ours mapped by the router's NAT", pcp },
	{ NULL, NULL, NULL, NULL },
};
