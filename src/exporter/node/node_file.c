// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_BYTES ((size_t)16 << 10)

char *node_path(Str root, const char *name)
{
    size_t name_bytes = strlen(name);
    bool slash = root.len == 0 || root.ptr[root.len - 1] != '/';
    char *path = x_malloc(root.len + slash + name_bytes + 1);
    if (root.len)
        memcpy(path, root.ptr, root.len);
    if (slash)
        path[root.len] = '/';
    memcpy(path + root.len + slash, name, name_bytes + 1);
    return path;
}

void node_file_init(NodeFile *file, Str root, const char *name)
{
    *file = (NodeFile){node_path(root, name), -1};
}

static void close_file(NodeFile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

void node_file_deinit(NodeFile *file)
{
    if (!file->path)
        return;
    close_file(file);
    free(file->path);
    file->path = NULL;
}

// A kernel that was built with a feature and started without it says EOPNOTSUPP or ENOTSUPP; a device that left says ENODEV.
static bool fail_read(const NodeFile *file, int error_number, const char *verb, Error *err)
{
    enum { KERNEL_ENOTSUPP = 524 };
    error_set_errno(err, error_number, "cannot %s %s", verb, file->path);
    if (error_number == EOPNOTSUPP || error_number == KERNEL_ENOTSUPP || error_number == ENODEV)
        err->code = ERR_NOT_FOUND;
    return false;
}

bool node_file_read(NodeFile *file, Buf *text, Str *ret_text, Error *err)
{
    if (file->fd < 0)
        file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        return fail_read(file, errno, "open", err);
    buf_reset(text);
    for (;;) {
        char *at = buf_reserve(text, READ_BYTES);
        if (!at || text->len > NODE_FILE_BYTES_MAX)
            return error_set(err, ERR_LIMIT, "%s is larger than %zu bytes", file->path,
                             NODE_FILE_BYTES_MAX);
        ssize_t n = pread(file->fd, at, text->cap - text->len, (off_t)text->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail_read(file, errno, "read", err);
            close_file(file);
            return false;
        }
        if (n == 0)
            break;
        text->len += (size_t)n;
    }
    *ret_text = buf_str(text);
    return true;
}

bool node_file_peek(const char *path, char *out, size_t out_bytes, Str *ret_line)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, out_bytes);
    close(fd);
    if (n < 0)
        return false;
    Str text = {out, (size_t)n};
    Str line = {out, 0};
    (void)scan_line(&text, &line); // an empty file is an empty line
    *ret_line = line;
    return true;
}
