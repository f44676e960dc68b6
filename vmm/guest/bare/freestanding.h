/*
 * freestanding.h - read before each file of the guest and of net/ in it.
 *
 * A freestanding compiler takes memcpy() and its like for plain functions, and
 * calls one to copy four bytes.  These names let it do what it can in place.
 */
#ifndef GUEST_FREESTANDING_H
#define GUEST_FREESTANDING_H

#include <string.h>

#define memcpy(to, from, n)  __builtin_memcpy(to, from, n)
#define memmove(to, from, n) __builtin_memmove(to, from, n)
#define memset(to, c, n)     __builtin_memset(to, c, n)
#define memcmp(a, b, n)      __builtin_memcmp(a, b, n)
#define strlen(s)            __builtin_strlen(s)

#endif
