#include "vmm/guest/resolve.h"

#include <string.h>

#include "vmm/guest/stack.h"

#define ROUNDS    2
#define ANSWER_US (2 * US_PER_S)
#define LABEL_MAX 63

/* Labels of 1 to 63 letters, digits, '-' and '_', 253 bytes in all; a dot at
 * the end is left out.  out is lower case, as answers are. */
static bool
read_name(char out[DNS_NAME_BYTES], const char *name)
{
	size_t len = strlen(name), label = 0;

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '_') {
			if (++label > LABEL_MAX)
				return false;
		} else
			return false;
		out[i] = c;
	}
	out[len] = '\0';
	return label > 0;
}

unsigned int
resolve_servers(
    const struct stack *stack, struct ip6_addr list[RESOLVE_SERVERS])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < stack->nnifs; i++) {
		const struct netif *nif = &stack->nif[i];

		for (uint8_t d = 0; d < nif->ndns; d++)
			list[n++] = ip6_of_ip4(nif->dns[d]);
		for (unsigned int d = 0; d < NETIF_DNS6; d++)
			if (nif->ip6.dns[d].used)
				list[n++] = nif->ip6.dns[d].addr;
	}
	return n;
}

static bool
send_question(struct stack *stack, struct udpsock *sock,
    const struct ip6_addr *server, const struct dns *question)
{
	uint8_t message[DNS_MAX_BYTES];
	struct writer w = writer(message, sizeof(message));
	const struct udp_to to = { .dst = *server, .dport = DNS_PORT };

	dns_write(&w, question);
	return !w.overrun &&
	    udpsock_send(stack, sock, &to, message, (size_t)(w.at - message)) ==
	    DROP_NONE;
}

/* Is it the answer to question, from whom it was put to (RFC 5452, 9)? */
static bool
take_answer(struct udpsock *sock, const struct ip6_addr *server,
    const struct dns *question, struct dns *answer)
{
	uint8_t message[DNS_MAX_BYTES];
	struct udp_from from;
	struct cursor c;

	while (udpsock_take(sock, &from, message, sizeof(message))) {
		c = cursor(message, from.data_bytes);
		if (ip6_equal(&from.src, server) && from.sport == DNS_PORT &&
		    dns_parse(answer, &c) == DROP_NONE &&
		    answer->id == question->id &&
		    (answer->flags & DNS_FLAG_RESPONSE) != 0 &&
		    answer->type == question->type &&
		    answer->class == question->class &&
		    strcmp(answer->name, question->name) == 0)
			return true;
	}
	return false;
}

/* One question to one server. */
static enum resolved
ask(struct shell *sh, struct udpsock *sock, const struct ip6_addr *server,
    const struct dns *question, struct dns *answer)
{
	const uint64_t until_us = sh->stack->now_us + ANSWER_US;
	struct icmp_note note;

	if (!send_question(sh->stack, sock, server, question))
		return RESOLVE_NO_ANSWER;
	while (!take_answer(sock, server, question, answer)) {
		while (icmp_notes_take(&sock->notes, &note)) {
			if (ip6_equal(&note.dst, server))
				return RESOLVE_NO_ANSWER;
		}
		if (sh->stack->now_us >= until_us)
			return RESOLVE_NO_ANSWER;
		if (!shell_wait(sh, until_us))
			return RESOLVE_INTERRUPTED;
	}
	if (DNS_RCODE(answer->flags) == DNS_NXDOMAIN)
		return RESOLVE_NO_NAME;
	if (DNS_RCODE(answer->flags) != DNS_OK)
		return RESOLVE_REFUSED;
	return answer->naddrs + answer->naddrs6 > 0 ? RESOLVE_OK
						    : RESOLVE_NO_NAME;
}

enum resolved
resolve(struct shell *sh, const char *name, uint16_t type, struct dns *answer)
{
	struct dns question = {
		.flags = DNS_FLAG_RECURSE,
		.type = type,
		.class = DNS_CLASS_IN,
	};
	struct ip6_addr list[RESOLVE_SERVERS];
	const unsigned int n = resolve_servers(sh->stack, list);
	enum resolved end = RESOLVE_NO_ANSWER, got;
	struct udpsock *sock;

	if (!read_name(question.name, name))
		return RESOLVE_BAD_NAME;
	if (n == 0)
		return RESOLVE_NO_SERVER;
	sock = udpsock_new(sh->stack, UDPSOCK_PORT_ANY, &sh->woken);
	if (sock == NULL)
		return RESOLVE_NO_ANSWER;
	for (unsigned int i = 0; i < n * ROUNDS; i++) {
		question.id = (uint16_t)random_u32(&sh->stack->random);
		got = ask(sh, sock, &list[i % n], &question, answer);
		if (got != RESOLVE_NO_ANSWER && got != RESOLVE_REFUSED) {
			end = got;
			break;
		}
		if (got == RESOLVE_REFUSED)
			end = got;
	}
	udpsock_free(sock);
	return end;
}
