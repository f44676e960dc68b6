/*
 * The writer naps, drains, and naps again.  Nobody tells it of single frames:
 * that would be a system call each.  It is woken only when the ring fills
 * faster than it looks, and when somebody waits for it.
 *
 * Waiting works by numbers: who waits asks for the next one, the writer answers
 * it when it has drained what was there, and a semaphore only shortens the
 * time between.  So a wait that was given up leaves nothing behind.
 *
 * Most frames have a verdict like others before: sentences are remembered by
 * the numbers they are made of.
 */
#include "pcap-tools/capture_writer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "pcap-tools/capture.h"
#include "pcap-tools/file_ring.h"
#include "pcap-tools/sink.h"
#include "pcap-tools/verdict_text.h"

#define NAP_MS        50
#define STUCK_NS      (2 * NS_PER_S)
#define RELEASE_BYTES (64u << 10) /* given back at a time */
#define MEMO_SIZE     256         /* sentences remembered, a power of two */
#define FRAMING_BYTES 60          /* around a frame in a file, about */

static_assert(NAP_MS < CAPTURE_DELAY_MS, "in the file in time");

/* A sentence that was made before. */
struct memo {
	struct fate cause, verdict;
	uint16_t at;
	uint8_t dir;
	bool used;
	uint16_t text_bytes, facts_bytes;
	char text[VERDICT_TEXT_BYTES];
	char facts[VERDICT_TEXT_BYTES]; /* the same for programs */
};

struct capture_writer {
	struct capture_writer_options options;
	pthread_t thread;
	bool started;

	/* between the threads */
	sem_t wake, done;
	atomic_bool napping;
	atomic_bool stop;
	atomic_uint asked, answered; /* waits */
	_Atomic uint64_t progress;   /* records written */
	atomic_int error;

	/* the thread's, and after it ours */
	struct output output;
	const struct sink_kind *kind;
	struct sink *sink;
	struct memo memo[MEMO_SIZE];
	/* of a ring of files */
	const struct pcapng_interface **interfaces; /* in each file */
	uint32_t ninterfaces, max_interfaces;
	unsigned long file;               /* its number, 0: there is no ring */
	uint64_t bytes_here, first_at_ns; /* in this file; 0: no frame yet */
};

/* ---- records ---- */

static struct verdict_facts
facts_of(const struct capture_writer *w, const struct fate *fate)
{
	return (struct verdict_facts){
		.node = names_text(w->options.names, fate->node),
		.out = names_text(w->options.names, fate->out),
		.reason = (enum reason)fate->reason,
		.nout = fate->nout,
		.entry = fate->entry,
		.other = fate->other,
	};
}

static unsigned int
memo_slot(const struct record *r)
{
	uint64_t a, b, h = r->dir | (uint64_t)r->at << 8;

	static_assert(sizeof(struct fate) == 16, "no padding to compare");
	memcpy(&a, &r->cause, sizeof(a));
	memcpy(&b, &r->verdict, sizeof(b));
	h = (h ^ a ^ (uint64_t)r->cause.entry << 7) * 0x9e3779b97f4a7c15u;
	h = (h ^ b ^ (uint64_t)r->verdict.entry << 7) * 0x9e3779b97f4a7c15u;
	return (unsigned int)(h >> 40) & (MEMO_SIZE - 1);
}

static const struct memo *
sentence(struct capture_writer *w, const struct record *r)
{
	struct memo *m = &w->memo[memo_slot(r)];
	struct verdict_facts cause, verdict;
	int n = 0, k = 0; /* of a name, which fits */

	if (m->used && m->dir == r->dir && m->at == r->at &&
	    memcmp(&m->cause, &r->cause, sizeof(m->cause)) == 0 &&
	    memcmp(&m->verdict, &r->verdict, sizeof(m->verdict)) == 0)
		return m;
	cause = facts_of(w, &r->cause);
	verdict = facts_of(w, &r->verdict);
	if (r->at != 0) { /* in the bin: where it was */
		const char *port = names_text(w->options.names, r->at);

		n = snprintf(m->text, sizeof(m->text), "%s: ", port);
		k = snprintf(m->facts, sizeof(m->facts), " port=%s", port);
	}
	frame_verdict_text(m->text + n, sizeof(m->text) - (size_t)n,
	    (enum direction)r->dir, &cause, &verdict);
	frame_verdict_facts(m->facts + k, sizeof(m->facts) - (size_t)k,
	    (enum direction)r->dir, &cause, &verdict);
	pcapng_repair(m->text); /* names may hold anything */
	pcapng_repair(m->facts);
	m->text_bytes = (uint16_t)strlen(m->text);
	m->facts_bytes = (uint16_t)strlen(m->facts);
	m->cause = r->cause;
	m->verdict = r->verdict;
	m->dir = r->dir;
	m->at = r->at;
	m->used = true;
	return m;
}

static uint32_t
flags_of(const struct record *r)
{
	uint32_t flags = r->dir == DIR_IN ? PCAPNG_INBOUND : PCAPNG_OUTBOUND;

	if (r->todo & FRAME_CSUM)
		flags |= PCAPNG_CSUM_NOT_READY;
	if (r->todo & (FRAME_TSO4 | FRAME_TSO6))
		flags |= PCAPNG_SEGMENTS_TO_MAKE;
	return flags;
}

static void
write_frame(struct capture_writer *w, const struct record *r)
{
	const struct memo *m = sentence(w, r);
	struct pcapng_packet packet = {
		.interface = r->point,
		.flags = flags_of(r),
		.at_ns = r->at_ns,
		.kept_bytes = r->kept,
		.len_bytes = r->len,
		.comment_bytes = m->text_bytes,
		.facts_bytes = m->facts_bytes,
		.journey = r->journey,
		.data = r->data,
		.comment = m->text,
		.facts = m->facts,
	};

	if (w->bytes_here == 0)
		w->first_at_ns = r->at_ns;
	w->bytes_here +=
	    FRAMING_BYTES + r->kept + packet.comment_bytes + packet.facts_bytes;
	w->kind->packet(w->sink, &packet);
}

/* ---- files ---- */

static int
open_file(struct capture_writer *w, struct err *err)
{
	const struct capture_writer_options *o = &w->options;
	char *name = NULL;
	int error;

	if (w->file != 0) {
		name = file_ring_name(o->path, w->file);
		if (name == NULL)
			return err_sys(err, -ENOMEM, NULL, "%s", o->path);
	}
	error = output_open(
	    &w->output, name != NULL ? name : o->path, &w->stop, err);
	free(name);
	if (error != 0)
		return error;
	w->kind = sink_kind_of(o->path);
	w->sink = w->kind->open(&w->output, o->snaplen_bytes, o->comment);
	if (w->sink == NULL)
		return err_sys(err, -ENOMEM, NULL, "%s", o->path);
	return 0;
}

static int
close_file(struct capture_writer *w)
{
	int error = w->output.error;

	if (w->sink != NULL) {
		w->kind->flush(w->sink);
		w->kind->close(w->sink);
		w->sink = NULL;
	}
	if (w->output.fd >= 0)
		error = output_close(&w->output);
	return error;
}

static void
remove_oldest(const struct capture_writer *w)
{
	char *name;

	if (w->options.files == 0 || w->file <= w->options.files)
		return;
	name = file_ring_name(w->options.path, w->file - w->options.files);
	if (name != NULL)
		(void)unlink(name);
	free(name);
}

/* Goes on in the next file.  What fails ends the capture, as a full disk. */
static void
next_file(struct capture_writer *w)
{
	struct err err = { "" };
	int error = close_file(w);

	w->file++;
	if (error == 0)
		error = open_file(w, &err);
	if (error != 0) {
		w->output.error = error;
		return;
	}
	for (uint32_t i = 0; i < w->ninterfaces; i++)
		w->kind->interface(w->sink, w->interfaces[i]);
	w->bytes_here = w->first_at_ns = 0;
	remove_oldest(w);
}

static bool
is_full(const struct capture_writer *w, const struct record *r)
{
	const struct capture_writer_options *o = &w->options;

	if (w->file == 0 || w->bytes_here == 0)
		return false;
	if (o->file_bytes != 0 && w->bytes_here + r->kept > o->file_bytes)
		return true;
	return o->file_ns != 0 && r->at_ns >= w->first_at_ns + o->file_ns;
}

/* An interface is described in every file. */
static int
keep_interface(struct capture_writer *w, const struct pcapng_interface *i)
{
	if (w->ninterfaces == w->max_interfaces) {
		uint32_t max =
		    w->max_interfaces != 0 ? 2 * w->max_interfaces : 8;
		void *grown =
		    realloc(w->interfaces, max * sizeof(w->interfaces[0]));

		if (grown == NULL)
			return -ENOMEM;
		w->interfaces = grown;
		w->max_interfaces = max;
	}
	w->interfaces[w->ninterfaces++] = i;
	return 0;
}

static void
write_interface(struct capture_writer *w, const struct pcapng_interface *i)
{
	if (w->file != 0 && keep_interface(w, i) != 0) {
		w->output.error = -ENOMEM;
		return;
	}
	w->kind->interface(w->sink, i);
}

static void
write_record(struct capture_writer *w, const struct record *r)
{
	switch ((enum record_kind)r->kind) {
	case RECORD_INTERFACE: write_interface(w, r->interface); break;
	case RECORD_FRAME:
		if (is_full(w, r))
			next_file(w);
		if (w->output.error == 0)
			write_frame(w, r);
		break;
	}
}

/* Notes that the output failed, once. */
static void
note_error(struct capture_writer *w)
{
	if (w->output.error == 0 || atomic_load(&w->error) != 0)
		return;
	atomic_store(&w->error, w->output.error);
	log_warn("%s: cannot write: %s; the capture ends here", w->options.path,
	    strerror(-w->output.error));
}

/* Gives back the room of n records, and says how it stands. */
static void
release(struct capture_writer *w, uint64_t n)
{
	ring_release(w->options.ring);
	atomic_fetch_add(&w->progress, n);
	note_error(w);
}

static void
drain(struct capture_writer *w)
{
	const struct record *r;
	uint64_t n = 0;
	size_t bytes = 0;

	while ((r = ring_next(w->options.ring)) != NULL) {
		if (w->output.error == 0)
			write_record(w, r);
		n++;
		bytes += r->head.bytes;
		if (bytes >= RELEASE_BYTES) {
			release(w, n);
			bytes = n = 0;
		}
	}
	if (w->sink != NULL) {
		w->kind->flush(w->sink);
		(void)output_flush(&w->output);
	}
	release(w, n);
}

static uint64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Until it is posted, or so long. */
static void
wait_for(sem_t *sem, uint64_t ns)
{
	uint64_t at_ns = clock_ns() + ns;
	struct timespec at = { .tv_sec = (time_t)(at_ns / NS_PER_S),
		.tv_nsec = (long)(at_ns % NS_PER_S) };

	(void)sem_clockwait(sem, CLOCK_MONOTONIC, &at);
}

static void *
writer_thread(void *arg)
{
	struct capture_writer *w = arg;
	bool stop;

	do {
		unsigned int asked = atomic_load(&w->asked);

		/* Both are read before the ring: what was published before
		 * they were set is then seen. */
		stop = atomic_load(&w->stop);
		drain(w);
		if (atomic_load(&w->answered) != asked) {
			atomic_store(&w->answered, asked);
			sem_post(&w->done);
		}
		if (!stop) {
			atomic_store(&w->napping, true);
			wait_for(&w->wake, NAP_MS * NS_PER_MS);
			atomic_store(&w->napping, false);
		}
	} while (!stop);
	return NULL;
}

/* ---- the loop's side ---- */

void
capture_writer_wake(struct capture_writer *w)
{
	if (atomic_load_explicit(&w->napping, memory_order_relaxed) &&
	    atomic_exchange(&w->napping, false))
		sem_post(&w->wake);
}

void
capture_writer_wait(struct capture_writer *w, bool for_ever)
{
	unsigned int asked = atomic_load(&w->asked) + 1;
	uint64_t seen = atomic_load(&w->progress), since_ns = clock_ns();

	atomic_store(&w->asked, asked);
	sem_post(&w->wake);
	while (atomic_load(&w->answered) != asked) {
		uint64_t now;

		wait_for(&w->done, STUCK_NS);
		now = atomic_load(&w->progress);
		if (now != seen) {
			seen = now;
			since_ns = clock_ns();
		} else if (!for_ever && clock_ns() - since_ns >= STUCK_NS) {
			return;
		}
	}
}

int
capture_writer_error(const struct capture_writer *w)
{
	return atomic_load_explicit(&w->error, memory_order_relaxed);
}

void
capture_writer_statistics(
    struct capture_writer *w, const struct pcapng_statistics *statistics)
{
	if (w->sink != NULL)
		w->kind->statistics(w->sink, statistics);
}

void
capture_writer_stop(struct capture_writer *w)
{
	atomic_store(&w->stop, true);
	sem_post(&w->wake);
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
}

static int
start(struct capture_writer *w)
{
	sigset_t all, before;
	int error;

	/* Signals are the loop's; and a pipe without a reader is an error of
	 * write(2), not the end of the program. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&w->thread, NULL, writer_thread, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return -error;
	w->started = true;
	(void)pthread_setname_np(w->thread, "capture");
	return 0;
}

struct capture_writer *
capture_writer_new(
    const struct capture_writer_options *options, struct err *err)
{
	struct capture_writer *w = calloc(1, sizeof(*w));
	int error;

	if (w == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", options->path);
		return NULL;
	}
	w->options = *options;
	w->output.fd = -1;
	sem_init(&w->wake, 0, 0);
	sem_init(&w->done, 0, 0);
	w->file = options->file_bytes != 0 || options->file_ns != 0;
	error = open_file(w, err);
	if (error == 0 && (error = start(w)) != 0)
		err_sys(err, error, NULL, "%s: no thread to write it",
		    options->path);
	if (error != 0) {
		(void)capture_writer_free(w);
		return NULL;
	}
	return w;
}

int
capture_writer_free(struct capture_writer *w)
{
	int error;

	capture_writer_stop(w);
	error = close_file(w);
	free(w->interfaces);
	sem_destroy(&w->wake);
	sem_destroy(&w->done);
	free(w);
	return error;
}
