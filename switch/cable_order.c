/*
 * Nearly all frames leave the line in the order in which they came, so they are
 * a list, and a million of them on their way cost what one costs.  Who is to
 * leave before the list's last one goes into the heap; so does who was held
 * back, lest all that overtake it had to.
 *
 * The heap is reserved with the store, for as many frames as that can hold, and
 * touched as far as it is used.  Slot 0 is not used.
 */
#include <errno.h>
#include <sys/mman.h>

#include "switch/cable_way.h"

/* ---- lists ---- */

void
held_list_init(struct held_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

void
held_list_add(struct held_list *list, struct held *held)
{
	held->next = NULL;
	*list->end = held;
	list->end = &held->next;
}

struct held *
held_list_take(struct held_list *list)
{
	struct held *held = list->first;

	if (held == NULL)
		return NULL;
	list->first = held->next;
	if (held->next == NULL)
		list->end = &list->first;
	return held;
}

/* ---- the heap ---- */

static bool
sooner(const struct held_slot *a, const struct held_slot *b)
{
	if (a->at_ns != b->at_ns)
		return a->at_ns < b->at_ns;
	return a->held->order < b->held->order;
}

static void
heap_add(struct held_order *o, struct held *held)
{
	const struct held_slot slot = { held->at_ns, held };
	uint32_t i = ++o->nheap;

	for (; i > 1 && sooner(&slot, &o->heap[i / 2]); i /= 2)
		o->heap[i] = o->heap[i / 2];
	o->heap[i] = slot;
}

static struct held *
heap_take(struct held_order *o)
{
	struct held *held = o->heap[1].held;
	const struct held_slot slot = o->heap[o->nheap--];
	uint32_t i = 1;

	for (;;) {
		uint32_t child = 2 * i;

		if (child > o->nheap)
			break;
		if (child < o->nheap &&
		    sooner(&o->heap[child + 1], &o->heap[child]))
			child++;
		if (!sooner(&o->heap[child], &slot))
			break;
		o->heap[i] = o->heap[child];
		i = child;
	}
	o->heap[i] = slot;
	return held;
}

/* ---- both ---- */

void
held_order_init(struct held_order *o)
{
	*o = (struct held_order){ .last_ns = 0 };
	held_list_init(&o->list);
}

int
held_order_open(struct held_order *o, size_t max)
{
	size_t bytes = (max + 1) * sizeof(o->heap[0]);

	o->heap = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (o->heap == MAP_FAILED) {
		o->heap = NULL;
		return -ENOMEM;
	}
	o->heap_max = (uint32_t)max;
	return 0;
}

void
held_order_close(struct held_order *o)
{
	if (o->heap != NULL)
		munmap(o->heap, (o->heap_max + 1) * sizeof(o->heap[0]));
	o->heap = NULL;
}

void
held_order_add(struct held_order *o, struct held *held)
{
	if (held->late) {
		heap_add(o, held);
		return;
	}
	if (o->last_ns < held->at_ns)
		o->last_ns = held->at_ns;
	if (o->list.first != NULL && held->at_ns < o->tail_ns) {
		heap_add(o, held);
		return;
	}
	o->tail_ns = held->at_ns;
	held_list_add(&o->list, held);
}

/* Does the heap's first one leave before the list's? */
static bool
heap_is_next(const struct held_order *o)
{
	const struct held *first = o->list.first;
	struct held_slot slot;

	if (o->nheap == 0)
		return false;
	if (first == NULL)
		return true;
	slot = (struct held_slot){ first->at_ns, o->list.first };
	return sooner(&o->heap[1], &slot);
}

uint64_t
held_order_next_ns(const struct held_order *o)
{
	if (heap_is_next(o))
		return o->heap[1].at_ns;
	return o->list.first != NULL ? o->list.first->at_ns : UINT64_MAX;
}

struct held *
held_order_take(struct held_order *o, uint64_t now_ns)
{
	if (heap_is_next(o))
		return o->heap[1].at_ns <= now_ns ? heap_take(o) : NULL;
	if (o->list.first == NULL || o->list.first->at_ns > now_ns)
		return NULL;
	return held_list_take(&o->list);
}
