/*
 * pcapng: blocks are put together in a buffer that stays in the cache, and
 * handed on whenever it is full.
 */
#include "pcap-tools/sink.h"

#include <assert.h>
#include <stdlib.h>

#include "switch/port.h"

#define BUFFER_BYTES (256 * 1024)
static_assert(BUFFER_BYTES > PCAPNG_BLOCK_MAX, "the largest description");
static_assert(BUFFER_BYTES > PCAPNG_PACKET_MAX(FRAME_MAX_BYTES), "a frame");

struct sink {
	struct output *output;
	struct writer w;
	uint8_t buffer[BUFFER_BYTES];
};

static void
flush(struct sink *sink)
{
	size_t n = (size_t)(sink->w.at - sink->buffer);

	if (n > 0)
		(void)output_write(sink->output, sink->buffer, n);
	sink->w = writer(sink->buffer, sizeof(sink->buffer));
}

static void
make_room(struct sink *sink, size_t bytes)
{
	if (wr_left(&sink->w) < bytes)
		flush(sink);
}

static struct sink *
open_pcapng(struct output *output, uint32_t snaplen_bytes, const char *comment)
{
	struct sink *sink = malloc(sizeof(*sink));

	(void)snaplen_bytes; /* each interface says its own */
	if (sink == NULL)
		return NULL;
	sink->output = output;
	sink->w = writer(sink->buffer, sizeof(sink->buffer));
	pcapng_section(&sink->w, "lanyard", comment);
	return sink;
}

static void
interface(struct sink *sink, const struct pcapng_interface *i)
{
	make_room(sink, PCAPNG_BLOCK_MAX);
	pcapng_interface(&sink->w, i);
}

static void
packet(struct sink *sink, const struct pcapng_packet *p)
{
	make_room(sink, PCAPNG_PACKET_MAX((size_t)p->kept_bytes));
	pcapng_packet(&sink->w, p);
}

static void
statistics(struct sink *sink, const struct pcapng_statistics *s)
{
	make_room(sink, PCAPNG_BLOCK_MAX);
	pcapng_statistics(&sink->w, s);
}

static void
close_pcapng(struct sink *sink)
{
	free(sink);
}

const struct sink_kind sink_pcapng = {
	.suffix = "",
	.open = open_pcapng,
	.interface = interface,
	.packet = packet,
	.statistics = statistics,
	.flush = flush,
	.close = close_pcapng,
};
