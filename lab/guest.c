/*
 * A VM's process is made by fork and exec of this same program, with its
 * standard output in a log of its own in the run directory, from which the
 * last lines are shown when it dies.  PR_SET_PDEATHSIG takes it along if this
 * process is killed.
 *
 * The agent's socket appears when the VM process has come that far: until then
 * connecting is tried again, ever more slowly.  A watch on the directory would
 * save the tries, which cost little, and would see the socket before anybody
 * listens on it.
 */
#include "lab/guest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "lab/qemu_args.h"
#include "lab/vm_args.h"
#include "vmm/engine.h"
#include "vmm/vm_control.h"

#define RETRY_MIN_NS (2 * NS_PER_MS)
#define RETRY_MAX_NS (50 * NS_PER_MS)
#define STOP_MS      3000
#define STOP_STEP_MS 5
#define READ_BYTES   4096
#define STACK_BYTES  ((rlim_t)8 << 20)

/* So many VMs start at a time, and each holds up others for so long at most:
 * a kernel of the user's may have no agent. */
#define STARTING_MAX 8
#define STARTING_NS  (2 * NS_PER_S)

static void
not_busy(struct guest *g)
{
	if (!g->busy)
		return;
	g->busy = false;
	g->all->nbusy--;
	loop_timer_set(&g->all->more, loop_now_ns(g->all->loop));
}

static void
set_state(struct guest *g, enum guest_state to)
{
	assert(g->state != VM_GONE || to == VM_STARTING);
	if (to != VM_STARTING)
		not_busy(g);
	if (to == VM_READY && g->state != VM_READY)
		g->all->nready++;
	if (to != VM_READY && g->state == VM_READY)
		g->all->nready--;
	g->state = to;
	g->all->changed(g->all->arg, g);
}

/* ---- jobs ---- */

static int
send_all(struct guest *g, const char *bytes, size_t len)
{
	/* A serial line's socket holds far more than one command. */
	ssize_t n = send(g->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n == (ssize_t)len ? 0 : -EIO;
}

static void
run_next(struct guest *g)
{
	struct job *job = TAILQ_FIRST(&g->jobs);
	char line[1024];
	int n;

	if (job == NULL || g->state != VM_READY || g->running || g->orphan)
		return;
	n = snprintf(line, sizeof(line), "%s\n", job->command);
	assert(n > 0 && (size_t)n < sizeof(line));
	g->running = true;
	agent_started(&g->agent);
	if (job->started != NULL)
		job->started(job->arg);
	/* If it cannot be sent, the VM is about to be found gone. */
	if (send_all(g, line, (size_t)n) < 0)
		log_warn("%s: its agent takes no commands", g->vm->item.name);
}

static void
finish_first(struct guest *g, int status)
{
	struct job *job = TAILQ_FIRST(&g->jobs);

	TAILQ_REMOVE(&g->jobs, job, entry);
	job->guest = NULL;
	g->running = false;
	job->done(job->arg, status);
}

static void
fail_all(struct guest *g)
{
	struct jobs jobs;
	struct job *job;

	/* A job that asks for itself again waits for another round. */
	TAILQ_INIT(&jobs);
	TAILQ_CONCAT(&jobs, &g->jobs, entry);
	g->running = g->orphan = false;
	while ((job = TAILQ_FIRST(&jobs)) != NULL) {
		TAILQ_REMOVE(&jobs, job, entry);
		job->guest = NULL;
		job->done(job->arg, JOB_GONE);
	}
}

void
job_ask(struct job *job, struct guest *g)
{
	assert(job->guest == NULL);
	job->guest = g;
	TAILQ_INSERT_TAIL(&g->jobs, job, entry);
	if (g->state == VM_GONE)
		loop_timer_set(&g->retry, loop_now_ns(g->all->loop));
	else
		run_next(g);
}

void
job_cancel(struct job *job)
{
	static const char interrupt = AGENT_INTERRUPT;
	struct guest *g = job->guest;

	if (g == NULL)
		return;
	if (g->running && TAILQ_FIRST(&g->jobs) == job) {
		g->running = false;
		g->orphan = true;
		send_all(g, &interrupt, 1);
	}
	TAILQ_REMOVE(&g->jobs, job, entry);
	job->guest = NULL;
}

/* ---- what the agent says ---- */

static void
agent_ready(void *arg)
{
	struct guest *g = arg;

	g->starts++;
	g->ready_ns = loop_now_ns(g->all->loop);
	g->orphan = false;
	if (g->running)
		finish_first(g, JOB_GONE);
	if (g->state == VM_STARTING)
		set_state(g, VM_READY);
	run_next(g);
}

static void
agent_output(void *arg, const char *bytes, size_t len)
{
	struct guest *g = arg;
	struct job *job = TAILQ_FIRST(&g->jobs);

	if (g->running && job->output != NULL)
		job->output(job->arg, bytes, len);
}

static void
agent_done(void *arg, int status)
{
	struct guest *g = arg;

	if (g->orphan)
		g->orphan = false;
	else if (g->running)
		finish_first(g, status);
	run_next(g);
}

static const struct agent_calls agent_calls = {
	.ready = agent_ready,
	.output = agent_output,
	.done = agent_done,
};

/* ---- the agent's socket ---- */

static void start_again(struct guest *g);

static void
disconnect(struct guest *g)
{
	loop_watch_free(g->watch);
	g->watch = NULL;
	if (g->fd >= 0)
		close(g->fd);
	g->fd = -1;
}

static void
readable(void *arg, unsigned int events)
{
	struct guest *g = arg;
	char bytes[READ_BYTES];
	ssize_t n = recv(g->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	if (n > 0)
		agent_feed(&g->agent, bytes, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		disconnect(g); /* SIGCHLD tells the rest */
}

/* To one of its sockets.  -1: it is not there yet. */
static int
connect_to(const struct guest *g, const char *which)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	snprintf(to.sun_path, sizeof(to.sun_path), "%.60s/%.20s.%s",
	    g->all->dir, g->vm->item.name, which);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
tell_restored(struct guest *g, bool ok)
{
	void (*restored)(void *arg, bool ok) = g->restored;

	g->restoring = false;
	g->restored = NULL;
	if (restored != NULL)
		restored(g->restored_arg, ok);
}

/* Its agent may be in the middle of anything. */
static void
adopt(struct guest *g)
{
	const char *question;

	if (g->restore == NULL)
		return;
	question = agent_adopt(&g->agent, loop_now_ns(g->all->loop));
	if (send_all(g, question, strlen(question)) < 0)
		log_warn("%s: its agent takes no commands", g->vm->item.name);
}

/* 0, or -EAGAIN if it is not there yet. */
static int
connect_agent(struct guest *g)
{
	struct err err = { "" };
	int fd = connect_to(g, "agent");

	if (fd < 0)
		return -EAGAIN;
	g->fd = fd;
	g->watch =
	    loop_watch_new(g->all->loop, fd, LOOP_READ, readable, g, &err);
	if (g->watch != NULL) {
		adopt(g);
		return 0;
	}
	log_error("%s", err.text);
	disconnect(g);
	return -EAGAIN;
}

/* It has answered, and so it runs; or it hung up, and SIGCHLD tells the rest. */
static void
answered(void *arg, unsigned int events)
{
	struct guest *g = arg;
	char byte;
	ssize_t n = recv(g->fd, &byte, 1, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	disconnect(g);
	if (n <= 0)
		return;
	if (byte == VM_CONTROL_ANEW[0]) {
		free(g->restore);
		g->restore = NULL;
	}
	tell_restored(g, true);
	loop_timer_set(&g->retry, loop_now_ns(g->all->loop));
}

/* Asks the process whether it could restore the VM.  0, or -EAGAIN. */
static int
ask_process(struct guest *g)
{
	static const char here[] = VM_CONTROL_HERE "\n";

	g->fd = connect_to(g, "ctl");
	if (g->fd < 0)
		return -EAGAIN;
	g->watch =
	    loop_watch_new(g->all->loop, g->fd, LOOP_READ, answered, g, NULL);
	if (g->watch != NULL && send_all(g, here, strlen(here)) == 0)
		return 0;
	disconnect(g);
	return -EAGAIN;
}

static void
retry(void *arg)
{
	struct guest *g = arg;
	uint64_t now = loop_now_ns(g->all->loop), wait = RETRY_MIN_NS;

	if (g->state == VM_GONE && g->restored != NULL) {
		start_again(g);
		return;
	}
	if (g->state == VM_GONE) {
		fail_all(g);
		return;
	}
	if (g->fd >= 0 ||
	    (g->restoring ? ask_process(g) : connect_agent(g)) == 0)
		return;
	wait += (now - g->started_ns) / 16;
	if (now - g->started_ns > STARTING_NS)
		not_busy(g);
	loop_timer_set(
	    &g->retry, now + (wait < RETRY_MAX_NS ? wait : RETRY_MAX_NS));
}

/* ---- processes ---- */

static bool
has_qemu(const struct lab *lab)
{
	for (unsigned int i = 0; i < lab->nvms; i++)
		if (lab->vms[i].engine == ENGINE_QEMU)
			return true;
	return false;
}

static void
child(const struct guest *g, const struct vm_args *args, const char *log,
    pid_t parent)
{
	struct rlimit stack;
	sigset_t none;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* Ctrl-C is for the lab; it ends its VMs itself. */
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* The fabric's is large; threads of the VM would each get as much. */
	if (getrlimit(RLIMIT_STACK, &stack) == 0 &&
	    stack.rlim_cur > STACK_BYTES) {
		stack.rlim_cur = STACK_BYTES;
		setrlimit(RLIMIT_STACK, &stack);
	}
	fd = open("/dev/null", O_RDONLY);
	if (fd >= 0)
		dup2(fd, 0);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	if (args->program != NULL)
		execvp(args->program, args->line.word);
	else
		execv(g->all->program, args->line.word);
	fprintf(stderr, "cannot execute %s: %s\n", args->line.word[0],
	    strerror(errno));
	_exit(127);
}

static int
start(struct guest *g, struct err *err)
{
	struct vm_args args;
	char log[256];
	pid_t parent = getpid();
	int e = g->vm->engine == ENGINE_QEMU
	    ? qemu_args_make(
		  &args, g->vm, g->all->lab, g->all->dir, g->all->hardware, err)
	    : vm_args_make(&args, g->vm, g->all->lab, g->all->dir, err);

	if (e < 0)
		return e;
	g->restoring = g->restore != NULL;
	if (g->restoring)
		vm_args_restore(&args, g->restore);
	snprintf(log, sizeof(log), "%s/%s.log", g->all->dir, g->vm->item.name);
	g->started_ns = loop_now_ns(g->all->loop);
	fflush(NULL);
	g->pid = fork();
	if (g->pid == 0)
		child(g, &args, log, parent);
	e = g->pid < 0 ? -errno : 0;
	vm_args_free(&args);
	if (e < 0)
		return err_sys(err, e, "close other programs",
		    "vm %s: cannot start a process", g->vm->item.name);
	loop_timer_set(&g->retry, g->started_ns + RETRY_MIN_NS);
	g->busy = true;
	g->all->nbusy++;
	set_state(g, VM_STARTING);
	return 0;
}

/* Starts as many as may start now. */
static int
start_some(struct guests *all, struct err *err)
{
	while (all->next < all->lab->nvms && all->nbusy < STARTING_MAX) {
		int e = start(&all->guest[all->next], err);

		if (e < 0)
			return e;
		all->next++;
	}
	return 0;
}

static void
start_more(void *arg)
{
	struct guests *all = arg;
	struct err err = { "" };
	struct guest *g;

	while (start_some(all, &err) < 0) {
		log_error("%s", err.text);
		err_clear(&err);
		g = &all->guest[all->next++];
		g->status = 127 << 8; /* as if it could not be executed */
		set_state(g, VM_GONE);
		fail_all(g);
	}
}

static void
gone(struct guest *g)
{
	set_state(g, VM_GONE);
	fail_all(g);
	tell_restored(g, false);
}

/* At a checkpoint, now that there is no process. */
static void
start_again(struct guest *g)
{
	struct err err = { "" };

	fail_all(g);
	agent_init(&g->agent, &agent_calls, g);
	if (start(g, &err) == 0)
		return;
	log_error("%s", err.text);
	g->status = 127 << 8; /* as if it could not be executed */
	if (g->state == VM_GONE)
		tell_restored(g, false);
	else
		gone(g);
}

static void
reap(void *arg, unsigned int events)
{
	struct guests *all = arg;

	(void)events;
	for (unsigned int i = 0; i < all->lab->nvms; i++) {
		struct guest *g = &all->guest[i];

		if (g->pid <= 0 || waitpid(g->pid, &g->status, WNOHANG) <= 0)
			continue;
		g->pid = 0;
		/* What it said last is still in the socket. */
		for (unsigned int k = 0; k < 64 && g->fd >= 0 && !g->restoring;
		     k++)
			readable(g, LOOP_READ);
		disconnect(g);
		loop_timer_unset(&g->retry);
		if (g->restored != NULL && !g->restoring)
			start_again(g);
		else
			gone(g);
	}
}

int
guest_restore(struct guest *g, const char *name,
    void (*restored)(void *arg, bool ok), void *arg, struct err *err)
{
	char *copy;

	if (g->state == VM_WAITING || g->restored != NULL || g->restoring)
		return err_set(err, -EBUSY,
		    "VM \"%s\" is just being started; try again",
		    g->vm->item.name);
	copy = strdup(name);
	if (copy == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	free(g->restore);
	g->restore = copy;
	g->restored = restored;
	g->restored_arg = arg;
	if (g->pid > 0)
		kill(g->pid, SIGKILL); /* and begins when that is seen */
	else
		loop_timer_set(&g->retry, loop_now_ns(g->all->loop));
	return 0;
}

static void
forgotten(void *arg, bool ok)
{
	(void)arg;
	(void)ok;
}

void
guest_forget(struct guest *g, const void *arg)
{
	if (g->restored_arg == arg)
		g->restored = forgotten;
}

static void
guest_init(struct guests *all, unsigned int i)
{
	struct guest *g = &all->guest[i];

	g->all = all;
	g->vm = &all->lab->vms[i];
	g->fd = -1;
	TAILQ_INIT(&g->jobs);
	loop_timer_init(&g->retry, all->loop, retry, g);
	agent_init(&g->agent, &agent_calls, g);
}

int
guests_start(struct guests *all, struct loop *loop, const struct lab *lab,
    const char *dir, const char *program,
    void (*changed)(void *arg, struct guest *guest), void *arg, struct err *err)
{
	int e = 0;

	*all = (struct guests){
		.loop = loop,
		.lab = lab,
		.dir = dir,
		.program = program,
		.changed = changed,
		.arg = arg,
	};
	if (lab->nvms == 0)
		return 0;
	all->hardware = has_qemu(lab) && engine_has_hardware();
	all->guest = calloc(lab->nvms, sizeof(all->guest[0]));
	if (all->guest == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	loop_timer_init(&all->more, loop, start_more, all);
	for (unsigned int i = 0; i < lab->nvms; i++)
		guest_init(all, i);
	all->children = loop_signal_new(loop, SIGCHLD, reap, all, err);
	if (all->children == NULL)
		e = -ENOMEM;
	if (e == 0)
		e = start_some(all, err);
	if (e < 0)
		guests_stop(all);
	return e;
}

static unsigned int
reap_rest(struct guests *all)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < all->lab->nvms; i++) {
		struct guest *g = &all->guest[i];

		if (g->pid > 0 && waitpid(g->pid, &g->status, WNOHANG) == 0)
			left++;
		else
			g->pid = 0;
	}
	return left;
}

static void
kill_rest(struct guests *all, int signal)
{
	for (unsigned int i = 0; i < all->lab->nvms; i++)
		if (all->guest[i].pid > 0)
			kill(all->guest[i].pid, signal);
}

/* Where checkpoints would be, if there are none: VMs make it at their start. */
static void
remove_place(const struct lab *lab)
{
	struct arena *arena = arena_new();
	char *path = arena != NULL ? vm_args_checkpoints(arena, lab) : NULL;

	if (path != NULL)
		rmdir(path);
	arena_free(arena);
}

static void
wake_up(void *arg)
{
	loop_stop(arg);
}

/* QEMU asks its back ends to let go of their rings and waits for the answer,
 * so that the loop has to go on meanwhile; ours does not ask. */
static void
wait_for_rest(struct guests *all)
{
	const struct timespec nap = { .tv_nsec = STOP_STEP_MS * 1000 * 1000 };
	struct loop_timer alarm;

	if (!has_qemu(all->lab)) {
		nanosleep(&nap, NULL);
		return;
	}
	loop_timer_init(&alarm, all->loop, wake_up, all->loop);
	loop_timer_set(&alarm,
	    loop_now_ns(all->loop) + STOP_STEP_MS * (uint64_t)NS_PER_MS);
	(void)loop_run(all->loop);
	loop_timer_unset(&alarm);
}

void
guests_stop(struct guests *all)
{
	if (all->guest == NULL)
		return;
	loop_watch_free(all->children);
	loop_timer_unset(&all->more);
	for (unsigned int i = 0; i < all->lab->nvms; i++) {
		loop_timer_unset(&all->guest[i].retry);
		disconnect(&all->guest[i]);
	}
	kill_rest(all, SIGTERM);
	for (unsigned int ms = 0; reap_rest(all) > 0 && ms < STOP_MS;
	     ms += STOP_STEP_MS)
		wait_for_rest(all);
	kill_rest(all, SIGKILL);
	for (unsigned int i = 0; i < all->lab->nvms; i++) {
		struct guest *g = &all->guest[i];

		if (g->pid > 0)
			waitpid(g->pid, &g->status, 0);
	}
	for (unsigned int i = 0; i < all->lab->nvms; i++)
		free(all->guest[i].restore);
	remove_place(all->lab);
	free(all->guest);
	all->guest = NULL;
}

struct guest *
guests_find(struct guests *all, const char *name)
{
	for (unsigned int i = 0; all->guest != NULL && i < all->lab->nvms; i++)
		if (strcmp(all->lab->vms[i].item.name, name) == 0)
			return &all->guest[i];
	return NULL;
}

/* ---- for people ---- */

const char *
guest_state_name(const struct guest *g)
{
	switch (g->state) {
	case VM_WAITING: return "waiting";
	case VM_STARTING: return "starting";
	case VM_READY: return "ready";
	case VM_GONE:
		return WIFEXITED(g->status) && WEXITSTATUS(g->status) == 0
		    ? "off"
		    : "died";
	case VM_NSTATES: break;
	}
	return "?";
}

/* The last lines of the file name, up to 600 bytes. */
static size_t
tail_of(const struct guest *g, const char *suffix, char *out, size_t len)
{
	char path[256], bytes[600];
	FILE *file;
	long size;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/%s.%s", g->all->dir, g->vm->item.name,
	    suffix);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
	    fseek(file, size > 600 ? size - 600 : 0, SEEK_SET) == 0)
		n = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	if (n > len - 1)
		n = len - 1;
	for (size_t i = 0; i < n; i++)
		out[i] =
		    (bytes[i] >= ' ' && bytes[i] != 0x7f) || bytes[i] == '\n'
		    ? bytes[i]
		    : ' ';
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == ' '))
		n--;
	out[n] = '\0';
	return n;
}

char *
guest_epitaph(const struct guest *g, char *out, size_t len)
{
	size_t used;

	if (WIFSIGNALED(g->status))
		used = (size_t)snprintf(out, len, "signal %d (%s)",
		    WTERMSIG(g->status), strsignal(WTERMSIG(g->status)));
	else
		used = (size_t)snprintf(
		    out, len, "exit status %d", WEXITSTATUS(g->status));
	for (unsigned int i = 0; i < 2 && used + 100 < len; i++) {
		used += (size_t)snprintf(out + used, len - used, "\n");
		used += tail_of(
		    g, i == 0 ? "log" : "console", out + used, len - used);
	}
	while (used > 0 && out[used - 1] == '\n')
		out[--used] = '\0';
	return out;
}
