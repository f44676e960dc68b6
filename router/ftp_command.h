/*
 * ftp_command.h - where a line of FTP's control connection names an end for a
 * data connection (RFC 959 4.1.2, RFC 2428).
 *
 * Pure functions.
 */
#ifndef ROUTER_FTP_COMMAND_H
#define ROUTER_FTP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FTP_PORT       21
#define FTP_TEXT_BYTES 32 /* of the longest text that names an end */

/* Who speaks. */
enum ftp_speaker { FTP_CLIENT, FTP_SERVER };

enum ftp_form {
	FTP_NUMBERS,   /* h1,h2,h3,h4,p1,p2, in PORT and the reply 227 */
	FTP_DELIMITED, /* |1|address|port|, in EPRT */
	FTP_PORT_ONLY, /* the port of (|||port|), in the reply 229 */
};

struct ftp_end {
	enum ftp_form form;
	uint8_t delimiter; /* of FTP_DELIMITED */
	uint32_t ip;       /* 0 in FTP_PORT_ONLY */
	uint16_t port;
	size_t from, bytes; /* of the text in the line */
};

/* Does the line, of n bytes with its line feed, name an end?  Only such as are
 * written as the RFCs say, with an address of IPv4. */
bool ftp_read(const uint8_t *line, size_t n, enum ftp_speaker speaker,
    struct ftp_end *end);

/* Can n bytes that begin a line become one that names an end? */
bool ftp_may_name(const uint8_t *begin, size_t n, enum ftp_speaker speaker);

/* Writes the text for another end in the same form.  Its length. */
size_t ftp_write(const struct ftp_end *end, uint32_t ip, uint16_t port,
    uint8_t text[FTP_TEXT_BYTES]);

/* Can the line be the first that a client or server of FTP says? */
bool ftp_is_opening(const uint8_t *line, size_t n, enum ftp_speaker speaker);

#endif
