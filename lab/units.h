/*
 * units.h - quantities as people write them; the unit is obligatory.
 *
 * Each reads all of text or returns false and leaves *out alone, with *err
 * saying what is wrong with the text and what a right one looks like.
 */
#ifndef LAB_UNITS_H
#define LAB_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define UNITS_TEXT_BYTES 24

/* "20ms", "1.5s", "2m": ns, us, ms, s, m, h, d. */
bool duration_read(uint64_t *ns, const char *text, struct err *err);

/* "512B", "256M": B, K, M, G, in steps of 1024. */
bool size_read(uint64_t *bytes, const char *text, struct err *err);

/* "0.5%", as billionths; up to 100%. */
bool percent_read(uint64_t *ppb, const char *text, struct err *err);

/* "10Mbit/s": bit/s, kbit/s, Mbit/s, Gbit/s, in steps of 1000. */
bool rate_read(uint64_t *bps, const char *text, struct err *err);

/* "300": decimal, no sign, no leading zeros. */
bool count_read(uint64_t *count, const char *text, struct err *err);

/* "3", ">=3", "<10": what a counted number must be. */
enum compare_op {
	COMPARE_EQ,
	COMPARE_GE,
	COMPARE_GT,
	COMPARE_LE,
	COMPARE_LT,
};

struct compare {
	enum compare_op op;
	uint64_t value;
};

bool compare_read(struct compare *compare, const char *text, struct err *err);
bool compare_holds(struct compare compare, uint64_t count);
/* Once true it stays true however much is counted. */
bool compare_is_final(struct compare compare);
/* No further counting can make it true. */
bool compare_is_lost(struct compare compare, uint64_t count);
char *compare_text(char out[UNITS_TEXT_BYTES], struct compare compare);

/* In the largest unit that divides it: "300s" is "5m".  Returns out. */
char *duration_text(char out[UNITS_TEXT_BYTES], uint64_t ns);
/* For people: three digits, "1.25 s", "312 us". */
char *duration_about(char out[UNITS_TEXT_BYTES], uint64_t ns);
char *size_text(char out[UNITS_TEXT_BYTES], uint64_t bytes);
char *percent_text(char out[UNITS_TEXT_BYTES], uint64_t ppb);
char *rate_text(char out[UNITS_TEXT_BYTES], uint64_t bps);

#endif
