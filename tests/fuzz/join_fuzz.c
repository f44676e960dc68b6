/* libs: switch net base */
/*
 * Segments of a stream, some bytes of some of them changed, in pieces and with
 * right sums or wrong ones, joined.
 *
 * Whatever they are: what leaves is what was given, in its order, and what
 * stands for several is cut back into just those, byte for byte.
 */
#include <assert.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "switch/join.h"
#include "switch/offload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define L3          ETH_HEADER_BYTES
#define L4          (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define FRAME_BYTES 2048

static uint8_t bytes[BURST_MAX][FRAME_BYTES];
static struct frame frame[BURST_MAX];
static struct iovec tail[BURST_MAX];
static unsigned int cut;

static uint8_t
next(struct cursor *c)
{
	return cur_u8(c);
}

static void
write_sums(uint8_t *at, uint32_t len)
{
	uint8_t *ip = at + L3;
	uint32_t sum = csum_pseudo4(get_be32(ip + IP4_OFF_SRC),
	    get_be32(ip + IP4_OFF_DST), IP_TCP, (uint16_t)(len - L4));

	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, ip, IP4_HEADER_BYTES)));
	put_be16(at + L4 + TCP_OFF_CHECKSUM, 0);
	put_be16(at + L4 + TCP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(sum, at + L4, len - L4)));
}

/* A segment that continues the last one, which ended at *seq. */
static uint32_t
write_segment(struct cursor *c, unsigned int i, uint32_t *seq, uint32_t payload)
{
	struct writer w = writer(bytes[i], FRAME_BYTES);
	struct eth eth = { .src = { { 2 } }, .type = ETH_IPV4 };
	struct ip4 ip = { .id = (uint16_t)i,
		.ttl = 64,
		.protocol = IP_TCP,
		.src = 0x0a000001,
		.dst = 0xcb007101,
		.total_bytes =
		    (uint16_t)(IP4_HEADER_BYTES + TCP_HEADER_BYTES + payload) };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	wr_be32(&w, 0x12345678);
	wr_be32(&w, *seq);
	wr_be32(&w, 1);
	wr_be16(&w, 5 << 12 | TCP_ACK);
	wr_be16(&w, 1000);
	wr_be32(&w, 0);
	for (uint32_t k = 0; k < payload; k++)
		wr_u8(&w, (uint8_t)(*seq + k));
	assert(!w.overrun);
	*seq += payload;
	for (unsigned int n = next(c) % 4; n > 1; n--) {
		uint32_t at = next(c) % (uint32_t)(w.at - bytes[i]);

		bytes[i][at] ^= next(c);
	}
	return (uint32_t)(w.at - bytes[i]);
}

static void
add(struct cursor *c, unsigned int i, uint32_t *seq, uint32_t payload)
{
	uint8_t how = next(c);
	uint32_t len;

	if (how & 1)
		payload = next(c) * 5u;
	len = write_segment(c, i, seq, payload);
	if (how & 2)
		write_sums(bytes[i], len);
	frame[i] = (struct frame){ .data = bytes[i], .len = len, .head = len };
	if (how & 4 && len > FRAME_HEAD_BYTES) {
		frame[i].head = FRAME_HEAD_BYTES + (how >> 7);
		if (frame[i].head < len) {
			tail[i] = (struct iovec){ bytes[i] + frame[i].head,
				len - frame[i].head };
			frame[i].tail = &tail[i];
			frame[i].ntail = 1;
		}
	}
	if ((how & 0x18) == 0x18) {
		frame[i].flags = FRAME_CSUM;
		frame[i].csum_start = L4 + (how >> 6 & 1);
		frame[i].csum_offset = TCP_OFF_CHECKSUM;
	}
}

static void
is_next(void *arg, const uint8_t *data, size_t len)
{
	const struct frame *f = &frame[cut++];
	static uint8_t whole[FRAME_BYTES];

	(void)arg;
	assert(len == f->len);
	frame_copy(whole, f, 0, f->len);
	/* Of the two zeros, cutting writes one. */
	if (f->flags & FRAME_CSUM ||
	    get_be16(whole + L4 + TCP_OFF_CHECKSUM) == 0xffff ||
	    get_be16(whole + L4 + TCP_OFF_CHECKSUM) == 0)
		memcpy(whole + L4 + TCP_OFF_CHECKSUM,
		    data + L4 + TCP_OFF_CHECKSUM, 2);
	if (get_be16(whole + L3 + IP4_OFF_CHECKSUM) == 0xffff)
		put_be16(whole + L3 + IP4_OFF_CHECKSUM, 0);
	assert(memcmp(data, whole, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct join join;
	const struct frame *list[BURST_MAX];
	struct cursor c = cursor(data, size);
	uint32_t payload = next(&c) * 7u, seq = 0xffffff00;
	unsigned int n = 0;

	for (; n < BURST_MAX && cur_left(&c) > 0; n++) {
		add(&c, n, &seq, payload);
		list[n] = &frame[n];
	}
	join_frames(&join, list, n);
	cut = 0;
	for (unsigned int k = 0; k < join.n; k++) {
		if (join.of[k] == 1)
			assert(join.frame[k] == list[cut++]);
		else
			assert(offload_segment(join.frame[k], is_next, NULL) ==
			    join.of[k]);
	}
	assert(cut == n);
	return 0;
}
