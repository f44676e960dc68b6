#include "lab/leases.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "lab/leases_text.h"

#define WRITE_NS  NS_PER_S
#define MAX_BYTES ((size_t)64 << 20)

struct file {
	const struct lab_router *of;
	struct router *router;
	char *path, *beside; /* where it is written first */
	uint64_t changes;    /* that are in the file */
};

struct leases {
	struct loop *loop;
	const struct fabric *fabric;
	struct arena *arena;
	struct loop_timer timer;
	unsigned int nfiles;
	struct file *files;
};

/* ---- writing ---- */

static void
add_saved(void *arg, const struct lease_saved *saved)
{
	json_array_append_new(arg, leases_json(saved));
}

static int
write_text(const struct file *file, const char *text, struct err *err)
{
	FILE *out = fopen(file->beside, "w");
	bool written;

	if (out == NULL)
		return err_sys(err, -errno,
		    "make its directory writable, or leave \"leases\" out",
		    "%s: cannot be written", file->beside);
	written = fputs(text, out) >= 0 && fputc('\n', out) != EOF &&
	    fflush(out) == 0 && fsync(fileno(out)) == 0;
	if (fclose(out) != 0 || !written ||
	    rename(file->beside, file->path) < 0) {
		int e = -errno;

		unlink(file->beside);
		return err_sys(err, e, "make room on its disk",
		    "%s: cannot be written", file->path);
	}
	return 0;
}

static int
write_file(struct leases *leases, struct file *file, struct err *err)
{
	uint64_t changes = router_lease_changes(file->router);
	json_t *list = json_array();
	json_t *all;
	char *text;
	int e;

	if (changes == file->changes) {
		json_decref(list);
		return 0;
	}
	router_save_leases(file->router, add_saved, list);
	all = json_pack("{s:s, s:I, s:o}", "router", file->of->item.name,
	    "saved", (json_int_t)(loop_wall_ns(leases->loop) / NS_PER_S),
	    "leases", list);
	text = all != NULL ? json_dumps(all, JSON_INDENT(1)) : NULL;
	json_decref(all);
	if (text == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	e = write_text(file, text, err);
	free(text);
	if (e == 0)
		file->changes = changes;
	return e;
}

static void
write_all(void *arg)
{
	struct leases *leases = arg;

	for (unsigned int i = 0; i < leases->nfiles; i++) {
		struct err err = { "" };

		if (write_file(leases, &leases->files[i], &err) < 0)
			log_warn("%s", err.text);
	}
	loop_timer_set(&leases->timer, loop_now_ns(leases->loop) + WRITE_NS);
}

/* ---- reading ---- */

struct restoring {
	const struct fabric *fabric;
	struct router *router;
	unsigned int left_out;
};

static void
restore(void *arg, const char *port, const struct lease_saved *saved)
{
	struct restoring *r = arg;
	struct lease_saved of_port = *saved;

	of_port.port = fabric_port(r->fabric, port);
	if (of_port.port == NULL ||
	    router_restore_lease(r->router, &of_port) < 0)
		r->left_out++;
}

/* The whole file, or NULL with *err.  *len is 0 when there is none. */
static char *
read_text(const struct file *file, size_t *len, struct err *err)
{
	FILE *in = fopen(file->path, "r");
	char *text = NULL;
	long bytes = -1;

	*len = 0;
	if (in == NULL && errno == ENOENT)
		return NULL;
	if (in == NULL || fseek(in, 0, SEEK_END) < 0 ||
	    (bytes = ftell(in)) < 0 || fseek(in, 0, SEEK_SET) < 0) {
		err_sys(err, -errno, "use a file that can be read",
		    "%s: cannot be read", file->path);
	} else if ((size_t)bytes > MAX_BYTES ||
	    (text = malloc((size_t)bytes + 1)) == NULL) {
		err_set(err, -EFBIG,
		    "%s: is too big (%ld bytes) to be leases; remove it, or "
		    "name another file",
		    file->path, bytes);
	} else {
		*len = fread(text, 1, (size_t)bytes, in);
	}
	if (in != NULL)
		fclose(in);
	return text;
}

static int
read_file(const struct leases *leases, struct file *file, struct err *err)
{
	struct restoring r = { leases->fabric, file->router, 0 };
	struct err why = { "" };
	size_t len;
	char *text = read_text(file, &len, &why);
	int e;

	if (text == NULL)
		return why.text[0] == '\0' ? 0
					   : err_set(err, -EIO, "%s", why.text);
	e = leases_parse(text, len, loop_wall_ns(leases->loop), restore, &r);
	free(text);
	if (e < 0)
		return err_set(err, e,
		    "%s: is not a file of leases; remove it, or name another",
		    file->path);
	if (r.left_out > 0)
		log_warn("%s: %u leases do not fit the lab and are left out",
		    file->path, r.left_out);
	return 0;
}

/* ---- up and down ---- */

static int
add_file(struct leases *leases, unsigned int i, struct err *err)
{
	const struct lab *lab = leases->fabric->lab;
	struct file *file = &leases->files[leases->nfiles];

	file->of = &lab->routers[i];
	if (file->of->leases == NULL)
		return 0;
	file->router = leases->fabric->routers[i];
	file->path = lab_path(leases->arena, lab, file->of->leases);
	if (file->path != NULL)
		file->beside =
		    arena_printf(leases->arena, "%s.new", file->path);
	if (file->path == NULL || file->beside == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	file->changes = router_lease_changes(file->router);
	leases->nfiles++;
	return read_file(leases, file, err);
}

struct leases *
leases_new(struct loop *loop, const struct fabric *fabric, struct err *err)
{
	const struct lab *lab = fabric->lab;
	struct leases *leases = calloc(1, sizeof(*leases));
	int e = 0;

	if (leases == NULL)
		goto fail;
	leases->loop = loop;
	leases->fabric = fabric;
	loop_timer_init(&leases->timer, loop, write_all, leases);
	leases->arena = arena_new();
	if (leases->arena == NULL)
		goto fail;
	leases->files = arena_array(
	    leases->arena, lab->nrouters + 1, sizeof(leases->files[0]));
	if (leases->files == NULL)
		goto fail;
	for (unsigned int i = 0; i < lab->nrouters && e == 0; i++)
		e = add_file(leases, i, err);
	if (e < 0)
		goto fail;
	/* A virtual loop ends when no timer is left. */
	if (leases->nfiles > 0 && loop_clock(loop) == LOOP_REAL)
		loop_timer_set(&leases->timer, loop_now_ns(loop) + WRITE_NS);
	return leases;
fail:
	err_set(err, -ENOMEM, "out of memory");
	if (leases != NULL)
		leases->nfiles = 0;
	leases_free(leases, NULL);
	return NULL;
}

int
leases_free(struct leases *leases, struct err *err)
{
	int e = 0;

	if (leases == NULL)
		return 0;
	for (unsigned int i = 0; i < leases->nfiles; i++) {
		int one = write_file(leases, &leases->files[i], err);

		e = one < 0 ? one : e;
	}
	loop_timer_unset(&leases->timer);
	arena_free(leases->arena);
	free(leases);
	return e;
}
