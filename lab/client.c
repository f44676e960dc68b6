#include "lab/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab/rundir.h"

int
client_open(struct client_link *link, const char *lab, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char path[RUNDIR_BYTES];
	int e = rundir_find(lab, "control", path, err);

	*link = (struct client_link){ .fd = -1 };
	if (e < 0)
		return e;
	snprintf(to.sun_path, sizeof(to.sun_path), "%.107s", path);
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->fd < 0 ||
	    connect(link->fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		e = err_sys(err, -errno, "wait until it has started",
		    "lab \"%s\" does not answer", lab);
		client_close(link);
		return e;
	}
	link->in = fdopen(link->fd, "r");
	if (link->in != NULL)
		return 0;
	client_close(link);
	return err_set(err, -ENOMEM, "out of memory");
}

void
client_close(struct client_link *link)
{
	if (link->in != NULL)
		fclose(link->in);
	else if (link->fd >= 0)
		close(link->fd);
	*link = (struct client_link){ .fd = -1 };
}

int
client_send(struct client_link *link, json_t *request, struct err *err)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t len, done = 0;

	json_decref(request);
	if (line == NULL)
		return err_set(err, -EINVAL,
		    "the request is no text in UTF-8; write it in UTF-8");
	len = strlen(line);
	line[len] = '\n'; /* in place of its end */
	while (done <= len) {
		ssize_t n =
		    send(link->fd, line + done, len + 1 - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(line);
			return err_set(err, -EPIPE, "the lab has ended");
		}
		done += (size_t)n;
	}
	free(line);
	return 0;
}

json_t *
client_receive(struct client_link *link, struct err *err)
{
	char *line = NULL;
	size_t max = 0;
	ssize_t n;
	json_t *reply, *ok;

	do {
		clearerr(link->in);
		n = getline(&line, &max, link->in);
	} while (n < 0 && errno == EINTR && !feof(link->in));
	if (n < 0) {
		free(line);
		err_set(err, -EPIPE, "the lab has ended");
		return NULL;
	}
	reply = json_loadb(line, (size_t)n, 0, NULL);
	free(line);
	ok = json_object_get(reply, "ok");
	if (reply != NULL && (ok == NULL || json_is_true(ok)))
		return reply;
	err_set(err, -EINVAL, "%s",
	    json_string_value(json_object_get(reply, "error")) != NULL
		? json_string_value(json_object_get(reply, "error"))
		: "the lab's answer makes no sense");
	json_decref(reply);
	return NULL;
}

json_t *
client_call(struct client_link *link, json_t *request, struct err *err)
{
	if (client_send(link, request, err) < 0)
		return NULL;
	return client_receive(link, err);
}
