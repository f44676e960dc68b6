#include "switch/jitter_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
ascending(const void *a, const void *b)
{
	const int16_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The number at text, which ends where a blank or the text does.  Returns what
 * follows it, or NULL. */
static const char *
read_number(int16_t *out, const char *text, const char *end)
{
	bool negative = text < end && *text == '-';
	int value = 0;
	const char *p = text + negative;
	const char *digits = p;

	for (; p < end && *p >= '0' && *p <= '9' && value <= -INT16_MIN; p++)
		value = value * 10 + (*p - '0');
	if (p == digits || (p < end && strchr(" \t\r\n#", *p) == NULL))
		return NULL;
	value = negative ? -value : value;
	if (value < INT16_MIN || value > INT16_MAX)
		return NULL;
	*out = (int16_t)value;
	return p;
}

int
jitter_table_read(
    struct jitter_table *table, const char *text, size_t len, struct err *err)
{
	const char *p = text, *end = text + len;
	unsigned int line = 1;

	table->n = 0;
	while (p < end) {
		if (*p == '#') {
			const char *eol = memchr(p, '\n', (size_t)(end - p));

			p = eol != NULL ? eol : end;
		} else if (*p == ' ' || *p == '\t' || *p == '\r' ||
		    *p == '\n') {
			line += *p++ == '\n';
		} else if (table->n == JITTER_TABLE_MAX) {
			return err_set(err, -EINVAL,
			    "line %u: more than %d values; thin them out", line,
			    JITTER_TABLE_MAX);
		} else {
			p = read_number(&table->value[table->n], p, end);
			if (p == NULL)
				return err_set(err, -EINVAL,
				    "line %u: not a whole number from -32768 "
				    "to 32767; write deviations in 1/8192, as "
				    "netem's tables",
				    line);
			table->n++;
		}
	}
	if (table->n < 2)
		return err_set(err, -EINVAL,
		    "%u values are no distribution; write two or more",
		    table->n);
	qsort(table->value, table->n, sizeof(table->value[0]), ascending);
	return 0;
}

int
jitter_table_load(struct jitter_table *table, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char *text = NULL;
	struct err why = { "" };
	struct stat st;
	ssize_t n;
	int e;

	if (fd < 0)
		return err_sys(err, -errno, "name a table of netem's format",
		    "%s: cannot be read", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size > JITTER_FILE_MAX) {
		e = err_set(err, -EINVAL,
		    "%s: not a file of at most %u bytes; name a table of "
		    "netem's format",
		    path, JITTER_FILE_MAX);
		goto out;
	}
	text = malloc((size_t)st.st_size + 1);
	n = text != NULL ? read(fd, text, (size_t)st.st_size) : -1;
	if (n < 0) {
		e = err_sys(err, text != NULL ? -errno : -ENOMEM, NULL,
		    "%s: cannot be read", path);
		goto out;
	}
	e = jitter_table_read(table, text, (size_t)n, &why);
	if (e < 0)
		err_set(err, e, "%s: %s", path, why.text);
out:
	free(text);
	close(fd);
	return e;
}
