/*
 * stun_ask.h - questions to a STUN server, from sockets that the asker chooses.
 */
#ifndef GUEST_STUN_ASK_H
#define GUEST_STUN_ASK_H

#include "vmm/guest/shell.h"
#include "vmm/guest/stack.h"

#define STUN_TRIES 3

struct asker {
	struct shell *sh;
	uint64_t wait_us; /* for the answer to one try */
	/* The last answer, and where it came from. */
	struct stun answer;
	struct stun_end from;
	uint64_t rtt_us;
	uint8_t room[4096];
};

struct question {
	struct udpsock *sock; /* that it is sent by */
	struct udpsock *hear; /* that the answer comes to; NULL: the same */
	struct stun_end to;
	bool change_ip, change_port; /* where the answer comes from */
	uint16_t response_port;      /* where it goes; 0: back */
	struct stun_end respond_to;  /* likewise, for our neighbour */
	uint16_t padding_bytes;      /* of the question and its answer */
	bool last_first;             /* fragments in reverse */
	unsigned int tries;          /* 0: STUN_TRIES */
};

void asker_init(struct asker *a, struct shell *sh);

/* A socket whose answers wake the shell; port 0: any.  NULL: it is taken. */
struct udpsock *asker_socket(struct asker *a, uint16_t port);

/* Asks, again if need be, until an answer comes.  False: none did, or the
 * shell was interrupted. */
bool asker_ask(struct asker *a, const struct question *q);

/* Sends a question once, and does not wait.  id is the one to look for. */
void asker_send(
    struct asker *a, const struct question *q, const uint8_t id[STUN_ID_BYTES]);
/* Has the answer with that id come to sock? */
bool asker_heard(
    struct asker *a, struct udpsock *sock, const uint8_t id[STUN_ID_BYTES]);
void asker_id(struct asker *a, uint8_t id[STUN_ID_BYTES]);

#endif
