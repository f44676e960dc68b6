/*
 * sink.h - the formats that a capture can be written in.
 *
 * Each is one file and one row of sink_kinds[]; the file's name chooses.  A
 * sink is used by one thread at a time.  What fails is kept in the output's
 * error, and calls after that do nothing.
 */
#ifndef PCAP_TOOLS_SINK_H
#define PCAP_TOOLS_SINK_H

#include "pcap-tools/output.h"
#include "pcap-tools/pcapng.h"

struct sink;

struct sink_kind {
	const char *suffix; /* of the file's name; "" fits all */
	/* Writes what a file begins with.  NULL: no memory. */
	struct sink *(*open)(
	    struct output *output, uint32_t snaplen_bytes, const char *comment);
	void (*interface)(
	    struct sink *sink, const struct pcapng_interface *interface);
	void (*packet)(struct sink *sink, const struct pcapng_packet *packet);
	void (*statistics)(
	    struct sink *sink, const struct pcapng_statistics *statistics);
	/* Hands all to the output. */
	void (*flush)(struct sink *sink);
	/* Frees without a flush. */
	void (*close)(struct sink *sink);
};

/* In order of preference, NULL at the end. */
extern const struct sink_kind *const sink_kinds[];

/* That of a file of this name. */
const struct sink_kind *sink_kind_of(const char *path);

extern const struct sink_kind sink_pcap, sink_pcapng;

#endif
