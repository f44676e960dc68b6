/*
 * nat_memory.h - memory for tables that are sized for their limits.
 *
 * All zeros, in whole pages, touched only as a table fills.  Tables that the
 * processor's own table of small pages cannot cover are in huge ones, where the
 * system has them: a look-up that finds nothing in the cache would else wait
 * twice.
 */
#ifndef ROUTER_NAT_MEMORY_H
#define ROUTER_NAT_MEMORY_H

#include <stddef.h>

void *nat_memory_new(size_t bytes);               /* NULL: there is none */
void nat_memory_free(void *memory, size_t bytes); /* NULL is fine */

#endif
