/*
 * What a request must be is checked in the order of RFC 6887 8.2, so that the
 * answer is the most telling one.  Options that may be ignored are (7.3); an
 * option that is known, but not with this opcode, is one that is not supported,
 * but for PREFER_FAILURE with PEER, of which 12.1 says otherwise.
 */
#include "net/pcp.h"

#define RESERVED_BYTES     12 /* in a response's header, behind the epoch */
#define RESERVED_AT        (PCP_HEADER_BYTES - RESERVED_BYTES)
#define FILTER_BYTES       20
#define OPTION_IS_OPTIONAL 0x80

enum option { OPTION_THIRD_PARTY = 1, OPTION_PREFER_FAILURE, OPTION_FILTER };

const char *
pcp_result_name(uint8_t result)
{
	static const char *const names[PCP_RESULTS] = {
		[PCP_SUCCESS] = "success",
		[PCP_UNSUPP_VERSION] = "unsupported version",
		[PCP_NOT_AUTHORIZED] = "not authorized",
		[PCP_MALFORMED_REQUEST] = "malformed request",
		[PCP_UNSUPP_OPCODE] = "unsupported opcode",
		[PCP_UNSUPP_OPTION] = "unsupported option",
		[PCP_MALFORMED_OPTION] = "malformed option",
		[PCP_NETWORK_FAILURE] = "network failure",
		[PCP_NO_RESOURCES] = "no resources",
		[PCP_UNSUPP_PROTOCOL] = "unsupported protocol",
		[PCP_USER_EX_QUOTA] = "user exceeds quota",
		[PCP_CANNOT_PROVIDE_EXTERNAL] = "cannot provide external",
		[PCP_ADDRESS_MISMATCH] = "address mismatch",
		[PCP_EXCESSIVE_REMOTE_PEERS] = "excessive remote peers",
	};

	return result < PCP_RESULTS ? names[result] : "unknown";
}

/* ---- what comes behind the header ---- */

static void
read_body(struct pcp *pcp, struct cursor *c)
{
	const uint8_t *nonce;

	if (pcp->op == PCP_ANNOUNCE)
		return;
	nonce = cur_bytes(c, PCP_NONCE_BYTES);
	if (nonce != NULL)
		memcpy(pcp->nonce, nonce, PCP_NONCE_BYTES);
	pcp->protocol = cur_u8(c);
	cur_skip(c, 3);
	pcp->in_port = cur_be16(c);
	pcp->out_port = cur_be16(c);
	cur_ip6(c, &pcp->out_ip);
	if (pcp->op != PCP_PEER)
		return;
	pcp->remote_port = cur_be16(c);
	cur_skip(c, 2);
	cur_ip6(c, &pcp->remote);
}

static void
write_body(struct writer *w, const struct pcp *pcp)
{
	if (pcp->op == PCP_ANNOUNCE)
		return;
	wr_bytes(w, pcp->nonce, PCP_NONCE_BYTES);
	wr_u8(w, pcp->protocol);
	wr_zeros(w, 3);
	wr_be16(w, pcp->in_port);
	wr_be16(w, pcp->out_port);
	wr_ip6(w, &pcp->out_ip);
	if (pcp->op != PCP_PEER)
		return;
	wr_be16(w, pcp->remote_port);
	wr_be16(w, 0);
	wr_ip6(w, &pcp->remote);
}

static enum pcp_result
read_filter(struct pcp *pcp, struct cursor *c)
{
	struct pcp_filter *filter;

	if (pcp->nfilters == PCP_FILTERS_MAX)
		return PCP_EXCESSIVE_REMOTE_PEERS;
	filter = &pcp->filters[pcp->nfilters];
	cur_skip(c, 1);
	filter->prefix = cur_u8(c);
	filter->remote_port = cur_be16(c);
	cur_ip6(c, &filter->remote);
	if (c->overrun || filter->prefix > 128)
		return PCP_MALFORMED_OPTION;
	pcp->nfilters++;
	return PCP_SUCCESS;
}

static enum pcp_result
read_option(struct pcp *pcp, uint8_t code, struct cursor *c)
{
	size_t len = cur_left(c);

	switch (code) {
	case OPTION_THIRD_PARTY:
		if (pcp->op == PCP_ANNOUNCE)
			break;
		if (pcp->has_third_party || len != sizeof(pcp->third_party))
			return PCP_MALFORMED_OPTION;
		pcp->has_third_party = true;
		cur_ip6(c, &pcp->third_party);
		return PCP_SUCCESS;
	case OPTION_PREFER_FAILURE:
		if (pcp->op == PCP_PEER)
			return PCP_MALFORMED_REQUEST;
		if (pcp->op != PCP_MAP)
			break;
		if (pcp->prefer_failure || len != 0)
			return PCP_MALFORMED_OPTION;
		pcp->prefer_failure = true;
		return PCP_SUCCESS;
	case OPTION_FILTER:
		if (pcp->op != PCP_MAP)
			break;
		return len == FILTER_BYTES ? read_filter(pcp, c)
					   : PCP_MALFORMED_OPTION;
	default: break; /* open: others exist */
	}
	return code & OPTION_IS_OPTIONAL ? PCP_SUCCESS : PCP_UNSUPP_OPTION;
}

static enum pcp_result
read_options(struct pcp *pcp, struct cursor *c)
{
	while (cur_left(c) > 0) {
		uint8_t code = cur_u8(c);
		enum pcp_result result;
		struct cursor option;
		size_t len;

		cur_skip(c, 1);
		len = cur_be16(c);
		option = cur_sub(c, len);
		cur_skip(c, -len % 4);
		if (c->overrun)
			return PCP_MALFORMED_OPTION;
		result = read_option(pcp, code, &option);
		if (result != PCP_SUCCESS)
			return result;
	}
	return PCP_SUCCESS;
}

static void
write_options(struct writer *w, const struct pcp *pcp)
{
	if (pcp->has_third_party) {
		wr_u8(w, OPTION_THIRD_PARTY);
		wr_u8(w, 0);
		wr_be16(w, sizeof(pcp->third_party));
		wr_ip6(w, &pcp->third_party);
	}
	if (pcp->prefer_failure) {
		wr_u8(w, OPTION_PREFER_FAILURE);
		wr_zeros(w, 3);
	}
	for (unsigned int i = 0; i < pcp->nfilters; i++) {
		wr_u8(w, OPTION_FILTER);
		wr_u8(w, 0);
		wr_be16(w, FILTER_BYTES);
		wr_u8(w, 0);
		wr_u8(w, pcp->filters[i].prefix);
		wr_be16(w, pcp->filters[i].remote_port);
		wr_ip6(w, &pcp->filters[i].remote);
	}
}

/* ---- whole messages ---- */

enum pcp_result
pcp_parse_request(struct pcp *pcp, const uint8_t *bytes, size_t len,
    const struct ip6_addr *src)
{
	struct cursor c = cursor(bytes, len);
	uint8_t version = cur_u8(&c);
	struct pcp m = { .op = cur_u8(&c) };
	enum pcp_result result;

	if (c.overrun || m.op & PCP_RESPONSE)
		return PCP_SILENCE;
	if (version != PCP_VERSION)
		return PCP_UNSUPP_VERSION;
	cur_skip(&c, 2);
	m.lifetime_s = cur_be32(&c);
	cur_ip6(&c, &m.client);
	if (c.overrun)
		return PCP_SILENCE;
	if (m.op < PCP_OPS)
		read_body(&m, &c);
	if (c.overrun || len > PCP_MAX_BYTES || len % 4 != 0)
		return PCP_MALFORMED_REQUEST;
	if (src != NULL && !ip6_equal(&m.client, src))
		return PCP_ADDRESS_MISMATCH;
	if (m.op >= PCP_OPS)
		return PCP_UNSUPP_OPCODE;
	result = read_options(&m, &c);
	if (result == PCP_SUCCESS)
		*pcp = m;
	return result;
}

bool
pcp_parse_response(struct pcp *pcp, const uint8_t *bytes, size_t len)
{
	struct cursor c = cursor(bytes, len);
	uint8_t version = cur_u8(&c), op = cur_u8(&c);
	struct pcp m = { .op = op & (uint8_t)~PCP_RESPONSE };

	cur_skip(&c, 1);
	m.result = cur_u8(&c);
	m.lifetime_s = cur_be32(&c);
	m.epoch_s = cur_be32(&c);
	cur_skip(&c, RESERVED_BYTES);
	if (c.overrun || version != PCP_VERSION || !(op & PCP_RESPONSE) ||
	    len > PCP_MAX_BYTES || len % 4 != 0)
		return false;
	if (m.result == PCP_SUCCESS) {
		if (m.op >= PCP_OPS)
			return false;
		read_body(&m, &c);
		if (c.overrun || read_options(&m, &c) != PCP_SUCCESS)
			return false;
	}
	*pcp = m;
	return true;
}

void
pcp_write_request(struct writer *w, const struct pcp *pcp)
{
	wr_u8(w, PCP_VERSION);
	wr_u8(w, pcp->op);
	wr_be16(w, 0);
	wr_be32(w, pcp->lifetime_s);
	wr_ip6(w, &pcp->client);
	write_body(w, pcp);
	write_options(w, pcp);
}

/* What stands before the reserved bytes. */
static void
write_response_header(struct writer *w, uint8_t op, uint8_t result,
    uint32_t lifetime_s, uint32_t epoch_s)
{
	wr_u8(w, PCP_VERSION);
	wr_u8(w, op | PCP_RESPONSE);
	wr_u8(w, 0);
	wr_u8(w, result);
	wr_be32(w, lifetime_s);
	wr_be32(w, epoch_s);
}

void
pcp_write_response(struct writer *w, const struct pcp *pcp)
{
	write_response_header(
	    w, pcp->op, PCP_SUCCESS, pcp->lifetime_s, pcp->epoch_s);
	wr_zeros(w, RESERVED_BYTES);
	write_body(w, pcp);
	write_options(w, pcp);
}

/* Does the result say that a request could not be read?  Then the response's
 * reserved bytes are the request's (7.2). */
static bool
is_unread(enum pcp_result result)
{
	return result == PCP_UNSUPP_VERSION ||
	    result == PCP_MALFORMED_REQUEST || result == PCP_UNSUPP_OPCODE ||
	    result == PCP_UNSUPP_OPTION || result == PCP_MALFORMED_OPTION;
}

void
pcp_write_error(struct writer *w, const uint8_t *request, size_t len,
    enum pcp_result result, uint32_t lifetime_s, uint32_t epoch_s)
{
	size_t from = is_unread(result) ? RESERVED_AT : PCP_HEADER_BYTES;
	size_t whole;

	if (len > PCP_MAX_BYTES)
		len = PCP_MAX_BYTES;
	write_response_header(
	    w, len > 1 ? request[1] : 0, (uint8_t)result, lifetime_s, epoch_s);
	wr_zeros(w, from - RESERVED_AT);
	if (len > from)
		wr_bytes(w, request + from, len - from);
	else
		len = from;
	whole = (len + 3) / 4 * 4;
	if (whole < PCP_HEADER_BYTES)
		whole = PCP_HEADER_BYTES;
	wr_zeros(w, whole - len);
}
