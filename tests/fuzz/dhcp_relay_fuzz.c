/* libs: net */
#include "net/dhcp_relay.h"

#include <stdlib.h>

#include "net/dhcp.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

#define OWN UINT32_C(0x0a000001)

/* What is relayed can be read if it could be before, and says the same. */
static void
compare(const uint8_t *before, size_t len, const struct dhcp_relayed *r,
    bool is_request)
{
	struct cursor b = cursor(before, len), a = cursor(r->bytes, r->len);
	struct dhcp was, is;

	if (dhcp_parse(&was, &b) != DROP_NONE)
		return;
	CHECK(dhcp_parse(&is, &a) == DROP_NONE);
	CHECK(was.xid == is.xid && was.type == is.type &&
	    was.yiaddr == is.yiaddr && was.server == is.server &&
	    was.requested == is.requested && was.lease_s == is.lease_s &&
	    was.nparameters == is.nparameters &&
	    strcmp(was.hostname, is.hostname) == 0);
	if (is_request)
		CHECK(is.hops == (uint8_t)(was.hops + 1) &&
		    is.giaddr == (was.giaddr != 0 ? was.giaddr : OWN));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t extra = size > 0 ? data[size - 1] : 0;
	uint8_t *bytes = malloc(size + extra + 1);
	struct dhcp_relayed r = { bytes, size, size + extra };
	struct dhcp_relay_to to;
	enum reason reason;

	CHECK(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	if (dhcp_relay_is_reply(&r)) {
		reason = dhcp_relay_reply(&r, extra & 1, &to);
		CHECK(r.len == size);
		if (reason == REASON_DHCP_RELAYED)
			compare(data, size, &r, false);
		else
			CHECK(reason == DROP_DHCP);
	} else {
		reason =
		    dhcp_relay_request(&r, OWN, extra & 2 ? NULL : "a.circuit");
		CHECK(r.len >= size && r.len <= r.room);
		if (reason == REASON_DHCP_RELAYED)
			compare(data, size, &r, true);
		else
			CHECK(reason == DROP_DHCP || reason == DROP_DHCP_HOPS ||
			    reason == DROP_DHCP_RELAY);
	}
	free(bytes);
	return 0;
}
