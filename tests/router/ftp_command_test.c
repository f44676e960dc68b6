/*
 * Lines of FTP that name an end, and those that do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "router/ftp_command.h"

#define N(a)       (sizeof(a) / sizeof((a)[0]))
#define ALICE      0x0a00000a
#define OUTSIDE_IP 0xcb007101

struct row {
	const char *line;
	const char *becomes; /* NULL: names no end */
};

static void
check(const struct row *row, enum ftp_speaker speaker)
{
	struct ftp_end end;
	uint8_t text[FTP_TEXT_BYTES];
	size_t n = strlen(row->line), len;
	char out[256];

	/* Its own memory, so that reads beyond it are found. */
	uint8_t *line = test_malloc(n + (n == 0));

	memcpy(line, row->line, n);
	assert_int_equal(
	    ftp_read(line, n, speaker, &end), row->becomes != NULL);
	test_free(line);
	if (row->becomes == NULL)
		return;
	assert_int_equal(end.port, 4001);
	if (end.form != FTP_PORT_ONLY)
		assert_int_equal(end.ip, ALICE);
	len = ftp_write(&end, OUTSIDE_IP, 65535, text);
	snprintf(out, sizeof(out), "%.*s%.*s%s", (int)end.from, row->line,
	    (int)len, (const char *)text, row->line + end.from + end.bytes);
	assert_string_equal(out, row->becomes);
}

static void
commands_of_a_client(void **state)
{
	static const struct row rows[] = {
		{ "PORT 10,0,0,10,15,161\r\n", "PORT 203,0,113,1,255,255\r\n" },
		{ "port 10,0,0,10,15,161\n", "port 203,0,113,1,255,255\n" },
		{ "PORT  10,0,0,10,15,161\r\n",
		    "PORT  203,0,113,1,255,255\r\n" },
		{ "PORT 10,0,0,010,015,161\r\n",
		    "PORT 203,0,113,1,255,255\r\n" },
		{ "EPRT |1|10.0.0.10|4001|\r\n",
		    "EPRT |1|203.0.113.1|65535|\r\n" },
		{ "eprt !1!10.0.0.10!4001!\r\n",
		    "eprt !1!203.0.113.1!65535!\r\n" },
		{ "PORT 10,0,0,10,15,161", NULL },
		{ "PORT 10,0,0,10,15,161 \r\n", NULL },
		{ "PORT 10,0,0,10,15\r\n", NULL },
		{ "PORT 10,0,0,10,15,161,1\r\n", NULL },
		{ "PORT 10,0,0,256,15,161\r\n", NULL },
		{ "PORT 10,0,0,10,15,00000161\r\n", NULL },
		{ "PORT 10.0.0.10,15,161\r\n", NULL },
		{ "PORT ,,,,,\r\n", NULL },
		{ "XPORT 10,0,0,10,15,161\r\n", NULL },
		{ "PORT\r\n", NULL },
		{ "PORT ", NULL },
		{ "PORT \n", NULL },
		{ "\n", NULL },
		{ "", NULL },
		{ "EPRT |2|2001:db8::1|4001|\r\n", NULL },
		{ "EPRT |1|10.0.0.10|4001\r\n", NULL },
		{ "EPRT |1|10.0.0.10|65536|\r\n", NULL },
		{ "EPRT |1|10.0.0.10!4001|\r\n", NULL },
		{ "EPRT 1110.0.0.1014001\r\n", NULL },
		{ "EPRT .1.10.0.0.10.4001.\r\n", NULL },
		{ "EPRT ||\r\n", NULL },
		{ "227 (10,0,0,10,15,161)\r\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		check(&rows[i], FTP_CLIENT);
}

static void
replies_of_a_server(void **state)
{
	static const struct row rows[] = {
		{ "227 Entering Passive Mode (10,0,0,10,15,161).\r\n",
		    "227 Entering Passive Mode (203,0,113,1,255,255).\r\n" },
		{ "227 at 10,0,0,10,15,161\r\n",
		    "227 at 203,0,113,1,255,255\r\n" },
		{ "227 1,2 and 10,0,0,10,15,161\r\n",
		    "227 1,2 and 203,0,113,1,255,255\r\n" },
		{ "229 Extended (|||4001|)\r\n",
		    "229 Extended (|||65535|)\r\n" },
		{ "229 (!!!4001!)\r\n", "229 (!!!65535!)\r\n" },
		{ "227 Entering Passive Mode\r\n", NULL },
		{ "227-10,0,0,10,15,161\r\n", NULL },
		{ "227 10,0,0,10,15\r\n", NULL },
		{ "229 4001\r\n", NULL },
		{ "229 (|||4001)\r\n", NULL },
		{ "229 (|||70000|)\r\n", NULL },
		{ "229 (|1|10.0.0.10|4001|)\r\n", NULL },
		{ "229 (\r\n", NULL },
		{ "229 (|||\r\n", NULL },
		{ "200 10,0,0,10,15,161\r\n", NULL },
		{ "PORT 10,0,0,10,15,161\r\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		check(&rows[i], FTP_SERVER);
}

static void
first_lines_tell_ftp_from_others(void **state)
{
	static const struct {
		const char *line;
		enum ftp_speaker speaker;
		bool is_ftp;
	} rows[] = {
		{ "USER anonymous\r\n", FTP_CLIENT, true },
		{ "AUTH TLS\r\n", FTP_CLIENT, true },
		{ "feat\r\n", FTP_CLIENT, true },
		{ "220 Welcome\r\n", FTP_SERVER, true },
		{ "220-Welcome\r\n", FTP_SERVER, true },
		{ "POST / HTTP/1.1\r\n", FTP_CLIENT, false },
		{ "GET / HTTP/1.1\r\n", FTP_CLIENT, false },
		{ "PORT 10,0,0,10,15,161\r\n", FTP_CLIENT, false },
		{ "USERS\r\n", FTP_CLIENT, false },
		{ "EHLO a\r\n", FTP_CLIENT, false },
		{ "500 no\r\n", FTP_SERVER, false },
		{ "SSH-2.0\r\n", FTP_SERVER, false },
		{ "\n", FTP_CLIENT, false },
		{ "\n", FTP_SERVER, false },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		assert_int_equal(ftp_is_opening((const uint8_t *)rows[i].line,
				     strlen(rows[i].line), rows[i].speaker),
		    rows[i].is_ftp);
}

/* Each begin of a line that names an end may become one, and others not. */
static void
a_begin_tells_whether_a_line_may_name_an_end(void **state)
{
	static const struct {
		const char *begin;
		enum ftp_speaker speaker;
		bool may;
	} rows[] = {
		{ "P", FTP_CLIENT, true },
		{ "eprt", FTP_CLIENT, true },
		{ "PORT", FTP_CLIENT, true },
		{ "PORT 10,0", FTP_CLIENT, true },
		{ "PORTS", FTP_CLIENT, false },
		{ "PA", FTP_CLIENT, false },
		{ "227 ", FTP_CLIENT, false },
		{ "2", FTP_SERVER, true },
		{ "22", FTP_SERVER, true },
		{ "227 Enter", FTP_SERVER, true },
		{ "229", FTP_SERVER, true },
		{ "227-", FTP_SERVER, false },
		{ "220", FTP_SERVER, false },
		{ "PORT ", FTP_SERVER, false },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		assert_int_equal(ftp_may_name((const uint8_t *)rows[i].begin,
				     strlen(rows[i].begin), rows[i].speaker),
		    rows[i].may);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_of_a_client),
		cmocka_unit_test(replies_of_a_server),
		cmocka_unit_test(a_begin_tells_whether_a_line_may_name_an_end),
		cmocka_unit_test(first_lines_tell_ftp_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
