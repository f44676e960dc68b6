#include "switch/locator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
unknown(const struct locator *l, const char *key, const char *const *keys,
    struct err *err)
{
	char known[256] = "none";
	size_t used = 0;

	for (unsigned int i = 0; keys[i] != NULL && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used,
		    "%s%s", i > 0 ? ", " : "", keys[i]);
	return err_set(err, -EINVAL,
	    "%s: option \"%.40s\" is not known; there are: %s", l->name, key,
	    known);
}

static bool
is_known(const char *key, const char *const *keys)
{
	for (; *keys != NULL; keys++)
		if (strcmp(*keys, key) == 0)
			return true;
	return false;
}

int
locator_read(struct locator *l, const char *name, const char *rest,
    const char *const *keys, struct err *err)
{
	char *at, *next;

	l->name = name;
	l->noptions = 0;
	if (strlen(rest) >= sizeof(l->text))
		return err_set(err, -EINVAL,
		    "%s: the locator is longer than %d characters", name,
		    LOCATOR_BYTES - 1);
	strcpy(l->text, rest);
	l->place = l->text;
	at = strchr(l->text, '?');
	for (; at != NULL; at = next) {
		char *key = at + 1, *equals;

		*at = '\0';
		next = strchr(key, '&');
		if (next != NULL)
			*next = '\0';
		equals = strchr(key, '=');
		if (equals != NULL)
			*equals = '\0';
		if (!is_known(key, keys))
			return unknown(l, key, keys, err);
		if (l->noptions == LOCATOR_OPTIONS_MAX)
			return err_set(err, -EINVAL, "%s: more than %d options",
			    name, LOCATOR_OPTIONS_MAX);
		l->option[l->noptions].key = key;
		l->option[l->noptions++].value =
		    equals != NULL ? equals + 1 : "";
	}
	return 0;
}

const char *
locator_get(const struct locator *l, const char *key, unsigned int n)
{
	for (unsigned int i = 0; i < l->noptions; i++)
		if (strcmp(l->option[i].key, key) == 0 && n-- == 0)
			return l->option[i].value;
	return NULL;
}

bool
locator_number(const struct locator *l, const char *key, uint64_t min,
    uint64_t max, uint64_t preset, uint64_t *out, struct err *err)
{
	const char *value = locator_get(l, key, 0);
	unsigned long long v;
	char *end;

	*out = preset;
	if (value == NULL)
		return true;
	errno = 0;
	v = strtoull(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 ||
	    v < min || v > max) {
		err_set(err, -EINVAL,
		    "%s: %s=%.40s: use a number from %" PRIu64 " to %" PRIu64,
		    l->name, key, value, min, max);
		return false;
	}
	*out = v;
	return true;
}

bool
locator_flag(const struct locator *l, const char *key, bool preset, bool *out,
    struct err *err)
{
	const char *value = locator_get(l, key, 0);

	*out = value == NULL ? preset : strcmp(value, "yes") == 0;
	if (value == NULL || *out || strcmp(value, "no") == 0)
		return true;
	err_set(
	    err, -EINVAL, "%s: %s=%.40s: use yes or no", l->name, key, value);
	return false;
}
