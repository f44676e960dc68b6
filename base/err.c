#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	if (err == NULL || err->text[0] != '\0')
		return code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

int
err_sys(struct err *err, int code, const char *remedy, const char *format, ...)
{
	va_list args;
	char what[ERR_MAX_BYTES];

	if (err == NULL || err->text[0] != '\0')
		return code;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return err_set(err, code, "%s: %s%s%s", what, strerror(-code),
	    remedy != NULL ? "; " : "", remedy != NULL ? remedy : "");
}

void
err_clear(struct err *err)
{
	err->text[0] = '\0';
}
