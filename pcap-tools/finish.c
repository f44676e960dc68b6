#include "pcap-tools/finish.h"

#include "switch/offload.h"

struct pass {
	finish_each *each;
	void *arg;
};

static void
segment(void *arg, const uint8_t *data, size_t len)
{
	const struct pass *pass = arg;

	pass->each(pass->arg, data, len, 0);
}

void
finish_frame(
    uint8_t *scratch, const struct frame *frame, finish_each *each, void *arg)
{
	struct pass pass = { .each = each, .arg = arg };
	size_t len = frame->len;
	uint8_t todo = frame->flags & FRAME_TODO;

	if (todo & (FRAME_TSO4 | FRAME_TSO6) &&
	    offload_segment(frame, segment, &pass) > 0)
		return;
	if (len > FRAME_MAX_BYTES)
		len = FRAME_MAX_BYTES;
	frame_copy(scratch, frame, 0, len);
	if (todo == FRAME_CSUM && len == frame->len) {
		offload_checksum(scratch, frame);
		todo = 0;
	}
	each(arg, scratch, len, todo);
}
