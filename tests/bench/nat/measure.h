/*
 * measure.h - figures of a program that runs alone on a core.
 */
#ifndef TESTS_BENCH_NAT_MEASURE_H
#define TESTS_BENCH_NAT_MEASURE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS_MAX 99

/* Of the processor, not of the clock on the wall. */
static inline double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static inline int
compare_rates(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Prints the median of runs, in millions a second, and returns it. */
static inline double
report_rate(const char *what, double *rate, int runs)
{
	qsort(rate, (size_t)runs, sizeof(rate[0]), compare_rates);
	printf("%-52s %7.2f M/s  (%.2f..%.2f)\n", what, rate[runs / 2] / 1e6,
	    rate[0] / 1e6, rate[runs - 1] / 1e6);
	fflush(stdout);
	return rate[runs / 2];
}

#endif
