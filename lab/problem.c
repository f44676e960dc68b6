#include "lab/problem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void
problems_init(struct problems *problems, struct arena *arena, const char *file)
{
	*problems = (struct problems){ .arena = arena, .file = file };
	problems->list =
	    arena_array(arena, PROBLEMS_MAX, sizeof(problems->list[0]));
}

static void
add(struct problems *problems, struct place at, bool warning,
    const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	/* Entries that stand for many, as vm[1-9], would say it many times. */
	for (unsigned int i = 0; i < problems->n; i++)
		if (problems->list[i].at.line == at.line &&
		    problems->list[i].at.column == at.column &&
		    strcmp(problems->list[i].text, text) == 0)
			return;
	if (warning)
		problems->warnings++;
	else
		problems->errors++;
	if (problems->n == PROBLEMS_MAX || problems->list == NULL)
		return;
	problems->list[problems->n] = (struct problem){
		.at = at,
		.warning = warning,
		.text = arena_text(problems->arena, text, strlen(text)),
		.order = problems->n,
	};
	if (problems->list[problems->n].text != NULL)
		problems->n++;
}

void
problem_add(struct problems *problems, struct place at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(problems, at, false, format, args);
	va_end(args);
}

void
problem_warn(
    struct problems *problems, struct place at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(problems, at, true, format, args);
	va_end(args);
}

static int
by_place(const void *pa, const void *pb)
{
	const struct problem *a = pa, *b = pb;

	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	if (a->at.column != b->at.column)
		return a->at.column < b->at.column ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

void
problems_sort(struct problems *problems)
{
	if (problems->n > 1)
		qsort(problems->list, problems->n, sizeof(problems->list[0]),
		    by_place);
}

void
problems_print(const struct problems *problems, FILE *out)
{
	unsigned int all = problems->errors + problems->warnings;

	for (unsigned int i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->list[i];

		if (p->at.line == 0)
			fprintf(out, "%s: ", problems->file);
		else
			fprintf(out, "%s:%u:%u: ", problems->file, p->at.line,
			    p->at.column);
		fprintf(out, "%s%s\n", p->warning ? "warning: " : "", p->text);
	}
	if (all > problems->n)
		fprintf(out, "%s: %u more problems are not shown\n",
		    problems->file, all - problems->n);
}
