/*
 * err.h - the sentence that a person reads when something could not be done.
 *
 * A function that can fail for a reason outside the program returns -Exxx and
 * leaves here where, what (with the value) and what to do about it:
 *
 *     tap:lan0: cannot open /dev/net/tun: Permission denied; run as root
 *
 * Only main() prints it.  The first sentence set stays, so that a cause is not
 * buried under its consequences; err_clear() makes room for another.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_MAX_BYTES 512

struct err {
	char text[ERR_MAX_BYTES]; /* "" when nothing is wrong */
};

/* Sets the sentence, unless one stands already.  Returns code (a -Exxx), so
 * that a caller can write "return err_set(err, -EINVAL, ...)".  err may be
 * NULL: then only the code is told.  A sentence that is too long is cut. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set(), with ": " and the text of errno code at the end, and then, if
 * remedy is not NULL, "; " and the remedy. */
int err_sys(struct err *err, int code, const char *remedy, const char *format,
    ...) __attribute__((format(printf, 4, 5)));

void err_clear(struct err *err);

#endif
