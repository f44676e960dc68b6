/*
 * Messages of SIP as they leave and come, word by word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/sip_message.h"

static const struct sip_ends ends = { 0x0a00000a, 0xcb007101, 5060, 40000 };

/* Media gets its port plus 10000, signalling none but 5070. */
static uint16_t
map(void *arg, enum sip_use use, uint16_t port)
{
	(void)arg;
	if (use == SIP_MEDIA)
		return (uint16_t)(port + 10000);
	return port == 5070 ? 50700 : 0;
}

/* NULL: it is refused. */
static void
check(bool out, const char *in, const char *becomes)
{
	struct sip_edits edits;
	uint8_t text[2048];
	size_t n = strlen(in);
	/* Its own memory, so that reads beyond it are found. */
	uint8_t *data = malloc(n + (n == 0));
	bool good;

	memcpy(data, in, n);
	good = out ? sip_read_out(&edits, data, n, &ends, map, NULL)
		   : sip_read_in(&edits, data, n, &ends);
	assert_int_equal(good, becomes != NULL);
	if (good) {
		size_t len = sip_apply(&edits, data, n, text, sizeof(text));

		text[len] = '\0';
		assert_string_equal(text, becomes);
		assert_int_equal(sip_apply(&edits, data, n, text, len - 1), 0);
	}
	free(data);
}

#define REST                                                       \
	"From: <sip:alice@10.0.0.10>;tag=1\r\nTo: <sip:bob@b>\r\n" \
	"Call-ID: 1@10.0.0.10\r\nCSeq: 1 INVITE\r\n"

static void
ends_of_an_invitation_become_the_outside_ones(void **state)
{
	(void)state;
	check(true,
	    "INVITE sip:bob@203.0.113.10 SIP/2.0\r\n"
	    "Via: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bK1\r\n"
	    "Via: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bK0\r\n" REST
	    "Contact: \"sip:x@10.0.0.10\" <sip:alice@10.0.0.10:5060;a=b>\r\n"
	    "Content-Type: application/sdp\r\nContent-Length: 113\r\n\r\n"
	    "v=0\r\no=alice 1 1 IN IP4 10.0.0.10\r\ns=-\r\n"
	    "c=IN IP4 10.0.0.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
	    "m=video 0 RTP/AVP 31\r\n",
	    "INVITE sip:bob@203.0.113.10 SIP/2.0\r\n"
	    "Via: SIP/2.0/UDP 203.0.113.1:40000;branch=z9hG4bK1\r\n"
	    "Via: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bK0\r\n" REST
	    "Contact: \"sip:x@10.0.0.10\" <sip:alice@203.0.113.1:40000;a=b>\r\n"
	    "Content-Type: application/sdp\r\nContent-Length: 118\r\n\r\n"
	    "v=0\r\no=alice 1 1 IN IP4 203.0.113.1\r\ns=-\r\n"
	    "c=IN IP4 203.0.113.1\r\nt=0 0\r\nm=audio 14000 RTP/AVP 0\r\n"
	    "m=video 0 RTP/AVP 31\r\n");
}

static void
short_names_and_ports_left_out_are_understood(void **state)
{
	(void)state;
	check(true,
	    "REGISTER sip:r SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.10;branch=1\r\n"
	    "m: <sip:a@10.0.0.10>, sip:10.0.0.10:5070, <sip:a@10.0.0.10:1>, "
	    "<sip:a@10.0.0.11>, <sip:a@host>\r\nl: 0\r\n\r\n",
	    "REGISTER sip:r SIP/2.0\r\nv: SIP/2.0/UDP "
	    "203.0.113.1:40000;branch=1\r\n"
	    "m: <sip:a@203.0.113.1:40000>, sip:203.0.113.1:50700, "
	    "<sip:a@10.0.0.10:1>, "
	    "<sip:a@10.0.0.11>, <sip:a@host>\r\nl: 0\r\n\r\n");
}

static void
a_section_of_media_has_its_own_address(void **state)
{
	(void)state;
	check(true,
	    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.10\r\n"
	    "Content-Type: application/sdp\r\n\r\n"
	    "c=IN IP4 10.0.0.10\r\nm=audio 4000 RTP/AVP 0\r\n"
	    "c=IN IP4 10.0.0.11\r\nm=video 4002 RTP/AVP 31\r\n",
	    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.10\r\n"
	    "Content-Type: application/sdp\r\n\r\n"
	    "c=IN IP4 203.0.113.1\r\nm=audio 4000 RTP/AVP 0\r\n"
	    "c=IN IP4 10.0.0.11\r\nm=video 14002 RTP/AVP 31\r\n");
	check(true,
	    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n"
	    "Content-Type: application/sdp\r\n\r\n"
	    "c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n",
	    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n"
	    "Content-Type: application/sdp\r\n\r\n"
	    "c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n");
}

static void
who_is_inside_knows_itself_again(void **state)
{
	(void)state;
	check(false,
	    "SIP/2.0 200 OK\r\n"
	    "Via: SIP/2.0/UDP 203.0.113.1:40000;received=1.2.3.4\r\n" REST
	    "Contact: <sip:alice@203.0.113.1:40000>;expires=60\r\n\r\n",
	    "SIP/2.0 200 OK\r\n"
	    "Via: SIP/2.0/UDP 10.0.0.10:5060;received=1.2.3.4\r\n" REST
	    "Contact: <sip:alice@10.0.0.10:5060>;expires=60\r\n\r\n");
	check(false,
	    "INVITE sip:alice@203.0.113.1:40000;x=y SIP/2.0\r\n"
	    "Via: SIP/2.0/UDP 203.0.113.10\r\n"
	    "Contact: <sip:bob@203.0.113.10>\r\n"
	    "Content-Type: application/sdp\r\n\r\nc=IN IP4 203.0.113.1\r\n",
	    "INVITE sip:alice@10.0.0.10:5060;x=y SIP/2.0\r\n"
	    "Via: SIP/2.0/UDP 203.0.113.10\r\n"
	    "Contact: <sip:bob@203.0.113.10>\r\n"
	    "Content-Type: application/sdp\r\n\r\nc=IN IP4 203.0.113.1\r\n");
	check(false,
	    "INVITE sip:alice@203.0.113.1:40001 SIP/2.0\r\nVia: x\r\n\r\n",
	    "INVITE sip:alice@203.0.113.1:40001 SIP/2.0\r\nVia: x\r\n\r\n");
}

static void
what_is_no_message_is_left_alone(void **state)
{
	static const char *const texts[] = { "", "\r\n\r\n", "\n", "x",
		"INVITE", "INVITE sip:a SIP/2.0",
		"INVITE sip:a SIP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nVia: a\r\n",
		"SIP/2.0 200 OK\r\nVia: a\r\nContent-Length: 5\r\n\r\n1234",
		"SIP/2.0 200 OK\r\nVia: a\r\nContent-Length: x\r\n\r\n1234" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		check(true, texts[i], NULL);
		check(false, texts[i], NULL);
	}
}

static void
each_text_is_changed_once(void **state)
{
	(void)state;
	check(true,
	    "SIP/2.0 200 OK\r\nVia: a\r\n"
	    "Contact: <sip:sip:a@10.0.0.10>, sip:, sip:@, \"\\\r\n\r\n",
	    "SIP/2.0 200 OK\r\nVia: a\r\n"
	    "Contact: <sip:sip:a@203.0.113.1:40000>, sip:, sip:@, "
	    "\"\\\r\n\r\n");
}

static void
too_much_to_be_changed_is_left_alone(void **state)
{
	char text[2048] = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.10\r\n"
			  "Contact: ";
	struct sip_edits edits;

	(void)state;
	for (int i = 0; i < SIP_EDITS; i++)
		strcat(text, "<sip:10.0.0.10>,");
	strcat(text, "\r\n\r\n");
	assert_false(sip_read_out(
	    &edits, (const uint8_t *)text, strlen(text), &ends, map, NULL));
}

#define HEAD                                                               \
	"INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.1:40000\r\n" \
	"Content-Type: application/sdp\r\n\r\n"

/* Who says where its RTCP goes is reached there, too. */
static void
rfc3605_s2_1_the_port_of_rtcp_is_the_outside_one(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "a=rtcp:4001", "a=rtcp:14001" },
		{ "a=rtcp:4001 IN IP4 10.0.0.10",
		    "a=rtcp:14001 IN IP4 203.0.113.1" },
		{ "a=rtcp:4001 IN IP4 10.0.0.11",
		    "a=rtcp:4001 IN IP4 10.0.0.11" },
		{ "a=rtcp:4001 IN IP6 ::1", "a=rtcp:4001 IN IP6 ::1" },
		{ "a=rtcp:0", "a=rtcp:0" },
		{ "a=rtcp:x", "a=rtcp:x" },
		{ "a=rtcp:", "a=rtcp:" },
		{ "a=rtcp-mux", "a=rtcp-mux" },
	};
	char in[512], out[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(in, sizeof(in),
		    HEAD
		    "c=IN IP4 10.0.0.10\r\nm=audio 4000 RTP/AVP 0\r\n%s\r\n",
		    rows[i].in);
		snprintf(out, sizeof(out),
		    HEAD "c=IN IP4 203.0.113.1\r\nm=audio 14000 RTP/AVP 0\r\n"
			 "%s\r\n",
		    rows[i].out);
		check(true, in, out);
	}
	/* Media elsewhere. */
	check(true,
	    HEAD "c=IN IP4 10.0.0.11\r\nm=audio 4000 RTP/AVP 0\r\n"
		 "a=rtcp:4001\r\n",
	    HEAD "c=IN IP4 10.0.0.11\r\nm=audio 4000 RTP/AVP 0\r\n"
		 "a=rtcp:4001\r\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_of_an_invitation_become_the_outside_ones),
		cmocka_unit_test(short_names_and_ports_left_out_are_understood),
		cmocka_unit_test(a_section_of_media_has_its_own_address),
		cmocka_unit_test(who_is_inside_knows_itself_again),
		cmocka_unit_test(what_is_no_message_is_left_alone),
		cmocka_unit_test(each_text_is_changed_once),
		cmocka_unit_test(too_much_to_be_changed_is_left_alone),
		cmocka_unit_test(
		    rfc3605_s2_1_the_port_of_rtcp_is_the_outside_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
