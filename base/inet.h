/*
 * inet.h - where a UDP peer is: an address and a port, always as numbers, so
 * that a lab means the same without a name server.
 */
#ifndef BASE_INET_H
#define BASE_INET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* An address and port of UDP. */
struct inet {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
};

#define INET_TEXT_BYTES 80

/*
 * Reads "192.0.2.1:5000", "[2001:db8::1]:5000" or, with a port that is taken
 * where none is said (not 0), "192.0.2.1", "2001:db8::1".  False: it is none.
 */
bool inet_read(struct inet *out, const char *text, uint16_t port);
char *inet_text(char *out, const struct inet *inet);
uint16_t inet_port(const struct inet *inet);
void inet_set_port(struct inet *inet, uint16_t port);

/* A UDP socket bound to local, non-blocking, with room for bursts.  Or -Exxx. */
int inet_socket(const struct inet *local, const char *name, struct err *err);

#endif
