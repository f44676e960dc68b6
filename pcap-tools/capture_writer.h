/*
 * capture_writer.h - the thread that takes records out of a ring and writes
 * them to a file.
 *
 * All functions are the loop thread's; none makes it wait but
 * capture_writer_wait() and capture_writer_stop().
 */
#ifndef PCAP_TOOLS_CAPTURE_WRITER_H
#define PCAP_TOOLS_CAPTURE_WRITER_H

#include <stdbool.h>

#include "base/err.h"
#include "pcap-tools/names.h"
#include "pcap-tools/record.h"

struct capture_writer;

struct capture_writer_options {
	const char *path; /* "-": standard output */
	uint32_t snaplen_bytes;
	const char *comment; /* on the whole file, or NULL */
	struct ring *ring;
	const struct names *names;
	/* A ring of files (file_ring.h): when the next one begins, 0: never,
	 * and how many are kept, 0: all. */
	uint64_t file_bytes, file_ns;
	unsigned int files;
};

/* Creates the file and starts the thread.  All of options but the struct
 * itself stays until the writer is freed.  NULL: *err says why. */
struct capture_writer *capture_writer_new(
    const struct capture_writer_options *options, struct err *err);

/* The writer looks into the ring by itself soon enough for people; this has it
 * look now, if it is not looking already. */
void capture_writer_wake(struct capture_writer *writer);

/* Waits until what is published is in the file; or, unless for_ever, until
 * nothing was written for two seconds. */
void capture_writer_wait(struct capture_writer *writer, bool for_ever);

/* -Exxx once the file took no more: records are then thrown away.  0: it
 * does.  Cheap. */
int capture_writer_error(const struct capture_writer *writer);

/* Writes what is published and ends the thread. */
void capture_writer_stop(struct capture_writer *writer);

/* After that: what a point counted, at the end of the file. */
void capture_writer_statistics(
    struct capture_writer *writer, const struct pcapng_statistics *statistics);

/* Stops if need be, and closes the file.  0, or -Exxx if it is not whole. */
int capture_writer_free(struct capture_writer *writer);

#endif
