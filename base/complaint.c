#include "base/complaint.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/loop.h"

#define EVERY_NS NS_PER_S

void
complain(struct complaint *complaint, uint64_t now_ns, const char *who,
    const char *format, ...)
{
	char text[256], more[64] = "";
	va_list args;

	if (complaint->said_ns != 0 && now_ns - complaint->said_ns < EVERY_NS) {
		complaint->unsaid++;
		return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (complaint->unsaid != 0)
		snprintf(more, sizeof(more), " (and %" PRIu64 " more before)",
		    complaint->unsaid);
	log_warn("%s: %s%s", who, text, more);
	complaint->said_ns = now_ns != 0 ? now_ns : 1;
	complaint->unsaid = 0;
}
