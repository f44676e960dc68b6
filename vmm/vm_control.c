/*
 * A client's line comes in whatever pieces; when it is whole, it is obeyed and
 * answered, and the client is gone.  A checkpoint holds up the loop, so that
 * others wait.
 */
#include "vmm/vm_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ask_line.h"
#include "base/unix_listen.h"

#define SAVE       "save "
#define STOP       "stop "
#define WORD_BYTES (sizeof(SAVE) - 1) /* of both */

struct client {
	struct vm_control *control;
	int fd; /* -1: nobody */
	struct loop_watch *watch;
	struct loop_timer patience;
	char line[VM_CONTROL_LINE];
	size_t len;
};

struct vm_control {
	struct vm_control_config config;
	struct unix_listener listener;
	struct loop_watch *watch;
	struct client client[VM_CONTROL_CLIENTS];
	unsigned int nclients;
};

static void
hang_up(struct client *c)
{
	if (c->fd < 0)
		return;
	loop_timer_unset(&c->patience);
	loop_watch_free(c->watch);
	close(c->fd);
	c->fd = -1;
	c->control->nclients--;
	if (c->control->watch != NULL)
		loop_watch_events(c->control->watch, LOOP_READ);
}

static void
patience_over(void *arg)
{
	hang_up(arg);
}

static void
obey(struct client *c)
{
	const struct vm_control_config *config = &c->control->config;
	bool stop = strncmp(c->line, STOP, WORD_BYTES) == 0;
	const char *good = "ok";
	struct err err = { "" };

	if (strcmp(c->line, VM_CONTROL_HERE) == 0)
		good = config->anew ? VM_CONTROL_ANEW : "ok";
	else if (!stop && strncmp(c->line, SAVE, WORD_BYTES) != 0)
		err_set(&err, -EINVAL,
		    "not understood; send \"" SAVE "NAME\" or \"" STOP
		    "NAME\"");
	else if (config->save(config->arg, c->line + WORD_BYTES, stop, &err) ==
	    0)
		err_clear(&err);
	/* One who does not read is not waited for. */
	ask_line_send(
	    c->fd, err.text[0] != '\0' ? err.text : good, MSG_DONTWAIT);
	hang_up(c);
}

static void
client_ready(void *arg, unsigned int events)
{
	struct client *c = arg;
	ssize_t n = recv(
	    c->fd, c->line + c->len, sizeof(c->line) - c->len, MSG_DONTWAIT);
	char *end;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->len += (size_t)n;
	end = memchr(c->line, '\n', c->len);
	if (end != NULL) {
		*end = '\0';
		obey(c);
	} else if (c->len == sizeof(c->line)) {
		hang_up(c);
	}
}

static void
come_in(struct client *c, int fd)
{
	struct loop *loop = c->control->config.loop;

	c->watch = loop_watch_new(loop, fd, LOOP_READ, client_ready, c, NULL);
	if (c->watch == NULL) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->len = 0;
	loop_timer_set(
	    &c->patience, loop_now_ns(loop) + VM_CONTROL_MS * NS_PER_MS);
	if (++c->control->nclients == VM_CONTROL_CLIENTS)
		loop_watch_events(c->control->watch, 0);
}

static void
listener_ready(void *arg, unsigned int events)
{
	struct vm_control *control = arg;
	int fd = accept4(
	    control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	for (unsigned int i = 0; i < VM_CONTROL_CLIENTS; i++)
		if (control->client[i].fd < 0) {
			come_in(&control->client[i], fd);
			return;
		}
	close(fd);
}

struct vm_control *
vm_control_new(const struct vm_control_config *config, struct err *err)
{
	struct vm_control *control = calloc(1, sizeof(*control));

	if (control == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", config->path);
		return NULL;
	}
	control->config = *config;
	control->listener.fd = -1;
	for (unsigned int i = 0; i < VM_CONTROL_CLIENTS; i++) {
		struct client *c = &control->client[i];

		c->control = control;
		c->fd = -1;
		loop_timer_init(&c->patience, config->loop, patience_over, c);
	}
	if (unix_listen(&control->listener, config->path, err) == 0)
		control->watch =
		    loop_watch_new(config->loop, control->listener.fd,
			LOOP_READ, listener_ready, control, err);
	if (control->watch != NULL)
		return control;
	vm_control_free(control);
	return NULL;
}

void
vm_control_free(struct vm_control *control)
{
	if (control == NULL)
		return;
	for (unsigned int i = 0; i < VM_CONTROL_CLIENTS; i++)
		hang_up(&control->client[i]);
	loop_watch_free(control->watch);
	unix_listener_close(&control->listener);
	free(control);
}

/* ---- whoever asks ---- */

int
vm_control_ask_save(
    const char *path, const char *name, bool stop, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char question[VM_CONTROL_LINE], answer[ERR_MAX_BYTES];
	int fd, r;

	if (strlen(path) >= sizeof(to.sun_path))
		return err_set(err, -ENAMETOOLONG,
		    "%.60s...: is too long for a socket", path);
	strcpy(to.sun_path, path);
	if (strchr(name, '\n') != NULL ||
	    (size_t)snprintf(question, sizeof(question), "%s%s",
		stop ? STOP : SAVE, name) >= sizeof(question) - 1)
		return err_set(
		    err, -EINVAL, "this cannot be the name of a checkpoint");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		r = err_sys(err, -errno, "is the VM running?",
		    "%s: cannot be connected to", path);
	} else {
		r = ask_line(fd, question, answer, sizeof(answer));
		if (r < 0)
			r = err_set(err, r, "%s: the VM hung up", path);
		else if (strcmp(answer, "ok") != 0)
			r = err_set(err, -EIO, "%s", answer);
	}
	if (fd >= 0)
		close(fd);
	return r;
}
