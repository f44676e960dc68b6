/*
 * host_resolver.h - the name server that the host asks.
 */
#ifndef BRIDGE_HOST_RESOLVER_H
#define BRIDGE_HOST_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

/* The first IPv4 address that a text in the manner of resolv.conf(5) names as a
 * name server, 0: none. */
uint32_t host_resolver_find(const char *text, size_t bytes);

/* What is found in /etc/resolv.conf, which is read. */
uint32_t host_resolver(void);

#endif
