/*
 * The commands on disks, in one table; those on images, of which one is enough.
 */
#include "disk/disk_command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/check.h"
#include "disk/command_parts.h"
#include "disk/disk.h"
#include "disk/nbd.h"
#include "disk/tree.h"

struct verb {
	const char *name, *arguments, *summary;
	int min, max;        /* arguments; max -1: any number */
	const char *options; /* of those below, the letters */
	int (*run)(struct request *r);
};

/* Letters stand for long options only. */
static const struct {
	struct option option;
	const char *argument, *help;
} all_options[] = {
	{ { "backing", required_argument, NULL, 'b' }, "FILE",
	    "stands on this image" },
	{ { "cluster", required_argument, NULL, 'c' }, "SIZE",
	    "4K to 2M (64K)" },
	{ { "connections", required_argument, NULL, 'n' }, "N",
	    "clients at a time (16)" },
	{ { "export", required_argument, NULL, 'e' }, "NAME",
	    "the only name that clients may use" },
	{ { "full", no_argument, NULL, 'f' }, NULL,
	    "a copy that stands alone" },
	{ { "idle", no_argument, NULL, 'i' }, NULL,
	    "only as long as nobody else changes the tree" },
	{ { "json", no_argument, NULL, 'j' }, NULL, "as JSON" },
	{ { "keep-siblings", no_argument, NULL, 'k' }, NULL,
	    "first copies to others what they would lose" },
	{ { "linked", no_argument, NULL, 'l' }, NULL,
	    "an empty image that stands on the source, which is frozen" },
	{ { "outside", no_argument, NULL, 'o' }, NULL,
	    "follows backing files outside the image's directory" },
	{ { "raw", no_argument, NULL, 'w' }, NULL, "a raw image" },
	{ { "read-only", no_argument, NULL, 'r' }, NULL,
	    "clients cannot write" },
	{ { "relabel", no_argument, NULL, 'x' }, NULL,
	    "copies nothing: names change hands" },
	{ { "share", no_argument, NULL, 'u' }, NULL,
	    "although another program may be writing to it" },
	{ { "socket", required_argument, NULL, 's' }, "PATH",
	    "where to listen" },
	{ { "threads", required_argument, NULL, 't' }, "N",
	    "reads that wait for the device at a time (16)" },
};
#define NOPTIONS (sizeof(all_options) / sizeof(all_options[0]))

static bool
read_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*size = strtoull(text, &end, 10);
	if (errno != 0)
		return false;
	if (*end == '\0')
		return true;
	unit = strchr(units, *end);
	if (unit == NULL || end[1] != '\0' ||
	    *size > UINT64_MAX >> ((unit - units + 1) * 10))
		return false;
	*size <<= (unit - units + 1) * 10;
	return true;
}

/* ---- JSON ---- */

void
command_put_json(const char *text)
{
	putchar('"');
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0';
	     p++) {
		if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < ' ')
			printf("\\u%04x", *p);
		else
			putchar(*p);
	}
	putchar('"');
}

/* ---- the commands ---- */

static int
run_create(struct request *r)
{
	struct disk_options options = {
		.raw = r->raw, .backing = r->backing, .backing_format = "qcow2"
	};
	struct disk_set *set;
	struct disk *disk;
	struct disk_info info;
	char path[4096];
	const char *slash = strrchr(r->args[0], '/');
	int code = 0;

	if (r->n > 1 && !read_size(r->args[1], &options.size)) {
		err_set(&r->err, -EINVAL,
		    "\"%s\" is no size; use a number with K, M, G or T",
		    r->args[1]);
		return FAILED;
	}
	if (r->raw && r->backing != NULL) {
		err_set(&r->err, -EINVAL,
		    "a raw image stands on no other; leave out --raw");
		return FAILED;
	}
	while (r->cluster > UINT64_C(1) << options.cluster_bits)
		options.cluster_bits++;
	if (r->cluster != 0 &&
	    (r->cluster != UINT64_C(1) << options.cluster_bits ||
		options.cluster_bits < 12 || options.cluster_bits > 21)) {
		err_set(&r->err, -EINVAL,
		    "%" PRIu64 " is no size for clusters; use a power of two "
		    "from 4K to 2M",
		    r->cluster);
		return FAILED;
	}
	if (r->backing != NULL) {
		/* Names count from the new image's directory. */
		snprintf(path, sizeof(path), "%.*s%s",
		    r->backing[0] == '/' || slash == NULL
			? 0
			: (int)(slash - r->args[0] + 1),
		    r->args[0], r->backing);
		set = disk_set_new();
		disk = disk_open(
		    set, path, DISK_OUTSIDE | DISK_NO_LOCK, &code, &r->err);
		if (disk != NULL) {
			disk_info(disk, &info);
			if (info.cluster_bits == 0)
				options.backing_format = "raw";
			if (options.size == 0)
				options.size = info.size;
			disk_close(disk, NULL);
		}
		disk_set_free(set);
	}
	if (code == 0)
		code = disk_create(r->args[0], &options, &r->err);
	return code == 0 ? DONE : FAILED;
}

static struct disk *
open_to_read(struct request *r, struct disk_set *set, const char *path)
{
	unsigned int flags = DISK_OUTSIDE | (r->share ? DISK_NO_LOCK : 0);
	int code;

	return disk_open(set, path, flags, &code, &r->err);
}

static int
run_info(struct request *r)
{
	struct disk_set *set = disk_set_new();
	struct disk *disk = open_to_read(r, set, r->args[0]);
	struct disk_info info;

	if (disk == NULL) {
		disk_set_free(set);
		return FAILED;
	}
	disk_info(disk, &info);
	if (r->json) {
		printf("{\"file\": ");
		command_put_json(info.path);
		printf(", \"format\": \"%s\", \"size\": %" PRIu64
		       ", \"file_bytes\": %" PRIu64 ", \"cluster\": %u, "
		       "\"depth\": %u",
		    info.cluster_bits != 0 ? "qcow2" : "raw", info.size,
		    info.file_bytes,
		    info.cluster_bits != 0 ? 1u << info.cluster_bits : 0,
		    info.depth);
		if (info.backing[0] != '\0') {
			printf(", \"backing\": ");
			command_put_json(info.backing);
		}
		printf("}\n");
	} else {
		printf("file      %s\nformat    %s\nsize      %" PRIu64
		       " bytes\noccupies  %" PRIu64 " bytes\n",
		    info.path, info.cluster_bits != 0 ? "qcow2" : "raw",
		    info.size, info.file_bytes);
		if (info.cluster_bits != 0)
			printf("clusters  %u bytes\n", 1u << info.cluster_bits);
		if (info.backing[0] != '\0')
			printf("stands on %s, %u below it in all\n",
			    info.backing, info.depth);
	}
	disk_close(disk, NULL);
	disk_set_free(set);
	return DONE;
}

static int
run_map(struct request *r)
{
	struct disk_set *set = disk_set_new();
	struct disk *disk = open_to_read(r, set, r->args[0]);
	struct disk_extent x;
	uint64_t size = disk != NULL ? disk_size(disk) : 0;
	int code = disk != NULL ? 0 : -1;

	if (r->json && code == 0)
		printf("[");
	else if (code == 0)
		printf(
		    "%16s %16s %6s  %s\n", "offset", "length", "depth", "what");
	for (uint64_t at = 0; at < size && code == 0; at += x.len) {
		const char *what;

		code = disk_extent(disk, at, size - at, &x, &r->err);
		if (code != 0)
			break;
		what = !x.present  ? "hole"
		    : !x.data      ? "zeros"
		    : x.compressed ? "compressed"
				   : "data";
		if (r->json)
			printf("%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64
			       ", \"depth\": %u, \"present\": %s, \"zero\": "
			       "%s, \"data\": %s, \"compressed\": %s",
			    at > 0 ? ",\n" : "", at, x.len, x.depth,
			    x.present ? "true" : "false",
			    x.data ? "false" : "true",
			    x.data ? "true" : "false",
			    x.compressed ? "true" : "false");
		else
			printf("%16" PRIu64 " %16" PRIu64 " %6u  %s\n", at,
			    x.len, x.depth, what);
		if (r->json && x.data && !x.compressed)
			printf(", \"offset\": %" PRIu64, x.host_offset);
		if (r->json)
			printf("}");
	}
	if (r->json && disk != NULL)
		printf("]\n");
	disk_close(disk, NULL);
	disk_set_free(set);
	return code == 0 ? DONE : FAILED;
}

static int
check_or_repair(struct request *r, bool repair)
{
	int worst = DONE;

	for (int i = 0; i < r->n; i++) {
		struct check check;
		int code = repair
		    ? tree_repair(r->args[i], &check, &r->err)
		    : disk_check(r->args[i], false, &check, &r->err);

		if (code != 0)
			return FAILED;
		printf("%s: %" PRIu64 " of %" PRIu64 " clusters used, %" PRIu64
		       " corruptions, %" PRIu64 " leaks",
		    r->args[i], check.used, check.clusters, check.corruptions,
		    check.leaks);
		if (repair)
			printf(", %" PRIu64 " repaired", check.repaired);
		if (check.first[0] != '\0')
			printf("; the first: %s", check.first);
		printf("\n");
		if (check.corruptions > 0 || check.leaks > 0)
			worst = FOUND;
	}
	return worst;
}

static int
run_check(struct request *r)
{
	return check_or_repair(r, false);
}

static int
run_repair(struct request *r)
{
	return check_or_repair(r, true);
}

static int
run_resize(struct request *r)
{
	struct disk_set *set = disk_set_new();
	struct disk *disk;
	uint64_t size;
	int code = -EINVAL, closed;

	if (!read_size(r->args[1], &size)) {
		err_set(&r->err, -EINVAL,
		    "\"%s\" is no size; use a number with K, M, G or T",
		    r->args[1]);
		disk_set_free(set);
		return FAILED;
	}
	disk = disk_open(
	    set, r->args[0], DISK_WRITE | DISK_OUTSIDE, &code, &r->err);
	if (disk != NULL) {
		code = disk_resize(disk, size, &r->err);
		closed = disk_close(disk, &r->err);
		code = code != 0 ? code : closed;
	}
	disk_set_free(set);
	return code == 0 ? DONE : FAILED;
}

static int
run_serve(struct request *r)
{
	struct nbd_options options = { .socket = r->socket,
		.export = r->export,
		.read_only = r->read_only,
		.threads = (unsigned int)r->threads,
		.connections = (unsigned int)r->connections };
	struct disk_set *set;
	struct disk *disk;
	int code, closed;

	if (r->socket == NULL) {
		err_set(&r->err, -EINVAL, "say where to listen: --socket PATH");
		return FAILED;
	}
	if (r->threads > 64 || r->connections > NBD_MAX_CONNECTIONS) {
		err_set(&r->err, -EINVAL, "at most 64 %s",
		    r->threads > 64 ? "threads" : "connections");
		return FAILED;
	}
	set = disk_set_new();
	disk = disk_open(set, r->args[0],
	    (r->read_only ? 0 : DISK_WRITE) | (r->outside ? DISK_OUTSIDE : 0) |
		(r->raw ? DISK_RAW : 0),
	    &code, &r->err);
	if (disk != NULL) {
		code = nbd_serve(disk, &options, stdout, &r->err);
		closed = disk_close(disk, &r->err);
		code = code != 0 ? code : closed;
	}
	disk_set_free(set);
	return code == 0 ? DONE : FAILED;
}

static const struct verb verbs[] = {
	{ "create", "FILE [SIZE]", "makes an empty disk", 1, 2, "bcw",
	    run_create },
	{ "info", "FILE", "what an image is", 1, 1, "ju", run_info },
	{ "tree", "[DIRECTORY]", "draws what stands on what", 0, 1, "j",
	    tree_command_draw },
	{ "snapshot", "NAME DISK...", "freezes disks as they are now", 2, -1,
	    "", tree_command_snapshot },
	{ "rollback", "NAME DISK...", "goes back to a snapshot", 2, -1, "",
	    tree_command_rollback },
	{ "commit", "DISK", "writes a disk into what it stands on", 1, 1, "kx",
	    tree_command_commit },
	{ "compact", "[DIRECTORY]", "merges images that --relabel hid", 0, 1,
	    "i", tree_command_compact },
	{ "clone", "SOURCE NEW", "makes a disk from another", 2, 2, "fl",
	    tree_command_clone },
	{ "diff", "A B", "lists where two disks differ", 2, 2, "j",
	    tree_command_diff },
	{ "map", "FILE", "lists which image has what", 1, 1, "ju", run_map },
	{ "check", "FILE...", "looks for damage", 1, -1, "", run_check },
	{ "repair", "FILE...", "counts clusters anew", 1, -1, "", run_repair },
	{ "resize", "FILE SIZE", "makes a disk larger", 2, 2, "", run_resize },
	{ "serve", "FILE", "serves a disk by NBD", 1, 1, "enrostw", run_serve },
};
#define NVERBS (sizeof(verbs) / sizeof(verbs[0]))

/* ---- the command line ---- */

static void
help_all(FILE *out)
{
	fprintf(out,
	    "usage: lanyard disk COMMAND ...\n\n"
	    "Differential disks: qcow2 and raw images, each on top of another."
	    "\n\n");
	for (size_t i = 0; i < NVERBS; i++)
		fprintf(out, "  %-8s %-14s %s\n", verbs[i].name,
		    verbs[i].arguments, verbs[i].summary);
	fprintf(out, "\nlanyard disk COMMAND --help says more.\n");
}

static void
help_verb(const struct verb *verb)
{
	printf("usage: lanyard disk %s [OPTION]... %s\n\n%c%s.\n\n", verb->name,
	    verb->arguments, verb->summary[0] - 'a' + 'A', verb->summary + 1);
	for (size_t i = 0; i < NOPTIONS; i++) {
		char left[40];

		if (strchr(verb->options, all_options[i].option.val) == NULL)
			continue;
		snprintf(left, sizeof(left), "--%s %s",
		    all_options[i].option.name,
		    all_options[i].argument != NULL ? all_options[i].argument
						    : "");
		printf("  %-18s %s\n", left, all_options[i].help);
	}
	printf("  %-18s %s\n", "--help", "this");
}

/* 0, or FAILED; -1: help was asked for. */
static int
take_option(struct request *r, int letter)
{
	switch (letter) {
	case 'b': r->backing = optarg; return 0;
	case 'c':
		if (read_size(optarg, &r->cluster) && r->cluster > 0)
			return 0;
		break;
	case 'e': r->export = optarg; return 0;
	case 'f': r->full = true; return 0;
	case 'i': r->idle = true; return 0;
	case 'j': r->json = true; return 0;
	case 'k': r->keep = true; return 0;
	case 'l': r->linked = true; return 0;
	case 'o': r->outside = true; return 0;
	case 'w': r->raw = true; return 0;
	case 'r': r->read_only = true; return 0;
	case 'x': r->relabel = true; return 0;
	case 'u': r->share = true; return 0;
	case 's': r->socket = optarg; return 0;
	case 'n':
		if (read_size(optarg, &r->connections) && r->connections > 0)
			return 0;
		break;
	case 't':
		if (read_size(optarg, &r->threads) && r->threads > 0)
			return 0;
		break;
	case 'h': return -1;
	default:
		err_set(
		    &r->err, -EINVAL, "see lanyard disk %s --help", r->args[0]);
		return FAILED;
	}
	err_set(&r->err, -EINVAL, "\"%s\" is no number", optarg);
	return FAILED;
}

static int
read_options(const struct verb *verb, int argc, char **argv, struct request *r)
{
	struct option options[NOPTIONS + 2] = { 0 };
	int n = 0, letter, result = 0;

	for (size_t i = 0; i < NOPTIONS; i++)
		if (strchr(verb->options, all_options[i].option.val) != NULL)
			options[n++] = all_options[i].option;
	options[n] = (struct option){ "help", no_argument, NULL, 'h' };
	r->args = argv;
	optind = 0;
	while (result == 0 &&
	    (letter = getopt_long(argc, argv, "h", options, NULL)) != -1)
		result = take_option(r, letter);
	r->args = argv + optind;
	r->n = argc - optind;
	if (result == 0 &&
	    (r->n < verb->min || (verb->max >= 0 && r->n > verb->max))) {
		err_set(&r->err, -EINVAL,
		    "too %s arguments; usage: lanyard disk %s %s",
		    r->n < verb->min ? "few" : "many", verb->name,
		    verb->arguments);
		result = FAILED;
	}
	return result;
}

int
disk_command(int argc, char **argv)
{
	const struct verb *verb = NULL;
	struct request r = { 0 };
	int result;

	if (argc < 2) {
		help_all(stderr);
		return FAILED;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help_all(stdout);
		return DONE;
	}
	for (size_t i = 0; i < NVERBS; i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			verb = &verbs[i];
	if (verb == NULL) {
		fprintf(stderr,
		    "lanyard: disk has no command \"%.60s\"; \"lanyard disk "
		    "--help\" lists them\n",
		    argv[1]);
		return FAILED;
	}
	result = read_options(verb, argc - 1, argv + 1, &r);
	if (result < 0) {
		help_verb(verb);
		return DONE;
	}
	if (result == 0)
		result = verb->run(&r);
	if (r.err.text[0] != '\0')
		fprintf(stderr, "lanyard: %s\n", r.err.text);
	return result;
}
