/*
 * agent.h - the talk with a guest's agent on its second serial port.
 *
 *     guest:  \x1e ready \n                 at each start
 *     host:   ping 10.0.0.1 \n              a command
 *     guest:  ...output... \x1e 0 \n        and its exit status
 *     host:   \x03                          interrupts a command
 *
 * Pure: bytes in, calls out.  The guest may send anything; what makes no sense
 * is counted and passed over.
 */
#ifndef LAB_AGENT_H
#define LAB_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_RS        0x1e
#define AGENT_INTERRUPT 0x03

struct agent_calls {
	/* The guest has started, perhaps anew. */
	void (*ready)(void *arg);
	/* Output of the running command, in pieces as they come. */
	void (*output)(void *arg, const char *bytes, size_t len);
	/* The running command has ended. */
	void (*done)(void *arg, int status);
};

#define AGENT_QUESTION_BYTES 32

struct agent {
	const struct agent_calls *calls;
	void *arg;
	bool ready, busy;
	/* A guest whose start was not seen: the question that it was asked, how
	 * much of it has come back, and whether all of it has. */
	bool adopting, asked, echoed;
	char question[AGENT_QUESTION_BYTES];
	size_t echo;
	bool in_record; /* between RS and the end of its line */
	char record[16];
	size_t record_len; /* sizeof(record): too long */
	uint64_t refused;  /* records that made no sense */
};

void agent_init(
    struct agent *agent, const struct agent_calls *calls, void *arg);

/* Takes what the guest wrote. */
void agent_feed(struct agent *agent, const char *bytes, size_t len);

/* A command was sent: what comes now is its output.  The agent must be ready
 * and not busy. */
void agent_started(struct agent *agent);

/* The guest has started long ago and may be running a command.  Returns what to
 * send: when the answer has come, it is ready.  number is one that no other
 * question has had. */
const char *agent_adopt(struct agent *agent, uint64_t number);

/* Can this be sent as a command?  One line of printable text, or UTF-8. */
bool agent_can_run(const char *command);

#endif
