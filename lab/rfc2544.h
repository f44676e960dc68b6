/*
 * rfc2544.h - the tests of RFC 2544, 26.1 to 26.4, by trials that somebody else
 * makes.
 *
 * Rates are frames in a second.  Where a trial sent less than it was told, what
 * made the frames was the limit and not what they went through: it counts as
 * failed, and limited is set.  So it does where frames were overdue, left
 * together, and some were lost.  Such a trial is made again first.
 */
#ifndef LAB_RFC2544_H
#define LAB_RFC2544_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define RFC2544_TRIES 3  /* of a trial whose sender did not keep its rate */
#define RFC2544_STEPS 10 /* of the loss rate: 100 %, 90 % ... */

struct trial {
	uint32_t frame_bytes; /* with FCS */
	uint64_t fps;
	uint64_t count; /* frames; 0: for the time that all trials take */
};

struct trial_result {
	uint64_t sent, received;
	double fps;     /* as sent */
	double late_us; /* how long a frame was overdue, at worst */
	double min_us, mean_us, p99_us, max_us;
};

/* Makes a trial.  0, or -Exxx with *err, which ends the test. */
typedef int (*trial_run)(void *arg, const struct trial *trial,
    struct trial_result *result, struct err *err);

struct rfc2544 {
	trial_run run;
	void *arg;
	uint32_t frame_bytes; /* with FCS */
	uint64_t max_fps;     /* of the medium */
	uint64_t max_frames;  /* of a burst back to back */
	uint64_t resolution_ppb;
};

struct throughput {
	uint64_t fps; /* 0: no rate without loss */
	bool limited;
	struct trial_result at; /* the trial at that rate */
};

struct loss_step {
	unsigned int percent; /* of max_fps */
	uint64_t sent, lost;
	double fps; /* as sent */
};

/* The highest rate at which no frame is lost, within the resolution, which is
 * relative. */
int rfc2544_throughput(
    const struct rfc2544 *t, struct throughput *out, struct err *err);

/* Loss at falling rates, until two in a row are without.  How many steps. */
int rfc2544_loss(const struct rfc2544 *t, struct loss_step out[RFC2544_STEPS],
    struct err *err);

/* The longest burst at the full rate of which no frame is lost. */
int rfc2544_back_to_back(
    const struct rfc2544 *t, uint64_t *frames, bool *limited, struct err *err);

/* What a medium of that rate carries of such frames, with preamble and gap. */
uint64_t rfc2544_line_fps(uint64_t line_bps, uint32_t frame_bytes);

#endif
