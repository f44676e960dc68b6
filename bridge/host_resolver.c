/*
 * Lines of resolv.conf(5): "nameserver", blanks, an address, and what follows it
 * does not matter.  Only the file's beginning is looked at.
 */
#include "bridge/host_resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES 4096

/* The word that begins at *at, which is moved behind it; its length is 0 at a
 * line's end. */
static size_t
word(const char **at, const char *end, const char **begin)
{
	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
	*begin = *at;
	while (*at < end && **at != ' ' && **at != '\t' && **at != '\n' &&
	    **at != '\0')
		(*at)++;
	return (size_t)(*at - *begin);
}

static uint32_t
address(const char *text, size_t n)
{
	char copy[INET_ADDRSTRLEN];
	struct in_addr addr;

	if (n >= sizeof(copy))
		return 0;
	memcpy(copy, text, n);
	copy[n] = '\0';
	return inet_pton(AF_INET, copy, &addr) == 1 ? ntohl(addr.s_addr) : 0;
}

uint32_t
host_resolver_find(const char *text, size_t bytes)
{
	const char *at = text, *end = text + bytes, *begin;

	while (at < end) {
		size_t n = word(&at, end, &begin);

		if (n == 10 && memcmp(begin, "nameserver", 10) == 0) {
			n = word(&at, end, &begin);
			if (address(begin, n) != 0)
				return address(begin, n);
		}
		while (at < end && *at++ != '\n')
			;
	}
	return 0;
}

uint32_t
host_resolver(void)
{
	char text[FILE_BYTES];
	int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	bool cut;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text));
	close(fd);
	/* A line that is cut off may name somebody else. */
	cut = n == (ssize_t)sizeof(text);
	while (cut && n > 0 && text[n - 1] != '\n')
		n--;
	return n > 0 ? host_resolver_find(text, (size_t)n) : 0;
}
