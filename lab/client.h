/*
 * client.h - a command's side of a lab's control socket.
 */
#ifndef LAB_CLIENT_H
#define LAB_CLIENT_H

#include <jansson.h>
#include <stdio.h>

#include "base/err.h"

struct client_link {
	int fd;
	FILE *in;
};

/* Connects to the lab that runs under that name.  0 or -Exxx. */
int client_open(struct client_link *link, const char *lab, struct err *err);
void client_close(struct client_link *link);

/* Sends a request, which it takes.  0 or -Exxx. */
int client_send(struct client_link *link, json_t *request, struct err *err);

/* The next reply, the caller's.  NULL: the lab has ended, or said "ok": false;
 * *err has what it said. */
json_t *client_receive(struct client_link *link, struct err *err);

/* Both, for calls with one reply. */
json_t *client_call(struct client_link *link, json_t *request, struct err *err);

#endif
