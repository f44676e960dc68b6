/*
 * Making a row and writing it as JSON takes about 10 us, looking at a place of a
 * table that has none some nanoseconds: show_some() and a slice are bounded by
 * both.
 *
 * Tables that can only be made at once are written in slices at least.
 *
 * Rejected: a copy of the table at one instant.  It would take the memory of the
 * table again, and the time to make it at once.
 */
#include "lab/showing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/table.h"

struct showing {
	const struct table_head *head;
	struct show show;
	struct show_place place;
	struct table table; /* the rows that are to be written, from at on */
	size_t at;
	bool made;  /* there will be no more */
	bool begun; /* the beginning of the answer is written */
	bool wrote; /* a row of it is */
};

struct showing *
showing_new(const struct table_head *head, const struct show *show)
{
	struct showing *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->head = head;
	s->show = *show;
	if (table_init(&s->table, head) == 0)
		return s;
	free(s);
	return NULL;
}

void
showing_free(struct showing *s)
{
	if (s == NULL)
		return;
	table_free(&s->table);
	free(s);
}

static int
write_begin(const struct showing *s,
    int (*write)(const char *bytes, size_t len, void *arg), void *arg)
{
	char text[100];
	int len = snprintf(text, sizeof(text),
	    "{\"ok\":true,\"table\":\"%s\",\"rows\":[", s->head->name);

	return write(text, (size_t)len, arg);
}

static int
write_end(const struct showing *s,
    int (*write)(const char *bytes, size_t len, void *arg), void *arg)
{
	char text[60];
	int len = snprintf(
	    text, sizeof(text), "],\"left_out\":%lu}", s->table.left_out);

	return write(text, (size_t)len, arg);
}

static int
write_row(struct showing *s,
    int (*write)(const char *bytes, size_t len, void *arg), void *arg)
{
	json_t *row = table_row_json(&s->table, s->at++);
	int e = row == NULL ? -1 : 0;

	if (e == 0 && s->wrote)
		e = write(",", 1, arg);
	if (e == 0)
		e = json_dump_callback(row, write, arg, JSON_COMPACT);
	s->wrote = true;
	json_decref(row);
	return e;
}

int
showing_go_on(struct showing *s,
    int (*write)(const char *bytes, size_t len, void *arg), void *arg)
{
	if (!s->begun && write_begin(s, write, arg) < 0)
		return -1;
	s->begun = true;
	if (s->at == table_rows(&s->table) && !s->made) {
		table_forget(&s->table);
		s->at = 0;
		s->made = !show_some(&s->table, &s->show, &s->place);
	}
	for (unsigned int n = 0;
	     n < SHOW_SLICE_ROWS && s->at < table_rows(&s->table); n++)
		if (write_row(s, write, arg) < 0)
			return -1;
	if (!s->made || s->at < table_rows(&s->table))
		return 1;
	return write_end(s, write, arg) < 0 ? -1 : 0;
}
