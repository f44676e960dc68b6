/* libs: bridge/macnat.c bridge/macnat_nd.c bridge/macnat_table.c net */
/*
 * Frames in both directions through one MAC-NAT: the first byte of each says
 * which way, the second and third its length.
 */
#include "bridge/macnat.h"

#include <stdlib.h>

#include "bridge/macnat_nd.h"
#include "net/eth.h"
#include "tests/bridge/frames.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

static void
one(struct macnat *m, uint8_t how, const uint8_t *data, size_t len,
    uint64_t now_ns)
{
	size_t head = how & 2 && len > 256 ? 256 : len;
	uint8_t *copy = malloc(head > 0 ? head : 1);
	struct macnat_frame f = { .data = copy, .head = head, .len = len };
	int right = icmp6_sum_is_right(data, len);
	enum reason reason;

	CHECK(copy != NULL);
	if (head > 0)
		memcpy(copy, data, head);
	reason = how & 1 ? macnat_in(m, &f, now_ns) : macnat_out(m, &f, now_ns);
	if (reason_is_drop(reason)) {
		CHECK(head == 0 || memcmp(copy, data, head) == 0);
		free(copy);
		return;
	}
	if (how & 1) {
		CHECK(memcmp(copy, nic.b, 6) != 0);
		CHECK(memcmp(copy + 6, data + 6, 6) == 0);
	} else {
		CHECK(memcmp(copy, data, 6) == 0);
		CHECK(memcmp(copy + 6, nic.b, 6) == 0);
	}
	if (right && head == len)
		CHECK(icmp6_sum_is_right(copy, len));
	free(copy);
}

static void
count(void *arg, const struct macnat_entry *entry)
{
	uint32_t *n = arg;

	CHECK(!mac_is_group(&entry->guest) && entry->entry != 0);
	++*n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct macnat_options options = {
		.nic = nic, .max_entries = 4, .age_ns = 1000
	};
	struct macnat *m = macnat_new(&options);
	struct cursor c = cursor(data, size);
	uint64_t now_ns = 0;
	uint32_t n = 0;

	CHECK(m != NULL);
	while (cur_left(&c) > 3) {
		uint8_t how = cur_u8(&c);
		size_t len = cur_be16(&c);

		if (len > cur_left(&c))
			len = cur_left(&c);
		now_ns += how >> 2;
		one(m, how, cur_bytes(&c, len), len, now_ns);
	}
	macnat_each(m, now_ns, count, &n);
	CHECK(n == macnat_entries(m) && n <= 4);
	macnat_free(m);
	return 0;
}
