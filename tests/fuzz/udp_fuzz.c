/* libs: net */
#include "net/udp.h"

#include <stdlib.h>

#include "net/checksum.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

static const struct ip4 ip = { .src = 0x0a000064, .dst = 0xcb00710a };

static void
check_written(const struct udp *udp, const uint8_t *datagram)
{
	uint8_t *out = malloc(udp->len_bytes);
	struct writer w;
	struct cursor c;
	struct udp again;

	CHECK(out != NULL);
	w = writer(out, udp->len_bytes);
	udp_write(&w, udp, ip.src, ip.dst);
	CHECK(!w.overrun && wr_left(&w) == 0);
	CHECK(memcmp(out, datagram, UDP_OFF_CHECKSUM) == 0);
	CHECK(memcmp(out + UDP_HEADER_BYTES, datagram + UDP_HEADER_BYTES,
		  udp->data_bytes) == 0);
	c = cursor(out, udp->len_bytes);
	CHECK(udp_parse(&again, &c, &ip, false) == DROP_NONE);
	CHECK(again.checksum != 0);
	free(out);
}

static void
check_datagram(const uint8_t *datagram, size_t size)
{
	struct cursor c = cursor(datagram, size), trusted = c;
	struct udp udp;
	enum reason reason = udp_parse(&udp, &c, &ip, false);
	enum reason trust;

	CHECK(c.at >= datagram && c.at <= c.end && c.end == datagram + size);
	CHECK((reason == DROP_SHORT) == (size < UDP_HEADER_BYTES));
	if (reason == DROP_NONE) {
		CHECK(udp.data == datagram + UDP_HEADER_BYTES);
		CHECK(udp.data_bytes + UDP_HEADER_BYTES == udp.len_bytes);
		CHECK(udp.len_bytes <= size);
		CHECK(c.at == datagram + udp.len_bytes);
		if (udp.data_bytes <= 65507)
			check_written(&udp, datagram);
	}
	/* All that trust changes is the checksum. */
	trust = udp_parse(&udp, &trusted, &ip, true);
	CHECK(trust == reason ||
	    (trust == DROP_NONE && reason == DROP_L4_CHECKSUM));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *datagram = malloc(size + 1), *d = datagram + 1;

	CHECK(datagram != NULL);
	memcpy(d, data, size);
	check_datagram(d, size);
	if (size >= UDP_HEADER_BYTES && size <= 65515) {
		put_be16(d + 4, (uint16_t)size);
		put_be16(d + UDP_OFF_CHECKSUM, 0);
		put_be16(d + UDP_OFF_CHECKSUM,
		    csum_finish(csum_add_bytes(
			csum_pseudo4(ip.src, ip.dst, IP_UDP, (uint16_t)size), d,
			size)));
		check_datagram(d, size);
	}
	free(datagram);
	return 0;
}
