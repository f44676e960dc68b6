#include "base/inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_BYTES (4 * 1024 * 1024)

bool
inet_read(struct inet *out, const char *text, uint16_t port)
{
	static const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM,
	};
	char host[INET_TEXT_BYTES], service[8];
	const char *colon = strrchr(text, ':'), *end = text + strlen(text);
	struct addrinfo *found;
	size_t n;

	/* An address of IPv6 has more colons, and brackets before a port. */
	if (colon != NULL && strchr(text, ':') != colon &&
	    (text[0] != '[' || colon[-1] != ']'))
		colon = NULL;
	snprintf(service, sizeof(service), "%u", port);
	if (colon != NULL) {
		if (strlen(colon + 1) >= sizeof(service))
			return false;
		memcpy(service, colon + 1, strlen(colon + 1) + 1);
		end = colon;
	} else if (port == 0) {
		return false;
	}
	if (text[0] == '[' && end > text + 1 && end[-1] == ']') {
		text++;
		end--;
	}
	n = (size_t)(end - text);
	if (n == 0 || n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	/* getaddrinfo() takes "1" for 0.0.0.1 and more of that kind */
	if (strchr(host, ':') == NULL &&
	    inet_pton(AF_INET, host, &(struct in_addr){ 0 }) != 1)
		return false;
	if (service[0] < '1' || service[0] > '9' ||
	    getaddrinfo(host, service, &hints, &found) != 0)
		return false;
	n = found->ai_addrlen;
	if (n <= sizeof(out->in6)) {
		*out = (struct inet){ .len = (socklen_t)n };
		memcpy(&out->in6, found->ai_addr, n);
	}
	freeaddrinfo(found);
	return n <= sizeof(out->in6) && inet_port(out) != 0;
}

char *
inet_text(char *out, const struct inet *inet)
{
	char host[INET_TEXT_BYTES - 8];

	if (getnameinfo(&inet->sa, inet->len, host, sizeof(host), NULL, 0,
		NI_NUMERICHOST) != 0)
		snprintf(host, sizeof(host), "?");
	snprintf(out, INET_TEXT_BYTES,
	    inet->sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
	    inet_port(inet));
	return out;
}

uint16_t
inet_port(const struct inet *inet)
{
	return ntohs(inet->sa.sa_family == AF_INET6 ? inet->in6.sin6_port
						    : inet->in.sin_port);
}

void
inet_set_port(struct inet *inet, uint16_t port)
{
	if (inet->sa.sa_family == AF_INET6)
		inet->in6.sin6_port = htons(port);
	else
		inet->in.sin_port = htons(port);
}

int
inet_socket(const struct inet *local, const char *name, struct err *err)
{
	const int room = SOCKET_BYTES, on = 1;
	char text[INET_TEXT_BYTES];
	int fd = socket(
	    local->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int e;

	if (fd < 0)
		return err_sys(err, -errno, NULL, "%s: no UDP socket", name);
	/* As much as the machine lets us have. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (local->sa.sa_family == AF_INET6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &local->sa, local->len) == 0)
		return fd;
	e = err_sys(err, -errno,
	    errno == EADDRINUSE ? "use another local port, or end who has it"
				: "use an address of this machine",
	    "%s: cannot use %s", name, inet_text(text, local));
	close(fd);
	return e;
}
