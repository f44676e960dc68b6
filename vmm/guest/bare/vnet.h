/*
 * vnet.h - the driver of virtio network cards (virtio 1.2, 5.1).
 */
#ifndef GUEST_VNET_H
#define GUEST_VNET_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/guest/bare/pci.h"

struct stack;
struct vnet;

/* Finds all cards on the bus and adds an interface for each.  What is wrong
 * with one is told to complain. */
void vnet_probe(struct stack *stack,
    void (*complain)(void *arg, const char *sentence), void *arg);

/* Hands what came in to the stack, a bounded number of frames; bits are what
 * rang.  True: there is more. */
bool vnet_service(struct stack *stack, uint32_t bits);

/* Interrupts on; true if nothing came in the meantime, so that one may sleep. */
bool vnet_ready_to_sleep(void);
void vnet_woke(void);
/* A card that has no interrupt must be looked at by then. */
uint64_t vnet_next_us(uint64_t now_us);

#endif
