/* libs: net */
#include "net/dns.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

#define QUESTION_AT 12
#define NAME_BYTES  255
/* A question, an alias, and as many addresses of each kind and a name, all of
 * that alias. */
#define MAX_BYTES                                             \
	(QUESTION_AT + NAME_BYTES + 4 + 12 + 2 * NAME_BYTES + \
	    DNS_MAX_ANSWERS * (10 + NAME_BYTES + 4) +         \
	    DNS_MAX_ANSWERS * (10 + NAME_BYTES + 16) + NAME_BYTES + 10 + 11)

static void
check_name(const char name[DNS_NAME_BYTES])
{
	const char *end = memchr(name, '\0', DNS_NAME_BYTES);
	size_t label = 0;

	CHECK(end != NULL && end - name <= 253);
	for (const char *at = name; at < end; at++) {
		CHECK(*at > ' ' && *at < 0x7f && !(*at >= 'A' && *at <= 'Z'));
		CHECK(*at != '.' || label > 0);
		label = *at == '.' ? 0 : label + 1;
		CHECK(label <= 63);
	}
}

static void
check_message(const uint8_t *message, size_t size)
{
	struct cursor c = cursor(message, size);
	struct dns dns, again;
	enum reason reason = dns_parse(&dns, &c);
	static uint8_t out[MAX_BYTES];
	bool some;
	struct writer w = writer(out, sizeof(out));

	CHECK(c.at >= message && c.at <= c.end && c.end == message + size);
	if (reason != DROP_NONE) {
		CHECK(reason == DROP_SHORT || reason == DROP_DNS);
		return;
	}
	check_name(dns.name);
	CHECK(dns.naddrs <= DNS_MAX_ANSWERS);
	check_name(dns.alias);
	check_name(dns.host);
	CHECK(dns.naddrs6 <= DNS_MAX_ANSWERS);
	some = dns.naddrs > 0 || dns.naddrs6 > 0 || dns.host[0] != '\0';
	CHECK(dns.flags & DNS_FLAG_RESPONSE || !some);
	CHECK(some || (dns.ttl_s == 0 && dns.alias[0] == '\0'));
	CHECK(!dns.dnssec || !(dns.flags & DNS_FLAG_RESPONSE));

	dns_write(&w, &dns);
	CHECK(!w.overrun);
	c = cursor(out, (size_t)(w.at - out));
	CHECK(dns_parse(&again, &c) == DROP_NONE && cur_left(&c) == 0);
	CHECK(dns.id == again.id && dns.flags == again.flags);
	CHECK(strcmp(dns.name, again.name) == 0);
	CHECK(dns.type == again.type && dns.class == again.class);
	CHECK(dns.naddrs == again.naddrs && dns.ttl_s == again.ttl_s);
	CHECK(memcmp(dns.addr, again.addr, sizeof(dns.addr)) == 0);
	CHECK(dns.naddrs6 == again.naddrs6);
	CHECK(memcmp(dns.addr6, again.addr6, sizeof(dns.addr6)) == 0);
	CHECK(strcmp(dns.alias, again.alias) == 0);
	CHECK(strcmp(dns.host, again.host) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *message = malloc(size + 1), *m = message + 1;

	CHECK(message != NULL);
	memcpy(m, data, size);
	check_message(m, size);
	if (size >= QUESTION_AT) { /* spares the fuzzer the search for it */
		put_be16(m + 4, 1);
		check_message(m, size);
	}
	free(message);
	return 0;
}
