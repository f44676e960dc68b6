/*
 * test_frame.h - the frames of a measurement: made, and known again.
 *
 * Each carries a mark at the beginning of its payload: the stream it is of, its
 * number and when it was sent.  What follows the mark is the same for all, so
 * that a single changed bit is found.  Pure: no clock, no allocation.
 *
 * Sizes are of whole Ethernet frames without FCS.
 */
#ifndef SWITCH_TEST_FRAME_H
#define SWITCH_TEST_FRAME_H

#include <stdbool.h>

#include "net/addr.h"
#include "net/ip6.h"

#define TEST_FRAME_MAX  9216
#define TEST_MARK_BYTES 18
#define TEST_WARM_UP    UINT32_MAX /* number of a frame that is not counted */
#define TEST_TIME_MASK  ((UINT64_C(1) << 48) - 1)

enum test_pattern { TEST_ETHERNET, TEST_UDP4, TEST_UDP6 };

/* What all frames of a stream look like. */
struct test_shape {
	enum test_pattern pattern;
	uint16_t stream;
	struct mac src, dst;
	uint16_t vlan; /* 0: no tag */
	uint32_t src4, dst4;
	struct ip6_addr src6, dst6;
	uint16_t sport, dport;
	uint32_t flows; /* source ports from sport on, in turn; from 1 */
	uint32_t macs;  /* source addresses from src on, in turn; from 1 */
};

/* What follows the mark. */
struct test_fill {
	uint8_t bytes[TEST_FRAME_MAX];
};

struct test_mark {
	uint16_t stream;
	uint32_t number;  /* from 0, or TEST_WARM_UP */
	uint64_t sent_ns; /* modulo 2^48 */
};

enum test_found {
	TEST_NONE,    /* not a frame of a measurement */
	TEST_CORRUPT, /* one that was changed; of mark, stream is set */
	TEST_WHOLE,
};

void test_fill_make(struct test_fill *fill);

/* The shortest frame of that shape. */
size_t test_frame_min(const struct test_shape *shape);

/* Writes frame number to out, which has room for bytes, from the shortest to
 * TEST_FRAME_MAX.  All checksums are right. */
void test_frame_make(uint8_t *out, size_t bytes, const struct test_shape *shape,
    const struct test_fill *fill, uint32_t number, uint64_t now_ns);

/* Reads the payload of a frame: of a UDP datagram, or behind ETH_LOCAL. */
enum test_found test_mark_read(struct test_mark *mark, const uint8_t *payload,
    size_t len, const struct test_fill *fill);

#endif
