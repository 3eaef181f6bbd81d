// SPDX-License-Identifier: Apache-2.0
// http_secret.h: a value that stands in the configuration or in a file, which is read anew when it changes.
//
// Private to the room.
#pragma once

#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"

typedef struct HttpSecret {
    Str text;   // inline, or the file's content
    char *path; // NULL: inline
    size_t bytes_max;
    const char *what; // for errors: "basic auth password file"
    Buf content;
    struct timespec modified;
    off_t size;
    ino_t inode;
} HttpSecret;

// `inline_text` stays the caller's; an empty path is none.
void http_secret_init(HttpSecret *secret, const char *what, Str inline_text, Str path,
                      size_t bytes_max);
void http_secret_deinit(HttpSecret *secret);
// Looks at the file. *ret_changed is set if there is other content, and left alone else.
bool http_secret_load(HttpSecret *secret, bool *ret_changed, Error *err) MUST_CHECK;
// Without the blanks around what a file says.
Str http_secret_text(const HttpSecret *secret);
