// SPDX-License-Identifier: Apache-2.0
#include "net/http_secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

void http_secret_init(HttpSecret *secret, const char *what, Str inline_text, Str path,
                      size_t bytes_max)
{
    *secret = (HttpSecret){.text = inline_text, .what = what, .bytes_max = bytes_max};
    if (path.len == 0)
        return;
    secret->path = x_malloc(path.len + 1);
    memcpy(secret->path, path.ptr, path.len);
    secret->path[path.len] = '\0';
}

void http_secret_deinit(HttpSecret *secret)
{
    if (secret->content.ptr)
        explicit_bzero(secret->content.ptr, secret->content.cap);
    buf_deinit(&secret->content);
    free(secret->path);
    secret->path = NULL;
}

static bool is_as_before(const HttpSecret *secret, const struct stat *info)
{
    return secret->content.ptr && info->st_mtim.tv_sec == secret->modified.tv_sec &&
           info->st_mtim.tv_nsec == secret->modified.tv_nsec && info->st_size == secret->size &&
           info->st_ino == secret->inode;
}

bool http_secret_load(HttpSecret *secret, bool *ret_changed, Error *err)
{
    if (!secret->path)
        return true;
    struct stat info;
    if (stat(secret->path, &info) != 0)
        return error_set_errno(err, errno, "unable to read %s %s", secret->what, secret->path);
    if (is_as_before(secret, &info))
        return true;

    Arena arena = {0};
    Str bytes;
    if (!fs_read_file(&fs_system, str_from_c(secret->path), &arena, secret->bytes_max, &bytes,
                      err)) {
        arena_deinit(&arena);
        return error_context(err, "unable to read %s", secret->what);
    }
    buf_reset(&secret->content);
    buf_add_str(&secret->content, bytes);
    buf_add_char(&secret->content, '\0'); // also makes an empty file's content non-NULL
    secret->text = str_make(secret->content.ptr, bytes.len);
    secret->modified = info.st_mtim;
    secret->size = info.st_size;
    secret->inode = info.st_ino;
    arena_deinit(&arena);
    *ret_changed = true;
    return true;
}

Str http_secret_text(const HttpSecret *secret)
{
    return secret->path ? str_trim(secret->text) : secret->text;
}
