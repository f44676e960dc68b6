/*
 * capture.h - what passed at the capture points of a lab, in one file.
 *
 * A pcapng file has one interface per point, named as the port, in the order
 * in which the points were added; stamps in nanoseconds; the direction of each
 * frame; and what was done with it as its comment (verdict_text.h).  A file
 * whose name ends in ".pcap" is a classic one and has of that the stamps only.
 *
 * A frame stands before the frames that it caused.
 *
 * Ports are watched in the loop thread; frames go through a ring in memory to a
 * thread that writes, and are in the file within CAPTURE_DELAY_MS.  The ring
 * never makes the loop wait.  A frame that finds no room is lost: lost frames
 * are counted, and the count is written into the file when it is closed
 * (isb_ifdrop).  In a virtual loop nothing is lost: the loop waits for the
 * writer, since no time passes meanwhile and two runs must be alike.
 *
 * Frames with unfinished offloads are finished first, so that a capture shows
 * neither a wrong checksum nor a segment that no wire would carry.
 *
 * All functions are the loop thread's.
 */
#ifndef PCAP_TOOLS_CAPTURE_H
#define PCAP_TOOLS_CAPTURE_H

#include "base/err.h"
#include "base/loop.h"
#include "switch/port.h"

#define CAPTURE_DELAY_MS   100
#define CAPTURE_RING_BYTES (64u << 20)

struct capture;

struct capture_stats {
	uint64_t frames, bytes; /* taken; of them, whole frames' bytes */
	uint64_t lost;          /* found no room in the ring */
	uint32_t points;        /* that it ever had, the bin among them */
	int error;              /* the writer's -Exxx, or 0 */
};

struct capture_options {
	uint32_t snaplen_bytes; /* how much of a frame is kept, 0: all */
	size_t ring_bytes;      /* 0: CAPTURE_RING_BYTES (ring.h) */
	/* A ring of files (file_ring.h): the next one begins with the frame
	 * that would be beyond so many bytes (before compression, and about),
	 * or so long after the first one in the file; 0: never.  files is how
	 * many are kept, 0: all. */
	uint64_t file_bytes, file_ns;
	unsigned int files;
};

/* Creates the file path ("-": standard output), compressed if its name ends in
 * ".zst".  options may be NULL.  NULL: *err says why. */
struct capture *capture_new(struct loop *loop, const char *path,
    const struct capture_options *options, struct err *err);

/* Watches port from now on.  filter is an expression of libpcap, or NULL for
 * all frames.  0, or -Exxx with *err saying why, as an expression that libpcap
 * does not understand. */
int capture_add(struct capture *capture, struct port *port, const char *filter,
    struct err *err);

/* The same, with facts about the port for programs (pcapng.h), or NULL. */
int capture_add_told(struct capture *capture, struct port *port,
    const char *filter, const char *facts, struct err *err);

/*
 * The bin: an interface of that name, for frames that ended, at any node or on
 * any cable, and for those that a cable corrupted, duplicated, reordered or
 * marked; each with its verdict, and with the port where it was.  What a port
 * sends and takes is looked at, so all ports of a lab together leave nothing
 * out and have nothing twice:
 *
 *     sent + duplicated = arrived + dropped
 *
 * What a node had taken and loses later is told at the port that was to send
 * it; fragments that a router lets go, since others did not come, at the one
 * that they came by.  What a node still holds when the capture ends is in its
 * books (router_held()).  The first port makes the interface, with its filter.
 * 0, or -Exxx.
 */
#define CAPTURE_BIN "bin"

int capture_add_bin(struct capture *capture, struct port *port,
    const char *filter, struct err *err);

/* Watches port no longer; for a port that goes away before the capture does.
 * Its interface and its frames stay in the file. */
void capture_remove(struct capture *capture, struct port *port);

struct capture_stats capture_stats(const struct capture *capture);

/* Waits until everything taken so far is in the file, or until the writer has
 * been stuck for two seconds (the reader of a pipe sleeps). */
void capture_flush(struct capture *capture);

/* Detaches from all ports, which must still be there, writes the rest and the
 * statistics, and closes.  0, or -Exxx with a sentence when the file is not
 * whole.  NULL is fine. */
int capture_free(struct capture *capture, struct err *err);

/*
 * Counts frames at a port: what `expect:` looks at.  Frames are looked at as in
 * a capture, with offloads finished.  The newest COUNTER_KEEP of those that
 * counted are kept as evidence.
 */
#define COUNTER_KEEP       8
#define COUNTER_KEEP_BYTES 128

struct counter;

struct counter_frame {
	uint64_t at_ns; /* of the loop's clock */
	enum direction dir;
	enum reason reason;         /* its verdict, */
	char node[NODE_NAME_BYTES]; /* and whose: "" if nobody's */
	uint32_t len, kept;         /* of the frame; bytes in data */
	uint8_t data[COUNTER_KEEP_BYTES];
};

/*
 * Counts the frames that filter (NULL: all) lets through and that were given
 * the verdict reason (REASON_NONE: any).  changed may be NULL; it is called
 * from the loop, once for all frames of a round, and may free the counter.
 * NULL: *err says why.
 */
struct counter *counter_new(struct loop *loop, struct port *port,
    const char *filter, enum reason reason, void (*changed)(void *arg),
    void *arg, struct err *err);
uint64_t counter_frames(const struct counter *counter);
/* The kept frames, in the order in which they were sent; how many. */
unsigned int counter_kept(
    const struct counter *counter, struct counter_frame out[COUNTER_KEEP]);
/* The port must still be there.  NULL is fine. */
void counter_free(struct counter *counter);

/*
 * One line about a frame, as
 *
 *     IPv4 10.0.0.100 > 203.0.113.10 ICMP echo request id 7 seq 1
 *
 * The first bytes of a frame do, and hostile ones too.  out holds printable
 * ASCII and is always ended; SUMMARY_BYTES are room for any.  Returns out.
 */
#define SUMMARY_BYTES 768

char *frame_summary(
    char *out, size_t out_bytes, const uint8_t *data, size_t len);

#endif
