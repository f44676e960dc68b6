#include "vmm/guest/shell.h"

#include <stdarg.h>
#include <string.h>

#include "vmm/guest/command.h"
#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

void
shell_printf(struct shell *sh, const char *format, ...)
{
	char text[512];
	va_list args;
	size_t len;

	va_start(args, format);
	len = text_vformat(text, sizeof(text), format, args);
	va_end(args);
	sh->ops->write(sh, text, len < sizeof(text) ? len : sizeof(text) - 1);
}

void
shell_print_data(struct shell *sh, const void *data, size_t len)
{
	const uint8_t *p = data;
	char text[256];
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (n > sizeof(text) - 5) {
			sh->ops->write(sh, text, n);
			n = 0;
		}
		if ((p[i] >= ' ' && p[i] < 0x7f) || p[i] == '\n' ||
		    p[i] == '\t')
			text[n++] = (char)p[i];
		else
			n += text_format(
			    text + n, sizeof(text) - n, "\\x%02x", p[i]);
	}
	sh->ops->write(sh, text, n);
}

bool
shell_wait(struct shell *sh, uint64_t until_us)
{
	if (!sh->woken && !sh->interrupted && sh->stack->now_us < until_us)
		sh->ops->wait(sh, until_us);
	sh->woken = false;
	return !sh->interrupted;
}

bool
shell_sleep(struct shell *sh, uint64_t until_us)
{
	while (sh->stack->now_us < until_us) {
		if (!shell_wait(sh, until_us))
			return false;
	}
	return !sh->interrupted;
}

/* ---- words ---- */

/* Copies one word from *from to *to, without its quotes.  False: a quote is
 * open at the end. */
static bool
copy_word(char **from, char **to)
{
	char *f = *from, *t = *to, quote = '\0';

	for (; *f != '\0'; f++) {
		if (quote == '\0' && (*f == ' ' || *f == '\t'))
			break;
		if (*f == '\\' && quote != '\'') {
			if (f[1] == '\0')
				break;
			*t++ = *++f;
		} else if (*f == quote) {
			quote = '\0';
		} else if (quote == '\0' && (*f == '\'' || *f == '"')) {
			quote = *f;
		} else
			*t++ = *f;
	}
	*from = *f != '\0' && *f != '\\' ? f + 1 : f;
	*to = t;
	return quote == '\0' && *f != '\\';
}

int
shell_split(char *line, char *words[SHELL_WORDS], const char **wrong)
{
	char *from = line, *to = line;
	int n = 0;

	for (;;) {
		while (*from == ' ' || *from == '\t')
			from++;
		if (*from == '\0')
			return n;
		if (n == SHELL_WORDS - 1) {
			*wrong = "too many words";
			return -1;
		}
		words[n] = to;
		if (!copy_word(&from, &to)) {
			*wrong = "the line ends in the middle of a word";
			return -1;
		}
		*to++ = '\0';
		n++;
	}
}

/* ---- running ---- */

int
shell_run(struct shell *sh, char *line)
{
	char *words[SHELL_WORDS];
	const char *wrong = NULL;
	int n = shell_split(line, words, &wrong), status;
	const struct command *command;

	sh->interrupted = false;
	sh->woken = false;
	if (n < 0) {
		shell_printf(sh, "%s\n", wrong);
		return STATUS_ERROR;
	}
	if (n == 0)
		return STATUS_OK;
	words[n] = NULL;
	command = command_find(words[0]);
	if (command == NULL) {
		shell_printf(sh, "%s: no such command; try help\n", words[0]);
		return STATUS_UNKNOWN;
	}
	status = command->run(sh, n, words);
	if (status == STATUS_USAGE) {
		shell_printf(
		    sh, "usage: %s %s\n", command->name, command->usage);
		status = STATUS_ERROR;
	}
	return sh->interrupted ? STATUS_INTERRUPTED : status;
}
