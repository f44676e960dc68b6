/* libs: net */
#include "net/natpmp.h"
#include "net/pcp.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

static void
check_natpmp(const uint8_t *bytes, size_t len)
{
	uint8_t out[NATPMP_MAX_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct natpmp m, again;

	if (natpmp_parse_request(&m, bytes, len) == NATPMP_SUCCESS) {
		natpmp_write_request(&w, &m);
		CHECK(!w.overrun);
		CHECK(natpmp_parse_request(&again, out, (size_t)(w.at - out)) ==
		    NATPMP_SUCCESS);
		CHECK(m.op == again.op && m.in_port == again.in_port &&
		    m.out_port == again.out_port &&
		    m.lifetime_s == again.lifetime_s);
	}
	if (natpmp_parse_response(&m, bytes, len)) {
		w = writer(out, sizeof(out));
		natpmp_write_response(&w, &m);
		CHECK(!w.overrun);
		CHECK(m.result != NATPMP_SUCCESS ||
		    ((size_t)(w.at - out) <= len &&
			memcmp(out, bytes, (size_t)(w.at - out)) == 0));
		CHECK(natpmp_parse_response(&again, out, (size_t)(w.at - out)));
		CHECK(again.op == m.op && again.result == m.result);
	}
}

static bool
same(const struct pcp *a, const struct pcp *b)
{
	for (unsigned int i = 0; i < a->nfilters; i++) {
		const struct pcp_filter *f = &a->filters[i];
		const struct pcp_filter *g = &b->filters[i];

		if (!ip6_equal(&f->remote, &g->remote) ||
		    f->remote_port != g->remote_port || f->prefix != g->prefix)
			return false;
	}
	return a->op == b->op && a->lifetime_s == b->lifetime_s &&
	    memcmp(a->nonce, b->nonce, sizeof(a->nonce)) == 0 &&
	    a->protocol == b->protocol && a->in_port == b->in_port &&
	    a->out_port == b->out_port && a->nfilters == b->nfilters &&
	    ip6_equal(&a->out_ip, &b->out_ip) &&
	    ip6_equal(&a->remote, &b->remote) &&
	    a->remote_port == b->remote_port &&
	    a->has_third_party == b->has_third_party &&
	    ip6_equal(&a->third_party, &b->third_party) &&
	    a->prefer_failure == b->prefer_failure;
}

static void
check_request(const uint8_t *bytes, size_t len)
{
	uint8_t out[PCP_MAX_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct pcp m, again;
	enum pcp_result result = pcp_parse_request(&m, bytes, len, NULL);

	if (result == PCP_SILENCE)
		return;
	if (result != PCP_SUCCESS) {
		pcp_write_error(&w, bytes, len, result, 30, 1);
		CHECK(!w.overrun);
		CHECK(pcp_parse_response(&m, out, (size_t)(w.at - out)));
		CHECK(m.result == result);
		return;
	}
	CHECK(m.nfilters <= PCP_FILTERS_MAX && m.op < PCP_OPS);
	pcp_write_request(&w, &m);
	CHECK(!w.overrun && (size_t)(w.at - out) <= len);
	CHECK(pcp_parse_request(&again, out, (size_t)(w.at - out), NULL) ==
	    PCP_SUCCESS);
	CHECK(same(&m, &again) && ip6_equal(&m.client, &again.client));
	w = writer(out, sizeof(out));
	pcp_write_response(&w, &m);
	CHECK(!w.overrun);
	CHECK(pcp_parse_response(&again, out, (size_t)(w.at - out)));
	CHECK(same(&m, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1), *m = bytes + 1;
	struct pcp response;

	CHECK(bytes != NULL);
	if (size > 0)
		memcpy(m, data, size);
	check_natpmp(m, size);
	check_request(m, size);
	(void)pcp_parse_response(&response, m, size);
	if (size >= 2) { /* spares the fuzzer the search for it */
		m[0] = PCP_VERSION;
		m[1] &= 3;
		check_request(m, size);
	}
	free(bytes);
	return 0;
}
