#include "lab/frame_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pcap-tools/capture.h"

static const struct mac alice = { { 2, 0, 0, 0, 0, 1 } };
static const struct mac bob = { { 2, 0, 0, 0, 0, 2 } };

static void
described_frames_are_what_was_described(void **state)
{
	static const struct {
		const char *text, *summary;
		size_t len;
	} rows[] = {
		{ "icmp 10.0.0.100 > 203.0.113.10",
		    "IPv4 10.0.0.100 > 203.0.113.10 ICMP echo request id 1 "
		    "seq 1",
		    60 },
		{ " icmp  10.0.0.1 > 10.0.0.2 ttl 3 id 7 seq 9 reply size 98 ",
		    "IPv4 10.0.0.1 > 10.0.0.2 ICMP echo reply id 7 seq 9", 98 },
		{ "udp 10.0.0.1:1234 > 1.2.3.4:53 vlan 10",
		    "VLAN 10 IPv4 10.0.0.1 > 1.2.3.4 UDP 1234 > 53 0 bytes",
		    60 },
		{ "tcp 10.0.0.1:1 > 1.2.3.4:80 svlan 100 vlan 7",
		    "VLAN 100 VLAN 7 IPv4 10.0.0.1 > 1.2.3.4 TCP 1 > 80 SYN "
		    "seq 1",
		    62 },
		{ "tcp 10.0.0.1:1 > 1.2.3.4:80 flags SA size 1514",
		    "IPv4 10.0.0.1 > 1.2.3.4 TCP 1 > 80 SYN+ACK seq 1 ack 1 "
		    "1460 bytes",
		    1514 },
		{ "arp who-has 10.0.0.1 tell 10.0.0.2",
		    "ARP who has 10.0.0.1? tell 10.0.0.2", 60 },
		{ "arp 10.0.0.1 is-at 02:00:00:00:00:05 tell 10.0.0.2",
		    "ARP 10.0.0.1 is at 02:00:00:00:00:05", 60 },
		{ "ether 02:00:00:00:00:08 > 01:80:c2:00:00:00 type 0x88cc",
		    "02:00:00:00:00:08 > 01:80:c2:00:00:00 type 0x88cc 46 "
		    "bytes",
		    60 },
		{ "hex: ffffffffffff 02:00:00:00:00:01 0806", NULL, 14 },
	};
	struct frame_text *f = malloc(sizeof(*f));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[FRAME_TEXT_MAX];
		char summary[SUMMARY_BYTES];
		struct err err = { "" };
		size_t len;

		if (frame_text_read(f, rows[i].text, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		if (!f->has_ether) {
			f->src = alice;
			f->dst = bob;
		}
		len = frame_text_write(bytes, f);
		assert_int_equal(len, rows[i].len);
		if (rows[i].summary != NULL)
			assert_string_equal(
			    frame_summary(summary, sizeof(summary), bytes, len),
			    rows[i].summary);
	}
	free(f);
}

static void
slips_of_the_pen_are_refused_with_a_remedy(void **state)
{
	static const struct {
		const char *text, *err;
	} rows[] = {
		{ "",
		    "the frame's description ends where icmp, udp, tcp, arp, "
		    "type, ether or hex: is expected" },
		{ "icpm 10.0.0.1 > 10.0.0.2",
		    "\"icpm\" is no kind of frame; did you mean \"icmp\"?" },
		{ "icmp 10.0.0.1 10.0.0.2",
		    "\"10.0.0.2\" stands where \">\" is expected" },
		{ "icmp 10.0.0.1 >",
		    "the frame's description ends where an IPv4 address, as "
		    "10.0.0.1, is expected" },
		{ "icmp 10.0.0.300 > 10.0.0.2",
		    "\"10.0.0.300\" stands where an IPv4 address, as "
		    "10.0.0.1, is expected" },
		{ "udp 10.0.0.1 > 10.0.0.2:1",
		    "\"10.0.0.1\" stands where an address with a port, as "
		    "10.0.0.1:80, is expected" },
		{ "udp 10.0.0.1:65536 > 10.0.0.2:1",
		    "\"10.0.0.1:65536\" stands where an address with a port, "
		    "as 10.0.0.1:80, is expected" },
		{ "udp 10.0.0.1:1 > 10.0.0.2:1 flags S",
		    "\"flags\" is not known behind such a frame" },
		{ "icmp 10.0.0.1 > 10.0.0.2 tll 3",
		    "\"tll\" is not known behind such a frame; did you mean "
		    "\"ttl\"?" },
		{ "icmp 10.0.0.1 > 10.0.0.2 ttl 256",
		    "\"256\" stands where a time to live, 0 to 255, is "
		    "expected" },
		{ "icmp 10.0.0.1 > 10.0.0.2 vlan 1 vlan 2 vlan 3",
		    "more than 2 tags; write fewer" },
		{ "icmp 10.0.0.1 > 10.0.0.2 vlan 4096",
		    "\"4096\" stands where a VLAN, 0 to 4095, is expected" },
		{ "icmp 10.0.0.1 > 10.0.0.2 size 59",
		    "a frame of 59 bytes is too short; use 60 to 9238" },
		{ "tcp 10.0.0.1:1 > 10.0.0.2:1 flags SX",
		    "\"SX\" stands where TCP flags, of FSRPAU, as SA, is "
		    "expected" },
		{ "arp 10.0.0.1",
		    "the frame's description ends where \"is-at\" (or "
		    "\"who-has\" in front of the address) is expected" },
		{ "type 0x0800",
		    "from whom to whom? write ether MAC > MAC in front of "
		    "type" },
		{ "ether 02:00:00:00:00:01 > bob type 0x0800",
		    "\"bob\" stands where a MAC address, as "
		    "52:54:00:12:34:56, is expected" },
		{ "ether 02:00:00:00:00:01 > 02:00:00:00:00:02 type 88cc",
		    "\"88cc\" stands where an EtherType, as 0x88cc, is "
		    "expected" },
		{ "hex: 0g",
		    "\"g\" is no hexadecimal digit; write the frame's bytes, "
		    "as hex: ffffffffffff 020000000001 0806" },
		{ "hex: 012",
		    "hex: bytes are pairs of digits, and there is at least "
		    "one; write them as hex: ffffffffffff 020000000001" },
		{ "hex:",
		    "hex: bytes are pairs of digits, and there is at least "
		    "one; write them as hex: ffffffffffff 020000000001" },
	};
	struct frame_text *f = malloc(sizeof(*f));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { "" };

		assert_int_equal(
		    frame_text_read(f, rows[i].text, &err), -EINVAL);
		assert_string_equal(err.text, rows[i].err);
	}
	free(f);
}

static void
long_descriptions_are_refused(void **state)
{
	struct frame_text *f = malloc(sizeof(*f));
	char *text = calloc(1, 40000);
	struct err err = { "" };

	(void)state;
	for (int i = 0; i < 50; i++)
		strcat(text, "vlan 1 ");
	assert_int_equal(frame_text_read(f, text, &err), -EINVAL);
	memset(text, 'x', 100);
	text[100] = '\0';
	assert_int_equal(frame_text_read(f, text, &err), -EINVAL);
	strcpy(text, "hex:");
	memset(text + 4, 'a', 2 * FRAME_TEXT_MAX);
	assert_int_equal(frame_text_read(f, text, &err), 0);
	assert_int_equal(f->bytes, FRAME_TEXT_MAX);
	memset(text + 4, 'a', 2 * FRAME_TEXT_MAX + 2);
	assert_int_equal(frame_text_read(f, text, NULL), -EINVAL);
	free(text);
	free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(described_frames_are_what_was_described),
		cmocka_unit_test(slips_of_the_pen_are_refused_with_a_remedy),
		cmocka_unit_test(long_descriptions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
