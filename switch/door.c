#include "switch/door.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define OPEN_AGAIN_AFTER_NS NS_PER_S

void
door_show_out(struct door *door)
{
	if (door->fd < 0)
		return;
	door->ops->leave(door->arg);
	close(door->fd);
	door->fd = -1;
}

/* One whose socket is closed, though we were not yet told. */
static bool
has_left(const struct door *door)
{
	char byte;

	return recv(door->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void
open_again(void *arg)
{
	struct door *door = arg;

	loop_watch_events(door->watch, LOOP_READ);
}

/* The next who comes.  -1: nobody. */
static int
next(struct door *door)
{
	int fd = accept4(
	    door->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED) {
		complain(&door->complaint, loop_now_ns(door->loop), door->name,
		    "cannot let a %s in: %s", door->ops->guest,
		    strerror(errno));
		loop_watch_events(door->watch, 0);
		loop_timer_set(&door->again,
		    loop_now_ns(door->loop) + OPEN_AGAIN_AFTER_NS);
	}
	return fd;
}

static void
knocked(void *arg, unsigned int events)
{
	struct door *door = arg;
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);
	int fd = next(door);

	(void)events;
	if (fd < 0)
		return;
	if (door->fd >= 0 && !has_left(door)) {
		door->turned_away++;
		complain(&door->complaint, loop_now_ns(door->loop), door->name,
		    "another %s turned away: %d is connected", door->ops->guest,
		    (int)door->pid);
		close(fd);
		return;
	}
	door_show_out(door);
	door->fd = fd;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	door->pid = cred.pid;
	if (!door->ops->enter(door->arg)) {
		door_show_out(door);
		return;
	}
	door->connections++;
	log_info("%s: %s %d connected", door->name, door->ops->guest,
	    (int)door->pid);
}

int
door_open(struct door *door, const struct door_ops *ops, void *arg,
    struct loop *loop, const char *name, const char *path, struct err *err)
{
	int e;

	*door = (struct door){
		.ops = ops, .arg = arg, .name = name, .loop = loop, .fd = -1
	};
	loop_timer_init(&door->again, loop, open_again, door);
	e = unix_listen(&door->listener, path, err);
	if (e < 0)
		return e;
	door->watch = loop_watch_new(
	    loop, door->listener.fd, LOOP_READ, knocked, door, err);
	if (door->watch != NULL)
		return 0;
	unix_listener_close(&door->listener);
	return -EIO;
}

void
door_close(struct door *door)
{
	if (door->watch == NULL)
		return;
	door_show_out(door);
	loop_timer_unset(&door->again);
	loop_watch_free(door->watch);
	door->watch = NULL;
	unix_listener_close(&door->listener);
}
