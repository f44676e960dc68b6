/*
 * load.h - a lab from text or a file, for tests.
 */
#ifndef TESTS_LAB_LOAD_H
#define TESTS_LAB_LOAD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/model.h"

struct loaded {
	struct arena *arena;
	struct problems problems;
	struct lab *lab; /* NULL: problems has errors */
};

static inline void
load_text(struct loaded *l, const char *name, const char *text, size_t len)
{
	l->arena = arena_new();
	problems_init(&l->problems, l->arena, name);
	l->lab = lab_load(text, len, &l->problems);
}

/* All of a file, ended; the caller's to free.  NULL: it cannot be read. */
static inline char *
load_bytes(const char *path, size_t *len)
{
	FILE *file = fopen(path, "r");
	char *bytes = calloc(1, 1 << 20);

	*len = 0;
	if (file != NULL) {
		*len = fread(bytes, 1, (1 << 20) - 1, file);
		fclose(file);
		return bytes;
	}
	free(bytes);
	return NULL;
}

static inline bool
load_file(struct loaded *l, const char *name, const char *path)
{
	size_t len;
	char *bytes = load_bytes(path, &len);

	if (bytes == NULL)
		return false;
	load_text(l, name, bytes, len);
	free(bytes);
	return true;
}

static inline void
load_free(struct loaded *l)
{
	arena_free(l->arena);
}

/* What problems_print() prints, the caller's to free. */
static inline char *
load_problems(const struct loaded *l)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	problems_print(&l->problems, out);
	fclose(out);
	return text;
}

#endif
