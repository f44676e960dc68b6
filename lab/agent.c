/*
 * A guest that is adopted may be in the middle of a command, whose output and
 * status come first.  The question is a command that there is not: every shell
 * repeats its name when it says so, by which its end is told from the other's.
 */
#include "lab/agent.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
agent_init(struct agent *agent, const struct agent_calls *calls, void *arg)
{
	*agent = (struct agent){ .calls = calls, .arg = arg };
}

void
agent_started(struct agent *agent)
{
	assert(agent->ready && !agent->busy);
	agent->busy = true;
}

const char *
agent_adopt(struct agent *agent, uint64_t number)
{
	agent->adopting = agent->asked = true;
	agent->ready = agent->busy = agent->echoed = false;
	agent->echo = 0;
	snprintf(agent->question, sizeof(agent->question),
	    "anybody-%" PRIx64 "\n", number);
	return agent->question;
}

/* Looks for the question in the output.  No part of it but its first letter
 * begins it anew. */
static void
hear(struct agent *agent, const char *bytes, size_t len)
{
	size_t whole = strlen(agent->question) - 1;

	for (size_t i = 0; i < len && !agent->echoed; i++) {
		if (bytes[i] == agent->question[agent->echo])
			agent->echo++;
		else
			agent->echo = bytes[i] == agent->question[0];
		agent->echoed = agent->echo == whole;
	}
}

/* "0" to "255", or -1. */
static int
read_status(const char *text, size_t len)
{
	int status = 0;

	if (len == 0 || len > 3)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		status = status * 10 + (text[i] - '0');
	}
	return status <= 255 ? status : -1;
}

static void
become_ready(struct agent *agent)
{
	agent->ready = true;
	agent->busy = agent->adopting = false;
	agent->calls->ready(agent->arg);
}

static void
take_record(struct agent *agent)
{
	int status = read_status(agent->record, agent->record_len);

	if (agent->record_len == 5 && memcmp(agent->record, "ready", 5) == 0) {
		become_ready(agent);
	} else if (status >= 0 && agent->echoed) {
		agent->asked = agent->echoed = false;
		if (agent->adopting)
			become_ready(agent);
	} else if (status >= 0 && agent->adopting) {
		agent->echo = 0; /* of the command before */
	} else if (status >= 0 && agent->busy) {
		agent->busy = false;
		agent->calls->done(agent->arg, status);
	} else {
		agent->refused++;
	}
}

/* One piece of the bytes; returns how many of them it took. */
static size_t
take_piece(struct agent *agent, const char *bytes, size_t len)
{
	const char *end;
	size_t n;

	if (!agent->in_record) {
		end = memchr(bytes, AGENT_RS, len);
		n = end != NULL ? (size_t)(end - bytes) : len;
		if (agent->asked)
			hear(agent, bytes, n);
		if (n > 0 && agent->busy)
			agent->calls->output(agent->arg, bytes, n);
		if (end == NULL)
			return n;
		agent->in_record = true;
		agent->record_len = 0;
		return n + 1;
	}
	if (bytes[0] == '\n') {
		agent->in_record = false;
		take_record(agent);
	} else if (agent->record_len < sizeof(agent->record)) {
		agent->record[agent->record_len++] = bytes[0];
	}
	return 1;
}

void
agent_feed(struct agent *agent, const char *bytes, size_t len)
{
	while (len > 0) {
		size_t n = take_piece(agent, bytes, len);

		bytes += n;
		len -= n;
	}
}

bool
agent_can_run(const char *command)
{
	for (; *command != '\0'; command++)
		if ((unsigned char)*command < 0x20 || *command == 0x7f)
			return false;
	return true;
}
