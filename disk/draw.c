/*
 * The tree as a person sees it.
 */
#include <stdlib.h>
#include <time.h>

#include "disk/tree.h"

static void
draw_size(FILE *out, uint64_t bytes)
{
	static const char units[] = "BKMGTP";
	double value = (double)bytes;
	int unit = 0;

	for (; value >= 1024 && unit < 5; unit++)
		value /= 1024;
	fprintf(out, unit > 0 && value < 10 ? "%.1f%c" : "%.0f%c", value,
	    units[unit]);
}

static void
draw_node(const struct tree_node *node, FILE *out)
{
	fprintf(out, "%s  ", node->file);
	draw_size(out, node->file_bytes);
	fprintf(out, " of ");
	draw_size(out, node->size);
	if (node->hidden)
		fprintf(out, ", hidden");
	else if (node->frozen)
		fprintf(out, ", frozen");
	else if (node->children > 0)
		fprintf(out, ", others stand on it");
	if (node->parent == NULL && node->backing != NULL)
		fprintf(out, ", on %s (not in this directory)", node->backing);
	if (node->checkpoint != NULL)
		fprintf(out, ", of checkpoint %s", node->checkpoint);
	if (node->changed)
		fprintf(out, ", CHANGED since it was frozen");
	if (node->busy != NULL)
		fprintf(out, ", being merged into %s", node->busy);
	fputc('\n', out);
}

struct branch {
	const struct tree_node *node;
	size_t next;           /* index of the next node to look at */
	unsigned int children; /* not drawn yet */
	bool last;             /* of its parent's */
};

static void
draw_lines(const struct branch *stack, size_t depth, FILE *out)
{
	for (size_t i = 1; i < depth; i++)
		fputs(stack[i].last ? "   " : "\xe2\x94\x82  ", out);
	fputs(stack[depth].last ? "\xe2\x94\x94\xe2\x94\x80 "
				: "\xe2\x94\x9c\xe2\x94\x80 ",
	    out);
}

/* One root and all above it, without recursion: a chain may be long. */
static void
draw_root(const struct tree *tree, struct branch *stack, size_t root, FILE *out)
{
	size_t depth = 0;

	stack[0] = (struct branch){ .node = &tree->nodes[root],
		.children = tree->nodes[root].children };
	draw_node(stack[0].node, out);
	for (;;) {
		struct branch *b = &stack[depth];

		while (
		    b->next < tree->n && tree->nodes[b->next].parent != b->node)
			b->next++;
		if (b->next == tree->n) {
			if (depth-- == 0)
				return;
			continue;
		}
		b->children--;
		depth++;
		stack[depth] = (struct branch){ .node = &tree->nodes[b->next],
			.children = tree->nodes[b->next].children,
			.last = b->children == 0 };
		b->next++;
		draw_lines(stack, depth, out);
		draw_node(stack[depth].node, out);
	}
}

static void
draw_checkpoint(const struct catalogue_line *l, FILE *out)
{
	char when[32] = "";
	time_t at = (time_t)l->frozen_at;
	struct tm tm;

	if (localtime_r(&at, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(out, "checkpoint %s  %s:", l->name, when);
	for (size_t i = 0; i < l->nparts; i++)
		fprintf(out, "%s %s %s", i > 0 ? "," : "", l->parts[i].what,
		    l->parts[i].file);
	fputc('\n', out);
}

void
tree_draw(const struct tree *tree, FILE *out)
{
	struct branch *stack = calloc(tree->n + 2, sizeof(*stack));

	for (size_t i = 0; stack != NULL && i < tree->n; i++)
		if (tree->nodes[i].parent == NULL)
			draw_root(tree, stack, i, out);
	free(stack);
	for (size_t i = 0; i < tree->catalogue.n; i++)
		if (tree->catalogue.lines[i].kind == CATALOGUE_CHECKPOINT)
			draw_checkpoint(&tree->catalogue.lines[i], out);
}
