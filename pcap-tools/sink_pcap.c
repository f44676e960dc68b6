/*
 * Classic pcap, by libpcap, with nanosecond stamps (magic 0xa1b23c4d).  It has
 * no place for interfaces, directions, comments or statistics.  libpcap writes
 * to a FILE; this one's writes go to our output.  It is flushed before it is
 * full, so that the output is handed whole frames.
 */
#include "pcap-tools/sink.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFFER_BYTES    (256 * 1024)
#define SNAPLEN_MAX     262144
#define PCAP_FILE_BYTES 24 /* head of the file */
#define RECORD_BYTES    16 /* head of a frame in the file */
#define NS_IN_S         UINT64_C(1000000000)

struct sink {
	struct output *output;
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	size_t pending_bytes; /* in the FILE's buffer */
	char buffer[BUFFER_BYTES];
};

static ssize_t
cookie_write(void *cookie, const char *data, size_t n)
{
	struct sink *sink = cookie;

	return output_write(sink->output, data, n) == 0 ? (ssize_t)n : 0;
}

static void
close_pcap(struct sink *sink)
{
	if (sink->dumper != NULL)
		pcap_dump_close(sink->dumper);
	if (sink->pcap != NULL)
		pcap_close(sink->pcap);
	free(sink);
}

static struct sink *
open_pcap(struct output *output, uint32_t snaplen_bytes, const char *comment)
{
	static const cookie_io_functions_t io = { .write = cookie_write };
	struct sink *sink = calloc(1, sizeof(*sink));
	FILE *file = NULL;

	(void)comment;
	if (sink == NULL)
		return NULL;
	sink->output = output;
	sink->pending_bytes = PCAP_FILE_BYTES;
	if (snaplen_bytes == 0 || snaplen_bytes > SNAPLEN_MAX)
		snaplen_bytes = SNAPLEN_MAX;
	sink->pcap = pcap_open_dead_with_tstamp_precision(
	    DLT_EN10MB, (int)snaplen_bytes, PCAP_TSTAMP_PRECISION_NANO);
	file = fopencookie(sink, "w", io);
	if (sink->pcap == NULL || file == NULL ||
	    setvbuf(file, sink->buffer, _IOFBF, BUFFER_BYTES) != 0)
		goto fail;
	sink->dumper = pcap_dump_fopen(sink->pcap, file);
	if (sink->dumper != NULL)
		return sink;
	file = NULL; /* libpcap has closed it */
fail:
	if (file != NULL)
		fclose(file);
	close_pcap(sink);
	return NULL;
}

static void
interface(struct sink *sink, const struct pcapng_interface *i)
{
	(void)sink;
	(void)i;
}

static void
flush(struct sink *sink)
{
	if (sink->output->error == 0)
		(void)pcap_dump_flush(sink->dumper);
	sink->pending_bytes = 0;
}

static void
packet(struct sink *sink, const struct pcapng_packet *p)
{
	/* With nanosecond precision tv_usec holds nanoseconds. */
	struct pcap_pkthdr header = {
		.ts = { .tv_sec = (time_t)(p->at_ns / NS_IN_S),
		    .tv_usec = (suseconds_t)(p->at_ns % NS_IN_S) },
		.caplen = p->kept_bytes,
		.len = p->len_bytes,
	};

	if (sink->pending_bytes + RECORD_BYTES + p->kept_bytes > BUFFER_BYTES)
		flush(sink);
	if (sink->output->error == 0)
		pcap_dump((u_char *)sink->dumper, &header, p->data);
	sink->pending_bytes += RECORD_BYTES + p->kept_bytes;
}

static void
statistics(struct sink *sink, const struct pcapng_statistics *s)
{
	(void)sink;
	(void)s;
}

const struct sink_kind sink_pcap = {
	.suffix = ".pcap",
	.open = open_pcap,
	.interface = interface,
	.packet = packet,
	.statistics = statistics,
	.flush = flush,
	.close = close_pcap,
};
