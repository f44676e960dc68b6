/*
 * A capture that is played, and the addresses that are changed on the way.
 */
#include "pcap-tools/port_pcap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/arp.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"
#include "pcap-tools/pcapng.h"
#include "pcap-tools/rewrite.h"

#define A 0x0a000001
#define B 0x0a000002
#define C 0xc0000201

/* ---- rewriting ---- */

static size_t
make_udp(uint8_t *out, size_t max, uint32_t src, uint32_t dst, uint16_t vlan)
{
	struct writer w = writer(out, max);
	struct eth eth = { .dst = { { 2, 0, 0, 0, 0, 1 } },
		.src = { { 2, 0, 0, 0, 0, 2 } },
		.type = ETH_IPV4 };
	struct udp udp = { .sport = 1000,
		.dport = 2000,
		.len_bytes = UDP_HEADER_BYTES + 5,
		.data = (const uint8_t *)"hello",
		.data_bytes = 5 };
	struct ip4 ip = { .header_bytes = IP4_HEADER_BYTES,
		.total_bytes = IP4_HEADER_BYTES + UDP_HEADER_BYTES + 5,
		.ttl = 64,
		.protocol = IP_UDP,
		.src = src,
		.dst = dst };

	if (vlan != 0) {
		eth.nvlans = 1;
		eth.vlan[0].tpid = ETH_VLAN;
		eth.vlan[0].tci = 0x6000 | vlan;
	}
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, src, dst);
	assert_false(w.overrun);
	return (size_t)(w.at - out);
}

static struct rewrite
rules(const char *const (*list)[2])
{
	struct rewrite r = { .nrules = 0 };
	struct err err = { "" };

	for (; (*list)[0] != NULL; list++)
		assert_int_equal(
		    rewrite_add(&r, "p", (*list)[0], (*list)[1], &err), 0);
	return r;
}

static void
a_rewritten_frame_is_as_if_it_had_been_sent_so(void **state)
{
	static const char *const list[][2] = { { "ip", "10.0.0.1>192.0.2.1" },
		{ "mac", "02:00:00:00:00:02>02:00:00:00:00:03" },
		{ "vlan", "7>9" }, { NULL, NULL } };
	struct rewrite r = rules(list);

	(void)state;
	for (uint16_t vlan = 0; vlan <= 7; vlan = vlan == 0 ? 7 : 8) {
		for (int reply = 0; reply < 2; reply++) {
			uint8_t is[200], want[200];
			size_t n = make_udp(
			    is, sizeof(is), reply ? B : A, reply ? A : B, vlan);

			assert_int_equal(
			    make_udp(want, sizeof(want), reply ? B : C,
				reply ? C : B, vlan != 0 ? 9 : 0),
			    n);
			want[11] = 3; /* the MAC address */
			rewrite_apply(&r, is, n);
			assert_memory_equal(is, want, n);
		}
	}
}

static void
arp_is_rewritten_in_all_its_places(void **state)
{
	static const char *const list[][2] = { { "ip", "10.0.0.1>192.0.2.1" },
		{ "mac", "02:00:00:00:00:02>02:00:00:00:00:03" },
		{ NULL, NULL } };
	struct rewrite r = rules(list);
	uint8_t data[60] = { 0 };
	struct writer w = writer(data, sizeof(data));
	struct eth eth = { .dst = mac_broadcast,
		.src = { { 2, 0, 0, 0, 0, 2 } },
		.type = ETH_ARP };
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = { { 2, 0, 0, 0, 0, 2 } },
		.sender_ip = A,
		.target_ip = B };
	struct cursor c;

	(void)state;
	eth_write(&w, &eth);
	arp_write(&w, &arp);
	rewrite_apply(&r, data, sizeof(data));
	assert_int_equal(data[11], 3);
	c = cursor(data + ETH_HEADER_BYTES, sizeof(data) - ETH_HEADER_BYTES);
	assert_int_equal(arp_parse(&arp, &c), DROP_NONE);
	assert_int_equal(arp.sender_mac.b[5], 3);
	assert_int_equal(arp.sender_ip, C);
	assert_int_equal(arp.target_ip, B);
}

static void
rules_that_are_none_are_refused(void **state)
{
	static const char *const bad[][2] = { { "ip", "10.0.0.1" },
		{ "ip", "10.0.0.1>" }, { "ip", "10.0.0.1>10.0.0" },
		{ "ip", ">10.0.0.1" }, { "mac", "1>2" }, { "vlan", "0>1" },
		{ "vlan", "1>4095" }, { "vlan", "1>2x" }, { "mac", "" } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rewrite r = { .nrules = 0 };
		struct err err = { "" };

		assert_true(
		    rewrite_add(&r, "p", bad[i][0], bad[i][1], &err) < 0);
		assert_non_null(strstr(err.text, "is no rule; use OLD>NEW"));
	}
}

/* ---- playing ---- */

struct heard {
	uint8_t first;
	uint64_t at_ns;
};

struct bench {
	char path[64];
	struct loop *loop;
	struct node player, listener;
	struct port ear;
	struct heard heard[1000];
	unsigned int nheard;
};

static struct bench *running;

static void
hear(struct port *port, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		assert_true(running->nheard < 1000);
		running->heard[running->nheard++] =
		    (struct heard){ burst->frame[i].data[0],
			    loop_now_ns(running->loop) };
	}
	node_judge_all(port->node, burst, REASON_DELIVERED);
}

/* Frames 0 to 9, a millisecond apart, in turn at "a" going in and at "b" going
 * out; frame 5 is cut off. */
static void
write_capture(const char *path)
{
	uint8_t file[8192], data[60] = { 0 };
	struct writer w = writer(file, sizeof(file));
	struct pcapng_interface a = { .name = "a" }, b = { .name = "b" };
	FILE *f = fopen(path, "wb");

	pcapng_section(&w, "test", NULL);
	pcapng_interface(&w, &a);
	pcapng_interface(&w, &b);
	for (uint8_t i = 0; i < 10; i++) {
		struct pcapng_packet p = { .interface = i % 2,
			.flags = i % 2 ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
			.at_ns = 1700000000000000000 + i * NS_PER_MS,
			.kept_bytes = i == 5 ? 40 : 60,
			.len_bytes = 60,
			.data = data };

		data[0] = i;
		pcapng_packet(&w, &p);
	}
	assert_false(w.overrun);
	assert_non_null(f);
	assert_int_equal(
	    fwrite(file, 1, (size_t)(w.at - file), f), (size_t)(w.at - file));
	assert_int_equal(fclose(f), 0);
}

static int
set_up(void **state)
{
	static const struct port_ops ops = { .take = hear };
	struct bench *b = calloc(1, sizeof(*b));
	int fd;

	assert_non_null(b);
	strcpy(b->path, "/tmp/port_pcap_testXXXXXX");
	fd = mkstemp(b->path);
	assert_true(fd >= 0);
	close(fd);
	write_capture(b->path);
	b->loop = loop_new(LOOP_VIRTUAL, NULL);
	assert_non_null(b->loop);
	node_init(&b->player, "player");
	node_init(&b->listener, "listener");
	port_init(&b->ear, &ops, &b->listener, "listener.eth0");
	*state = running = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	loop_free(b->loop);
	unlink(b->path);
	free(b);
	return 0;
}

/* Plays what options say, to the end. */
static void
play(struct bench *b, const char *options, char *described)
{
	static const struct port_kind *const kinds[] = { &port_pcap, NULL };
	char locator[256];
	struct err err = { "" };
	struct port *port;

	snprintf(locator, sizeof(locator), "pcap:%s%s", b->path, options);
	port =
	    port_open(kinds, b->loop, &b->player, "player.eth0", locator, &err);
	if (port == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(cable_join(port, &b->ear), 0);
	b->nheard = 0;
	assert_int_equal(loop_run(b->loop), 0);
	if (described != NULL)
		port->ops->describe(port, described, 200);
	port_close(port);
}

static void
frames_come_at_their_times_but_those_that_were_cut_off(void **state)
{
	struct bench *b = *state;
	char text[200];

	play(b, "", text);
	assert_int_equal(b->nheard, 9);
	for (unsigned int i = 0; i < 9; i++) {
		unsigned int frame = i < 5 ? i : i + 1;

		assert_int_equal(b->heard[i].first, frame);
		assert_int_equal(b->heard[i].at_ns, frame * NS_PER_MS);
	}
	assert_string_equal(
	    text, "9 frames played, 1 cut off or no Ethernet, at the end");
}

static void
options_choose_frames_and_times(void **state)
{
	static const struct {
		const char *options;
		unsigned int n, first, last;
		uint64_t last_us;
	} cases[] = {
		{ "?point=a", 5, 0, 8, 8000 },
		{ "?point=c", 0, 0, 0, 0 },
		{ "?direction=out", 4, 1, 9, 9000 },
		{ "?from=8", 3, 7, 9, 9000 },
		{ "?from=2&count=3", 3, 1, 3, 3000 },
		{ "?speed=2", 9, 0, 9, 4500 },
		{ "?speed=0.5", 9, 0, 9, 18000 },
		{ "?speed=max", 9, 0, 9, 0 },
		{ "?rate=1000&point=a", 5, 0, 8, 4000 },
		{ "?wait-ms=100", 9, 0, 9, 109000 },
		{ "?repeat=3&count=2", 6, 0, 1, 3000 },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t start_ns = loop_now_ns(b->loop);

		play(b, cases[i].options, NULL);
		if (b->nheard != cases[i].n)
			fail_msg("%s: %u frames", cases[i].options, b->nheard);
		if (b->nheard == 0)
			continue;
		assert_int_equal(b->heard[0].first, cases[i].first);
		assert_int_equal(b->heard[b->nheard - 1].first, cases[i].last);
		assert_int_equal(
		    (b->heard[b->nheard - 1].at_ns - start_ns) / 1000,
		    cases[i].last_us);
	}
}

static void
what_cannot_be_played_is_told(void **state)
{
	static const struct port_kind *const kinds[] = { &port_pcap, NULL };
	static const struct {
		const char *locator, *says;
	} cases[] = {
		{ "pcap:/nowhere/x", "cannot open" },
		{ "pcap:", "names nothing; use pcap:FILE" },
		{ "pcap:-", "names no file" },
		{ "pcap:/etc/hostname", "not a capture" },
		{ "pcap:x?speed=0", "speed=0: use a number" },
		{ "pcap:x?speed=nan", "speed=nan: use a number" },
		{ "pcap:x?direction=up", "use in or out" },
		{ "pcap:x?mac=1", "is no rule" },
		{ "pcap:x?rate=0", "use a number from 1" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { "" };

		assert_null(port_open(kinds, b->loop, &b->player, "p.eth0",
		    cases[i].locator, &err));
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg("%s: \"%s\"", cases[i].locator, err.text);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_rewritten_frame_is_as_if_it_had_been_sent_so),
		cmocka_unit_test(arp_is_rewritten_in_all_its_places),
		cmocka_unit_test(rules_that_are_none_are_refused),
		TEST(frames_come_at_their_times_but_those_that_were_cut_off),
		TEST(options_choose_frames_and_times),
		TEST(what_cannot_be_played_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
