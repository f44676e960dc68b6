#include "lab/argv.h"

#include <assert.h>
#include <string.h>

void
argv_init(struct argv *argv, struct arena *arena, unsigned int max)
{
	*argv = (struct argv){
		.word = arena_array(arena, max + 1, sizeof(argv->word[0])),
		.max = max,
		.arena = arena,
	};
}

void
argv_add(struct argv *argv, const char *word)
{
	if (word == NULL || argv->word == NULL)
		return;
	assert(argv->n < argv->max);
	argv->word[argv->n++] = arena_text(argv->arena, word, strlen(word));
}

void
argv_pair(struct argv *argv, const char *name, const char *value)
{
	if (value == NULL)
		return;
	argv_add(argv, name);
	argv_add(argv, value);
}
