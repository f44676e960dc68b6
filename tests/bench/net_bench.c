/*
 * What the Internet checksum costs, against the plain loop over 16-bit words
 * that everybody writes first, compiled in this file with the same flags.
 *
 * The buffers lie at odd places of the cache lines, as frames do.  Each figure
 * is the median of five rounds; a round is long enough for the clock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/checksum.h"
#include "net/cursor.h"

#define NROUNDS     5
#define ROUND_BYTES (UINT64_C(16) << 20)

static const size_t sizes[] = { 20, 64, 1514, 65536 };
#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

static uint32_t
plain_add_bytes(uint32_t sum, const void *data, size_t len_bytes)
{
	const uint8_t *at = data;
	uint32_t part = 0; /* of up to 64 KiB: does not carry */

	for (; len_bytes > 1; at += 2, len_bytes -= 2)
		part += get_be16(at);
	if (len_bytes > 0)
		part += (uint32_t)at[0] << 8;
	return csum_add(sum, part);
}

/* Called by address, so that no loop is inlined and none hoisted. */
typedef uint32_t (*adder)(uint32_t sum, const void *data, size_t len_bytes);

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Median nanoseconds per buffer; *check gets what was added up. */
static double
measure(adder volatile add, const uint8_t *data, size_t size, uint32_t *check)
{
	uint64_t n = ROUND_BYTES / size;
	double ns[NROUNDS];

	for (int r = 0; r < NROUNDS; r++) {
		uint32_t sum = 0;
		uint64_t start = now_ns();

		for (uint64_t i = 0; i < n; i++)
			sum = add(sum, data, size);
		ns[r] = (double)(now_ns() - start) / (double)n;
		*check = csum_fold(sum);
	}
	qsort(ns, NROUNDS, sizeof(ns[0]), compare);
	return ns[NROUNDS / 2];
}

int
main(void)
{
	uint8_t *buffer = malloc(sizes[NSIZES - 1] + 64), *data;

	if (buffer == NULL)
		return 1;
	data = buffer + 18; /* 12 bytes of vnet header, say, and 6 more */
	for (size_t i = 0; i < sizes[NSIZES - 1]; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	printf("checksum  %10s  %10s  %8s  %8s\n", "plain ns", "ours ns",
	    "GB/s", "ratio");
	for (size_t i = 0; i < NSIZES; i++) {
		uint32_t want, got;
		double plain = measure(plain_add_bytes, data, sizes[i], &want);
		double ours = measure(csum_add_bytes, data, sizes[i], &got);

		if (want != got) {
			fprintf(stderr,
			    "net_bench: sums of %zu bytes differ: "
			    "0x%04" PRIx32 " and 0x%04" PRIx32 "\n",
			    sizes[i], want, got);
			return 1;
		}
		printf("%8zu  %10.1f  %10.1f  %8.1f  %7.1fx\n", sizes[i], plain,
		    ours, (double)sizes[i] / ours, plain / ours);
	}
	free(buffer);
	return 0;
}
