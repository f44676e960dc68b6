/*
 * results.h - what a lab has shown, at its end: for people and as JSON.
 */
#ifndef LAB_RESULTS_H
#define LAB_RESULTS_H

#include <stdio.h>

#include "lab/expect.h"
#include "lab/fabric.h"
#include "lab/guest.h"
#include "pcap-tools/capture.h"

struct results {
	const struct lab *lab;
	const struct fabric *fabric;
	const struct guests *guests;
	const struct expects *expects;   /* judged */
	struct capture *const *captures; /* of each of the lab's */
	uint64_t ran_ns;
	unsigned int ndied; /* VMs */
	bool virtual_time;
};

/* Expectations with their evidence, the tables that the lab names, frames that
 * did not arrive and why, captures, and a line that sums it up. */
void results_print(const struct results *results, FILE *out);

/* All of that, and all tables. */
void results_json(const struct results *results, FILE *out);

#endif
