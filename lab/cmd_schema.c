#include "lab/command.h"

#include <errno.h>
#include <stdlib.h>

#include "lab/schema.h"
#include "net/reason.h"

static const struct option_row schema_options[] = {
	{ "manual", 0, NULL, "the table of keys in mdoc(7) instead" },
	{ 0 },
};

static int
run_schema(struct call *call)
{
	json_t *schema;

	if (option_get(&call->options, "manual") != NULL) {
		schema_manual(call->out);
		return 0;
	}
	schema = schema_json();
	if (json_dumpf(schema, call->out, JSON_INDENT(2)) < 0)
		err_set(&call->err, -EIO, "the schema cannot be written");
	fputc('\n', call->out);
	json_decref(schema);
	return call->err.text[0] != '\0' ? 2 : 0;
}

const struct command command_schema = {
	.name = "schema",
	.arguments = "",
	.summary = "prints the JSON schema of lab files",
	.help = "Prints the JSON schema of lab files, for editors that "
		"complete and check YAML.",
	.options = schema_options,
	.run = run_schema,
};

static const struct option_row reasons_options[] = {
	{ "json", 0, NULL, "as JSON" },
	{ 0 },
};

static int
run_reasons(struct call *call)
{
	bool as_json = option_get(&call->options, "json") != NULL;
	json_t *list = json_array();

	for (int i = 1; i < REASON_COUNT; i++) {
		enum reason r = (enum reason)i;

		if (as_json)
			json_array_append_new(list,
			    json_pack("{s:s,s:b,s:s,s:s}", "name",
				reason_name(r), "drop", reason_is_drop(r),
				"sentence", reason_sentence(r), "clause",
				reason_clause(r)));
		else
			fprintf(call->out, "%-17s %-5s %s%s%s%s\n",
			    reason_name(r), reason_is_drop(r) ? "drop" : "pass",
			    reason_sentence(r),
			    reason_clause(r)[0] != '\0' ? " (" : "",
			    reason_clause(r),
			    reason_clause(r)[0] != '\0' ? ")" : "");
	}
	if (as_json) {
		json_dumpf(list, call->out, JSON_INDENT(2));
		fputc('\n', call->out);
	}
	json_decref(list);
	return 0;
}

const struct command command_reasons = {
	.name = "reasons",
	.arguments = "",
	.summary = "lists the verdicts that a frame can get",
	.help = "Lists the verdicts that a frame can get, as captures, tables "
		"and the verdict: of\nan expectation name them.",
	.options = reasons_options,
	.run = run_reasons,
};
