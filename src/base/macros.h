// SPDX-License-Identifier: Apache-2.0
// macros.h: the handful of macros the whole house uses.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#define NORETURN __attribute__((noreturn))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

// Runs `destroy(&local)` when the local leaves its scope. Destroyers accept zeroed objects.
#define CLEANUP(destroy) __attribute__((cleanup(destroy)))

// For our bugs only; stays on in release. What comes from disk, wire or user is never asserted.
#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (UNLIKELY(!(condition)))                                                                \
            assert_failed(#condition, __FILE__, __LINE__);                                         \
    } while (0)

// Walks whole structures: debug and fuzz builds only.
#ifdef NARTHEX_DEEP_CHECKS
#define ASSERT_DEEP(condition) ASSERT(condition)
#else
#define ASSERT_DEEP(condition) ((void)0)
#endif

// Prints the broken claim and its place to stderr, then aborts.
void assert_failed(const char *claim, const char *file, int line) NORETURN;

// A build that looks for memory used too long or too far: nothing is kept for others then.
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_SANITIZED 1
#endif
#endif
#ifndef MEMORY_SANITIZED
#define MEMORY_SANITIZED 0
#endif

// Of a function whose races are meant.
#ifdef __clang__
#define UNSANITIZED __attribute__((disable_sanitizer_instrumentation))
#else
#define UNSANITIZED __attribute__((no_sanitize("thread")))
#endif

// Aborts with "out of memory": honest because every size a stranger controls is limited at the door.
void out_of_memory(size_t bytes) NORETURN;

// malloc, calloc and realloc that never return NULL.
void *x_malloc(size_t bytes) __attribute__((malloc, alloc_size(1)));
void *x_calloc(size_t count, size_t bytes) __attribute__((malloc, alloc_size(1, 2)));
void *x_realloc(void *old, size_t bytes) __attribute__((alloc_size(2)));

#define X_NEW(type) ((type *)x_calloc(1, sizeof(type)))
#define X_ARRAY(type, count) ((type *)x_calloc((count), sizeof(type)))
