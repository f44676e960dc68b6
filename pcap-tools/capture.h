/*
 * capture.h - what passed at the capture points of a lab, in one file.
 *
 * A pcapng file has one interface per point, named as the port, nanosecond
 * stamps, the direction, and each frame's verdict as its comment.  A name that
 * ends in ".pcap" makes a classic file, which has none of that but the stamps.
 *
 * Points are attached to ports in the loop thread; frames go through a ring to
 * a writer thread.  The ring never blocks the loop: what it cannot take is
 * counted, said in the statistics, and written into the file's interface
 * statistics block.  In a virtual loop the loop waits for the writer instead,
 * since no time passes and two runs must be alike.
 *
 * Frames with unfinished offloads are finished first: a capture shows neither
 * a bad checksum nor a superframe.
 */
#ifndef PCAP_TOOLS_CAPTURE_H
#define PCAP_TOOLS_CAPTURE_H

#include "base/err.h"
#include "base/loop.h"
#include "switch/port.h"

struct capture;

struct capture_stats {
	uint64_t frames, bytes; /* taken */
	uint64_t lost;          /* did not fit into the ring */
	int error;              /* the writer's -Exxx, or 0 */
};

/* Creates path (or "-": standard output).  snaplen_bytes 0: whole frames. */
struct capture *capture_new(struct loop *loop, const char *path,
    uint32_t snaplen_bytes, struct err *err);

/* Watches port with an optional libpcap filter expression (NULL: all). */
int capture_add(struct capture *capture, struct port *port, const char *filter,
    struct err *err);

struct capture_stats capture_stats(const struct capture *capture);

/* Waits until everything taken so far is in the file. */
void capture_flush(struct capture *capture);

/* Detaches from all ports, which must still be there, writes the rest and
 * closes.  0, or -Exxx when the file is not whole.  NULL is fine. */
int capture_free(struct capture *capture, struct err *err);

/*
 * Counts frames at a port by a filter: what `expect:` looks at.  Frames are
 * seen as in a capture, offloads finished.  keep: how many of the newest
 * matches are kept as evidence, at most COUNTER_KEEP.
 */
#define COUNTER_KEEP       8
#define COUNTER_KEEP_BYTES 128

struct counter;

struct counter_frame {
	uint64_t at_ns;
	enum direction dir;
	enum reason reason; /* its verdict */
	uint32_t len, kept; /* of the frame; bytes in data */
	uint8_t data[COUNTER_KEEP_BYTES];
};

/* reason REASON_NONE: frames of any verdict count; else only those with that
 * verdict. */
struct counter *counter_new(struct loop *loop, struct port *port,
    const char *filter, enum reason reason, void (*changed)(void *arg),
    void *arg, struct err *err);
uint64_t counter_frames(const struct counter *counter);
/* The kept frames, oldest first; returns how many were copied to out. */
unsigned int counter_kept(
    const struct counter *counter, struct counter_frame out[COUNTER_KEEP]);
void counter_free(struct counter *counter); /* NULL is fine */

/* One line about a frame, as "IPv4 10.0.0.100 > 203.0.113.10 ICMP echo request
 * id 7 seq 1"; out is always ended.  Returns out. */
char *frame_summary(
    char *out, size_t out_bytes, const uint8_t *data, size_t len);

#endif
