#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/console.h"

struct rig {
	struct loop *loop;
	pthread_mutex_t lock;
	struct console *console;
	struct loop_timer limit;
	char dir[32], socket[64], log[64];
	unsigned int inputs, drains, wakes;
	bool stop_at_drain;
};

static void
on_input(void *arg)
{
	struct rig *rig = arg;

	rig->inputs++;
	loop_stop(rig->loop);
}

static void
on_drain(void *arg)
{
	struct rig *rig = arg;

	rig->drains++;
	if (rig->stop_at_drain)
		loop_stop(rig->loop);
}

static void
on_wake(void *arg)
{
	((struct rig *)arg)->wakes++;
}

static void
on_limit(void *arg)
{
	loop_stop(((struct rig *)arg)->loop);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	pthread_mutex_init(&rig->lock, NULL);
	rig->loop = loop_new(LOOP_REAL, NULL);
	loop_timer_init(&rig->limit, rig->loop, on_limit, rig);
	strcpy(rig->dir, "/tmp/consoleXXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->socket, sizeof(rig->socket), "%s/con", rig->dir);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->dir);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	console_free(rig->console);
	assert_int_equal(access(rig->socket, F_OK), -1);
	loop_timer_unset(&rig->limit);
	loop_free(rig->loop);
	unlink(rig->log);
	rmdir(rig->dir);
	pthread_mutex_destroy(&rig->lock);
	free(rig);
	return 0;
}

static void
open_console(struct rig *rig, bool with_log)
{
	struct console_config config = { .loop = rig->loop,
		.lock = &rig->lock,
		.socket = rig->socket,
		.log = with_log ? rig->log : NULL,
		.patience_ns = 20 * NS_PER_MS,
		.input = on_input,
		.drained = on_drain,
		.wake = on_wake,
		.arg = rig,
		.wake_arg = rig };
	struct err err = { "" };

	rig->console = console_new(&config, &err);
	assert_string_equal(err.text, "");
	assert_non_null(rig->console);
}

/* Lets the loop run until a callback stops it, or for so long. */
static void
run(struct rig *rig, uint64_t limit_ms)
{
	loop_update_now(rig->loop);
	loop_timer_set(
	    &rig->limit, loop_now_ns(rig->loop) + limit_ms * NS_PER_MS);
	loop_run(rig->loop);
	loop_timer_unset(&rig->limit);
}

/* A client, accepted already. */
static int
client(struct rig *rig)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(at.sun_path, rig->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	run(rig, 5);
	return fd;
}

static void
say(struct rig *rig, const char *text)
{
	pthread_mutex_lock(&rig->lock);
	for (; *text != '\0'; text++)
		console_put(rig->console, (uint8_t)*text);
	pthread_mutex_unlock(&rig->lock);
	console_work(rig->console);
}

/* Writes n bytes that tell their own position. */
static void
say_much(struct rig *rig, size_t from, size_t n)
{
	pthread_mutex_lock(&rig->lock);
	for (size_t i = from; i < from + n; i++)
		console_put(rig->console, (uint8_t)(i % 251));
	pthread_mutex_unlock(&rig->lock);
	console_work(rig->console);
}

static bool
room(struct rig *rig)
{
	bool yes;

	pthread_mutex_lock(&rig->lock);
	yes = console_room(rig->console);
	pthread_mutex_unlock(&rig->lock);
	return yes;
}

static void
expect(int fd, const char *text)
{
	char got[256] = "";
	size_t n = 0, want = strlen(text);

	while (n < want) {
		ssize_t r = recv(fd, got + n, want - n, MSG_DONTWAIT);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_memory_equal(got, text, want);
	assert_int_equal(recv(fd, got, 1, MSG_DONTWAIT), -1);
}

static void
the_socket_is_the_owners_alone(void **state)
{
	struct rig *rig = *state;
	struct stat st;

	open_console(rig, false);
	assert_int_equal(stat(rig->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_client_reads_what_the_guest_writes(void **state)
{
	struct rig *rig = *state;
	int fd;

	open_console(rig, false);
	fd = client(rig);
	say(rig, "hello\n");
	expect(fd, "hello\n");
	close(fd);
}

static void
the_boot_waits_for_the_first_client(void **state)
{
	struct rig *rig = *state;
	int fd;

	open_console(rig, false);
	say(rig, "early ");
	say(rig, "words");
	fd = client(rig);
	expect(fd, "early words");
	close(fd);
}

static void
the_next_client_goes_on_where_the_last_one_left(void **state)
{
	struct rig *rig = *state;
	int fd;

	open_console(rig, false);
	fd = client(rig);
	say(rig, "one");
	expect(fd, "one");
	close(fd);
	run(rig, 5);
	say(rig, "two");
	fd = client(rig);
	expect(fd, "two");
	close(fd);
}

static void
a_full_ring_loses_the_oldest(void **state)
{
	struct rig *rig = *state;
	uint8_t got[CONSOLE_RING_BYTES];
	size_t n = 0;
	int fd;

	open_console(rig, false);
	say_much(rig, 0, CONSOLE_RING_BYTES + 1000);
	assert_true(room(rig)); /* nobody is there to wait for */
	assert_int_equal(console_lost(rig->console), 1000);
	fd = client(rig);
	while (n < sizeof(got)) {
		ssize_t r = recv(fd, got + n, sizeof(got) - n, MSG_DONTWAIT);

		if (r < 0)
			run(rig, 5);
		else
			n += (size_t)r;
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i], (i + 1000) % 251);
	close(fd);
}

static void
input_reaches_the_guest(void **state)
{
	struct rig *rig = *state;
	uint8_t byte;
	int fd;

	open_console(rig, false);
	fd = client(rig);
	assert_int_equal(send(fd, "ab", 2, 0), 2);
	run(rig, 1000);
	assert_int_equal(rig->inputs, 1);
	assert_true(console_get(rig->console, &byte));
	assert_int_equal(byte, 'a');
	assert_true(console_get(rig->console, &byte));
	assert_int_equal(byte, 'b');
	assert_false(console_get(rig->console, &byte));
	close(fd);
}

static void
more_input_than_fits_waits_in_the_socket(void **state)
{
	struct rig *rig = *state;
	uint8_t sent[2 * CONSOLE_INPUT_BYTES], byte;
	size_t got = 0;
	int fd;

	open_console(rig, false);
	fd = client(rig);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i % 251);
	assert_int_equal(send(fd, sent, sizeof(sent), 0), sizeof(sent));
	run(rig, 1000);
	while (got < sizeof(sent)) {
		if (console_get(rig->console, &byte)) {
			assert_int_equal(byte, got % 251);
			got++;
		} else {
			assert_true(got >= CONSOLE_INPUT_BYTES);
			console_work(rig->console);
		}
	}
	assert_true(rig->wakes > 0);
	close(fd);
}

static void
a_second_client_waits_until_the_first_leaves(void **state)
{
	struct rig *rig = *state;
	int one, two;

	open_console(rig, false);
	one = client(rig);
	two = client(rig);
	say(rig, "for one");
	expect(one, "for one");
	expect(two, "");
	close(one);
	run(rig, 5);
	say(rig, "for two");
	run(rig, 5);
	expect(two, "for two");
	close(two);
}

static void
a_client_that_only_listens_is_served(void **state)
{
	struct rig *rig = *state;
	int one, two;

	open_console(rig, false);
	one = client(rig);
	assert_int_equal(send(one, "cmd\n", 4, 0), 4);
	shutdown(one, SHUT_WR);
	run(rig, 10);
	run(rig, 5);
	say(rig, "answer");
	expect(one, "answer");
	two = client(rig); /* takes its place */
	say(rig, "other");
	expect(two, "other");
	assert_int_equal(recv(one, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	close(one);
	close(two);
}

static void
a_slow_client_holds_the_guest_back_but_not_for_ever(void **state)
{
	struct rig *rig = *state;
	size_t said = 0;
	uint8_t got[4096];
	int fd;

	open_console(rig, false);
	fd = client(rig);
	while (room(rig)) { /* the socket's buffer, and half a ring */
		say_much(rig, said, 4096);
		said += 4096;
		assert_true(said < 16 << 20);
	}
	assert_true(said >= CONSOLE_RING_BYTES / 2);
	assert_int_equal(rig->drains, 0);
	rig->stop_at_drain = true;
	run(rig, 5000); /* until its patience ends */
	assert_int_equal(rig->drains, 1);
	assert_true(room(rig));
	/* It wakes up: everything since is there, in order. */
	rig->stop_at_drain = false;
	for (size_t n = 0; n < said;) {
		ssize_t r = recv(fd, got, sizeof(got), MSG_DONTWAIT);

		if (r < 0) {
			run(rig, 5);
			continue;
		}
		for (ssize_t i = 0; i < r; i++)
			assert_int_equal(got[i], (n + (size_t)i) % 251);
		n += (size_t)r;
	}
	assert_int_equal(console_lost(rig->console), 0);
	close(fd);
}

static void
reading_lets_a_held_guest_go(void **state)
{
	struct rig *rig = *state;
	size_t said = 0;
	uint8_t got[65536];
	int fd;

	open_console(rig, false);
	fd = client(rig);
	while (room(rig)) {
		say_much(rig, said, 4096);
		said += 4096;
	}
	rig->stop_at_drain = true;
	while (rig->drains == 0) {
		while (recv(fd, got, sizeof(got), MSG_DONTWAIT) > 0)
			;
		run(rig, 1);
	}
	assert_true(room(rig));
	close(fd);
}

static void
the_log_has_everything(void **state)
{
	struct rig *rig = *state;
	uint8_t got[4096];
	size_t said = 0, n = 0;
	ssize_t r;
	int fd;

	open_console(rig, true);
	while (said < 3 * CONSOLE_RING_BYTES) {
		pthread_mutex_lock(&rig->lock);
		while (console_room(rig->console)) {
			console_put(rig->console, (uint8_t)(said % 251));
			said++;
		}
		pthread_mutex_unlock(&rig->lock);
		assert_true(rig->wakes > 0);
		console_work(rig->console);
	}
	fd = open(rig->log, O_RDONLY);
	while ((r = read(fd, got, sizeof(got))) > 0)
		for (ssize_t i = 0; i < r; i++, n++)
			assert_int_equal(got[i], n % 251);
	assert_int_equal(n, said);
	close(fd);
}

static void
a_socket_left_behind_is_replaced_but_no_other_file(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct console_config config = {
		.loop = rig->loop, .lock = &rig->lock, .socket = rig->log
	};
	struct err err = { "" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char want[128];

	strcpy(at.sun_path, rig->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	open_console(rig, false);
	close(open(rig->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_null(console_new(&config, &err));
	snprintf(want, sizeof(want),
	    "%s: cannot listen: Address already in use; use another path",
	    rig->log);
	assert_string_equal(err.text, want);
	assert_int_equal(access(rig->log, F_OK), 0);
}

static void
impossible_paths_are_refused(void **state)
{
	struct rig *rig = *state;
	struct console_config config = { .loop = rig->loop,
		.lock = &rig->lock };
	char path[150];
	struct err err = { "" };

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	config.socket = path;
	assert_null(console_new(&config, &err));
	assert_non_null(strstr(err.text,
	    "a socket's path has at most 107 bytes; use a shorter one"));
	err_clear(&err);
	config.socket = NULL;
	config.log = "/nonexistent/log";
	assert_null(console_new(&config, &err));
	assert_string_equal(err.text,
	    "/nonexistent/log: cannot open the console log: No such file or "
	    "directory; use another path");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_socket_is_the_owners_alone),
		CASE(a_client_reads_what_the_guest_writes),
		CASE(the_boot_waits_for_the_first_client),
		CASE(the_next_client_goes_on_where_the_last_one_left),
		CASE(a_full_ring_loses_the_oldest),
		CASE(input_reaches_the_guest),
		CASE(more_input_than_fits_waits_in_the_socket),
		CASE(a_second_client_waits_until_the_first_leaves),
		CASE(a_client_that_only_listens_is_served),
		CASE(a_slow_client_holds_the_guest_back_but_not_for_ever),
		CASE(reading_lets_a_held_guest_go),
		CASE(the_log_has_everything),
		CASE(a_socket_left_behind_is_replaced_but_no_other_file),
		CASE(impossible_paths_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
