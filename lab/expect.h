/*
 * expect.h - what a lab is expected to show, watched and judged.
 *
 *     OPEN --seen--> MET         within: at the latest when its time is over
 *       '---not----> FAILED      always: at the lab's end
 *
 * Loop thread only.
 */
#ifndef LAB_EXPECT_H
#define LAB_EXPECT_H

#include <jansson.h>
#include <regex.h>
#include <stdio.h>

#include "lab/fabric.h"
#include "lab/guest.h"
#include "lab/output.h"
#include "pcap-tools/capture.h"

enum outcome { OUTCOME_OPEN, OUTCOME_MET, OUTCOME_FAILED };

struct expects;

struct expectation {
	struct expects *all;
	const struct lab_expect *want;
	enum outcome outcome;
	uint64_t decided_ns; /* since the start */
	const char *why;     /* FAILED: a few words */
	struct loop_timer next, deadline;
	/* EXPECT_RUN */
	struct job job;
	struct output output, latest; /* of the running, of the last command */
	int status;                   /* of the last one */
	unsigned int runs;
	regex_t regex;
	bool has_regex;
	/* EXPECT_FRAMES and EXPECT_NAT */
	struct counter *counter;
	uint64_t count; /* EXPECT_MEASURE: lost ones */
	/* EXPECT_MEASURE */
	struct meter *meter; /* while it sends */
	json_t *measured;    /* what came out */
	struct err why_not;
};

struct expects {
	struct loop *loop;
	const struct lab *lab;
	struct fabric *fabric;
	struct guests *guests;
	struct expectation *list; /* in the lab's order */
	uint64_t start_ns;
	unsigned int nwithin, nopen; /* of all, and still open, with within */
	void (*decided)(void *arg, struct expectation *e);
	void *arg;
};

/* Begins to watch; time counts from now.  0, or -Exxx with *err and nothing
 * left behind. */
int expects_start(struct expects *expects, struct loop *loop,
    const struct lab *lab, struct fabric *fabric, struct guests *guests,
    void (*decided)(void *arg, struct expectation *e), void *arg,
    struct err *err);

/* The lab is over: judges whatever is open. */
void expects_judge(struct expects *expects);

/* Before the fabric and the guests go. */
void expects_free(struct expects *expects);

unsigned int expects_failed(const struct expects *expects);

/* What was wanted, in one line.  Returns out. */
char *expect_text(const struct lab_expect *want, char *out, size_t len);

/* Each expectation with its evidence. */
void expects_print(const struct expects *expects, FILE *out);
json_t *expects_json(const struct expects *expects);

#endif
