/*
 * explain: what each node of a running lab would do with a frame.
 */
#include "lab/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/client.h"
#include "lab/frame_text.h"

static const char *
text_of(const json_t *step, const char *key)
{
	const char *text = json_string_value(json_object_get(step, key));

	return text != NULL ? text : "";
}

static void
print_step(const json_t *step, FILE *out)
{
	int depth = (int)json_integer_value(json_object_get(step, "depth")) * 2;
	int ports = (int)json_integer_value(json_object_get(step, "ports"));
	bool drop = json_is_true(json_object_get(step, "drop"));

	if (depth > 60)
		depth = 60;
	fprintf(out, "%*s%s", depth, "", text_of(step, "from"));
	if (json_is_string(json_object_get(step, "to")))
		fprintf(out, " -> %s", text_of(step, "to"));
	fprintf(out, ": %s\n", text_of(step, "frame"));
	if (text_of(step, "notes")[0] != '\0')
		fprintf(
		    out, "%*s    (%s)\n", depth, "", text_of(step, "notes"));
	fprintf(out, "%*s    %s: %s%s", depth, "", text_of(step, "node"),
	    drop ? "dropped: " : "", text_of(step, "sentence"));
	if (json_object_get(step, "entry") != NULL)
		fprintf(out, ", entry %lld",
		    (long long)json_integer_value(
			json_object_get(step, "entry")));
	if (ports > 1)
		fprintf(out, ", by %d ports", ports);
	else if (text_of(step, "out")[0] != '\0')
		fprintf(out, " -> %s", text_of(step, "out"));
	fprintf(out, " [%s%s%s]\n", text_of(step, "verdict"),
	    text_of(step, "clause")[0] != '\0' ? "; " : "",
	    text_of(step, "clause"));
}

static const struct option_row explain_options[] = {
	{ "json", 0, NULL, "as JSON" },
	{ 0 },
};

static int
run_explain(struct call *call)
{
	struct client_link link;
	char *text = options_words(&call->options, 2);
	struct frame_text *frame = malloc(sizeof(*frame));
	json_t *reply = NULL;
	json_int_t left_out;

	if (text == NULL || frame == NULL) {
		err_set(&call->err, -ENOMEM, "out of memory");
	} else if (frame_text_read(frame, text, &call->err) == 0 &&
	    client_open(&link, call->options.args[0], &call->err) == 0) {
		reply = client_call(&link,
		    json_pack("{s:s,s:s,s:s}", "call", "explain", "port",
			call->options.args[1], "frame", text),
		    &call->err);
		client_close(&link);
	}
	free(text);
	free(frame);
	if (reply == NULL)
		return 2;
	if (option_get(&call->options, "json") != NULL) {
		json_object_del(reply, "ok");
		json_dumpf(reply, call->out, JSON_INDENT(2));
		fputc('\n', call->out);
	} else {
		const json_t *steps = json_object_get(reply, "steps");

		for (size_t i = 0; i < json_array_size(steps); i++)
			print_step(json_array_get(steps, i), call->out);
	}
	left_out = json_integer_value(json_object_get(reply, "left_out"));
	if (left_out > 0)
		fprintf(call->notes, "%lld more steps are left out\n",
		    (long long)left_out);
	json_decref(reply);
	return 0;
}

const struct command command_explain = {
	.name = "explain",
	.arguments = "LAB NODE.PORT FRAME",
	.summary = "says what would become of a frame",
	.help =
	    "Says what each node of a running lab would do with a frame that "
	    "NODE sends by\nPORT, and why, without sending it.  FRAME is as\n"
	    "  icmp 10.0.0.100 > 203.0.113.10 [ttl N] [df] [id N] [reply]\n"
	    "  udp 10.0.0.1:1234 > 10.0.0.2:53    tcp ... [flags SA]\n"
	    "  arp who-has 10.0.0.1 tell 10.0.0.2\n"
	    "  ether 02:00:00:00:00:01 > 01:80:c2:00:00:00 type 0x88cc\n"
	    "  hex: ffffffffffff 020000000001 0806 ...\n"
	    "with \"vlan N\", \"svlan N\" and \"size BYTES\" behind, and "
	    "\"ether MAC > MAC\" in front of\nany.",
	.options = explain_options,
	.min_args = 3,
	.max_args = -1,
	.run = run_explain,
};
