/*
 * services.h - what the guest answers by itself: echo (RFC 862) and discard
 * (RFC 863), over UDP and TCP.
 */
#ifndef GUEST_SERVICES_H
#define GUEST_SERVICES_H

#include <stdbool.h>

#define PORT_ECHO    7
#define PORT_DISCARD 9

struct stack;

void services_start(struct stack *stack);
void services_stop(struct stack *stack);
bool services_running(const struct stack *stack);

#endif
