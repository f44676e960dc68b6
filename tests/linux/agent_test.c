/*
 * The agent, on one end of a pseudo terminal, with the host's own shell.
 */
#include "vmm/linux/agent.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define RS          0x1e
#define PATIENCE_MS 20000
#define BIG_BYTES   (1 << 20)

struct line {
	int host; /* our end */
	pid_t agent;
	char *got; /* output of the last command */
	size_t got_len;
};

static void
read_byte(struct line *l, char *c)
{
	struct pollfd fd = { .fd = l->host, .events = POLLIN };

	assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
	assert_int_equal(read(l->host, c, 1), 1);
}

/* Reads up to the end of a record; output in l->got. */
static void
read_record(struct line *l, char record[16])
{
	size_t n = 0;
	char c;

	l->got_len = 0;
	for (read_byte(l, &c); c != RS; read_byte(l, &c)) {
		assert_true(l->got_len < BIG_BYTES - 1);
		l->got[l->got_len++] = c;
	}
	l->got[l->got_len] = '\0';
	for (read_byte(l, &c); c != '\n'; read_byte(l, &c)) {
		assert_true(n < 15);
		record[n++] = c;
	}
	record[n] = '\0';
}

static void
send_text(const struct line *l, const char *text, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(l->host, text + done, len - done);

		assert_true(n > 0);
		done += (size_t)n;
	}
}

static int
answer(struct line *l)
{
	char record[16];

	read_record(l, record);
	assert_true(record[0] >= '0' && record[0] <= '9');
	return atoi(record);
}

static int
ask(struct line *l, const char *command)
{
	send_text(l, command, strlen(command));
	send_text(l, "\n", 1);
	return answer(l);
}

static void
nap_ms(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

static int
set_up(void **state)
{
	struct line *l = calloc(1, sizeof(*l));
	char record[16], path[64];

	assert_non_null(l);
	l->got = malloc(BIG_BYTES);
	assert_non_null(l->got);
	l->host = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(l->host >= 0);
	assert_int_equal(grantpt(l->host), 0);
	assert_int_equal(unlockpt(l->host), 0);
	assert_int_equal(ptsname_r(l->host, path, sizeof(path)), 0);
	l->agent = fork();
	if (l->agent == 0) {
		close(l->host);
		_exit(agent_main(path));
	}
	read_record(l, record);
	assert_string_equal(record, "ready");
	assert_int_equal(l->got_len, 0);
	*state = l;
	return 0;
}

static int
tear_down(void **state)
{
	struct line *l = *state;
	int status;

	close(l->host);
	/* Its line is gone, so that it ends. */
	assert_int_equal(waitpid(l->agent, &status, 0), l->agent);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
	free(l->got);
	free(l);
	return 0;
}

static void
a_command_gives_output_and_status(void **state)
{
	static const struct {
		const char *command, *output;
		int status;
	} rows[] = {
		{ "echo hello", "hello\n", 0 },
		{ "exit 7", "", 7 },
		{ "echo out; echo err >&2; false", "out\nerr\n", 1 },
		{ "kill -9 $$", "", 137 },
		{ "kill -TERM $$", "", 143 },
		{ "exec /nonexistent/program 2>/dev/null", "", 127 },
		{ "", "", 0 },
		{ "cat", "", 0 }, /* no input */
		{ "printf 'a\\036b\\0360\\nc'", "ab0\nc", 0 },
		{ "printf '\\r\\n\\003\\000x' | od -An -tx1 | tr -d ' '",
		    "0d0a030078\n", 0 },
		{ "exec >&- 2>&-; sleep 0.1; exit 5", "", 5 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ask(*state, rows[i].command), rows[i].status);
		assert_string_equal(
		    ((struct line *)*state)->got, rows[i].output);
	}
}

static void
bytes_pass_as_they_are(void **state)
{
	struct line *l = *state;

	assert_int_equal(ask(l, "printf '\\r\\n\\004\\021\\377\\t\\000.'"), 0);
	assert_int_equal(l->got_len, 8);
	assert_memory_equal(l->got, "\r\n\004\021\377\t\0.", 8);
}

static void
long_output_arrives_whole_on_a_slow_line(void **state)
{
	struct line *l = *state;
	size_t at = 0;
	char want[16];

	send_text(l, "seq 1 40000\n", 12);
	nap_ms(200); /* all buffers on the way fill up */
	assert_int_equal(answer(l), 0);
	for (int i = 1; i <= 40000; i++) {
		int n = snprintf(want, sizeof(want), "%d\n", i);

		assert_memory_equal(l->got + at, want, (size_t)n);
		at += (size_t)n;
	}
	assert_int_equal(l->got_len, at);
}

static void
an_interrupt_ends_a_command_with_130(void **state)
{
	static const char *const commands[] = {
		"sleep 1000\n\003",
		"sleep 1000; exit 3\n\003",
		"sleep 1000 | cat\n\003",
		"trap 'exit 4' INT; echo on; sleep 1000\n\003",
		"yes\n\003",
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		send_text(*state, commands[i], strlen(commands[i]));
		assert_int_equal(answer(*state), 130);
	}
	assert_int_equal(ask(*state, "exit 9"), 9);
}

static void
an_interrupt_passes_a_flood_that_nobody_reads(void **state)
{
	struct line *l = *state;

	send_text(l, "yes\n", 4);
	nap_ms(200);
	send_text(l, "\003", 1);
	nap_ms(200); /* still unread; the command must be ending now */
	assert_int_equal(answer(l), 130);
	assert_true(l->got_len < 300000);
}

static void
a_command_that_ignores_interrupts_is_killed(void **state)
{
	static const char once[] = "trap '' INT; echo on; sleep 1000\n";
	struct line *l = *state;

	send_text(l, once, strlen(once));
	nap_ms(200);
	send_text(l, "\003", 1);
	assert_int_equal(answer(l), 130);
	assert_string_equal(l->got, "on\n");
	send_text(l, once, strlen(once));
	nap_ms(200);
	send_text(l, "\003\003", 2);
	assert_int_equal(answer(l), 130);
}

static void
an_interrupt_forgets_a_half_written_command(void **state)
{
	send_text(*state, "exit 3\003exit 4\n", 14);
	assert_int_equal(answer(*state), 4);
}

static void
a_late_interrupt_does_nothing(void **state)
{
	assert_int_equal(ask(*state, "true"), 0);
	send_text(*state, "\003\003", 2);
	assert_int_equal(ask(*state, "exit 6"), 6);
}

static void
what_comes_while_a_command_runs_is_lost(void **state)
{
	struct line *l = *state;

	send_text(l, "sleep 0.2; echo one\necho two\n", 29);
	assert_int_equal(answer(l), 0);
	assert_string_equal(l->got, "one\n");
	assert_int_equal(ask(l, "echo three"), 0);
	assert_string_equal(l->got, "three\n");
}

/* A name in path that no file has. */
static void
name_file(char path[32])
{
	int fd;

	snprintf(path, 32, "/tmp/agent_test.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
}

static void
wait_for_file(struct line *l, const char *path)
{
	char command[128];

	snprintf(command, sizeof(command),
	    "while ! [ -e %s ]; do sleep 0.05; done; rm %s; echo there", path,
	    path);
	assert_int_equal(ask(l, command), 0);
	assert_string_equal(l->got, "there\n");
}

static void
background_processes_go_on_unheard(void **state)
{
	struct line *l = *state;
	char path[32], command[128];

	/* Were its output not read, it would never come to write the file. */
	name_file(path);
	snprintf(command, sizeof(command),
	    "(sleep 0.2; seq 1 100000; echo >%s) & echo now", path);
	assert_int_equal(ask(l, command), 0);
	assert_string_equal(l->got, "now\n");
	wait_for_file(l, path);
}

static void
a_background_flood_does_not_hold_up_the_answer(void **state)
{
	/* It ends with the agent, whose end of the pipe it is. */
	assert_int_equal(ask(*state, "yes & exit 3"), 3);
	assert_int_equal(ask(*state, "exit 4"), 4);
}

static void
of_many_background_outputs_the_oldest_is_ended(void **state)
{
	struct line *l = *state;
	char path[32], command[160];

	name_file(path);
	snprintf(command, sizeof(command),
	    "(trap '' PIPE; while echo x; do sleep 0.02; done 2>/dev/null; "
	    "echo >%s) &",
	    path);
	assert_int_equal(ask(l, command), 0);
	for (int i = 0; i < 31; i++)
		assert_int_equal(ask(l, "sleep 4 &"), 0);
	nap_ms(100);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(ask(l, "sleep 4 &"), 0);
	wait_for_file(l, path);
}

static void
a_command_may_be_so_long_and_no_longer(void **state)
{
	struct line *l = *state;
	char command[AGENT_COMMAND_MAX + 2];

	memset(command, ' ', sizeof(command));
	memcpy(command, "exit 3", 6);
	command[AGENT_COMMAND_MAX] = '\0';
	assert_int_equal(ask(l, command), 3);
	command[AGENT_COMMAND_MAX] = ' ';
	command[AGENT_COMMAND_MAX + 1] = '\0';
	assert_int_equal(ask(l, command), 126);
	assert_string_equal(
	    l->got, "lanyard-agent: this command is too long\n");
	assert_int_equal(ask(l, "exit 5"), 5);
}

static void
zero_bytes_are_passed_over(void **state)
{
	send_text(*state, "ex\0it 8\n", 8);
	assert_int_equal(answer(*state), 8);
}

static void
random_bytes_do_no_harm(void **state)
{
	struct line *l = *state;
	uint32_t x = 1;
	char c, record[16];

	/* Comments, so that nothing of it is run. */
	for (int i = 0; i < 200; i++) {
		send_text(l, "#", 1);
		for (int k = 0; k < 40; k++) {
			x = x * 1664525 + 1013904223;
			c = (char)(x >> 24);
			if (c != '\n' && c != 3)
				send_text(l, &c, 1);
		}
		send_text(l, "\n", 1);
		read_record(l, record);
		assert_string_equal(record, "0");
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_command_gives_output_and_status),
		TEST(bytes_pass_as_they_are),
		TEST(long_output_arrives_whole_on_a_slow_line),
		TEST(an_interrupt_ends_a_command_with_130),
		TEST(an_interrupt_passes_a_flood_that_nobody_reads),
		TEST(a_command_that_ignores_interrupts_is_killed),
		TEST(an_interrupt_forgets_a_half_written_command),
		TEST(a_late_interrupt_does_nothing),
		TEST(what_comes_while_a_command_runs_is_lost),
		TEST(background_processes_go_on_unheard),
		TEST(a_background_flood_does_not_hold_up_the_answer),
		TEST(of_many_background_outputs_the_oldest_is_ended),
		TEST(a_command_may_be_so_long_and_no_longer),
		TEST(zero_bytes_are_passed_over),
		TEST(random_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
