#include "vmm/guest/line.h"

#include <string.h>

#include "vmm/guest/text.h"

#define KEY_CTRL_C    0x03
#define KEY_BACKSPACE 0x08
#define KEY_CTRL_U    0x15
#define KEY_CTRL_W    0x17
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f

struct echo {
	void (*call)(void *arg, const char *data, size_t len);
	void *arg;
};

static void
rub_out(struct line *line, size_t n, const struct echo *echo)
{
	for (; n > 0 && line->len > 0; n--) {
		line->len--;
		echo->call(echo->arg, "\b \b", 3);
	}
}

static void
rub_out_word(struct line *line, const struct echo *echo)
{
	while (line->len > 0 && line->text[line->len - 1] == ' ')
		rub_out(line, 1, echo);
	while (line->len > 0 && line->text[line->len - 1] != ' ')
		rub_out(line, 1, echo);
}

/* Shows the line that was entered `back` lines ago; 0 is an empty one. */
static void
show(struct line *line, unsigned int back, const struct echo *echo)
{
	rub_out(line, line->len, echo);
	line->shown = back;
	if (back == 0)
		return;
	text_copy(line->text, sizeof(line->text), line->history[back - 1]);
	line->len = strlen(line->text);
	echo->call(echo->arg, line->text, line->len);
}

static void
remember(struct line *line)
{
	if (line->len == 0 ||
	    (line->kept > 0 && strcmp(line->history[0], line->text) == 0))
		return;
	memmove(line->history[1], line->history[0],
	    sizeof(line->history) - sizeof(line->history[0]));
	text_copy(line->history[0], sizeof(line->history[0]), line->text);
	if (line->kept < LINE_HISTORY)
		line->kept++;
}

/* The keys behind ESC [.  True: this one belongs to them. */
static bool
arrow(struct line *line, char key, const struct echo *echo)
{
	if (key == KEY_ESCAPE) {
		line->escape = 1;
		return true;
	}
	if (line->escape == 0)
		return false;
	if (line->escape == 1) {
		line->escape = key == '[' || key == 'O' ? 2 : 0;
		return true;
	}
	if ((key >= '0' && key <= '9') || key == ';')
		return true;
	line->escape = 0;
	if (key == 'A' && line->shown < line->kept)
		show(line, line->shown + 1, echo);
	else if (key == 'B' && line->shown > 0)
		show(line, line->shown - 1, echo);
	return true;
}

static enum line_event
finish(struct line *line, enum line_event event, const char *shown,
    const struct echo *echo)
{
	echo->call(echo->arg, shown, strlen(shown));
	line->text[line->len] = '\0';
	if (event == LINE_DONE)
		remember(line);
	line->len = 0;
	line->shown = 0;
	return event;
}

enum line_event
line_key(struct line *line, char key,
    void (*call)(void *arg, const char *data, size_t len), void *arg)
{
	const struct echo echo = { call, arg };
	const char last = line->last;

	line->last = key;
	if (arrow(line, key, &echo))
		return LINE_MORE;
	switch (key) {
	case '\n':
		if (last == '\r')
			return LINE_MORE;
		return finish(line, LINE_DONE, "\n", &echo);
	case '\r': return finish(line, LINE_DONE, "\n", &echo);
	case KEY_CTRL_C: return finish(line, LINE_GIVEN_UP, "^C\n", &echo);
	case KEY_CTRL_U: rub_out(line, line->len, &echo); return LINE_MORE;
	case KEY_CTRL_W: rub_out_word(line, &echo); return LINE_MORE;
	case KEY_BACKSPACE:
	case KEY_DELETE: rub_out(line, 1, &echo); return LINE_MORE;
	default: break;
	}
	if (key >= ' ' && key < 0x7f && line->len < sizeof(line->text) - 1) {
		line->text[line->len++] = key;
		echo.call(echo.arg, &key, 1);
	}
	return LINE_MORE;
}
