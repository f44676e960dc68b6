/* libs: lab/agent.c lab/output.c */
/*
 * What a guest writes to its agent's line, in pieces of any size: output never
 * has a record separator in it, and is whole only while a command runs.
 */
#include <assert.h>
#include <string.h>

#include "lab/agent.h"
#include "lab/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct output output;

static void
on_ready(void *arg)
{
	struct agent *agent = arg;

	assert(agent->ready && !agent->busy);
	agent_started(agent);
}

static void
on_output(void *arg, const char *bytes, size_t len)
{
	const struct agent *agent = arg;

	assert(agent->busy && len > 0);
	assert(memchr(bytes, AGENT_RS, len) == NULL);
	output_add(&output, bytes, len);
}

static void
on_done(void *arg, int status)
{
	struct agent *agent = arg;

	assert(status >= 0 && status <= 255);
	assert(!agent->busy);
	assert(output.len <= OUTPUT_MAX_BYTES);
	output_clean(output.text, output.len);
	assert(output_whole(output.text, output.len) == output.len);
	for (size_t i = 0; i < output.len; i++)
		assert(output.text[i] != 0x1b);
	output_clear(&output);
	agent_started(agent);
}

static const struct agent_calls calls = { on_ready, on_output, on_done };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct agent agent;
	size_t step = len > 0 ? 1 + data[0] % 7u : 1;

	agent_init(&agent, &calls, &agent);
	output_clear(&output);
	for (size_t i = 0; i < len; i += step)
		agent_feed(&agent, (const char *)data + i,
		    len - i < step ? len - i : step);
	return 0;
}
