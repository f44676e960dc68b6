/*
 * The control socket, with a client in the same loop.
 */
#include "lab/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lab/cabling.h"
#include "lab/request.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"
#include "tests/lab/load.h"

struct scene {
	char dir[32], path[64];
	struct loaded l;
	struct loop *loop;
	struct loop_timer patience;
	struct fabric *fabric;
	struct control *control;
	int fd; /* the client's end */
	struct loop_watch *watch;
	char *in; /* what came */
	size_t in_len;
	bool closed, asked_to_stop;
};

static void
on_stop(void *arg)
{
	struct scene *s = arg;

	s->asked_to_stop = true;
}

static void
too_late(void *arg)
{
	(void)arg;
	fprintf(stderr, "no answer\n");
	abort();
}

static void
on_reply(void *arg, unsigned int events)
{
	struct scene *s = arg;
	char bytes[65536];
	ssize_t n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	if (n <= 0) {
		s->closed = true;
		loop_stop(s->loop);
		return;
	}
	s->in = realloc(s->in, s->in_len + (size_t)n + 1);
	memcpy(s->in + s->in_len, bytes, (size_t)n);
	s->in_len += (size_t)n;
	s->in[s->in_len] = '\0';
	if (s->in[s->in_len - 1] == '\n')
		loop_stop(s->loop);
}

static void
connect_client(struct scene *s)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct err err = { "" };

	strcpy(to.sun_path, s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(
	    connect(s->fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	s->watch = loop_watch_new(s->loop, s->fd, LOOP_READ, on_reply, s, &err);
	assert_non_null(s->watch);
}

static int
setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	static const char lab[] =
	    "lab: t\n"
	    "switches: {lan: , wan: }\n"
	    "routers: {gw: {ports: {in: {switch: lan, address: 10.0.0.1/24}, "
	    "out: {switch: wan, address: 203.0.113.1/24}}, nat: {outside: out, "
	    "mapping: address-and-port-dependent}}}\n"
	    "hosts: {h: {switch: lan, address: 10.0.0.2/24}}\n";
	struct err err = { "" };
	struct control_config config;

	strcpy(s->dir, "/tmp/lanyard-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/control", s->dir);
	load_text(&s->l, "t.yaml", lab, strlen(lab));
	assert_non_null(s->l.lab);
	s->loop = loop_new(LOOP_REAL, &err);
	loop_timer_init(&s->patience, s->loop, too_late, s);
	loop_timer_set(&s->patience, 20 * NS_PER_S);
	s->fabric = fabric_new(s->loop, s->l.lab, 1, NULL, &err);
	assert_non_null(s->fabric);
	config = (struct control_config){
		.loop = s->loop,
		.path = s->path,
		.fabric = s->fabric,
		.stop = on_stop,
		.arg = s,
	};
	s->control = control_new(&config, &err);
	assert_non_null(s->control);
	connect_client(s);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *s = *state;

	loop_watch_free(s->watch);
	close(s->fd);
	control_free(s->control);
	fabric_free(s->fabric);
	loop_timer_unset(&s->patience);
	loop_free(s->loop);
	load_free(&s->l);
	unlink(s->path);
	rmdir(s->dir);
	free(s->in);
	free(s);
	return 0;
}

static void
say(struct scene *s, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(s->fd, text, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		text += n;
		len -= (size_t)n;
	}
}

/* Sends a request and waits for the answer, the caller's. */
static json_t *
ask(struct scene *s, const char *request)
{
	json_t *reply;

	s->in_len = 0;
	say(s, request, strlen(request));
	say(s, "\n", 1);
	do
		assert_int_equal(loop_run(s->loop), 0);
	while (!s->closed && (s->in_len == 0 || s->in[s->in_len - 1] != '\n'));
	reply = json_loads(s->in, 0, NULL);
	assert_non_null(reply);
	return reply;
}

static const char *
error_of(json_t *reply)
{
	assert_true(json_is_false(json_object_get(reply, "ok")));
	return json_string_value(json_object_get(reply, "error"));
}

static void
every_table_is_shown(void **state)
{
	struct scene *s = *state;

	for (int i = 0; show_heads[i] != NULL; i++) {
		char request[64];
		json_t *reply;

		snprintf(request, sizeof(request),
		    "{\"call\": \"show\", \"what\": \"%s\"}",
		    show_heads[i]->name);
		reply = ask(s, request);
		assert_true(json_is_true(json_object_get(reply, "ok")));
		assert_true(json_is_array(json_object_get(reply, "rows")));
		if (strcmp(show_heads[i]->name, "ports") == 0)
			assert_int_equal(
			    json_array_size(json_object_get(reply, "rows")), 6);
		json_decref(reply);
	}
}

#define ENTRIES 25000

/* From as many ports of a host, a datagram each, through the router. */
static void
fill_nat(struct scene *s)
{
	struct port *switch_port = fabric_port(s->fabric, "lan.gw.in");
	const struct eth eth = { .dst = lab_port(s->l.lab, "gw.in")->mac,
		.src = { { 2, 9 } },
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = 0x0a000009,
		.dst = 0xcb00710a,
		.total_bytes = 28 };

	for (uint16_t i = 0; i < ENTRIES; i++) {
		struct udp udp = { .sport = (uint16_t)(2000 + i), .dport = 9 };
		uint8_t bytes[64];
		struct writer w = writer(bytes, sizeof(bytes));
		struct burst burst;

		eth_write(&w, &eth);
		ip4_write(&w, &ip);
		udp_write(&w, &udp, ip.src, ip.dst);
		burst_clear(&burst);
		burst_add(&burst, bytes, (size_t)(w.at - bytes));
		port_send(switch_port, &burst);
	}
}

struct ticks {
	struct loop_timer timer;
	unsigned int n;
};

static void
tick(void *arg)
{
	struct ticks *t = arg;

	t->n++;
	loop_timer_set(&t->timer, loop_now_ns(t->timer.loop) + NS_PER_MS / 10);
}

/* Is it the answer for the table of fill_nat()? */
static void
check_rows(json_t *reply)
{
	static bool seen[ENTRIES + 1];
	json_t *rows = json_object_get(reply, "rows"), *row;
	size_t i;

	memset(seen, 0, sizeof(seen));
	assert_true(json_is_true(json_object_get(reply, "ok")));
	assert_int_equal(json_array_size(rows), TABLE_ROWS_MAX);
	assert_int_equal(json_integer_value(json_object_get(reply, "left_out")),
	    ENTRIES - TABLE_ROWS_MAX);
	json_array_foreach(rows, i, row)
	{
		json_int_t id = json_integer_value(json_object_get(row, "id"));

		assert_in_range(id, 1, ENTRIES);
		assert_false(seen[id]);
		seen[id] = true;
		assert_string_equal(
		    json_string_value(json_object_get(row, "remote")),
		    "203.0.113.10:9");
	}
	json_decref(reply);
}

static void
the_loop_goes_round_while_a_large_table_is_shown(void **state)
{
	struct scene *s = *state;
	struct ticks t = { .n = 0 };

	fill_nat(s);
	loop_timer_init(&t.timer, s->loop, tick, &t);
	tick(&t);
	check_rows(ask(s, "{\"call\": \"show\", \"what\": \"nat\"}"));
	loop_timer_unset(&t.timer);
	assert_true(t.n >= TABLE_ROWS_MAX / SHOW_SLICE_ROWS);
}

static void
who_sends_no_more_gets_all_of_a_large_table(void **state)
{
	static const char request[] =
	    "{\"call\": \"show\", \"what\": \"nat\"}\n";
	struct scene *s = *state;

	fill_nat(s);
	say(s, request, sizeof(request) - 1);
	assert_int_equal(shutdown(s->fd, SHUT_WR), 0);
	while (!s->closed)
		assert_int_equal(loop_run(s->loop), 0);
	check_rows(json_loads(s->in, 0, NULL));
}

static void
who_leaves_while_a_large_table_is_shown_is_forgotten(void **state)
{
	struct scene *s = *state;
	json_t *reply;

	fill_nat(s);
	say(s, "{\"call\": \"show\", \"what\": \"nat\"}\n", 33);
	while (s->in_len == 0) {
		loop_stop(s->loop);
		loop_run(s->loop);
	}
	loop_watch_free(s->watch);
	close(s->fd);
	connect_client(s);
	reply = ask(s, "{\"call\": \"info\"}");
	assert_true(json_is_true(json_object_get(reply, "ok")));
	json_decref(reply);
}

static void
a_link_is_set_down_and_up(void **state)
{
	struct scene *s = *state;
	json_t *reply =
	    ask(s, "{\"call\": \"set\", \"port\": \"gw.in\", \"down\": true}");

	assert_true(json_is_true(json_object_get(reply, "ok")));
	assert_false(port_is_up(fabric_port(s->fabric, "gw.in")));
	json_decref(reply);
	reply =
	    ask(s, "{\"call\": \"set\", \"port\": \"gw.in\", \"down\": false}");
	assert_true(json_is_true(json_object_get(reply, "up")));
	assert_true(port_is_up(fabric_port(s->fabric, "gw.in")));
	json_decref(reply);
}

static void
a_cable_is_changed_in_each_direction(void **state)
{
	struct scene *s = *state;
	const struct port *port = fabric_port(s->fabric, "gw.in");
	const struct cable_settings *out, *in;
	json_t *reply = ask(s,
	    "{\"call\": \"set\", \"port\": \"gw.in\", \"both\": {\"delay\": "
	    "\"20ms\"}, \"in\": {\"loss\": \"1%\", \"delay\": \"5ms\"}}");

	assert_true(json_is_true(json_object_get(reply, "ok")));
	json_decref(reply);
	out = cable_settings(port->cable, cabling_side(port, WIRE_OUT));
	in = cable_settings(port->cable, cabling_side(port, WIRE_IN));
	assert_int_equal(out->delay_ns, 20 * NS_PER_MS);
	assert_int_equal(out->loss_ppb, 0);
	assert_int_equal(in->delay_ns, 5 * NS_PER_MS);
	assert_int_equal(in->loss_ppb, 10000000);
	/* from the other end it is the other way round */
	reply = ask(s,
	    "{\"call\": \"set\", \"port\": \"lan.gw.in\", \"out\": "
	    "{\"loss\": \"none\", \"rate\": \"1Mbit/s\"}}");
	assert_true(json_is_true(json_object_get(reply, "ok")));
	json_decref(reply);
	assert_int_equal(in->loss_ppb, 0);
	assert_int_equal(in->rate_bps, 1000000);
	assert_int_equal(in->delay_ns, 5 * NS_PER_MS);
	assert_int_equal(out->rate_bps, 0);
	/* all of it or nothing */
	reply = ask(s,
	    "{\"call\": \"set\", \"port\": \"gw.in\", \"both\": {\"delay\": "
	    "\"1ms\"}, \"in\": {\"jitter\": \"5ms\"}, \"down\": true}");
	assert_non_null(strstr(error_of(reply), "jitter is more than delay"));
	json_decref(reply);
	assert_int_equal(out->delay_ns, 20 * NS_PER_MS);
	assert_true(port_is_up(port));
	reply =
	    ask(s, "{\"call\": \"set\", \"port\": \"gw.in\", \"plain\": true}");
	json_decref(reply);
	assert_int_equal(in->rate_bps, 0);
	assert_null(port->way);
}

static void
what_cannot_be_done_is_said(void **state)
{
	static const struct {
		const char *request, *says;
	} cases[] = {
		{ "nonsense", "not JSON" },
		{ "{\"call\": \"show\", \"what\": \"nats\"}",
		    "did you mean \"nat\"?" },
		{ "{\"call\": \"set\", \"port\": \"gw.inn\", \"down\": true}",
		    "did you mean \"gw.in\"?" },
		{ "{\"call\": \"set\", \"port\": \"gw.in\"}",
		    "nothing is to be set" },
		{ "{\"call\": \"set\", \"port\": \"gw.in\", \"both\": "
		  "{\"dellay\": \"1ms\"}}",
		    "did you mean \"delay\"?" },
		{ "{\"call\": \"set\", \"port\": \"gw.in\", \"both\": "
		  "{\"delay\": \"1\"}}",
		    "no unit" },
		{ "{\"call\": \"set\", \"port\": \"gw.in\", \"both\": "
		  "{\"delay\": \"1ms\", \"jitter\": \"1ms\", "
		  "\"jitter-table\": \"x\"}}",
		    "absolute path" },
		{ "{\"call\": \"exec\", \"node\": \"v\", \"run\": \"ip\"}",
		    "VM \"v\" is not in this lab" },
		{ "{\"call\": \"capture\", \"at\": [\"gw.in\"], \"file\": "
		  "\"a\"}",
		    "absolute path" },
		{ "{\"call\": \"capture\", \"at\": [\"x.y\"], \"file\": "
		  "\"/tmp/a\"}",
		    "port \"x.y\" is not in lab" },
		{ "{\"call\": \"capture\", \"at\": [\"gw.in\"], \"file\": "
		  "\"/nonexistent/a\"}",
		    "/nonexistent/a" },
	};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *reply = ask(s, cases[i].request);

		if (strstr(error_of(reply), cases[i].says) == NULL)
			print_error("%s\n", error_of(reply));
		assert_non_null(strstr(error_of(reply), cases[i].says));
		json_decref(reply);
	}
}

static void
several_requests_in_one_piece_are_answered_in_order(void **state)
{
	struct scene *s = *state;
	static const char text[] =
	    "{\"call\": \"info\"}\nx\n{\"call\": \"stop\"}\n";
	const char *p;

	say(s, text, sizeof(text) - 1);
	do
		assert_int_equal(loop_run(s->loop), 0);
	while (!s->asked_to_stop);
	p = strstr(s->in, "\"lab\":\"t\"");
	assert_non_null(p);
	p = strstr(p, "not JSON");
	assert_non_null(p);
}

static void
a_line_without_end_is_cut_off(void **state)
{
	struct scene *s = *state;
	char *text = malloc(REQUEST_MAX_BYTES);

	memset(text, ' ', REQUEST_MAX_BYTES);
	say(s, text, REQUEST_MAX_BYTES);
	free(text);
	while (!s->closed)
		assert_int_equal(loop_run(s->loop), 0);
	assert_non_null(strstr(s->in, "a request of more than"));
}

static void
a_capture_lasts_until_its_client_has_had_enough(void **state)
{
	struct scene *s = *state;
	char request[200], file[64];
	json_t *reply;

	snprintf(file, sizeof(file), "%s/a.pcapng", s->dir);
	snprintf(request, sizeof(request),
	    "{\"call\": \"capture\", \"at\": [\"gw.in\", \"h.eth0\"], "
	    "\"file\": \"%s\"}",
	    file);
	reply = ask(s, request);
	assert_true(json_is_true(json_object_get(reply, "ok")));
	json_decref(reply);
	reply = ask(s, request);
	assert_non_null(strstr(error_of(reply), "captures already"));
	json_decref(reply);
	s->in_len = 0;
	shutdown(s->fd, SHUT_WR);
	while (!s->closed)
		assert_int_equal(loop_run(s->loop), 0);
	reply = json_loads(s->in, 0, NULL);
	assert_true(json_is_true(json_object_get(reply, "ok")));
	assert_int_equal(json_integer_value(json_object_get(reply, "lost")), 0);
	json_decref(reply);
	assert_null(fabric_port(s->fabric, "gw.in")->watchers);
	assert_int_equal(unlink(file), 0);
}

static void
clients_beyond_the_limit_are_turned_away(void **state)
{
	struct scene *s = *state;
	int fd[CONTROL_CLIENTS_MAX + 4];
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	unsigned int closed = 0;
	json_t *reply = ask(s, "{\"call\": \"info\"}");

	json_decref(reply);
	strcpy(to.sun_path, s->path);
	for (int i = 0; i < CONTROL_CLIENTS_MAX + 4; i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_int_equal(
		    connect(fd[i], (const struct sockaddr *)&to, sizeof(to)),
		    0);
		/* The loop takes one at a time. */
		reply = ask(s, "{\"call\": \"info\"}");
		json_decref(reply);
	}
	for (int i = 0; i < CONTROL_CLIENTS_MAX + 4; i++) {
		char byte;

		closed += recv(fd[i], &byte, 1, 0) == 0;
		close(fd[i]);
	}
	assert_true(closed >= 4);
	assert_true(closed <= 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    every_table_is_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    the_loop_goes_round_while_a_large_table_is_shown, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    who_sends_no_more_gets_all_of_a_large_table, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    who_leaves_while_a_large_table_is_shown_is_forgotten, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_link_is_set_down_and_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_cable_is_changed_in_each_direction, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_cannot_be_done_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    several_requests_in_one_piece_are_answered_in_order, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_line_without_end_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_capture_lasts_until_its_client_has_had_enough, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    clients_beyond_the_limit_are_turned_away, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
