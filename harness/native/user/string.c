// SPDX-License-Identifier: GPL-2.0-only
/* memcpy() and its like for the kernel's objects, which must not be compiled into calls of themselves. */
#include <string.h>

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN void *native_memset(void *to, int byte, size_t n)
{
	void *start = to;

	asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
	return start;
}

HIDDEN void *native_memcpy(void *to, const void *from, size_t n)
{
	void *start = to;

	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return start;
}

HIDDEN void *native_memmove(void *to, const void *from, size_t n)
{
	return memmove(to, from, n);
}

HIDDEN int native_memcmp(const void *a, const void *b, size_t n)
{
	return memcmp(a, b, n);
}

HIDDEN size_t native_strlen(const char *s)
{
	return strlen(s);
}
