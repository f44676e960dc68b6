#include "lab/command.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lab/draw.h"
#include "lab/nearest.h"

static const struct option_row options[] = {
	{ "format", 0, "FORMAT", "text (the default), dot, mermaid or svg" },
	{ "width", 0, "COLUMNS", "text: how wide it may be" },
	{ 0 },
};

/* The terminal's width, or the default. */
static unsigned int
terminal_width(FILE *out)
{
	struct winsize size;

	if (isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 &&
	    size.ws_col > 0)
		return size.ws_col;
	return DRAW_WIDTH;
}

static int
read_format(const char *name, enum draw_format *format, struct err *err)
{
	struct nearest near;

	nearest_init(&near, name);
	for (int f = 0; draw_formats[f] != NULL; f++) {
		if (strcmp(draw_formats[f], name) == 0) {
			*format = (enum draw_format)f;
			return 0;
		}
		nearest_try(&near, draw_formats[f]);
	}
	return err_set(err, -EINVAL, "format \"%.40s\" is not known; use %s",
	    name, near.best != NULL ? near.best : "text, dot, mermaid or svg");
}

static int
run_draw(struct call *call)
{
	const char *name = option_get(&call->options, "format");
	const char *wide = option_get(&call->options, "width");
	enum draw_format format = DRAW_TEXT;
	uint64_t width = terminal_width(call->out);
	struct lab *lab;
	int e;

	if (name != NULL && read_format(name, &format, &call->err) < 0)
		return 2;
	if (wide != NULL && !count_read(&width, wide, &call->err))
		return 2;
	lab = command_load(call, call->options.args[0]);
	if (lab == NULL)
		return 2;
	e = draw(lab, format, (unsigned int)(width > 10000 ? 10000 : width),
	    call->out);
	lab_free(lab);
	if (e == 0)
		return 0;
	if (e == -E2BIG)
		err_set(&call->err, e,
		    "%s: too large for a picture; use --format dot",
		    call->options.args[0]);
	else
		err_set(
		    &call->err, e, "%s: out of memory", call->options.args[0]);
	return 2;
}

const struct command command_draw = {
	.name = "draw",
	.arguments = "FILE",
	.summary = "shows a lab as a picture",
	.help = "Draws the lab of a file: switches as buses, with what is "
		"plugged into them and its\naddresses.  A lab too wide for the "
		"terminal becomes an outline.",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.run = run_draw,
};
