#include "vmm/vm_confine.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "disk/live.h"
#include "vmm/virtio_blk.h"

#define BASE_ROOM_BYTES   (UINT64_C(512) << 20)
#define THREAD_ROOM_BYTES (UINT64_C(136) << 20) /* as the C library has it */
#define KERNEL_ROOM_BYTES (UINT64_C(3) << 30)

/* What the process may map besides what it has: an engine's tables, a stack and
 * a heap for each thread, and a kernel that is read and unpacked at a start. */
static uint64_t
room_bytes(const struct vm_config *config)
{
	uint64_t threads = 2 + config->vcpus + (config->control != NULL) +
	    (uint64_t)config->ndisks * (VIRTIO_BLK_THREADS + 1);
	uint64_t room = BASE_ROOM_BYTES + threads * THREAD_ROOM_BYTES +
	    config->memory_bytes / 16;

	if (config->kernel != NULL || config->from_disk)
		room += KERNEL_ROOM_BYTES;
	return room;
}

static int
start_porter(struct vm_confined *confined, const struct vm_config *config,
    struct err *err)
{
	const char *const listens[] = { config->console, config->agent,
		config->virtio_console, config->control };
	struct porter_errands errands = { .nconnect = config->nnics };
	char live[VM_DISKS_MAX][PATH_MAX];

	for (unsigned int i = 0; i < config->nnics; i++)
		errands.connect[i] = config->nic[i].socket;
	for (unsigned int i = 0; i < sizeof(listens) / sizeof(listens[0]); i++)
		if (listens[i] != NULL)
			errands.remove[errands.nremove++] = listens[i];
	for (unsigned int i = 0; i < config->ndisks; i++)
		if (config->disk[i].image && !config->disk[i].read_only &&
		    live_socket(
			config->disk[i].path, live[i], sizeof(live[i])) == 0)
			errands.remove[errands.nremove++] = live[i];
	if (errands.nconnect + errands.nremove == 0)
		return 0;
	confined->porter = porter_new(&errands, config->sandbox, err);
	return confined->porter != NULL ? 0 : -EIO;
}

int
vm_confine(struct vm_confined *confined, const struct vm_config *config,
    const struct engine *engine, struct err *err)
{
	int r;

	*confined = (struct vm_confined){ .prepared_fd = 0 };
	if (config->sandbox == NULL)
		return 0;
	if (engine->prepare != NULL) {
		r = engine->prepare(err);
		if (r < 0)
			return r;
		confined->prepared_fd = r;
	}
	r = start_porter(confined, config, err);
	if (r == 0)
		r = sandbox_limit(config->sandbox, room_bytes(config), err);
	if (r < 0)
		return r;
	sandbox_enter(config->sandbox, SANDBOX_LOOP, NULL, 0);
	return 0;
}

void
vm_confined_free(struct vm_confined *confined)
{
	if (confined->prepared_fd > 0)
		close(confined->prepared_fd);
	porter_free(confined->porter);
}
