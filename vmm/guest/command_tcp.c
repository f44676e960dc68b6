/*
 * command_tcp.c - nc, listen, netstat, serve.
 */
#include <string.h>

#include "vmm/guest/command.h"
#include "vmm/guest/services.h"
#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

#define PIECE_BYTES    1500
#define TEXT_BYTES     (SHELL_LINE_BYTES + 1)
#define LISTENED       8 /* connections that one listen serves at a time */
#define NC_TCP_WAIT_US (10 * US_PER_S)
#define NC_UDP_WAIT_US (1 * US_PER_S)

/* ---- nc ---- */

struct netcat {
	struct shell *sh;
	bool udp;
	uint64_t wait_us; /* without anything coming */
	uint32_t sport, port;
	enum host_kind kind;
	struct host to;
	const char *host;
	char text[TEXT_BYTES]; /* the words, with a newline at the end */
	size_t text_bytes;
};

static void
join_words(struct netcat *nc, char **words)
{
	for (; *words != NULL; words++)
		nc->text_bytes += text_format(nc->text + nc->text_bytes,
		    sizeof(nc->text) - nc->text_bytes, "%s%c", *words,
		    words[1] != NULL ? ' ' : '\n');
}

static int
nc_options(struct netcat *nc, int argc, char **argv)
{
	struct options o = { nc->sh, argc, argv, "46uw:p:", 1, NULL, NULL };
	bool waits = false;
	int c;

	while ((c = options_next(&o)) > 0) {
		bool ok = true;

		switch (c) {
		case '4': nc->kind = HOST_IP4; break;
		case '6': nc->kind = HOST_IP6; break;
		case 'u': nc->udp = true; break;
		case 'w':
			waits = true;
			ok = options_seconds(&o, c, &nc->wait_us, 3600);
			break;
		case 'p':
			ok = options_number(&o, c, &nc->sport, 1, 65535);
			break;
		}
		if (!ok)
			return STATUS_USAGE;
	}
	if (c < 0 || argc - o.at < 2)
		return STATUS_USAGE;
	nc->host = argv[o.at];
	if (!text_number(&nc->port, argv[o.at + 1], 1, 65535)) {
		command_say(nc->sh, "nc", "%s: not a port from 1 to 65535",
		    argv[o.at + 1]);
		return STATUS_USAGE;
	}
	if (!waits)
		nc->wait_us = nc->udp ? NC_UDP_WAIT_US : NC_TCP_WAIT_US;
	join_words(nc, argv + o.at + 2);
	return STATUS_OK;
}

static void
say_icmp(struct netcat *nc, const struct icmp_note *note)
{
	char from[IP6_TEXT_BYTES], what[80];

	command_icmp_text(what, sizeof(what), note);
	command_say(
	    nc->sh, "nc", "from %s: %s", ip6_text(from, &note->from), what);
}

/* Prints answers until none comes for wait_us. */
static int
nc_udp_hear(struct netcat *nc, struct udpsock *sock)
{
	uint64_t until_us = nc->sh->stack->now_us + nc->wait_us;
	uint8_t data[PIECE_BYTES];
	struct udp_from from;
	struct icmp_note note;
	bool heard = false;

	do {
		while (udpsock_take(sock, &from, data, sizeof(data))) {
			if (!ip6_equal(&from.src, &nc->to.addr) ||
			    from.sport != nc->port)
				continue;
			shell_print_data(nc->sh, data, from.data_bytes);
			heard = true;
			until_us = nc->sh->stack->now_us + nc->wait_us;
		}
		while (icmp_notes_take(&sock->notes, &note)) {
			say_icmp(nc, &note);
			if (note.kind == ICMP_NOTE_UNREACHABLE)
				return STATUS_FAILED;
		}
	} while (
	    nc->sh->stack->now_us < until_us && shell_wait(nc->sh, until_us));
	return heard ? STATUS_OK : STATUS_FAILED;
}

static int
nc_udp(struct netcat *nc)
{
	struct udpsock *sock =
	    udpsock_new(nc->sh->stack, (uint16_t)nc->sport, &nc->sh->woken);
	const struct udp_to to = { .dst = nc->to.addr,
		.src = nc->to.from,
		.dport = (uint16_t)nc->port };
	enum reason why;
	int status = STATUS_ERROR;

	if (sock == NULL) {
		command_say(nc->sh, "nc", "the port or all sockets are taken");
		return STATUS_ERROR;
	}
	why = udpsock_send(nc->sh->stack, sock, &to, nc->text, nc->text_bytes);
	if (why == DROP_NONE)
		status = nc_udp_hear(nc, sock);
	else
		command_say(
		    nc->sh, "nc", "%s: %s", nc->host, command_reason(why));
	udpsock_free(sock);
	return status;
}

static void
say_tcp_error(struct netcat *nc, const struct tcpconn *conn)
{
	if (conn->error == TCP_UNREACHABLE)
		say_icmp(nc, &conn->note);
	else
		command_say(nc->sh, "nc", "%s port %u: %s", nc->host, nc->port,
		    tcpconn_error_text(conn->error));
}

/* Sends, half-closes, and prints what comes until the other side ends it too,
 * or nothing happens for wait_us. */
static int
nc_tcp_run(struct netcat *nc, struct tcpconn *conn)
{
	uint64_t until_us = nc->sh->stack->now_us + nc->wait_us;
	uint8_t data[PIECE_BYTES];
	size_t sent = 0, n;

	do {
		if (conn->state == TCP_CLOSED && conn->error != TCP_NO_ERROR) {
			say_tcp_error(nc, conn);
			return STATUS_FAILED;
		}
		n = tcpconn_write(conn, nc->text + sent, nc->text_bytes - sent);
		sent += n;
		if (sent == nc->text_bytes && sent > 0 &&
		    !tcpconn_is_connecting(conn))
			tcpconn_finish(conn);
		while ((n = tcpconn_read(conn, data, sizeof(data))) > 0) {
			shell_print_data(nc->sh, data, n);
			until_us = nc->sh->stack->now_us + nc->wait_us;
		}
		if (tcpconn_ended(conn) && tcpconn_flushed(conn))
			return STATUS_OK;
	} while (
	    nc->sh->stack->now_us < until_us && shell_wait(nc->sh, until_us));
	if (tcpconn_is_connecting(conn)) {
		command_say(
		    nc->sh, "nc", "%s port %u: no answer", nc->host, nc->port);
		return STATUS_FAILED;
	}
	/* Without a text it was to be listened to for a while, and was. */
	return nc->text_bytes == 0 ? STATUS_OK : STATUS_FAILED;
}

static int
nc_tcp(struct netcat *nc)
{
	enum reason why;
	const struct tcp_to to = { nc->to.addr, (uint16_t)nc->port, nc->to.from,
		(uint16_t)nc->sport };
	struct tcpconn *conn =
	    tcpconn_open(nc->sh->stack, &to, &nc->sh->woken, &why);
	int status;

	if (conn == NULL) {
		command_say(nc->sh, "nc", "%s: %s", nc->host,
		    why == DROP_PORT_FULL ? "the port or all connections are"
					    " taken"
					  : command_reason(why));
		return STATUS_ERROR;
	}
	status = nc_tcp_run(nc, conn);
	tcpconn_close(conn);
	return status;
}

static int
nc(struct shell *sh, int argc, char **argv)
{
	struct netcat nc = { .sh = sh };
	int status = nc_options(&nc, argc, argv);

	if (status != STATUS_OK)
		return status;
	if (!command_host(sh, "nc", nc.host, nc.kind, &nc.to))
		return STATUS_ERROR;
	return nc.udp ? nc_udp(&nc) : nc_tcp(&nc);
}

/* ---- listen ---- */

struct listening {
	struct shell *sh;
	uint32_t port, count; /* of datagrams or connections; 0: no end */
	uint64_t until_us;
	bool udp;
	uint32_t seen;
	unsigned int open;
	struct tcpconn *conn[LISTENED];
};

static int
listen_options(struct listening *l, int argc, char **argv)
{
	struct options o = { l->sh, argc, argv, "uc:w:", 1, NULL, NULL };
	uint64_t wait_us = 0;
	int c;

	while ((c = options_next(&o)) > 0) {
		bool ok = true;

		switch (c) {
		case 'u': l->udp = true; break;
		case 'c':
			ok = options_number(&o, c, &l->count, 1, 1000000);
			break;
		case 'w':
			ok = options_seconds(&o, c, &wait_us, 86400);
			l->until_us = l->sh->stack->now_us + wait_us;
			break;
		}
		if (!ok)
			return STATUS_USAGE;
	}
	if (c < 0 || argc - o.at != 1)
		return STATUS_USAGE;
	if (!text_number(&l->port, argv[o.at], 1, 65535)) {
		command_say(l->sh, "listen", "%s: not a port from 1 to 65535",
		    argv[o.at]);
		return STATUS_USAGE;
	}
	return STATUS_OK;
}

static bool
listen_done(const struct listening *l)
{
	return (l->count > 0 && l->seen >= l->count && l->open == 0) ||
	    l->sh->stack->now_us >= l->until_us;
}

static void
listen_udp(struct listening *l, struct udpsock *sock)
{
	char end[IP_END_BYTES];
	uint8_t data[PIECE_BYTES];
	struct udp_from from;

	while (!listen_done(l)) {
		if (!udpsock_take(sock, &from, data, sizeof(data))) {
			if (!shell_wait(l->sh, l->until_us))
				return;
			continue;
		}
		l->seen++;
		shell_printf(l->sh,
		    "from %s: ", ip_end_text(end, &from.src, from.sport));
		shell_print_data(l->sh, data, from.data_bytes);
		if (from.data_bytes == 0 || data[from.data_bytes - 1] != '\n')
			shell_printf(l->sh, "\n");
	}
}

static void
listen_accept(struct listening *l, struct tcplisten *listener)
{
	char end[IP_END_BYTES];

	for (unsigned int i = 0; i < LISTENED; i++) {
		if (l->conn[i] != NULL || (l->count > 0 && l->seen >= l->count))
			continue;
		l->conn[i] = tcplisten_accept(l->sh->stack, listener);
		if (l->conn[i] == NULL)
			return;
		l->seen++;
		l->open++;
		shell_printf(l->sh, "connection from %s\n",
		    ip_end_text(end, &l->conn[i]->remote, l->conn[i]->rport));
	}
}

static void
listen_serve(struct listening *l, struct tcpconn **slot)
{
	struct tcpconn *conn = *slot;
	char end[IP_END_BYTES];
	uint8_t data[PIECE_BYTES];
	size_t n;

	while ((n = tcpconn_read(conn, data, sizeof(data))) > 0) {
		shell_printf(l->sh,
		    "from %s: ", ip_end_text(end, &conn->remote, conn->rport));
		shell_print_data(l->sh, data, n);
		if (data[n - 1] != '\n')
			shell_printf(l->sh, "\n");
	}
	if (!tcpconn_ended(conn))
		return;
	shell_printf(l->sh, "%s %s\n",
	    ip_end_text(end, &conn->remote, conn->rport),
	    conn->error == TCP_NO_ERROR ? "closed"
					: tcpconn_error_text(conn->error));
	tcpconn_close(conn);
	*slot = NULL;
	l->open--;
}

static void
listen_tcp(struct listening *l, struct tcplisten *listener)
{
	for (;;) {
		listen_accept(l, listener);
		for (unsigned int i = 0; i < LISTENED; i++) {
			if (l->conn[i] != NULL)
				listen_serve(l, &l->conn[i]);
		}
		if (listen_done(l) || !shell_wait(l->sh, l->until_us))
			break;
	}
	for (unsigned int i = 0; i < LISTENED; i++) {
		if (l->conn[i] != NULL)
			tcpconn_close(l->conn[i]);
	}
}

static int
listen(struct shell *sh, int argc, char **argv)
{
	struct listening l = { .sh = sh, .until_us = TIMER_NEVER };
	int status = listen_options(&l, argc, argv);
	struct udpsock *sock = NULL;
	struct tcplisten *listener = NULL;

	if (status != STATUS_OK)
		return status;
	if (l.udp)
		sock = udpsock_new(sh->stack, (uint16_t)l.port, &sh->woken);
	else
		listener =
		    tcplisten_new(sh->stack, (uint16_t)l.port, &sh->woken);
	if (sock == NULL && listener == NULL) {
		command_say(sh, "listen", "port %u is taken", l.port);
		return STATUS_ERROR;
	}
	shell_printf(
	    sh, "listening on %s port %u\n", l.udp ? "UDP" : "TCP", l.port);
	if (l.udp) {
		listen_udp(&l, sock);
		udpsock_free(sock);
	} else {
		listen_tcp(&l, listener);
		tcplisten_close(sh->stack, listener);
	}
	return l.seen > 0 ? STATUS_OK : STATUS_FAILED;
}

/* ---- netstat, serve ---- */

static void
print_conn(struct shell *sh, const struct tcpconn *conn)
{
	char local[IP_END_BYTES], remote[IP_END_BYTES];

	shell_printf(sh, "tcp %-21s %-21s %-12s in %lu out %lu",
	    ip_end_text(local, &conn->local, conn->lport),
	    ip_end_text(remote, &conn->remote, conn->rport),
	    tcpconn_state_name(conn->state), conn->bytes_in, conn->bytes_out);
	if (conn->retransmits > 0)
		shell_printf(sh, " again %u", conn->retransmits);
	shell_printf(sh, "\n");
}

static int
netstat(struct shell *sh, int argc, char **argv)
{
	const struct stack *stack = sh->stack;

	(void)argv;
	if (argc != 1)
		return STATUS_USAGE;
	for (unsigned int i = 0; i < TCPLISTENS; i++) {
		if (stack->tcp.listen[i].used)
			shell_printf(sh, "tcp *:%-19u %-21s LISTEN\n",
			    stack->tcp.listen[i].port, "*");
	}
	for (unsigned int i = 0; i < TCPCONNS; i++) {
		if (stack->tcp.conn[i].state != TCP_CLOSED)
			print_conn(sh, &stack->tcp.conn[i]);
	}
	for (unsigned int i = 0; i < UDPSOCKS; i++) {
		if (stack->udp.sock[i].used)
			shell_printf(sh, "udp *:%u\n", stack->udp.sock[i].port);
	}
	return STATUS_OK;
}

static int
serve(struct shell *sh, int argc, char **argv)
{
	if (argc > 2)
		return STATUS_USAGE;
	if (argc == 2) {
		const bool on = strcmp(argv[1], "on") == 0;

		if (!on && strcmp(argv[1], "off") != 0)
			return STATUS_USAGE;
		services_stop(sh->stack);
		if (on)
			services_start(sh->stack);
	}
	shell_printf(sh, "echo (port %u) and discard (port %u) are %s\n",
	    PORT_ECHO, PORT_DISCARD,
	    services_running(sh->stack) ? "on" : "off");
	return STATUS_OK;
}

const struct command commands_tcp[] = {
	{ "nc", "[-46u] [-w SECONDS] [-p PORT] HOST PORT [TEXT...]",
	    "connects, sends TEXT, prints what comes back", nc },
	{ "listen", "[-u] [-c COUNT] [-w SECONDS] PORT",
	    "prints what others send to a port", listen },
	{ "netstat", "", "connections and sockets", netstat },
	{ "serve", "[on|off]", "the echo and discard services", serve },
	{ NULL, NULL, NULL, NULL },
};
