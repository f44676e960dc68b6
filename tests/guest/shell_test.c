/*
 * Words, numbers, the edited line, and each command with its exit status:
 * alice's shell, with bob at the other end of the wire.
 */
#include "tests/guest/wire.h"

#include <stdio.h>

#include "net/dns.h"

#include "vmm/guest/line.h"
#include "vmm/guest/services.h"
#include "vmm/guest/text.h"

/* ---- words ---- */

static void
lines_are_split_into_words(void **state)
{
	static const struct {
		const char *line;
		int n;
		const char *words[5];
	} rows[] = {
		{ "", 0, { 0 } },
		{ "   \t ", 0, { 0 } },
		{ "ping -c 3 host", 4, { "ping", "-c", "3", "host" } },
		{ "  a\tb  ", 2, { "a", "b" } },
		{ "a 'b  c' d", 3, { "a", "b  c", "d" } },
		{ "a \"b 'c' d\"", 2, { "a", "b 'c' d" } },
		{ "a'b'\"c\"d", 1, { "abcd" } },
		{ "a '' b", 3, { "a", "", "b" } },
		{ "a\\ b \\' \\\\", 3, { "a b", "'", "\\" } },
		{ "'a\\b' \"a\\\"b\"", 2, { "a\\b", "a\"b" } },
		{ "'open", -1, { 0 } },
		{ "\"open 'x'", -1, { 0 } },
		{ "end\\", -1, { 0 } },
		{ "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0"
		  " 1 2",
		    -1, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[128];
		char *words[SHELL_WORDS];
		const char *wrong = NULL;
		int n;

		strcpy(line, rows[i].line);
		n = shell_split(line, words, &wrong);
		assert_int_equal(n, rows[i].n);
		if (n < 0)
			assert_non_null(wrong);
		for (int w = 0; w < n; w++)
			assert_string_equal(words[w], rows[i].words[w]);
	}
}

static void
numbers_are_read_strictly(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint32_t value;
	} rows[] = { { "1", true, 1 }, { "65535", true, 65535 },
		{ "65536", false, 0 }, { "0", false, 0 }, { "", false, 0 },
		{ "01", false, 0 }, { "+1", false, 0 }, { "-1", false, 0 },
		{ " 1", false, 0 }, { "1 ", false, 0 }, { "0x1", false, 0 },
		{ "18446744073709551617", false, 0 },
		{ "4294967297", false, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t value = 7;

		assert_int_equal(
		    text_number(&value, rows[i].text, 1, 65535), rows[i].ok);
		assert_int_equal(value, rows[i].ok ? rows[i].value : 7);
	}
}

static void
seconds_are_read_strictly(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t us;
	} rows[] = { { "1", true, 1000000 }, { "0.2", true, 200000 },
		{ "0", true, 0 }, { "1.000001", true, 1000001 },
		{ "60", true, 60000000 }, { "61", false, 0 },
		{ ".5", false, 0 }, { "1.", false, 0 },
		{ "1.0000001", false, 0 }, { "1s", false, 0 }, { "", false, 0 },
		{ "-1", false, 0 }, { "99999999999999999999999", false, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t us = 7;

		assert_int_equal(
		    text_seconds(&us, rows[i].text, 60), rows[i].ok);
		assert_int_equal(us, rows[i].ok ? rows[i].us : 7);
	}
}

static void
text_is_formatted_as_printf_does(void **state)
{
	char ours[100], theirs[100];
	size_t n;

	(void)state;
#define SAME(...)                                                      \
	do {                                                           \
		n = text_format(ours, sizeof(ours), __VA_ARGS__);      \
		assert_int_equal(                                      \
		    n, snprintf(theirs, sizeof(theirs), __VA_ARGS__)); \
		assert_string_equal(ours, theirs);                     \
	} while (0)
	SAME("%s|%5s|%-5s|%.2s|%c|%%", "abc", "ab", "ab", "abc", 'x');
	SAME("%d %d %5d %-5d| %05d", 0, -7, -7, -7, -7);
	SAME("%u %lu %x %08x %lx %zu", 1u, 18446744073709551615ul, 255u, 255u,
	    0xabcdef0123456789ul, (size_t)5);
	SAME("%ld %*d %.*s", -9223372036854775807l - 1, 6, 42, 2, "xyz");
#undef SAME
	assert_int_equal(text_format(ours, 4, "%s", "abcdef"), 6);
	assert_string_equal(ours, "abc");
	text_copy(ours, 4, "abcdef");
	assert_string_equal(ours, "abc");
}

/* ---- the edited line ---- */

static char echoed[4096];

static void
echo(void *arg, const char *data, size_t len)
{
	(void)arg;
	assert_true(strlen(echoed) + len < sizeof(echoed));
	strncat(echoed, data, len);
}

static enum line_event
type(struct line *line, const char *keys)
{
	enum line_event event = LINE_MORE;

	for (; *keys != '\0'; keys++)
		event = line_key(line, *keys, echo, NULL);
	return event;
}

static void
a_line_can_be_edited(void **state)
{
	static const struct {
		const char *keys, *text;
	} rows[] = {
		{ "ip\r", "ip" },
		{ "ipx\x7f\r", "ip" },
		{ "ipx\b\n", "ip" },
		{ "\x7f\x7fip\r", "ip" },
		{ "wrong\x15right\r", "right" },
		{ "one two  \x17three\r", "one three" },
		{ "a\x01\x02\tb\r", "ab" },
		{ "a\x1b[Cb\x1b[3~c\r", "abc" },
		{ "\xc3\xa4x\r", "x" },
	};
	struct line *line = calloc(1, sizeof(*line));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		echoed[0] = '\0';
		assert_int_equal(type(line, rows[i].keys), LINE_DONE);
		assert_string_equal(line->text, rows[i].text);
	}
	free(line);
}

static void
lines_are_remembered(void **state)
{
	struct line *line = calloc(1, sizeof(*line));

	(void)state;
	type(line, "one\r\ntwo\rtwo\r\r");
	echoed[0] = '\0';
	assert_int_equal(type(line, "\x1b[A\x1b[A\x1b[A\r"), LINE_DONE);
	assert_string_equal(line->text, "one");
	type(line, "\x1b[A\x1b[A\x1b[B\r");
	assert_string_equal(line->text, "one");
	type(line, "x\x1b[A\x1b[B\r");
	assert_string_equal(line->text, "");
	for (char c = 'a'; c < 'a' + 2 * LINE_HISTORY; c++) {
		const char keys[] = { c, '\r', '\0' };

		type(line, keys);
	}
	for (unsigned int i = 0; i < 3 * LINE_HISTORY; i++)
		type(line, "\x1b[A");
	type(line, "\r");
	assert_string_equal(line->text, "i");
	free(line);
}

static void
a_line_ends_once_and_may_be_given_up(void **state)
{
	struct line *line = calloc(1, sizeof(*line));
	char keys[2 * SHELL_LINE_BYTES];

	(void)state;
	echoed[0] = '\0';
	assert_int_equal(type(line, "ip\r"), LINE_DONE);
	assert_int_equal(type(line, "\n"), LINE_MORE); /* of CR LF */
	assert_int_equal(type(line, "\n"), LINE_DONE);
	assert_int_equal(type(line, "rubbish\x03"), LINE_GIVEN_UP);
	assert_string_equal(echoed, "ip\n\nrubbish^C\n");
	memset(keys, 'x', sizeof(keys));
	keys[sizeof(keys) - 2] = '\r';
	keys[sizeof(keys) - 1] = '\0';
	echoed[0] = '\0';
	assert_int_equal(type(line, keys), LINE_DONE);
	assert_int_equal(strlen(line->text), SHELL_LINE_BYTES - 1);
	free(line);
}

/* ---- commands ---- */

struct lab {
	struct wire *wire;
	struct wire_shell sh;
	struct stack *alice, *bob;
};

static int
setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	lab->wire = wire_new(1);
	lab->alice = wire_station(lab->wire, 0, "10.0.0.1/24,dns=10.0.0.2");
	lab->bob = wire_station(lab->wire, 1, "10.0.0.2/24");
	services_start(lab->bob);
	wire_pass(lab->wire, US_PER_MS); /* the announcements are over */
	wire_shell_init(&lab->sh, lab->wire, 0);
	*state = lab;
	return 0;
}

static int
teardown(void **state)
{
	struct lab *lab = *state;

	wire_free(lab->wire);
	free(lab);
	return 0;
}

#define RUN(line)   wire_shell_run(&lab->sh, line)
#define SAYS(what)  says(lab->sh.text, what, true)
#define QUIET(what) says(lab->sh.text, what, false)

static void
says(const char *text, const char *what, bool does)
{
	if ((strstr(text, what) != NULL) != does)
		fail_msg(
		    "\"%s\" %s \"%s\"", text, does ? "lacks" : "has", what);
}

static void
wrong_command_lines_are_refused(void **state)
{
	static const char *const lines[] = { "ping", "ping -x 10.0.0.2",
		"ping -c", "ping -c 0 10.0.0.2", "ping -c 1x 10.0.0.2",
		"ping -s 65508 10.0.0.2", "ping -t 256 10.0.0.2",
		"ping -i -1 10.0.0.2", "ping -M maybe 10.0.0.2",
		"ping 10.0.0.2 10.0.0.3", "traceroute",
		"traceroute -m 0 1.2.3.4", "traceroute -q 11 1.2.3.4",
		"nslookup", "nslookup a b", "nslookup -x", "nc 10.0.0.2",
		"nc 10.0.0.2 0 x", "nc 10.0.0.2 65536 x", "nc -p 0 10.0.0.2 7",
		"nc -w x 10.0.0.2 7", "listen", "listen 0", "listen -c 0 5",
		"listen x", "netstat x", "serve maybe", "serve on off", "arp x",
		"dhcp eth0 eth1", "dhcp -q", "ip a b", "set eth0",
		"set eth0 10.0.0.1", "set eth0 10.0.0.1/33",
		"set eth0 10.0.0.0/24", "set eth0 10.0.0.255/24",
		"set eth0 127.0.0.1/8", "set eth0 10.0.0.1/24 gw",
		"set eth0 10.0.0.1/24 gw x",
		"set eth0 10.0.0.1/24 via 10.0.0.2", "set eth0 10.0.0.1/24,x",
		"set eth9 10.0.0.1/24", "mac x", "uptime x", "poweroff now",
		"reboot now", "help x", "help a b", "ip eth7", "'open" };
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (RUN(lines[i]) != STATUS_ERROR)
			fail_msg("%s: not refused", lines[i]);
		if (lab->sh.len == 0)
			fail_msg("%s: refused without a word", lines[i]);
	}
	assert_int_equal(RUN("frobnicate"), STATUS_UNKNOWN);
	SAYS("frobnicate: no such command");
	assert_int_equal(RUN(""), STATUS_OK);
	assert_false(lab->sh.ended);
	assert_int_equal(lab->alice->nif[0].net.addr, 0x0a000001);
}

static void
help_names_every_command(void **state)
{
	static const char *const names[] = { "arp", "dhcp", "help", "ip",
		"listen", "mac", "nc", "netstat", "nslookup", "ping",
		"poweroff", "reboot", "serve", "set", "traceroute", "uptime" };
	struct lab *lab = *state;
	char line[32];

	assert_int_equal(RUN("help"), STATUS_OK);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		SAYS(names[i]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		text_format(line, sizeof(line), "help %s", names[i]);
		assert_int_equal(RUN(line), STATUS_OK);
		SAYS("usage: ");
	}
}

static void
ping_counts_replies(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(RUN("ping -c 3 -i 0.5 10.0.0.2"), STATUS_OK);
	SAYS("PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.\n");
	SAYS("64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=2.000 ms\n");
	SAYS("64 bytes from 10.0.0.2: icmp_seq=3 ttl=64 time=1.000 ms\n");
	SAYS("--- 10.0.0.2 ping statistics ---\n");
	SAYS(
	    "3 packets transmitted, 3 received, 0% packet loss, time 1001ms\n");
	SAYS("rtt min/avg/max/mdev = 1.000/1.333/2.000/0.472 ms\n");
	assert_int_equal(RUN("ping -q -c 1 -s 0 10.0.0.2"), STATUS_OK);
	QUIET("rtt");
	QUIET("bytes from");
	assert_int_equal(RUN("ping -c 2 -i 0 127.0.0.1"), STATUS_OK);
	assert_int_equal(RUN("ping -c 1 10.0.0.1"), STATUS_OK);
	assert_int_equal(RUN("ping -c 1 localhost"), STATUS_OK);
}

static void
ping_says_what_is_lost(void **state)
{
	struct lab *lab = *state;

	RUN("ping -c 1 10.0.0.2"); /* so that ARP is done */
	lab->wire->lose = 1000;
	assert_int_equal(RUN("ping -c 3 -W 1 10.0.0.2"), STATUS_FAILED);
	SAYS("3 packets transmitted, 0 received, 100% packet loss, time "
	     "3000ms\n");
	lab->wire->lose = 0;
	lab->wire->twice = 1000;
	assert_int_equal(RUN("ping -c 2 -W 1 10.0.0.2"), STATUS_OK);
	SAYS(" (DUP!)\n");
	SAYS("2 received, +");
}

static void
ping_says_why_it_cannot(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(RUN("ping -c 1 10.0.0.77"), STATUS_FAILED);
	SAYS("From 10.0.0.1 icmp_seq=1 Destination Host Unreachable\n");
	SAYS("+1 errors");
	assert_int_equal(RUN("ping -c 1 192.0.2.1"), STATUS_ERROR);
	SAYS("ping: 192.0.2.1: no route to host\n");
	assert_int_equal(
	    RUN("ping -c 1 -M do -s 1473 10.0.0.2"), STATUS_FAILED);
	SAYS("message too long");
	assert_int_equal(RUN("ping -c 1 -M do -s 1472 10.0.0.2"), STATUS_OK);
	netif_link(&lab->alice->nif[0], false);
	assert_int_equal(RUN("ping -c 1 -W 1 10.0.0.2"), STATUS_FAILED);
}

static void
big_pings_travel_in_fragments(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(RUN("ping -c 1 10.0.0.2"), STATUS_OK);
	assert_int_equal(RUN("ping -c 1 -s 1473 10.0.0.2"), STATUS_OK);
	assert_int_equal(RUN("ping -c 1 -s 4000 10.0.0.2"), STATUS_OK);
	SAYS("4008 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=1.000 ms\n");
	assert_int_equal(RUN("ping -c 1 -s 65507 10.0.0.2"), STATUS_OK);
	SAYS("65515 bytes from");
	lab->wire->late = 500;
	lab->wire->late_us = 2000;
	assert_int_equal(RUN("ping -c 1 -s 65507 10.0.0.2"), STATUS_OK);
}

static void
ping_can_be_interrupted(void **state)
{
	struct lab *lab = *state;

	lab->sh.interrupt_us = lab->wire->now_us + 3500 * US_PER_MS;
	assert_int_equal(RUN("ping 10.0.0.2"), STATUS_INTERRUPTED);
	SAYS("4 packets transmitted, 4 received, 0% packet loss, time 3500ms");
	assert_int_equal(RUN("ping -c 1 10.0.0.2"), STATUS_OK);
}

static void
ping_sockets_are_given_back(void **state)
{
	struct lab *lab = *state;

	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(RUN("ping -c 1 10.0.0.2"), STATUS_OK);
		assert_int_equal(RUN("traceroute 10.0.0.2"), STATUS_OK);
		assert_int_equal(RUN("nc -u 10.0.0.2 7 x"), STATUS_OK);
		assert_int_equal(RUN("listen -u -w 0 99"), STATUS_FAILED);
		assert_int_equal(RUN("listen -w 0 99"), STATUS_FAILED);
		assert_int_equal(RUN("nslookup bob"), STATUS_FAILED);
	}
}

static void
traceroute_reaches_a_neighbour(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(RUN("traceroute 10.0.0.2"), STATUS_OK);
	SAYS("traceroute to 10.0.0.2 (10.0.0.2), 30 hops max, 60 byte");
	SAYS("\n 1  10.0.0.2  2.000 ms  1.000 ms  1.000 ms\n");
	assert_int_equal(RUN("traceroute -I -q 1 10.0.0.2"), STATUS_OK);
	SAYS("\n 1  10.0.0.2  1.000 ms\n");
	assert_int_equal(RUN("traceroute -m 2 -w 4 10.0.0.9"), STATUS_FAILED);
	SAYS(" 1  10.0.0.1  ");
	SAYS(" !H");
	lab->wire->lose = 1000;
	assert_int_equal(RUN("traceroute -m 2 -w 0.1 10.0.0.2"), STATUS_FAILED);
	SAYS(" 1  *  *  *\n 2  *  *  *\n");
}

static void
nc_talks_to_echo(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(RUN("nc 10.0.0.2 7 hello  'big  world'"), STATUS_OK);
	assert_string_equal(lab->sh.text, "hello big  world\n");
	assert_int_equal(RUN("nc -u 10.0.0.2 7 hello"), STATUS_OK);
	assert_string_equal(lab->sh.text, "hello\n");
	assert_int_equal(RUN("nc 10.0.0.2 9 hello"), STATUS_OK);
	assert_string_equal(lab->sh.text, "");
	assert_int_equal(RUN("nc -p 1234 10.0.0.2 7 x"), STATUS_OK);
	assert_int_equal(RUN("nc -p 1234 10.0.0.2 7 x"), STATUS_ERROR);
	SAYS("taken"); /* it is in TIME-WAIT */
	assert_int_equal(RUN("nc -p 1234 10.0.0.2 9 x"), STATUS_OK);
	assert_int_equal(RUN("nc -w 0.5 10.0.0.2 7"), STATUS_OK);
}

static void
nc_says_why_it_cannot(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(RUN("nc 10.0.0.2 80 x"), STATUS_FAILED);
	SAYS("nc: 10.0.0.2 port 80: connection refused\n");
	assert_int_equal(RUN("nc -u 10.0.0.2 80 x"), STATUS_FAILED);
	SAYS("nc: from 10.0.0.2: Destination Port Unreachable\n");
	assert_int_equal(RUN("nc 10.0.0.77 7 x"), STATUS_FAILED);
	SAYS("nc: from 10.0.0.1: Destination Host Unreachable\n");
	assert_int_equal(RUN("nc 192.0.2.1 7 x"), STATUS_ERROR);
	SAYS("no route to host");
	lab->wire->lose = 1000;
	assert_int_equal(RUN("nc -w 2 10.0.0.2 7 x"), STATUS_FAILED);
	assert_int_equal(RUN("nc -u -w 1 10.0.0.2 7 x"), STATUS_FAILED);
}

/* Bob says something by a shell of his own in the middle of alice's wait: a
 * timer of his stack. */
struct call {
	struct stack *stack;
	struct timer timer;
	struct tcpconn *conn;
	struct udpsock *sock;
	uint16_t port;
	const char *text;
};

static void
call_now(void *arg)
{
	struct call *c = arg;
	const struct udp_to to = { .dst = ip6_of_ip4(0x0a000001),
		.dport = c->port };
	const struct tcp_to way = {
		.dst = to.dst, .dport = c->port, .sport = 5555
	};
	enum reason why;

	if (c->sock != NULL) {
		assert_int_equal(udpsock_send(c->stack, c->sock, &to, c->text,
				     strlen(c->text)),
		    DROP_NONE);
		return;
	}
	c->conn = tcpconn_open(c->stack, &way, NULL, &why);
	assert_non_null(c->conn);
	assert_int_equal(
	    tcpconn_write(c->conn, c->text, strlen(c->text)), strlen(c->text));
}

static void
hang_up(void *arg)
{
	struct call *c = arg;

	tcpconn_close(c->conn);
}

static void
listen_prints_what_comes(void **state)
{
	struct lab *lab = *state;
	struct call call = { .stack = lab->bob, .port = 99, .text = "hi\n" };
	struct timer end;

	timer_init(&call.timer, call_now, &call);
	timer_init(&end, hang_up, &call);
	timer_set(&lab->bob->timers, &call.timer, lab->wire->now_us + 100000);
	timer_set(&lab->bob->timers, &end, lab->wire->now_us + 300000);
	assert_int_equal(RUN("listen -c 1 99"), STATUS_OK);
	assert_string_equal(lab->sh.text,
	    "listening on TCP port 99\n"
	    "connection from 10.0.0.2:5555\n"
	    "from 10.0.0.2:5555: hi\n"
	    "10.0.0.2:5555 closed\n");
	call.sock = udpsock_new(lab->bob, 53, NULL);
	call.text = "\x1b[2Jboo\x1e\xff";
	timer_set(&lab->bob->timers, &call.timer, lab->wire->now_us + 100000);
	assert_int_equal(RUN("listen -u -c 1 99"), STATUS_OK);
	assert_string_equal(lab->sh.text,
	    "listening on UDP port 99\n"
	    "from 10.0.0.2:53: \\x1b[2Jboo\\x1e\\xff\n");
}

static void
listen_ends_when_told(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(RUN("listen -w 1.5 99"), STATUS_FAILED);
	lab->sh.interrupt_us = lab->wire->now_us + US_PER_S;
	assert_int_equal(RUN("listen 99"), STATUS_INTERRUPTED);
	services_start(lab->alice);
	assert_int_equal(RUN("listen 7"), STATUS_ERROR);
	SAYS("port 7 is taken");
	assert_int_equal(RUN("serve off"), STATUS_OK);
	SAYS("are off");
	assert_int_equal(RUN("listen -w 0.1 7"), STATUS_FAILED);
	assert_int_equal(RUN("serve on"), STATUS_OK);
	SAYS("are on");
}

/* A name server in bob: knows one name. */
static void
name_server(void *arg, struct stack *stack, const struct udp_from *from,
    const uint8_t *data)
{
	struct udpsock *sock = arg;
	const struct udp_to to = { .dst = from->src, .dport = from->sport };
	struct cursor c = cursor(data, from->data_bytes);
	uint8_t message[DNS_MAX_BYTES];
	struct writer w = writer(message, sizeof(message));
	struct dns dns;

	assert_int_equal(dns_parse(&dns, &c), DROP_NONE);
	dns.flags |= DNS_FLAG_RESPONSE;
	if (strcmp(dns.name, "bob.lab") == 0) {
		dns.naddrs = 1;
		dns.addr[0] = 0x0a000002;
	} else
		dns.flags |= DNS_NXDOMAIN;
	/* First an answer to a question that nobody put. */
	dns.id++;
	dns_write(&w, &dns);
	udpsock_send(stack, sock, &to, message, (size_t)(w.at - message));
	dns.id--;
	w = writer(message, sizeof(message));
	dns_write(&w, &dns);
	udpsock_send(stack, sock, &to, message, (size_t)(w.at - message));
}

static void
names_are_looked_up(void **state)
{
	struct lab *lab = *state;
	struct udpsock *sock;

	assert_int_equal(RUN("nslookup bob.lab"), STATUS_FAILED);
	SAYS("no name server answers"); /* refused at once by ICMP */
	sock = udpsock_new(lab->bob, DNS_PORT, NULL);
	sock->call = name_server;
	sock->arg = sock;
	assert_int_equal(RUN("nslookup Bob.Lab."), STATUS_OK);
	SAYS("Bob.Lab. has address 10.0.0.2\n");
	assert_int_equal(RUN("nslookup carol.lab"), STATUS_FAILED);
	SAYS("there is no such name");
	assert_int_equal(RUN("ping -c 1 bob.lab"), STATUS_OK);
	SAYS("PING bob.lab (10.0.0.2)");
	assert_int_equal(RUN("nc bob.lab 7 x"), STATUS_OK);
	assert_int_equal(RUN("ping -c 1 no..name"), STATUS_ERROR);
	SAYS("not a name");
	assert_int_equal(RUN("ping -c 1 256.1.1.1"), STATUS_ERROR);
	lab->alice->nif[0].ndns = 0;
	assert_int_equal(RUN("ping -c 1 bob.lab"), STATUS_ERROR);
	SAYS("no name server is known");
}

static void
interfaces_are_shown_and_set(void **state)
{
	struct lab *lab = *state;

	RUN("ping -c 1 10.0.0.2");
	assert_int_equal(RUN("ip"), STATUS_OK);
	SAYS("eth0: link up, mac 02:00:00:00:00:01, mtu 1500\n");
	SAYS("address 10.0.0.1/24\n");
	SAYS("dns 10.0.0.2\n");
	assert_int_equal(RUN("arp"), STATUS_OK);
	SAYS("10.0.0.2        02:00:00:00:00:02 eth0 known\n");
	assert_int_equal(RUN("arp -d"), STATUS_OK);
	assert_int_equal(RUN("arp"), STATUS_OK);
	assert_string_equal(lab->sh.text, "");
	assert_int_equal(
	    RUN("set eth0 192.0.2.7/25 gw 192.0.2.1 dns 192.0.2.2"), STATUS_OK);
	assert_int_equal(RUN("ip eth0"), STATUS_OK);
	SAYS("address 192.0.2.7/25\n");
	SAYS("gateway 192.0.2.1\n");
	SAYS("dns 192.0.2.2\n");
	assert_int_equal(RUN("mac"), STATUS_OK);
	assert_string_equal(lab->sh.text, "eth0 02:00:00:00:00:01\n");
	assert_int_equal(RUN("netstat"), STATUS_OK);
	assert_int_equal(RUN("uptime"), STATUS_OK);
	SAYS("up ");
}

static void
the_lease_comes(void *arg)
{
	char text[] = "10.0.0.1/24,dns=10.0.0.2";

	assert_null(stack_set_address(arg, text));
}

/* Alice has no address, and begins to ask for one. */
static struct netif *
begin_to_ask(struct lab *lab)
{
	struct netif *nif = &lab->alice->nif[0];

	netif_address(nif, NETIF_UNSET, (struct ip4_net){ 0 });
	nif->ndns = 0;
	dhcpc_start(nif);
	return nif;
}

static void
a_command_waits_for_the_first_lease(void **state)
{
	static const char *const lines[] = { "ping -c 1 10.0.0.2",
		"traceroute -m 1 10.0.0.2", "nc -u -w 1 10.0.0.2 7 x" };
	struct lab *lab = *state;
	struct timer lease;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		timer_init(&lease, the_lease_comes, begin_to_ask(lab));
		timer_set(&lab->alice->timers, &lease,
		    lab->wire->now_us + 100 * US_PER_MS);
		assert_int_equal(RUN(lines[i]), STATUS_OK);
	}
	/* A name server comes with the lease, too; bob is none. */
	timer_init(&lease, the_lease_comes, begin_to_ask(lab));
	timer_set(
	    &lab->alice->timers, &lease, lab->wire->now_us + 100 * US_PER_MS);
	assert_int_equal(RUN("ping -c 1 bob.example"), STATUS_ERROR);
	SAYS("no name server answers");
}

static void
a_command_does_not_wait_for_long(void **state)
{
	struct lab *lab = *state;
	uint64_t start_us = lab->wire->now_us;

	begin_to_ask(lab);
	assert_int_equal(RUN("ping -c 1 10.0.0.2"), STATUS_ERROR);
	SAYS("no route to host");
	assert_in_range(lab->wire->now_us - start_us, 5 * US_PER_S,
	    5 * US_PER_S + 10 * US_PER_MS);
	/* Who was told once is not kept waiting again. */
	start_us = lab->wire->now_us;
	assert_int_equal(RUN("ping -c 1 10.0.0.2"), STATUS_ERROR);
	assert_int_equal(RUN("nslookup bob.example"), STATUS_FAILED);
	SAYS("no name server is known");
	assert_int_equal(lab->wire->now_us, start_us);
	begin_to_ask(lab);
	lab->sh.interrupt_us = lab->wire->now_us + US_PER_S;
	assert_int_equal(RUN("ping -c 1 10.0.0.2"), STATUS_INTERRUPTED);
}

static void
dhcp_says_that_nobody_answers(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(RUN("dhcp"), STATUS_FAILED);
	SAYS("dhcp: eth0: no server answers");
	assert_int_equal(lab->alice->nif[0].dhcp.state, DHCPC_SELECTING);
	assert_int_equal(RUN("dhcp -r"), STATUS_OK);
	assert_int_equal(lab->alice->nif[0].dhcp.state, DHCPC_OFF);
	lab->sh.interrupt_us = lab->wire->now_us + US_PER_S;
	assert_int_equal(RUN("dhcp eth0"), STATUS_INTERRUPTED);
	netif_link(&lab->alice->nif[0], false);
	assert_int_equal(RUN("dhcp"), STATUS_FAILED);
	SAYS("the link is down");
}

static void
the_machine_ends_when_told(void **state)
{
	struct lab *lab = *state;

	RUN("poweroff");
	assert_true(lab->sh.ended);
	assert_int_equal(lab->sh.how, SHELL_POWEROFF);
	RUN("reboot");
	assert_int_equal(lab->sh.how, SHELL_REBOOT);
}

/* ---- the kernel command line ---- */

static char complaints[1000];

static void
complain(void *arg, const char *sentence)
{
	(void)arg;
	strcat(complaints, sentence);
	strcat(complaints, "\n");
}

static void
the_kernel_command_line_gives_name_and_address(void **state)
{
	struct lab *lab = *state;
	struct netif *nif = &lab->alice->nif[0];

	complaints[0] = '\0';
	stack_configure(lab->alice,
	    "quiet lanyard.name=carol  lanyard.eth0=203.0.113.10/24,"
	    "gw=203.0.113.1,dns=10.0.0.1,dns=10.0.0.2 x=y",
	    complain, NULL);
	assert_string_equal(complaints, "");
	assert_string_equal(lab->alice->name, "carol");
	assert_int_equal(nif->net.addr, 0xcb00710a);
	assert_int_equal(nif->gateway, 0xcb007101);
	assert_int_equal(nif->ndns, 2);
	stack_configure(lab->alice, "lanyard.eth0=dhcp", complain, NULL);
	assert_int_equal(nif->dhcp.state, DHCPC_SELECTING);
}

static void
a_wrong_kernel_command_line_is_complained_about(void **state)
{
	static const char *const lines[] = { "lanyard.eth0=10.0.0.1",
		"lanyard.eth0=10.0.0.1/24,gw=x", "lanyard.eth0=10.0.0.1/24,x=y",
		"lanyard.eth0=", "lanyard.eth0", "lanyard.eth1=dhcp",
		"lanyard.=x", "lanyard.eth0=10.0.0.1/24,dns=1.2.3",
		"lanyard.eth0=224.0.0.1/24", "lanyard.colour=blue" };
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		complaints[0] = '\0';
		stack_configure(lab->alice, lines[i], complain, NULL);
		if (complaints[0] == '\0')
			fail_msg("%s: not a word", lines[i]);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_split_into_words),
		cmocka_unit_test(numbers_are_read_strictly),
		cmocka_unit_test(seconds_are_read_strictly),
		cmocka_unit_test(text_is_formatted_as_printf_does),
		cmocka_unit_test(a_line_can_be_edited),
		cmocka_unit_test(lines_are_remembered),
		cmocka_unit_test(a_line_ends_once_and_may_be_given_up),
		TEST(wrong_command_lines_are_refused),
		TEST(help_names_every_command),
		TEST(ping_counts_replies),
		TEST(ping_says_what_is_lost),
		TEST(ping_says_why_it_cannot),
		TEST(big_pings_travel_in_fragments),
		TEST(ping_can_be_interrupted),
		TEST(ping_sockets_are_given_back),
		TEST(traceroute_reaches_a_neighbour),
		TEST(nc_talks_to_echo),
		TEST(nc_says_why_it_cannot),
		TEST(listen_prints_what_comes),
		TEST(listen_ends_when_told),
		TEST(names_are_looked_up),
		TEST(interfaces_are_shown_and_set),
		TEST(a_command_waits_for_the_first_lease),
		TEST(a_command_does_not_wait_for_long),
		TEST(dhcp_says_that_nobody_answers),
		TEST(the_machine_ends_when_told),
		TEST(the_kernel_command_line_gives_name_and_address),
		TEST(a_wrong_kernel_command_line_is_complained_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
