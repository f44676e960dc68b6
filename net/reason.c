#include "net/reason.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name, *sentence, *clause;
} reasons[REASON_COUNT] = {
	[REASON_NONE] = { "none", "no verdict", "" },
#define PASS(id, name, sentence, clause) \
	[REASON_##id] = { name, sentence, clause },
#define DROP(id, name, sentence, clause) [id] = { name, sentence, clause },
#include "net/reason.def"
#undef PASS
#undef DROP
};

const char *
reason_name(enum reason reason)
{
	return reason < REASON_COUNT ? reasons[reason].name : "?";
}

const char *
reason_sentence(enum reason reason)
{
	return reason < REASON_COUNT ? reasons[reason].sentence : "?";
}

const char *
reason_clause(enum reason reason)
{
	return reason < REASON_COUNT ? reasons[reason].clause : "";
}

enum reason
reason_of_name(const char *name)
{
	int r = 0;

	while (r < REASON_COUNT && strcmp(reasons[r].name, name) != 0)
		r++;
	return (enum reason)r;
}
