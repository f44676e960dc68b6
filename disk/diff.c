/*
 * What differs between two disks.
 *
 * Both are opened in one set, so that what they have in common is one layer with
 * one address: there nothing needs to be read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/node.h"
#include "disk/tree.h"

#define COMPARE_BYTES (1u << 20)
#define BLOCK         4096 /* differences are told in these */

struct compare {
	struct disk *a, *b;
	uint8_t *in_a, *in_b;
	uint64_t start, end; /* a difference that is not told yet */
	void (*each)(void *arg, uint64_t offset, uint64_t len);
	void *arg;
};

static void
differs(struct compare *c, uint64_t offset, uint64_t len)
{
	if (c->end == offset && c->end > c->start) {
		c->end += len;
		return;
	}
	if (c->end > c->start)
		c->each(c->arg, c->start, c->end - c->start);
	c->start = offset;
	c->end = offset + len;
}

static bool
same_place(const struct compare *c, const struct disk_extent *x,
    const struct disk_extent *y)
{
	const struct layer *in_x, *in_y;

	if (!x->data && !y->data)
		return true;
	if (!x->data || !y->data || x->compressed != y->compressed)
		return false;
	in_x = c->a->layers[c->a->top->number - x->depth];
	in_y = c->b->layers[c->b->top->number - y->depth];
	return in_x == in_y && x->host_offset == y->host_offset;
}

static int
compare_bytes(struct compare *c, uint64_t offset, uint64_t len, struct err *err)
{
	while (len > 0) {
		size_t n = len < COMPARE_BYTES ? (size_t)len : COMPARE_BYTES;
		int error = disk_read(c->a, c->in_a, n, offset, err);

		if (error == 0)
			error = disk_read(c->b, c->in_b, n, offset, err);
		if (error != 0)
			return error;
		for (size_t at = 0; at < n; at += BLOCK) {
			size_t bytes = n - at < BLOCK ? n - at : BLOCK;

			if (memcmp(c->in_a + at, c->in_b + at, bytes) != 0)
				differs(c, offset + at, bytes);
		}
		offset += n;
		len -= n;
	}
	return 0;
}

static int
compare_common(struct compare *c, uint64_t size,
    const struct tree_progress *progress, struct err *err)
{
	for (uint64_t at = 0; at < size;) {
		struct disk_extent x, y;
		int error = disk_extent(c->a, at, size - at, &x, err);

		if (error == 0)
			error = disk_extent(c->b, at, x.len, &y, err);
		if (error == 0 && !same_place(c, &x, &y))
			error = compare_bytes(c, at, y.len, err);
		if (error == 0 && progress != NULL &&
		    !progress->step(progress->arg, "compared", at, size))
			error = err_set(err, -EINTR, "interrupted");
		if (error != 0)
			return error;
		at += y.len;
	}
	return 0;
}

/* What the longer one has beyond the other, as zeros would be there. */
static int
compare_rest(struct compare *c, uint64_t from, struct err *err)
{
	struct disk *longer = disk_size(c->a) > disk_size(c->b) ? c->a : c->b;
	uint64_t size = disk_size(longer);

	memset(c->in_b, 0, COMPARE_BYTES);
	for (uint64_t at = from; at < size;) {
		struct disk_extent x;
		int error = disk_extent(longer, at, size - at, &x, err);

		if (error == 0 && x.len > COMPARE_BYTES && x.data)
			x.len = COMPARE_BYTES;
		if (error == 0 && x.data)
			error =
			    disk_read(longer, c->in_a, (size_t)x.len, at, err);
		if (error != 0)
			return error;
		if (x.data && memcmp(c->in_a, c->in_b, (size_t)x.len) != 0)
			differs(c, at, x.len);
		at += x.len;
	}
	return 0;
}

int
tree_diff(const char *a, const char *b,
    void (*each)(void *arg, uint64_t offset, uint64_t len), void *arg,
    const struct tree_progress *progress, struct err *err)
{
	struct compare c = { .each = each, .arg = arg };
	struct disk_set *set = disk_set_new();
	uint64_t size = 0;
	int error = 0;

	c.in_a = malloc(COMPARE_BYTES);
	c.in_b = malloc(COMPARE_BYTES);
	if (set == NULL || c.in_a == NULL || c.in_b == NULL)
		error = err_set(err, -ENOMEM, "%s: out of memory", a);
	if (error == 0)
		c.a = disk_open(set, a, DISK_OUTSIDE, &error, err);
	if (error == 0)
		c.b = disk_open(set, b, DISK_OUTSIDE, &error, err);
	if (error == 0) {
		size = disk_size(c.a) < disk_size(c.b) ? disk_size(c.a)
						       : disk_size(c.b);
		error = compare_common(&c, size, progress, err);
	}
	if (error == 0)
		error = compare_rest(&c, size, err);
	if (error == 0 && c.end > c.start)
		each(arg, c.start, c.end - c.start);
	disk_close(c.a, NULL);
	disk_close(c.b, NULL);
	free(c.in_a);
	free(c.in_b);
	disk_set_free(set);
	return error;
}
