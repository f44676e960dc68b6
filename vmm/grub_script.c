/*
 * Words: between 'single quotes' everything is itself; between "double quotes"
 * and outside, $name, ${name} are replaced and a backslash takes the meaning of
 * the next letter; an empty one that was not quoted is none.  Commands end with
 * a line or a semicolon.
 */
#include "vmm/grub_script.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES 4096 /* of one variable */
#define ALL_BYTES   (256u << 10)

/* ---- variables ---- */

static unsigned int
find(const struct grub_vars *vars, const char *name, size_t bytes)
{
	unsigned int i = 0;

	while (i < vars->n &&
	    (strncmp(vars->list[i].name, name, bytes) != 0 ||
		vars->list[i].name[bytes] != '\0'))
		i++;
	return i;
}

const char *
grub_get(const struct grub_vars *vars, const char *name)
{
	unsigned int i = find(vars, name, strlen(name));

	return i < vars->n ? vars->list[i].value : "";
}

void
grub_set(struct grub_vars *vars, const char *name, size_t name_bytes,
    const char *value)
{
	size_t n = strlen(value);
	unsigned int i;
	char *copy;

	if (name_bytes == 0 || name_bytes >= GRUB_NAME_BYTES ||
	    n >= VALUE_BYTES || vars->bytes + n > ALL_BYTES)
		return;
	i = find(vars, name, name_bytes);
	if (i == GRUB_VARS_MAX || (copy = strdup(value)) == NULL)
		return;
	if (i < vars->n) {
		vars->bytes -= strlen(vars->list[i].value);
		free(vars->list[i].value);
	} else {
		memcpy(vars->list[i].name, name, name_bytes);
		vars->list[i].name[name_bytes] = '\0';
		vars->n++;
	}
	vars->bytes += n;
	vars->list[i].value = copy;
}

void
grub_vars_free(struct grub_vars *vars)
{
	for (unsigned int i = 0; i < vars->n; i++)
		free(vars->list[i].value);
	vars->n = 0;
	vars->bytes = 0;
}

/* ---- words ---- */

struct out {
	struct grub_command *command;
	size_t used;
};

static void
put(struct out *out, char c)
{
	/* A place is kept for the end. */
	if (out->used + 1 < sizeof(out->command->pool))
		out->command->pool[out->used++] = c;
}

static char
peek(const struct grub_reader *r)
{
	return r->at < r->bytes ? r->text[r->at] : '\0';
}

static bool
is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* After the "$". */
static void
put_variable(struct grub_reader *r, struct out *out)
{
	char name[GRUB_NAME_BYTES];
	bool braces = peek(r) == '{';
	size_t n = 0;

	r->at += braces;
	while (r->at < r->bytes &&
	    (is_name(peek(r)) || (n == 0 && peek(r) == '?'))) {
		if (n < sizeof(name) - 1)
			name[n++] = peek(r);
		r->at++;
	}
	name[n] = '\0';
	if (braces && peek(r) == '}')
		r->at++;
	if (n == 0 && !braces)
		put(out, '$');
	for (const char *v = grub_get(r->vars, name); *v != '\0'; v++)
		put(out, *v);
}

/* From behind the first quote to behind the last. */
static void
put_quoted(struct grub_reader *r, struct out *out, char quote)
{
	while (r->at < r->bytes) {
		char c = r->text[r->at++];

		if (c == quote)
			return;
		if (quote == '"' && c == '\\' && r->at < r->bytes &&
		    strchr("$\"\\\n", peek(r)) != NULL) {
			c = r->text[r->at++];
			if (c != '\n')
				put(out, c);
		} else if (quote == '"' && c == '$') {
			put_variable(r, out);
		} else {
			put(out, c);
		}
	}
}

static void
skip_blanks(struct grub_reader *r)
{
	for (;; r->at++) {
		char c = peek(r);

		if (r->at < r->bytes && c == '\0')
			continue; /* no letter of a text */
		if (c == '#')
			while (r->at < r->bytes && peek(r) != '\n')
				r->at++;
		if (c == '\\' && r->at + 1 < r->bytes &&
		    r->text[r->at + 1] == '\n')
			r->at++;
		else if (c != ' ' && c != '\t' && c != '\r')
			return;
	}
}

static bool
ends_word(char c)
{
	return c == '\0' || strchr(" \t\r\n;", c) != NULL;
}

/* One word, which begins here.  False: it is none after all. */
static bool
take_word(struct grub_reader *r, struct out *out)
{
	struct grub_command *c = out->command;
	size_t start = out->used;
	bool quoted = false, assigns = false;

	while (!ends_word(peek(r))) {
		char letter = r->text[r->at++];

		if (letter == '\'' || letter == '"') {
			quoted = true;
			put_quoted(r, out, letter);
		} else if (letter == '$') {
			put_variable(r, out);
		} else if (letter == '\\' && r->at < r->bytes) {
			letter = r->text[r->at++];
			if (letter != '\n')
				put(out, letter);
		} else {
			assigns |= letter == '=' && !quoted;
			put(out, letter);
		}
	}
	if (out->used == start && !quoted)
		return false;
	if (c->n == GRUB_WORDS_MAX || out->used + 1 >= sizeof(c->pool)) {
		out->used = start;
		return false;
	}
	if (c->n == 0)
		c->assigns = assigns;
	c->pool[out->used++] = '\0';
	c->word[c->n++] = c->pool + start;
	return true;
}

static bool
stands_alone(const char *word)
{
	static const char *const words[] = { "then", "else", "do", "{", "}" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

bool
grub_next(struct grub_reader *r, struct grub_command *c)
{
	struct out out = { .command = c };

	c->n = 0;
	c->block = c->assigns = false;
	for (;;) {
		skip_blanks(r);
		if (r->at >= r->bytes)
			break;
		if (peek(r) == '\n' || peek(r) == ';') {
			r->at++;
			if (c->n > 0)
				break;
			continue;
		}
		if (!take_word(r, &out))
			continue;
		if (c->n == 1 && stands_alone(c->word[0]))
			break;
		if (c->n > 1 && strcmp(c->word[c->n - 1], "{") == 0) {
			c->n--;
			c->block = true;
			break;
		}
	}
	c->word[c->n] = NULL;
	return c->n > 0;
}
