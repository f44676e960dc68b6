#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/dhcp.h"
#include "net/dns.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "pcap-tools/capture.h"

#define ALICE  0x0a000064 /* 10.0.0.100 */
#define SERVER 0xcb00710a /* 203.0.113.10 */

#define PAYLOAD_AT (ETH_HEADER_BYTES + IP4_HEADER_BYTES)

static uint8_t frame[2048];

static const struct mac mac_a = { { 0x52, 0x54, 0, 0, 0, 1 } };
static const struct mac mac_b = { { 0x52, 0x54, 0, 0, 0, 2 } };

static struct writer
begin(uint16_t type)
{
	const struct eth eth = { .dst = mac_b, .src = mac_a, .type = type };
	struct writer w = writer(frame, sizeof(frame));

	memset(frame, 0, sizeof(frame));
	eth_write(&w, &eth);
	return w;
}

/* An IPv4 packet with room for n bytes, which the caller writes. */
static struct writer
begin_ip(uint8_t protocol, size_t n)
{
	const struct ip4 ip = { .total_bytes = (uint16_t)(IP4_HEADER_BYTES + n),
		.ttl = 64,
		.protocol = protocol,
		.src = ALICE,
		.dst = SERVER };
	struct writer w = begin(ETH_IPV4);

	ip4_write(&w, &ip);
	return w;
}

static size_t
done(const struct writer *w)
{
	assert_false(w->overrun);
	return (size_t)(w->at - frame);
}

static void
assert_summary(size_t len, const char *want)
{
	/* Exact memory, so that a read beyond it is found. */
	uint8_t *exact = malloc(len > 0 ? len : 1);
	char text[SUMMARY_BYTES];

	assert_non_null(exact);
	memcpy(exact, frame, len);
	assert_ptr_equal(frame_summary(text, sizeof(text), exact, len), text);
	assert_string_equal(text, want);
	free(exact);
}

static size_t
make_udp(uint16_t sport, uint16_t dport, const void *data, size_t n)
{
	const struct udp udp = {
		.sport = sport, .dport = dport, .data = data, .data_bytes = n
	};
	struct writer w = begin_ip(IP_UDP, UDP_HEADER_BYTES + n);

	udp_write(&w, &udp, ALICE, SERVER);
	return done(&w);
}

static void
arp_says_who_asks_and_who_answers(void **state)
{
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = mac_a,
		.sender_ip = ALICE,
		.target_ip = 0x0a000001 };
	struct writer w = begin(ETH_ARP);

	(void)state;
	arp_write(&w, &arp);
	assert_summary(done(&w), "ARP who has 10.0.0.1? tell 10.0.0.100");
	arp.op = ARP_REPLY;
	w = begin(ETH_ARP);
	arp_write(&w, &arp);
	assert_summary(done(&w), "ARP 10.0.0.100 is at 52:54:00:00:00:01");
	assert_summary(ETH_HEADER_BYTES + 10, "ARP [short]");
}

static size_t
make_icmp(const struct icmp *icmp)
{
	struct writer w =
	    begin_ip(IP_ICMP, ICMP_HEADER_BYTES + icmp->data_bytes);

	icmp_write(&w, icmp);
	return done(&w);
}

static void
icmp_says_what_it_is(void **state)
{
	static const uint8_t data[32] = { 0 };
	static const struct {
		uint8_t type, code;
		uint32_t word;
		const char *text;
	} rows[] = {
		{ 8, 0, 0x00070001, "echo request id 7 seq 1" },
		{ 0, 0, 0xffffffff, "echo reply id 65535 seq 65535" },
		{ 13, 2, 0, "type 13 code 2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct icmp icmp = { .type = rows[i].type,
			.code = rows[i].code,
			.data = data,
			.data_bytes = sizeof(data) };
		char want[256] = "IPv4 10.0.0.100 > 203.0.113.10 ICMP ";

		if (rows[i].type == 13) {
			icmp.word = rows[i].word;
		} else {
			icmp.echo.id = (uint16_t)(rows[i].word >> 16);
			icmp.echo.seq = (uint16_t)rows[i].word;
		}
		assert_summary(make_icmp(&icmp), strcat(want, rows[i].text));
	}
}

static void
icmp_error_says_what_it_is_about(void **state)
{
	static const struct {
		uint8_t type, code;
		uint16_t mtu;
		const char *text;
	} rows[] = {
		{ 3, 0, 0, "net unreachable (" },
		{ 3, 1, 0, "host unreachable (" },
		{ 3, 2, 0, "protocol unreachable (" },
		{ 3, 3, 0, "port unreachable (" },
		{ 3, 4, 1400, "fragmentation needed mtu 1400 (" },
		{ 3, 13, 0, "prohibited (" },
		{ 3, 9, 0, "unreachable (" },
		{ 5, 1, 0, "redirect (" },
		{ 11, 0, 0, "time to live exceeded (" },
		{ 11, 1, 0, "reassembly time exceeded (" },
		{ 12, 0, 0, "parameter problem (" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t quoted[IP4_HEADER_BYTES + 8];
		struct icmp icmp = { .type = rows[i].type,
			.code = rows[i].code,
			.data = quoted,
			.data_bytes = sizeof(quoted) };
		char want[256] = "IPv4 10.0.0.100 > 203.0.113.10 ICMP ";

		make_udp(33434, 33435, "long", 4);
		memcpy(quoted, frame + ETH_HEADER_BYTES, sizeof(quoted));
		icmp.frag.mtu = rows[i].mtu;
		strcat(want, rows[i].text);
		strcat(want,
		    "IPv4 10.0.0.100 > 203.0.113.10 UDP 33434 > 33435 "
		    "4 bytes)");
		assert_summary(make_icmp(&icmp), want);
	}
}

static void
tcp_says_its_flags_and_numbers(void **state)
{
	static const struct {
		uint8_t flags;
		size_t n;
		const char *text;
	} rows[] = {
		{ TCP_SYN, 0, "SYN seq 1000" },
		{ TCP_SYN | TCP_ACK, 0, "SYN+ACK seq 1000 ack 2000" },
		{ TCP_ACK | TCP_PSH, 10, "PSH+ACK seq 1000 ack 2000 10 bytes" },
		{ TCP_FIN | TCP_ACK, 0, "FIN+ACK seq 1000 ack 2000" },
		{ TCP_RST, 0, "RST seq 1000" },
		{ 0, 1, "seq 1000 1 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct tcp tcp = { .sport = 40000,
			.dport = 80,
			.seq = 1000,
			.ack = 2000,
			.flags = rows[i].flags,
			.data = (const uint8_t *)"0123456789",
			.data_bytes = rows[i].n };
		char want[256] =
		    "IPv4 10.0.0.100 > 203.0.113.10 TCP 40000 > 80 ";
		struct writer w =
		    begin_ip(IP_TCP, TCP_HEADER_BYTES + rows[i].n);

		tcp_write(&w, &tcp, ALICE, SERVER);
		assert_summary(done(&w), strcat(want, rows[i].text));
	}
}

static void
dhcp_says_its_type_address_and_client(void **state)
{
	static const struct {
		enum dhcp_type type;
		uint32_t yiaddr, requested, ciaddr;
		const char *text;
	} rows[] = {
		{ DHCP_DISCOVER, 0, 0, 0, "discover for " },
		{ DHCP_OFFER, ALICE, 0, 0, "offer 10.0.0.100 for " },
		{ DHCP_REQUEST, 0, ALICE, 0, "request 10.0.0.100 for " },
		{ DHCP_ACK, ALICE, 0, ALICE, "ack 10.0.0.100 for " },
		{ DHCP_NAK, 0, 0, 0, "nak for " },
		{ DHCP_RELEASE, 0, 0, ALICE, "release 10.0.0.100 for " },
		{ DHCP_DECLINE, 0, ALICE, 0, "decline 10.0.0.100 for " },
		{ DHCP_INFORM, 0, 0, ALICE, "inform 10.0.0.100 for " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct dhcp dhcp = { .op = DHCP_BOOTREQUEST,
			.type = rows[i].type,
			.yiaddr = rows[i].yiaddr,
			.requested = rows[i].requested,
			.ciaddr = rows[i].ciaddr,
			.chaddr = mac_a };
		uint8_t message[600];
		struct writer w = writer(message, sizeof(message));
		char want[256];
		size_t n;

		dhcp_write(&w, &dhcp);
		assert_false(w.overrun);
		n = (size_t)(w.at - message);
		snprintf(want, sizeof(want),
		    "IPv4 10.0.0.100 > 203.0.113.10 UDP 68 > 67 %zu bytes "
		    "DHCP %s52:54:00:00:00:01",
		    n, rows[i].text);
		assert_summary(make_udp(68, 67, message, n), want);
	}
}

static void
dns_says_question_and_answer(void **state)
{
	static const struct {
		struct dns dns;
		const char *text;
	} rows[] = {
		{ { .name = "server.lan", .type = DNS_TYPE_A, .class = 1 },
		    "question A server.lan" },
		{ { .name = "x.lan", .type = 16, .class = 1 },
		    "question type 16 x.lan" },
		{ { .flags = DNS_FLAG_RESPONSE,
		      .name = "server.lan",
		      .type = DNS_TYPE_A,
		      .class = 1,
		      .naddrs = 2,
		      .addr = { SERVER, ALICE } },
		    "answer A server.lan 203.0.113.10 10.0.0.100" },
		{ { .flags = DNS_FLAG_RESPONSE | DNS_NXDOMAIN,
		      .name = "nobody",
		      .type = DNS_TYPE_AAAA,
		      .class = 1 },
		    "answer AAAA nobody no such name" },
		{ { .flags = DNS_FLAG_RESPONSE | 2,
		      .name = "nobody",
		      .type = DNS_TYPE_PTR,
		      .class = 1 },
		    "answer PTR nobody error 2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t message[DNS_MAX_BYTES];
		struct writer w = writer(message, sizeof(message));
		char want[512];
		size_t n;

		dns_write(&w, &rows[i].dns);
		assert_false(w.overrun);
		n = (size_t)(w.at - message);
		snprintf(want, sizeof(want),
		    "IPv4 10.0.0.100 > 203.0.113.10 UDP 5000 > 53 %zu bytes "
		    "DNS %s",
		    n, rows[i].text);
		assert_summary(make_udp(5000, 53, message, n), want);
	}
}

static void
faults_are_named(void **state)
{
	size_t len = make_udp(1, 2, "abcd", 4);

	(void)state;
	frame[PAYLOAD_AT + UDP_HEADER_BYTES] ^= 1;
	assert_summary(len,
	    "IPv4 10.0.0.100 > 203.0.113.10 UDP 1 > 2 4 bytes [l4-checksum]");
	frame[ETH_HEADER_BYTES + IP4_OFF_TTL] ^= 1;
	assert_summary(len, "IPv4 [ip-checksum]");
	frame[ETH_HEADER_BYTES] = 0x55;
	assert_summary(len, "IPv4 [ip-version]");
	frame[6] |= 1;
	assert_summary(len, "Ethernet 46 bytes [group-source]");
	assert_summary(13, "Ethernet 13 bytes [short]");
	assert_summary(0, "Ethernet 0 bytes [short]");
}

static void
tags_come_first(void **state)
{
	const struct eth eth = { .dst = mac_b,
		.src = mac_a,
		.type = ETH_LOCAL,
		.nvlans = 2,
		.vlan = { { ETH_QINQ, 0xe007 }, { ETH_VLAN, 0x0fff } } };
	struct writer w = writer(frame, sizeof(frame));

	(void)state;
	eth_write(&w, &eth);
	wr_zeros(&w, 20);
	assert_summary(done(&w),
	    "VLAN 7 VLAN 4095 52:54:00:00:00:01 > 52:54:00:00:00:02 "
	    "type 0x88b5 20 bytes");
}

static void
other_protocols_are_numbers(void **state)
{
	struct writer w = begin_ip(47, 4);

	(void)state;
	wr_zeros(&w, 4);
	assert_summary(done(&w), "IPv4 10.0.0.100 > 203.0.113.10 protocol 47");
	w = begin(ETH_IPV6);
	wr_zeros(&w, 40);
	assert_summary(
	    done(&w), "IPv6 52:54:00:00:00:01 > 52:54:00:00:00:02 40 bytes");
	w = begin(0x26);
	wr_zeros(&w, 46);
	assert_summary(
	    done(&w), "52:54:00:00:00:01 > 52:54:00:00:00:02 LLC 46 bytes");
}

static void
fragment_says_where_it_belongs(void **state)
{
	const struct ip4 ip = { .total_bytes = IP4_HEADER_BYTES + 16,
		.fragment = IP4_MF,
		.offset_bytes = 1480,
		.ttl = 1,
		.protocol = IP_UDP,
		.src = ALICE,
		.dst = SERVER };
	struct writer w = begin(ETH_IPV4);

	(void)state;
	ip4_write(&w, &ip);
	wr_zeros(&w, 16);
	assert_summary(done(&w),
	    "IPv4 10.0.0.100 > 203.0.113.10 protocol 17 fragment at 1480 "
	    "ttl 1");
}

static void
padding_is_no_payload(void **state)
{
	size_t len = make_udp(1, 2, "abcd", 4);

	(void)state;
	assert_summary(
	    len + 14, "IPv4 10.0.0.100 > 203.0.113.10 UDP 1 > 2 4 bytes");
}

static void
frame_cut_short_says_what_is_there(void **state)
{
	static const uint8_t data[400];
	const struct tcp tcp = { .sport = 40000,
		.dport = 80,
		.seq = 1000,
		.flags = TCP_ACK,
		.data = data,
		.data_bytes = sizeof(data) };
	struct writer w = begin_ip(IP_TCP, TCP_HEADER_BYTES + sizeof(data));

	(void)state;
	tcp_write(&w, &tcp, ALICE, SERVER);
	assert_summary(128,
	    "IPv4 10.0.0.100 > 203.0.113.10 TCP 40000 > 80 ACK seq 1000 ack 0 "
	    "400 bytes");
	assert_summary(PAYLOAD_AT + 9,
	    "IPv4 10.0.0.100 > 203.0.113.10 TCP 40000 > 80 seq 1000");
	assert_summary(
	    PAYLOAD_AT + 5, "IPv4 10.0.0.100 > 203.0.113.10 TCP 40000 > 80");
	assert_summary(PAYLOAD_AT + 3, "IPv4 10.0.0.100 > 203.0.113.10 TCP");
	assert_summary(ETH_HEADER_BYTES + 19, "IPv4 [short]");
}

static void
short_memory_gets_the_beginning(void **state)
{
	size_t len = make_udp(1, 2, "abcd", 4);
	char whole[SUMMARY_BYTES], part[SUMMARY_BYTES];

	(void)state;
	frame_summary(whole, sizeof(whole), frame, len);
	for (size_t n = 1; n <= strlen(whole) + 1; n++) {
		memset(part, 'x', sizeof(part));
		frame_summary(part, n, frame, len);
		assert_int_equal(strlen(part), n - 1);
		assert_memory_equal(part, whole, n - 1);
		assert_int_equal(part[n], 'x');
	}
	part[0] = 'x';
	frame_summary(part, 0, frame, len);
	assert_int_equal(part[0], 'x');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_says_who_asks_and_who_answers),
		cmocka_unit_test(icmp_says_what_it_is),
		cmocka_unit_test(icmp_error_says_what_it_is_about),
		cmocka_unit_test(tcp_says_its_flags_and_numbers),
		cmocka_unit_test(dhcp_says_its_type_address_and_client),
		cmocka_unit_test(dns_says_question_and_answer),
		cmocka_unit_test(faults_are_named),
		cmocka_unit_test(tags_come_first),
		cmocka_unit_test(other_protocols_are_numbers),
		cmocka_unit_test(fragment_says_where_it_belongs),
		cmocka_unit_test(padding_is_no_payload),
		cmocka_unit_test(frame_cut_short_says_what_is_there),
		cmocka_unit_test(short_memory_gets_the_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
