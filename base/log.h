/*
 * log.h - what a running program says about itself, on standard error.
 *
 * For events of the program, at human rates.  What happens to a frame is a
 * verdict, never a log line.  Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above this level are not written.  LOG_WARN at start. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Put before each line, as "lanyard: " or "vm alice: ".  Borrowed for ever. */
void log_set_prefix(const char *prefix);

void log_write(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                     \
	do {                                               \
		if (log_get_level() >= LOG_DEBUG)          \
			log_write(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

#endif
