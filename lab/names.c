#include "lab/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/schema.h"

#define DIGITS_MAX 6

/* Reads up to DIGITS_MAX digits; NULL if there are none, or too many. */
static const char *
read_number(const char *text, unsigned long *value)
{
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > DIGITS_MAX)
		return NULL;
	*value = strtoul(text, NULL, 10);
	return text + len;
}

bool
names_read(struct names *names, const char *text)
{
	const char *open = strchr(text, '['), *from, *to, *end;
	bool zeros;

	*names = (struct names){ .plain = open == NULL, .suffix = "" };
	if (names->plain)
		return true;
	if ((size_t)(open - text) >= sizeof(names->prefix))
		return false;
	memcpy(names->prefix, text, (size_t)(open - text));
	from = open + 1;
	end = read_number(from, &names->first);
	if (end == NULL || *end != '-')
		return false;
	zeros = from[0] == '0' && end - from > 1;
	names->digits = zeros ? (int)(end - from) : 0;
	to = end + 1;
	end = read_number(to, &names->last);
	if (end == NULL || *end != ']' || names->last < names->first)
		return false;
	if (zeros ? end - to != names->digits : to[0] == '0' && end - to > 1)
		return false;
	names->suffix = end + 1;
	return strpbrk(names->suffix, "[]") == NULL;
}

unsigned long
names_count(const struct names *names)
{
	return names->last - names->first + 1;
}

const char *
names_get(struct arena *arena, const struct names *names, const char *text,
    unsigned long i)
{
	if (names->plain)
		return text;
	return arena_printf(arena, "%s%0*lu%s", names->prefix, names->digits,
	    names->first + i, names->suffix);
}

bool
names_are_good(const struct names *names)
{
	char longest[128];

	/* They differ in their digits only, of which the last has most. */
	snprintf(longest, sizeof(longest), "%s%0*lu%.40s", names->prefix,
	    names->digits, names->last, names->suffix);
	return strlen(names->suffix) <= 40 && schema_is_name(longest);
}
