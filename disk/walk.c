#include "disk/walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/file.h"

#define MAX_CLUSTERS  (UINT64_C(1) << 28)
#define MAX_SNAPSHOTS 65536
#define MAX_BITMAPS   65535

void
check_wrong(struct check *check, const char *format, ...)
{
	va_list args;

	if (check->corruptions++ > 0)
		return;
	va_start(args, format);
	vsnprintf(check->first, sizeof(check->first), format, args);
	va_end(args);
}

static bool
may_share(const struct walk *w, uint64_t cluster, enum owner owner)
{
	bool sole = (w->sole[cluster / 8] >> (cluster % 8) & 1) != 0;

	if (w->counts[cluster] == 0)
		return true;
	switch (owner) {
	case OWNER_SOLE: return false;
	case OWNER_BRANCH: return w->layer->header.snapshots > 0;
	case OWNER_SHARED: return !sole || w->layer->header.snapshots > 0;
	}
	return false;
}

bool
walk_use(struct walk *w, uint64_t offset, uint64_t len, size_t times,
    enum owner owner, const char *what)
{
	uint64_t first = offset / w->cluster, last;
	bool good = true;

	if (len == 0)
		return true;
	last = (offset + len - 1) / w->cluster;
	if (last >= w->n || last < first) {
		check_wrong(w->check,
		    "%s at %" PRIu64 " is past the end of the file", what,
		    offset);
		return false;
	}
	for (uint64_t c = first; c <= last; c++) {
		if (!may_share(w, c, owner)) {
			w->check->overlaps++;
			check_wrong(w->check,
			    "%s at %" PRIu64 " overlaps something else", what,
			    c * w->cluster);
			good = false;
		}
		if (owner != OWNER_SHARED)
			w->sole[c / 8] |= (uint8_t)(1u << (c % 8));
		w->counts[c] = times < (size_t)(UINT16_MAX - w->counts[c])
		    ? (uint16_t)(w->counts[c] + times)
		    : UINT16_MAX;
	}
	return good;
}

/* ---- what the header leads to ---- */

static void
use_rows(struct walk *w, size_t times)
{
	const struct qcow2 *h = &w->layer->header;
	size_t width = h->extended_l2 ? 2 : 1;
	size_t rows = (size_t)1 << qcow2_l2_bits(h);

	for (size_t i = 0; i < rows; i++) {
		uint64_t entry = w->rows[i * width], offset;
		const char *bad = qcow2_bad_l2(h, entry);
		uint32_t len;

		if (bad != NULL) {
			check_wrong(
			    w->check, "L2 entry 0x%" PRIx64 " %s", entry, bad);
		} else if ((entry & QCOW2_COMPRESSED) != 0) {
			qcow2_compressed(h, entry, &offset, &len);
			walk_use(w, offset, len, times, OWNER_SHARED,
			    "compressed data");
			if ((entry & QCOW2_COPIED) != 0)
				check_wrong(w->check,
				    "the compressed cluster at %" PRIu64
				    " is marked as its own",
				    offset);
		} else if ((entry & QCOW2_OFFSET) != 0) {
			walk_use(w, entry & QCOW2_OFFSET, w->cluster, times,
			    OWNER_BRANCH, "data");
		}
	}
}

int
walk_rows(struct walk *w, uint64_t table, struct err *err)
{
	size_t n = (size_t)(w->cluster / 8);
	int error;

	if (file_is_hole(w->layer->fd, table, w->cluster))
		return 1;
	error = file_read(w->layer->fd, w->rows, (size_t)w->cluster, table);
	if (error != 0)
		return err_sys(err, error, NULL,
		    "%s: the L2 table at %" PRIu64 " cannot be read",
		    w->layer->path, table);
	for (size_t i = 0; i < n; i++)
		w->rows[i] = get_be64((uint8_t *)&w->rows[i]);
	return 0;
}

static int
add_table(struct walk *w, uint64_t table, struct err *err)
{
	if (w->ntables == w->room) {
		size_t room = w->room * 2 + 1024;
		uint64_t *more = realloc(w->tables, room * sizeof(*more));

		if (more == NULL)
			return err_set(
			    err, -ENOMEM, "%s: out of memory", w->layer->path);
		w->tables = more;
		w->room = room;
	}
	w->tables[w->ntables++] = table;
	return 0;
}

static int
use_l1(struct walk *w, const uint64_t *l1, uint32_t n, struct err *err)
{
	int error = 0;

	for (uint32_t i = 0; i < n && error == 0; i++) {
		uint64_t table = l1[i] & QCOW2_OFFSET;
		const char *bad = qcow2_bad_l1(&w->layer->header, l1[i]);

		if (bad != NULL) {
			check_wrong(w->check, "L1 entry %u, 0x%" PRIx64 ", %s",
			    i, l1[i], bad);
			continue;
		}
		if (table != 0 &&
		    walk_use(
			w, table, w->cluster, 1, OWNER_BRANCH, "an L2 table"))
			error = add_table(w, table, err);
	}
	return error;
}

static int
compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* What the L2 tables name counts as often as they are named themselves. */
static int
use_tables(struct walk *w, struct err *err)
{
	size_t times;
	int error = 0;

	if (w->ntables > 1)
		qsort(
		    w->tables, w->ntables, sizeof(*w->tables), compare_numbers);
	for (size_t i = 0; i < w->ntables && error >= 0; i += times) {
		for (times = 1; i + times < w->ntables &&
		     w->tables[i + times] == w->tables[i];)
			times++;
		error = walk_rows(w, w->tables[i], err);
		if (error == 0)
			use_rows(w, times);
	}
	return error < 0 ? error : 0;
}

/* One internal snapshot, whose entry is at *at. */
static int
use_snapshot(struct walk *w, uint64_t *at, struct err *err)
{
	uint8_t e[40];
	uint64_t offset, *l1;
	uint32_t n;
	int error = file_read(w->layer->fd, e, sizeof(e), *at);

	if (error != 0)
		return err_sys(err, error, NULL,
		    "%s: internal snapshots cannot be read", w->layer->path);
	offset = get_be64(e);
	n = get_be32(e + 8);
	*at += (40 + (uint64_t)get_be32(e + 36) + get_be16(e + 12) +
		   get_be16(e + 14) + 7) &
	    ~UINT64_C(7);
	if ((uint64_t)n * 8 > QCOW2_MAX_L1_BYTES ||
	    (offset & (w->cluster - 1)) != 0) {
		check_wrong(w->check, "an internal snapshot is damaged");
		return 0;
	}
	if (!walk_use(w, offset, (uint64_t)n * 8, 1, OWNER_SOLE,
		"a snapshot's L1 table") ||
	    file_is_hole(w->layer->fd, offset, (uint64_t)n * 8))
		return 0;
	l1 = malloc((size_t)n * 8 + 8);
	if (l1 == NULL)
		return err_set(
		    err, -ENOMEM, "%s: out of memory", w->layer->path);
	error = file_read(w->layer->fd, l1, (size_t)n * 8, offset);
	for (uint32_t i = 0; i < n; i++)
		l1[i] = get_be64((uint8_t *)&l1[i]);
	if (error != 0)
		err_sys(err, error, NULL,
		    "%s: a snapshot's L1 table cannot be read", w->layer->path);
	else
		error = use_l1(w, l1, n, err);
	free(l1);
	return error;
}

static int
use_snapshots(struct walk *w, struct err *err)
{
	const struct qcow2 *h = &w->layer->header;
	uint64_t at = h->snapshots_offset;
	int error = 0;

	if (h->snapshots > MAX_SNAPSHOTS) {
		check_wrong(w->check, "%u internal snapshots are too many",
		    h->snapshots);
		return 0;
	}
	for (uint32_t i = 0; i < h->snapshots && error == 0; i++)
		error = use_snapshot(w, &at, err);
	walk_use(w, h->snapshots_offset, at - h->snapshots_offset, 1,
	    OWNER_SOLE, "the snapshot table");
	return error;
}

static void
use_bitmap(struct walk *w, const uint8_t *entry)
{
	uint64_t table = get_be64(entry);
	uint32_t n = get_be32(entry + 8);
	uint64_t *rows;

	if (n > 1u << 20 || (table & (w->cluster - 1)) != 0) {
		check_wrong(w->check, "a bitmap is damaged");
		return;
	}
	if (!walk_use(
		w, table, (uint64_t)n * 8, 1, OWNER_SOLE, "a bitmap's table") ||
	    file_is_hole(w->layer->fd, table, (uint64_t)n * 8))
		return;
	rows = malloc((size_t)n * 8 + 8);
	if (rows != NULL &&
	    file_read(w->layer->fd, rows, (size_t)n * 8, table) == 0)
		for (uint32_t i = 0; i < n; i++) {
			uint64_t at =
			    get_be64((uint8_t *)&rows[i]) & QCOW2_OFFSET;

			if (at != 0)
				walk_use(w, at, w->cluster, 1, OWNER_SOLE,
				    "a bitmap");
		}
	free(rows);
}

static void
use_bitmaps(struct walk *w)
{
	const struct qcow2 *h = &w->layer->header;
	uint64_t len = h->bitmaps_bytes, at = 0;
	uint8_t *directory;

	if (len == 0 || (h->autoclear & QCOW2_BITMAPS) == 0)
		return;
	if (len > MAX_BITMAPS * UINT64_C(1100)) {
		check_wrong(w->check, "the directory of bitmaps is damaged");
		return;
	}
	if (!walk_use(w, h->bitmaps_offset, len, 1, OWNER_SOLE,
		"the directory of bitmaps"))
		return;
	directory = malloc((size_t)len);
	if (directory == NULL ||
	    file_read(
		w->layer->fd, directory, (size_t)len, h->bitmaps_offset) != 0)
		at = len;
	while (at + 24 <= len) {
		const uint8_t *e = directory + at;

		use_bitmap(w, e);
		at += (24 + (uint64_t)get_be16(e + 18) + get_be32(e + 20) + 7) &
		    ~UINT64_C(7);
	}
	free(directory);
}

int
walk_contents(struct walk *w, struct err *err)
{
	const struct qcow2 *h = &w->layer->header;
	int error;

	walk_use(w, 0, w->cluster, 1, OWNER_SOLE, "the header");
	walk_use(w, h->l1_offset, (uint64_t)h->l1_entries * 8, 1, OWNER_SOLE,
	    "the L1 table");
	error = use_l1(w, w->layer->l1, h->l1_entries, err);
	if (error == 0)
		error = use_snapshots(w, err);
	if (error == 0)
		error = use_tables(w, err);
	use_bitmaps(w);
	return error;
}

/* ---- opening ---- */

int
walk_open(
    struct walk *w, struct layer *layer, struct check *check, struct err *err)
{
	struct stat st;

	memset(w, 0, sizeof(*w));
	memset(check, 0, sizeof(*check));
	w->layer = layer;
	w->check = check;
	w->cluster = qcow2_cluster_bytes(&layer->header);
	if (fstat(layer->fd, &st) < 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be examined", layer->path);
	w->n = ((uint64_t)st.st_size + w->cluster - 1) / w->cluster;
	check->clusters = w->n;
	if (w->n > MAX_CLUSTERS)
		return err_set(err, -EFBIG,
		    "%s: %" PRIu64 " clusters are too many to check; at most "
		    "2^28",
		    layer->path, w->n);
	w->counts = calloc((size_t)w->n + 1, sizeof(*w->counts));
	w->sole = calloc((size_t)w->n / 8 + 1, 1);
	w->rows = malloc((size_t)w->cluster);
	if (w->counts == NULL || w->sole == NULL || w->rows == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", layer->path);
	return 0;
}

void
walk_close(struct walk *w)
{
	free(w->counts);
	free(w->sole);
	free(w->rows);
	free(w->tables);
}
