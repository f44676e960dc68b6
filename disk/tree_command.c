/*
 * The commands on trees of images.
 *
 * What takes long tells a terminal how far it is, and stops at a safe point when
 * it is interrupted.
 */
#include "disk/command_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk/live.h"
#include "disk/tree.h"

/* ---- progress ---- */

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

struct meter {
	bool terminal;
	time_t last;
};

static bool
show_step(void *arg, const char *what, uint64_t done, uint64_t all)
{
	struct meter *meter = arg;
	time_t now = time(NULL);

	if (meter->terminal && (now != meter->last || done == all)) {
		meter->last = now;
		fprintf(stderr, "\r%3.0f %% %s\033[K%s",
		    all > 0 ? 100.0 * (double)done / (double)all : 100.0, what,
		    done == all ? "\n" : "");
	}
	return !interrupted;
}

static struct tree_progress
start_progress(struct meter *meter)
{
	struct sigaction action = { .sa_handler = on_interrupt };

	meter->terminal = isatty(STDERR_FILENO) == 1;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return (struct tree_progress){ show_step, meter };
}

/* ---- the commands ---- */

/* A directory's path with its slash, or an image's as it is. */
static const char *
tree_argument(const struct request *r, char *path, size_t len)
{
	const char *arg = r->n > 0 ? r->args[0] : ".";
	struct stat st;
	bool directory = stat(arg, &st) == 0 && S_ISDIR(st.st_mode);
	size_t n = strlen(arg);

	snprintf(path, len, "%s%s", arg,
	    directory && (n == 0 || arg[n - 1] != '/') ? "/" : "");
	return path;
}

static void
print_tree_json(const struct tree *tree)
{
	printf("[");
	for (size_t i = 0; i < tree->n; i++) {
		const struct tree_node *node = &tree->nodes[i];

		printf("%s{\"file\": ", i > 0 ? ",\n" : "");
		command_put_json(node->file);
		if (node->backing != NULL) {
			printf(", \"backing\": ");
			command_put_json(node->backing);
		}
		printf(", \"size\": %" PRIu64 ", \"file_bytes\": %" PRIu64
		       ", \"children\": %u, \"frozen\": %s, \"hidden\": %s, "
		       "\"changed\": %s",
		    node->size, node->file_bytes, node->children,
		    node->frozen ? "true" : "false",
		    node->hidden ? "true" : "false",
		    node->changed ? "true" : "false");
		if (node->checkpoint != NULL) {
			printf(", \"checkpoint\": ");
			command_put_json(node->checkpoint);
		}
		printf("}");
	}
	printf("]\n");
}

int
tree_command_draw(struct request *r)
{
	char path[4096];
	struct tree tree;
	int code =
	    tree_open(&tree, tree_argument(r, path, sizeof(path)), &r->err);

	if (code == 0)
		code = tree_scan(&tree, &r->err);
	if (code == 0 && r->json)
		print_tree_json(&tree);
	else if (code == 0)
		tree_draw(&tree, stdout);
	tree_close(&tree);
	return code == 0 ? DONE : FAILED;
}

/* Starts "disk compact --idle" on the directory of path, if anything is hidden
 * there.  What it does not get done others will, so failing is no harm. */
static void
compact_later(const char *path)
{
	char program[] = "lanyard", disk[] = "disk", verb[] = "compact",
	     idle[] = "--idle";
	char *argv[] = { program, disk, verb, idle, (char *)(uintptr_t)path,
		NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	struct tree tree;
	bool hidden = false;
	pid_t child;

	if (tree_open(&tree, path, NULL) == 0)
		for (size_t i = 0; i < tree.catalogue.n; i++)
			hidden |=
			    tree.catalogue.lines[i].kind == CATALOGUE_HIDDEN;
	tree_close(&tree);
	if (!hidden || posix_spawn_file_actions_init(&files) != 0)
		return;
	if (posix_spawnattr_init(&attributes) == 0) {
		posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
		for (int fd = 0; fd <= 2; fd++)
			posix_spawn_file_actions_addopen(
			    &files, fd, "/dev/null", O_RDWR, 0);
		posix_spawn(&child, "/proc/self/exe", &files, &attributes, argv,
		    environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&files);
}

int
tree_command_snapshot(struct request *r)
{
	const char *const *disks = (const char *const *)(void *)(r->args + 1);
	int code = -ECONNREFUSED;

	if (r->n == 2)
		code = live_ask_snapshot(r->args[1], r->args[0], &r->err);
	if (code == -ECONNREFUSED)
		code = tree_snapshot(
		    disks, (size_t)r->n - 1, r->args[0], NULL, &r->err);
	return code == 0 ? DONE : FAILED;
}

int
tree_command_rollback(struct request *r)
{
	const char *const *disks = (const char *const *)(void *)(r->args + 1);

	if (tree_rollback(disks, (size_t)r->n - 1, r->args[0], &r->err) != 0)
		return FAILED;
	compact_later(disks[0]);
	return DONE;
}

int
tree_command_commit(struct request *r)
{
	struct meter meter = { 0 };
	struct tree_progress progress = start_progress(&meter);
	enum tree_commit_way way = TREE_COMMIT;

	if (r->keep && r->relabel) {
		err_set(&r->err, -EINVAL,
		    "--keep-siblings and --relabel are two ways; choose one");
		return FAILED;
	}
	if (r->keep)
		way = TREE_KEEP_SIBLINGS;
	if (r->relabel)
		way = TREE_RELABEL;
	if (tree_commit_disk(r->args[0], way, &progress, &r->err) != 0)
		return FAILED;
	compact_later(r->args[0]);
	return DONE;
}

int
tree_command_compact(struct request *r)
{
	struct meter meter = { 0 };
	struct tree_progress progress = start_progress(&meter);
	char path[4096];
	unsigned int merged;
	int code;

	if (r->idle)
		(void)!nice(19);
	code = tree_compact(tree_argument(r, path, sizeof(path)), r->idle,
	    &progress, &merged, &r->err);
	if (code == -EINTR && r->idle)
		err_clear(&r->err);
	else if (code != 0)
		return FAILED;
	if (code == 0)
		printf("%u hidden image%s merged\n", merged,
		    merged == 1 ? "" : "s");
	return DONE;
}

int
tree_command_clone(struct request *r)
{
	struct meter meter = { 0 };
	struct tree_progress progress;
	int code;

	if (r->full == r->linked) {
		err_set(&r->err, -EINVAL, "say --linked or --full");
		return FAILED;
	}
	if (r->linked) {
		code = tree_clone_linked(r->args[0], r->args[1], &r->err);
	} else {
		progress = start_progress(&meter);
		code =
		    tree_clone_full(r->args[0], r->args[1], &progress, &r->err);
	}
	return code == 0 ? DONE : FAILED;
}

struct differences {
	bool json;
	uint64_t n, bytes;
};

static void
print_difference(void *arg, uint64_t offset, uint64_t len)
{
	struct differences *d = arg;

	if (d->json)
		printf("%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64 "}",
		    d->n > 0 ? ",\n" : "", offset, len);
	else
		printf("%16" PRIu64 " %16" PRIu64 "\n", offset, len);
	d->n++;
	d->bytes += len;
}

int
tree_command_diff(struct request *r)
{
	struct differences d = { .json = r->json };
	struct meter meter = { 0 };
	struct tree_progress progress = start_progress(&meter);
	int code;

	if (r->json)
		printf("[");
	code = tree_diff(
	    r->args[0], r->args[1], print_difference, &d, &progress, &r->err);
	if (r->json)
		printf("]\n");
	else if (code == 0)
		printf("%" PRIu64 " bytes differ\n", d.bytes);
	if (code != 0)
		return FAILED;
	return d.n > 0 ? FOUND : DONE;
}
