/* libs: pcap-tools switch net base */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "pcap-tools/capture.h"

#define FRAME_MAX 2048

/* Gives an IPv4 header its right checksum: chance finds none. */
static void
mend(uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + ETH_HEADER_BYTES;
	size_t header_bytes;

	if (len < ETH_HEADER_BYTES + IP4_HEADER_BYTES)
		return;
	header_bytes = (size_t)(ip[0] & 0xf) * 4;
	if (header_bytes < IP4_HEADER_BYTES ||
	    header_bytes > len - ETH_HEADER_BYTES)
		return;
	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, ip, header_bytes)));
}

/* The first byte asks for a small memory; the rest is a frame.  A summary is
 * ended, printable, the same twice, and in less memory it is the beginning of
 * the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char whole[SUMMARY_BYTES], again[SUMMARY_BYTES], part[256];
	uint8_t frame[FRAME_MAX];
	size_t len, room;

	if (size == 0 || size - 1 > sizeof(frame))
		return 0;
	room = data[0];
	size--;
	memcpy(frame, data + 1, size);
	mend(frame, size);
	memset(whole, 'x', sizeof(whole));
	memset(again, 'y', sizeof(again));
	memset(part, 'z', sizeof(part));
	frame_summary(whole, sizeof(whole), frame, size);
	frame_summary(again, sizeof(again), frame, size);
	frame_summary(part, room, frame, size);
	len = strnlen(whole, sizeof(whole));
	/* SUMMARY_BYTES are room for any: nothing was cut. */
	assert(len > 0 && len < sizeof(whole) - 1);
	assert(strcmp(whole, again) == 0);
	for (size_t i = 0; i < len; i++)
		assert(whole[i] >= ' ' && whole[i] <= '~');
	if (room > 0) {
		assert(strlen(part) == (len < room ? len : room - 1));
		assert(strncmp(part, whole, strlen(part)) == 0);
	}
	for (size_t i = room; i < sizeof(part); i++)
		assert(part[i] == 'z');
	return 0;
}
