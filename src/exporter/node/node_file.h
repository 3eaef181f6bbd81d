// SPDX-License-Identifier: Apache-2.0
// node_file.h: small files of /proc and /sys that are read at each scrape. They stay open: a read from offset 0 makes the kernel
// write them anew.
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define NODE_FILE_BYTES_MAX ((size_t)16 << 20)

typedef struct NodeFile {
    char *path;
    int fd; // -1: not open (any more); the next read tries again
} NodeFile;

// Only notes the path `root` + `name`; nothing is opened. Both as "/proc" and "net/dev".
void node_file_init(NodeFile *file, Str root, const char *name);
void node_file_deinit(NodeFile *file); // accepts a zeroed one
// The whole file; the view is good until `text` is used again.
// Fails ERR_NOT_FOUND if it is not there, or the kernel says that it has nothing to tell.
bool node_file_read(NodeFile *file, Buf *text, Str *ret_text, Error *err) MUST_CHECK;

// A file of one line that is looked at rarely: its text without the newline, into `out`. False if it cannot be read.
bool node_file_peek(const char *path, char *out, size_t out_bytes, Str *ret_line);

// "root/name" as a C string on the heap.
char *node_path(Str root, const char *name);

// Cuts the next line, without its newline, off the text. False at the end.
static inline bool scan_line(Str *text, Str *ret_line)
{
    if (text->len == 0)
        return false;
    const char *end = memchr(text->ptr, '\n', text->len);
    size_t len = end ? (size_t)(end - text->ptr) : text->len;
    *ret_line = str_make(text->ptr, len);
    size_t used = end ? len + 1 : len;
    text->ptr += used;
    text->len -= used;
    return true;
}

// Cuts the next word, which blanks and tabs set apart, off the line. The empty Str at the end.
static inline Str scan_word(Str *line)
{
    const char *at = line->ptr;
    const char *end = line->ptr + line->len;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    const char *start = at;
    while (at < end && *at != ' ' && *at != '\t')
        at++;
    *line = str_make(at, (size_t)(end - at));
    return str_make(start, (size_t)(at - start));
}

// The next word as a decimal number. False, and the line untouched, if it is none.
static inline bool scan_u64(Str *line, uint64_t *ret_value)
{
    Str rest = *line;
    Str word = scan_word(&rest);
    uint64_t v = 0;
    if (word.len == 0)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        unsigned digit = (unsigned char)word.ptr[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *line = rest;
    *ret_value = v;
    return true;
}
