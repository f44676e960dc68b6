/*
 * Entries of the Boot Loader Specification (uapi-group.org): files of lines of a
 * key and a value.  The newest one is the default, as by the order of versions
 * in their names.
 */
#include "vmm/boot_menu.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".conf"

bool
boot_menu_set(char *to, size_t room, const char *text)
{
	size_t n = strlen(text);

	if (n >= room)
		return false;
	memcpy(to, text, n + 1);
	return true;
}

bool
boot_menu_add(char *to, size_t room, const char *text)
{
	size_t used = strlen(to), n = strlen(text);
	bool space = used > 0;

	if (n == 0)
		return true;
	if (used + space + n >= room)
		return false;
	if (space)
		to[used++] = ' ';
	memcpy(to + used, text, n + 1);
	return true;
}

/* ---- which there are ---- */

static bool
note_name(void *arg, const char *name)
{
	struct bls_entries *e = arg;
	size_t n = strlen(name), end = strlen(SUFFIX);

	if (n <= end || n - end >= BOOT_MENU_NAME_BYTES || name[0] == '.' ||
	    strcmp(name + n - end, SUFFIX) != 0)
		return true;
	snprintf(e->list[e->n].id, sizeof(e->list[e->n].id), "%.*s",
	    (int)(n - end), name);
	return ++e->n < BLS_ENTRIES_MAX;
}

static int
newest_first(const void *a, const void *b)
{
	const struct bls_entry *x = a, *y = b;

	return -strverscmp(x->id, y->id);
}

void
bls_read(struct bls_entries *e, const struct boot_files *files,
    const char *root, const char *directory)
{
	char path[BOOT_MENU_PATH_BYTES];
	size_t bytes;

	memset(e, 0, sizeof(*e));
	files->list(files->arg, root, directory, note_name, e);
	qsort(e->list, e->n, sizeof(e->list[0]), newest_first);
	for (unsigned int i = 0; i < e->n; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s" SUFFIX,
			directory, e->list[i].id) >= sizeof(path))
			continue;
		e->list[i].text = files->read(files->arg, root, path, &bytes);
	}
}

void
bls_free(struct bls_entries *e)
{
	for (unsigned int i = 0; i < e->n; i++)
		free(e->list[i].text);
	e->n = 0;
}

/* ---- what one says ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Replaces $name in a value.  False: it becomes too long. */
static bool
expand(char *out, size_t room, const char *text, size_t len,
    bls_variable_fn *variable, void *arg)
{
	size_t used = 0, i = 0;

	while (i < len) {
		char name[64];
		size_t n = 0;
		const char *value;

		if (text[i] != '$') {
			if (used + 1 >= room)
				return false;
			out[used++] = text[i++];
			continue;
		}
		for (i++; i < len && n < sizeof(name) - 1 &&
		     (isalnum((unsigned char)text[i]) || text[i] == '_');
		     i++)
			name[n++] = text[i];
		name[n] = '\0';
		value = variable(arg, name);
		if (value == NULL)
			continue;
		if (strlen(value) >= room - used)
			return false;
		memcpy(out + used, value, strlen(value));
		used += strlen(value);
	}
	out[used] = '\0';
	return true;
}

/* Each word is one more initial RAM disk. */
static bool
add_initrds(struct boot_item *item, char *words)
{
	char *rest = words, *word;

	while ((word = strsep(&rest, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		if (item->ninitrds == BOOT_MENU_INITRDS ||
		    !boot_menu_set(item->initrd[item->ninitrds],
			BOOT_MENU_PATH_BYTES, word))
			return false;
		item->ninitrds++;
	}
	return true;
}

static bool
read_line(struct boot_item *item, const char *line, size_t len,
    bls_variable_fn *variable, void *arg)
{
	char value[BOOT_MENU_ARGS_BYTES];
	size_t key = 0, at;

	while (key < len && !is_blank(line[key]))
		key++;
	for (at = key; at < len && is_blank(line[at]);)
		at++;
	while (len > at && is_blank(line[len - 1]))
		len--;
#define IS(word) (key == sizeof(word) - 1 && memcmp(line, word, key) == 0)
	if (!IS("title") && !IS("linux") && !IS("initrd") && !IS("options"))
		return true;
	if (!expand(value, sizeof(value), line + at, len - at, variable, arg))
		return false;
	if (IS("linux"))
		return boot_menu_set(item->kernel, sizeof(item->kernel), value);
	if (IS("initrd"))
		return add_initrds(item, value);
	if (IS("options"))
		return boot_menu_add(item->args, sizeof(item->args), value);
#undef IS
	snprintf(item->title, sizeof(item->title), "%.200s", value);
	return true;
}

bool
bls_item(struct boot_item *item, const struct bls_entry *entry,
    bls_variable_fn *variable, void *arg)
{
	const char *at = entry->text;

	if (at == NULL)
		return false;
	snprintf(item->title, sizeof(item->title), "%.200s", entry->id);
	while (*at != '\0') {
		size_t len = strcspn(at, "\n");

		if (!read_line(item, at, len, variable, arg))
			return false;
		at += len + (at[len] == '\n');
	}
	return item->kernel[0] != '\0';
}
