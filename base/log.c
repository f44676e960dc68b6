#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_level log_level = LOG_WARN;
static const char *log_prefix = "lanyard: ";

void
log_set_level(enum log_level level)
{
	log_level = level;
}

enum log_level
log_get_level(void)
{
	return log_level;
}

void
log_set_prefix(const char *prefix)
{
	log_prefix = prefix;
}

void
log_write(enum log_level level, const char *format, ...)
{
	va_list args;
	char line[1024];

	if (level > log_level)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* One call, so that lines of several processes do not interleave. */
	fprintf(stderr, "%s%s\n", log_prefix, line);
}
