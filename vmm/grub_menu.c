/*
 * A grub.cfg, followed without a screen.
 *
 * The script is executed once from its start: variables are set, conditions
 * decide, what a condition leaves out is passed over.  A menu entry is noted
 * with the place of its body; a submenu's body is executed at once, so that its
 * entries are known.  Then the body of the default entry is executed.  There are
 * no loops and no calls, so that nothing is read more than twice, and blocks nest
 * to a limit.
 *
 * Commands that only concern a screen, a keyboard or GRUB's own modules do
 * nothing, and as conditions are false.  What a real GRUB has loaded by then
 * (features, the platform) is set as on a PC.
 */
#include "vmm/boot_menu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/grub_script.h"

#define DEPTH_MAX   16
#define ENTRIES_MAX 256
#define NOT_IN_MENU (-1)

struct entry {
	char title[BOOT_MENU_NAME_BYTES], id[BOOT_MENU_NAME_BYTES];
	size_t body; /* where in the text */
	int parent;  /* its submenu, or NOT_IN_MENU: the menu */
	bool submenu;
	const struct bls_entry *bls; /* instead of a body */
};

struct grub {
	struct grub_reader reader;
	struct grub_command command;
	struct grub_vars vars;
	const struct boot_files *files;
	char directory[BOOT_MENU_PATH_BYTES];
	struct entry entry[ENTRIES_MAX];
	unsigned int n;
	int parent; /* of entries that come now */
	struct bls_entries bls;
	bool has_bls;
	struct boot_item *item; /* being executed, or NULL */
	bool too_long, too_deep;
	unsigned int depth;
};

static const char *
word(const struct grub *g, unsigned int i)
{
	return i < g->command.n ? g->command.word[i] : "";
}

static bool
is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void
set(struct grub *g, const char *name, const char *value)
{
	grub_set(&g->vars, name, strlen(name), value);
}

/* NAME=VALUE */
static void
assign(struct grub *g, const char *text)
{
	const char *equals = strchr(text, '=');

	if (equals != NULL)
		grub_set(&g->vars, text, (size_t)(equals - text), equals + 1);
}

/* ---- files ---- */

/* The variable's, which may have brackets. */
static void
default_root(const struct grub *g, char root[BOOT_MENU_NAME_BYTES])
{
	const char *from = grub_get(&g->vars, "root");

	from += *from == '(';
	snprintf(
	    root, BOOT_MENU_NAME_BYTES, "%.*s", (int)strcspn(from, ")"), from);
}

/* Splits "(root)/path". */
static const char *
split(const struct grub *g, const char *path, char root[BOOT_MENU_NAME_BYTES])
{
	const char *end = path[0] == '(' ? strchr(path, ')') : NULL;
	size_t n = end != NULL ? (size_t)(end - path - 1) : 0;

	default_root(g, root);
	if (end == NULL || n >= BOOT_MENU_NAME_BYTES)
		return path;
	memcpy(root, path + 1, n);
	root[n] = '\0';
	return end + 1;
}

static char *
read_file(const struct grub *g, const char *path, size_t *bytes)
{
	char root[BOOT_MENU_NAME_BYTES];
	const char *rest = split(g, path, root);

	return g->files->read(g->files->arg, root, rest, bytes);
}

/* The environment block: lines of NAME=VALUE behind a comment.  What was to be
 * started once is left out: we cannot take note that it was. */
static void
load_environment(struct grub *g)
{
	char path[BOOT_MENU_PATH_BYTES + 16], *text, *rest, *line;
	size_t bytes;

	snprintf(path, sizeof(path), "%s/grubenv", g->directory);
	/* It lies beside the menu, wherever the root is now. */
	text = g->files->read(g->files->arg, "", path, &bytes);
	rest = text;
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '#' && strncmp(line, "next_entry=", 11) != 0)
			assign(g, line);
	free(text);
}

/* ---- conditions ---- */

static bool
file_test(const struct grub *g, const char *path, bool not_empty)
{
	size_t bytes = 0;
	char *text = read_file(g, path, &bytes);
	bool there = text != NULL && (!not_empty || bytes > 0);

	free(text);
	return there;
}

static bool
compare(const char *a, const char *operator, const char * b)
{
	long x = strtol(a, NULL, 10), y = strtol(b, NULL, 10);

	if (is(operator, "=") || is(operator, "=="))
		return is(a, b);
	if (is(operator, "!="))
		return !is(a, b);
	if (is(operator, "<"))
		return strcmp(a, b) < 0;
	if (is(operator, ">"))
		return strcmp(a, b) > 0;
	if (is(operator, "-eq"))
		return x == y;
	if (is(operator, "-ne"))
		return x != y;
	if (is(operator, "-lt"))
		return x < y;
	if (is(operator, "-le"))
		return x <= y;
	if (is(operator, "-gt"))
		return x > y;
	return is(operator, "-ge") && x >= y;
}

/* One test without -a and -o, words from first to before end. */
static bool
simple_test(const struct grub *g, unsigned int first, unsigned int end)
{
	bool negate = false, yes = false;
	const char *a;

	while (first < end && is(word(g, first), "!")) {
		negate = !negate;
		first++;
	}
	a = word(g, first);
	if (end - first == 1)
		yes = a[0] != '\0';
	else if (end - first == 3)
		yes = compare(a, word(g, first + 1), word(g, first + 2));
	else if (end - first != 2)
		yes = false;
	else if (is(a, "-n"))
		yes = word(g, first + 1)[0] != '\0';
	else if (is(a, "-z"))
		yes = word(g, first + 1)[0] == '\0';
	else if (is(a, "-f") || is(a, "-e") || is(a, "-s"))
		yes = file_test(g, word(g, first + 1), is(a, "-s"));
	return yes != negate;
}

/* "[ ... ]" or "test ...", from word first on; any other command is false. */
static bool
condition(const struct grub *g, unsigned int first)
{
	unsigned int end = g->command.n;
	bool any = false, all = true;

	if (is(word(g, first), "true"))
		return true;
	if (is(word(g, first), "[") && end > first + 1 &&
	    is(word(g, end - 1), "]"))
		end--;
	else if (!is(word(g, first), "test"))
		return false;
	for (unsigned int i = ++first; i <= end; i++) {
		if (i < end && !is(word(g, i), "-a") && !is(word(g, i), "-o"))
			continue;
		all = all && simple_test(g, first, i);
		if (i == end || is(word(g, i), "-o")) {
			any = any || all;
			all = true;
		}
		first = i + 1;
	}
	return any;
}

/* ---- commands ---- */

/* search [--set[=VAR]] --fs-uuid|--label|--file NAME, and search.fs_uuid NAME
 * VAR: the variable says by what the file system is to be found. */
static void
search(struct grub *g)
{
	static const struct {
		const char *option, *short_option, *command, *kind;
	} kinds[] = {
		{ "--fs-uuid", "-u", "search.fs_uuid", "uuid" },
		{ "--label", "-l", "search.fs_label", "label" },
		{ "--file", "-f", "search.file", "file" },
	};
	const char *variable = "root", *kind = NULL, *name = NULL;
	char root[BOOT_MENU_NAME_BYTES];
	unsigned int i = 1;

	for (unsigned int k = 0; k < 3; k++)
		if (is(word(g, 0), kinds[k].command)) {
			kind = kinds[k].kind;
			name = word(g, 1);
			variable = g->command.n > 2 && word(g, 2)[0] != '-'
			    ? word(g, 2)
			    : "root";
			i = g->command.n;
		}
	for (; i < g->command.n; i++) {
		const char *w = word(g, i);

		for (unsigned int k = 0; k < 3; k++)
			if (is(w, kinds[k].option) ||
			    is(w, kinds[k].short_option))
				kind = kinds[k].kind;
		if (strncmp(w, "--set=", 6) == 0)
			variable = w + 6;
		else if (is(w, "--hint")) /* whose value is a word, too */
			i++;
		else if (w[0] != '-')
			name = w;
	}
	if (kind == NULL || name == NULL ||
	    (size_t)snprintf(root, sizeof(root), "%s:%s", kind, name) >=
		sizeof(root))
		return;
	set(g, variable, root);
}

/* A path of the item, with the root that counts when the command is there. */
static void
set_path(struct grub *g, char *to, const char *path)
{
	char root[BOOT_MENU_NAME_BYTES];
	const char *rest = split(g, path, root);

	if ((size_t)snprintf(to, BOOT_MENU_PATH_BYTES, "(%s)%s", root, rest) >=
	    BOOT_MENU_PATH_BYTES) {
		to[0] = '\0';
		g->too_long = true;
	}
}

/* linux [--OPTION]... PATH ARGUMENT... */
static void
load_linux(struct grub *g)
{
	struct boot_item *item = g->item;
	char image[BOOT_MENU_PATH_BYTES + 16];
	unsigned int i = 1;

	while (strncmp(word(g, i), "--", 2) == 0)
		i++;
	set_path(g, item->kernel, word(g, i));
	item->args[0] = '\0';
	/* As GRUB does. */
	snprintf(image, sizeof(image), "BOOT_IMAGE=%s", word(g, i));
	if (!boot_menu_add(item->args, sizeof(item->args), image))
		g->too_long = true;
	for (i++; i < g->command.n; i++)
		if (!boot_menu_add(item->args, sizeof(item->args), word(g, i)))
			g->too_long = true;
}

static void
load_initrds(struct grub *g)
{
	struct boot_item *item = g->item;

	item->ninitrds = 0;
	for (unsigned int i = 1; i < g->command.n; i++) {
		if (strncmp(word(g, i), "--", 2) == 0)
			continue;
		if (item->ninitrds == BOOT_MENU_INITRDS) {
			g->too_long = true;
			return;
		}
		set_path(g, item->initrd[item->ninitrds++], word(g, i));
	}
}

/* A new entry of the menu, or NULL: there are too many. */
static struct entry *
new_entry(struct grub *g)
{
	struct entry *e;

	if (g->n == ENTRIES_MAX)
		return NULL;
	e = &g->entry[g->n++];
	*e = (struct entry){ .parent = g->parent };
	return e;
}

/* Entries of the Boot Loader Specification, in the menu's place. */
static void
add_bls(struct grub *g)
{
	char path[BOOT_MENU_PATH_BYTES + 32];
	char *slash;

	if (g->has_bls)
		return;
	g->has_bls = true;
	snprintf(path, sizeof(path), "%s", g->directory);
	slash = strrchr(path, '/');
	snprintf(slash != NULL ? slash : path, 32, "/loader/entries");
	bls_read(&g->bls, g->files, "", path);
	for (unsigned int i = 0; i < g->bls.n; i++) {
		struct entry *e = new_entry(g);

		if (e == NULL)
			return;
		memcpy(e->id, g->bls.list[i].id, sizeof(e->id));
		memcpy(e->title, e->id, sizeof(e->title));
		e->bls = &g->bls.list[i];
	}
}

static void
run_command(struct grub *g)
{
	const char *name = word(g, 0);

	if (g->command.assigns)
		assign(g, name);
	else if (is(name, "set"))
		assign(g, word(g, 1));
	else if (is(name, "unset"))
		set(g, word(g, 1), "");
	else if (is(name, "load_env"))
		load_environment(g);
	else if (strncmp(name, "search", 6) == 0)
		search(g);
	else if (is(name, "blscfg") && g->item == NULL)
		add_bls(g);
	else if (g->item == NULL)
		return;
	else if (is(name, "linux") || is(name, "linux16") ||
	    is(name, "linuxefi"))
		load_linux(g);
	else if (is(name, "initrd") || is(name, "initrd16") ||
	    is(name, "initrdefi"))
		load_initrds(g);
}

/* ---- blocks ---- */

enum end { END_TEXT, END_BRACE, END_ELIF, END_ELSE, END_FI, END_DONE };

static enum end run_block(struct grub *g, bool active);

static void
run_if(struct grub *g, bool active)
{
	bool yes = active && condition(g, 1), taken = false;
	enum end end;

	for (;;) {
		end = run_block(g, yes);
		taken |= yes;
		if (end == END_ELIF)
			yes = active && !taken && condition(g, 1);
		else if (end == END_ELSE)
			yes = active && !taken;
		else
			return;
	}
}

/* The words of "menuentry TITLE --class X --id ID ... {". */
static void
name_entry(const struct grub *g, struct entry *e)
{
	static const char *const with_value[] = { "--class", "--users",
		"--hotkey" };

	for (unsigned int i = 1; i < g->command.n; i++) {
		const char *w = word(g, i);
		bool skip = false;

		for (unsigned int k = 0; k < 3; k++)
			skip |= is(w, with_value[k]);
		if (skip)
			i++;
		else if (is(w, "--id"))
			snprintf(e->id, sizeof(e->id), "%.255s", word(g, ++i));
		else if (strncmp(w, "--id=", 5) == 0)
			snprintf(e->id, sizeof(e->id), "%.255s", w + 5);
		else if (w[0] != '-' && e->title[0] == '\0')
			snprintf(e->title, sizeof(e->title), "%.255s", w);
	}
}

static void
run_entry(struct grub *g, bool active)
{
	bool submenu = is(word(g, 0), "submenu");
	struct entry *e = NULL;
	int parent = g->parent;

	if (active && g->item == NULL)
		e = new_entry(g);
	if (e != NULL) {
		name_entry(g, e);
		e->body = g->reader.at;
		e->submenu = submenu;
		if (submenu)
			g->parent = (int)(e - g->entry);
	}
	run_block(g, e != NULL && submenu);
	g->parent = parent;
}

/* Executes, or passes over, up to the end of the block. */
static enum end
run_block(struct grub *g, bool active)
{
	enum end end = END_TEXT;

	if (g->depth == DEPTH_MAX) {
		/* Nothing follows from the rest. */
		g->too_deep = true;
		g->reader.at = g->reader.bytes;
		return END_TEXT;
	}
	g->depth++;
	while (end == END_TEXT && grub_next(&g->reader, &g->command)) {
		const char *name = word(g, 0);

		if (is(name, "}"))
			end = END_BRACE;
		else if (is(name, "elif"))
			end = END_ELIF;
		else if (is(name, "else"))
			end = END_ELSE;
		else if (is(name, "fi"))
			end = END_FI;
		else if (is(name, "done"))
			end = END_DONE;
		else if (is(name, "if"))
			run_if(g, active);
		else if (is(name, "while") || is(name, "until") ||
		    is(name, "for"))
			run_block(g, false);
		else if (is(name, "menuentry") || is(name, "submenu"))
			run_entry(g, active);
		else if (g->command.block || is(name, "{"))
			run_block(g, is(name, "{") && active);
		else if (active)
			run_command(g);
	}
	g->depth--;
	return end;
}

/* ---- the default entry ---- */

/* The entry of a submenu (or the menu) that a number, an id or a title means;
 * the first one if none does.  -1: there are none. */
static int
pick(const struct grub *g, int parent, const char *name, size_t bytes)
{
	char *end, wanted[BOOT_MENU_NAME_BYTES];
	unsigned long number;
	int first = -1, count = 0;
	bool is_number;

	snprintf(wanted, sizeof(wanted), "%.*s", (int)bytes, name);
	number = strtoul(wanted, &end, 10);
	is_number = end != wanted && *end == '\0';
	for (unsigned int i = 0; i < g->n; i++) {
		const struct entry *e = &g->entry[i];

		if (e->parent != parent)
			continue;
		if (first < 0)
			first = (int)i;
		if (is_number ? number == (unsigned long)count
			      : is(e->id, wanted) || is(e->title, wanted))
			return (int)i;
		count++;
	}
	return first;
}

static int
default_entry(const struct grub *g)
{
	const char *name = grub_get(&g->vars, "default");
	int at = NOT_IN_MENU;

	do {
		size_t n = strcspn(name, ">");

		at = pick(g, at, name, n < BOOT_MENU_NAME_BYTES ? n : 0);
		name += n + (name[n] == '>');
	} while (at >= 0 && g->entry[at].submenu);
	return at;
}

static const char *
bls_variable(void *arg, const char *name)
{
	const struct grub *g = arg;

	return grub_get(&g->vars, name);
}

static void
run_item(struct grub *g, const struct entry *e)
{
	g->item->title[0] = '\0';
	if (e->bls != NULL) {
		if (!bls_item(g->item, e->bls, bls_variable, g))
			g->item->kernel[0] = '\0';
		return;
	}
	snprintf(g->item->title, sizeof(g->item->title), "%s", e->title);
	g->reader.at = e->body;
	run_block(g, true);
}

static void
preset(struct grub *g)
{
	static const char *const values[][2] = { { "grub_cpu", "i386" },
		{ "grub_platform", "pc" }, { "feature_menuentry_id", "y" },
		{ "feature_timeout_style", "y" },
		{ "feature_platform_search_hint", "y" },
		{ "feature_default_font_path", "y" },
		{ "feature_all_video_module", "y" },
		{ "feature_200_final", "y" } };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		set(g, values[i][0], values[i][1]);
	set(g, "prefix", g->directory);
	set(g, "config_directory", g->directory);
	set(g, "default", "0");
}

int
grub_menu(struct boot_item *item, const struct boot_files *files,
    const char *directory, const char *text, size_t bytes, struct err *err)
{
	struct grub *g = calloc(1, sizeof(*g));
	int at, r = 0;

	memset(item, 0, sizeof(*item));
	if (g == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	g->reader = (struct grub_reader){ text, bytes, 0, &g->vars };
	g->files = files;
	g->parent = NOT_IN_MENU;
	snprintf(g->directory, sizeof(g->directory), "%s", directory);
	preset(g);
	while (run_block(g, true) != END_TEXT || g->reader.at < bytes)
		; /* an end without a beginning */
	at = g->too_deep ? -1 : default_entry(g);
	if (at >= 0) {
		g->item = item;
		run_item(g, &g->entry[at]);
	}
	if (g->too_deep)
		r = err_set(err, -ENOEXEC, "blocks nest too deeply");
	else if (at < 0)
		r = err_set(err, -ENOENT, "has no entries");
	else if (g->too_long)
		r = err_set(err, -ENOEXEC,
		    "entry \"%.80s\" is longer than a kernel can be told",
		    item->title);
	else if (item->kernel[0] == '\0')
		r = err_set(err, -ENOENT, "entry \"%.80s\" starts no Linux",
		    item->title);
	bls_free(&g->bls);
	grub_vars_free(&g->vars);
	free(g);
	return r;
}
