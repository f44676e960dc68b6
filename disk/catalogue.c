#include "disk/catalogue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE "lanyard disks 1"
#define MAX_NAME   255
#define MAX_WORDS  (3 + 2 * CATALOGUE_MAX_PARTS)
#define MAX_WHAT   16

static const struct {
	const char *word;
	int words; /* after it; of a checkpoint, at least */
} kinds[] = {
	[CATALOGUE_FROZEN] = { "frozen", 4 },
	[CATALOGUE_HIDDEN] = { "hidden", 4 },
	[CATALOGUE_RENAME] = { "rename", 2 },
	[CATALOGUE_REMOVE] = { "remove", 1 },
	[CATALOGUE_MERGE] = { "merge", 2 },
	[CATALOGUE_REBASE] = { "rebase", 2 },
	[CATALOGUE_CHECKPOINT] = { "checkpoint", 2 },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

bool
catalogue_is_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= MAX_NAME && strchr(name, '/') == NULL &&
	    strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

void
catalogue_free(struct catalogue *c)
{
	while (c->n > 0)
		catalogue_remove(c, &c->lines[c->n - 1]);
	free(c->lines);
	memset(c, 0, sizeof(*c));
}

static bool
is_word(const char *word)
{
	size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789");

	return n > 0 && n <= MAX_WHAT && word[n] == '\0';
}

int
catalogue_add_part(
    struct catalogue_line *line, const char *what, const char *file)
{
	struct catalogue_part *more, *part;

	if (line->nparts == CATALOGUE_MAX_PARTS || !is_word(what))
		return -EFBIG;
	more = realloc(line->parts, (line->nparts + 1) * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	line->parts = more;
	part = &more[line->nparts];
	part->what = strdup(what);
	part->file = strdup(file);
	line->nparts++;
	return part->what != NULL && part->file != NULL ? 0 : -ENOMEM;
}

const struct catalogue_line *
catalogue_checkpoint_of(const struct catalogue *c, const char *file)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->lines[i].nparts; k++)
			if (strcmp(c->lines[i].parts[k].file, file) == 0)
				return &c->lines[i];
	return NULL;
}

struct catalogue_line *
catalogue_find(
    const struct catalogue *c, enum catalogue_kind kind, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->lines[i].kind == kind &&
		    strcmp(c->lines[i].name, name) == 0)
			return &c->lines[i];
	return NULL;
}

struct catalogue_line *
catalogue_add(struct catalogue *c, enum catalogue_kind kind, const char *name,
    const char *to)
{
	struct catalogue_line *line;

	if (c->n == c->room) {
		size_t room = c->room * 2 + 16;

		line = realloc(c->lines, room * sizeof(*line));
		if (line == NULL)
			return NULL;
		c->lines = line;
		c->room = room;
	}
	line = &c->lines[c->n];
	memset(line, 0, sizeof(*line));
	line->kind = kind;
	line->name = strdup(name);
	line->to = to != NULL ? strdup(to) : NULL;
	if (line->name == NULL || (to != NULL && line->to == NULL)) {
		free(line->name);
		free(line->to);
		return NULL;
	}
	c->n++;
	return line;
}

void
catalogue_remove(struct catalogue *c, struct catalogue_line *line)
{
	size_t i = (size_t)(line - c->lines);

	for (size_t k = 0; k < line->nparts; k++) {
		free(line->parts[k].what);
		free(line->parts[k].file);
	}
	free(line->parts);
	free(line->name);
	free(line->to);
	memmove(line, line + 1, (c->n - i - 1) * sizeof(*line));
	c->n--;
}

/* ---- reading ---- */

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes %XX in place.  False: it is no name. */
static bool
decode(char *word)
{
	char *to = word;

	for (const char *p = word; *p != '\0'; p++) {
		int high, low;

		if (*p != '%') {
			*to++ = *p;
			continue;
		}
		high = hex(p[1]);
		low = high >= 0 ? hex(p[2]) : -1;
		if (low < 0 || (high | low) == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		p += 2;
	}
	*to = '\0';
	return catalogue_is_name(word);
}

static bool
number(const char *word, char **end, uint64_t *value)
{
	if (word[0] < '0' || word[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(word, end, 10);
	return errno == 0;
}

static bool
whole_number(const char *word, uint64_t *value)
{
	char *end;

	return number(word, &end, value) && *end == '\0';
}

static bool
read_stamp(struct catalogue_line *line, char **words)
{
	char *end;

	return whole_number(words[1], &line->size) &&
	    number(words[2], &end, &line->seconds) && *end == '.' &&
	    whole_number(end + 1, &line->nanoseconds) &&
	    line->nanoseconds < 1000000000 &&
	    whole_number(words[3], &line->frozen_at);
}

static const char *
read_parts(struct catalogue_line *line, char **words, int n)
{
	if (!whole_number(words[0], &line->frozen_at))
		return "has a wrong number";
	if (n % 2 == 0)
		return "has the wrong number of words";
	for (int i = 1; i + 1 < n; i += 2) {
		if (!is_word(words[i]) || !decode(words[i + 1]))
			return "is no file name";
		if (catalogue_add_part(line, words[i], words[i + 1]) != 0)
			return "finds no memory";
	}
	return NULL;
}

static const char *
add_line(struct catalogue *c, enum catalogue_kind kind, char **words, int n)
{
	bool parts = kind == CATALOGUE_CHECKPOINT;
	bool two = kinds[kind].words == 2 && !parts;
	struct catalogue_line *line;

	if (!decode(words[0]) || (two && !decode(words[1])))
		return "is no file name";
	if (c->n >= CATALOGUE_MAX_LINES)
		return "is one line too many";
	line = catalogue_add(c, kind, words[0], two ? words[1] : NULL);
	if (line == NULL)
		return "finds no memory";
	if (kinds[kind].words == 4 && !read_stamp(line, words))
		return "has a wrong number";
	return parts ? read_parts(line, words + 1, n - 1) : NULL;
}

/* What is wrong with a line, or NULL.  *end: it was the last. */
static const char *
parse_line(struct catalogue *c, char *text, bool *end)
{
	char *words[MAX_WORDS + 2], *next = text, *word;
	int n = 0;

	while ((word = strsep(&next, " ")) != NULL && n <= MAX_WORDS)
		words[n++] = word;
	*end = n == 1 && strcmp(words[0], "end") == 0;
	if (*end)
		return NULL;
	if (n == 2 && strcmp(words[0], "generation") == 0)
		return whole_number(words[1], &c->generation)
		    ? NULL
		    : "has a wrong number";
	for (size_t k = 0; k < NKINDS; k++)
		if (strcmp(words[0], kinds[k].word) == 0)
			return n == kinds[k].words + 1 ||
				(k == CATALOGUE_CHECKPOINT && n >= 3 &&
				    n <= MAX_WORDS)
			    ? add_line(
				  c, (enum catalogue_kind)k, words + 1, n - 1)
			    : "has the wrong number of words";
	return "begins with no known word";
}

int
catalogue_parse(struct catalogue *c, const char *text, size_t len,
    const char *path, struct err *err)
{
	char *copy = len <= CATALOGUE_MAX_BYTES ? malloc(len + 1) : NULL;
	char *next = copy, *line;
	const char *bad = NULL;
	bool end = false;
	int n = 0;

	memset(c, 0, sizeof(*c));
	if (copy == NULL)
		return err_set(err, -ENOMEM, "%s: is too large", path);
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (strlen(copy) != len)
		bad = "has a zero byte";
	while (bad == NULL && !end && (line = strsep(&next, "\n")) != NULL) {
		n++;
		if (n == 1)
			bad = strcmp(line, FIRST_LINE) == 0
			    ? NULL
			    : "is not \"" FIRST_LINE "\"";
		else
			bad = parse_line(c, line, &end);
	}
	if (bad == NULL && (!end || next == NULL || *next != '\0'))
		bad = "is not the end";
	free(copy);
	if (bad == NULL)
		return 0;
	catalogue_free(c);
	return err_set(err, -EINVAL,
	    "%s:%d: the line %s; restore the file, or remove it to forget "
	    "which images are frozen",
	    path, n, bad);
}

/* ---- writing ---- */

static void
put_name(FILE *out, const char *name)
{
	fputc(' ', out);
	for (const unsigned char *p = (const unsigned char *)name; *p != '\0';
	     p++) {
		if (*p > ' ' && *p < 0x7f && *p != '%')
			fputc(*p, out);
		else
			fprintf(out, "%%%02X", *p);
	}
}

char *
catalogue_text(const struct catalogue *c, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (out == NULL)
		return NULL;
	fprintf(out, "%s\ngeneration %" PRIu64 "\n", FIRST_LINE, c->generation);
	for (size_t i = 0; i < c->n; i++) {
		const struct catalogue_line *l = &c->lines[i];

		fputs(kinds[l->kind].word, out);
		put_name(out, l->name);
		if (l->to != NULL)
			put_name(out, l->to);
		if (kinds[l->kind].words == 4)
			fprintf(out,
			    " %" PRIu64 " %" PRIu64 ".%09" PRIu64 " %" PRIu64,
			    l->size, l->seconds, l->nanoseconds, l->frozen_at);
		if (l->kind == CATALOGUE_CHECKPOINT)
			fprintf(out, " %" PRIu64, l->frozen_at);
		for (size_t k = 0; k < l->nparts; k++) {
			fprintf(out, " %s", l->parts[k].what);
			put_name(out, l->parts[k].file);
		}
		fputc('\n', out);
	}
	fputs("end\n", out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
