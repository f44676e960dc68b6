#include "lab/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/nearest.h"

static int
unknown(
    const struct options *options, const char *arg, size_t len, struct err *err)
{
	char name[64];
	struct nearest near;

	snprintf(name, sizeof(name), "%.*s", (int)(len < 60 ? len : 60), arg);
	nearest_init(&near, name);
	for (const struct option_row *r = options->rows; r->name != NULL; r++)
		nearest_try(&near, r->name);
	if (near.best != NULL)
		return err_set(err, -EINVAL,
		    "option --%s is not known; did you mean --%s?", name,
		    near.best);
	return err_set(
	    err, -EINVAL, "option --%s is not known; see --help", name);
}

/* Reads one option at argv[*i] and moves *i past its value. */
static int
read_option(
    struct options *options, int argc, char **argv, int *i, struct err *err)
{
	const char *arg = argv[*i];
	bool is_long = arg[1] == '-';
	const char *name = is_long ? arg + 2 : arg + 1;
	size_t len = is_long ? strcspn(name, "=") : 1;
	const char *glued = name + len;
	int k = 0;

	for (; options->rows[k].name != NULL; k++)
		if (is_long ? strlen(options->rows[k].name) == len &&
			    memcmp(options->rows[k].name, name, len) == 0
			    : options->rows[k].letter == *name)
			break;
	if (options->rows[k].name == NULL && is_long)
		return unknown(options, name, len, err);
	if (options->rows[k].name == NULL)
		return err_set(
		    err, -EINVAL, "option -%c is not known; see --help", *name);
	if (options->rows[k].value == NULL) {
		if (*glued != '\0')
			return err_set(err, -EINVAL,
			    "option --%s takes no value (%.60s)",
			    options->rows[k].name, glued);
		options->values[k] = "";
		return 0;
	}
	if (*glued != '\0')
		options->values[k] = is_long ? glued + 1 : glued;
	else if (*i + 1 < argc)
		options->values[k] = argv[++*i];
	else
		return err_set(err, -EINVAL, "option --%s lacks its %s",
		    options->rows[k].name, options->rows[k].value);
	return 0;
}

int
options_read(struct options *options, const struct option_row *rows, int argc,
    char **argv, struct err *err)
{
	bool over = false;

	*options = (struct options){ .rows = rows, .args = argv };
	for (int i = 0; i < argc; i++) {
		if (!over && strcmp(argv[i], "--") == 0) {
			over = true;
		} else if (!over && argv[i][0] == '-' && argv[i][1] != '\0') {
			int e = read_option(options, argc, argv, &i, err);

			if (e < 0)
				return e;
		} else {
			argv[options->nargs++] = argv[i];
		}
	}
	return 0;
}

const char *
option_get(const struct options *options, const char *name)
{
	for (int k = 0; options->rows[k].name != NULL; k++)
		if (strcmp(options->rows[k].name, name) == 0)
			return options->values[k];
	return NULL;
}

char *
options_words(const struct options *options, int first)
{
	size_t len = 1;
	char *out;

	for (int i = first; i < options->nargs; i++)
		len += strlen(options->args[i]) + 1;
	out = calloc(1, len);
	for (int i = first; i < options->nargs && out != NULL; i++) {
		if (i > first)
			strcat(out, " ");
		strcat(out, options->args[i]);
	}
	return out;
}

void
options_help(const struct option_row *rows, FILE *out)
{
	for (; rows->name != NULL; rows++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s",
		    rows->letter != 0 ? "-" : "  ",
		    rows->letter != 0 ? rows->letter : ' ',
		    rows->letter != 0 ? ", " : " ", rows->name,
		    rows->value != NULL ? " " : "",
		    rows->value != NULL ? rows->value : "");
		fprintf(out, "  %-28s %s\n", left, rows->help);
	}
}
