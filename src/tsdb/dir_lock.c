// SPDX-License-Identifier: Apache-2.0
#include "tsdb/dir_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool dir_lock_take(Str dir, DirLock *ret_lock, Error *err)
{
    DirLock lock = DIR_LOCK_NONE;
    struct stat st;
    int len = snprintf(lock.path, sizeof lock.path, STR_FMT "/lock", STR_ARG(dir));

    if (len < 0 || (size_t)len >= sizeof lock.path)
        return error_set(err, ERR_INVALID, "the path of the data directory is too long");
    lock.replaced = stat(lock.path, &st) == 0;
    lock.fd = open(lock.path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock.fd < 0)
        return error_set_errno(err, errno, "open %s", lock.path);
    if (flock(lock.fd, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        close(lock.fd);
        if (why == EWOULDBLOCK)
            return error_set(err, ERR_CONFLICT,
                             "%s is held by another process: the data directory is in use",
                             lock.path);
        return error_set_errno(err, why, "lock %s", lock.path);
    }
    *ret_lock = lock;
    return true;
}

void dir_lock_give(DirLock *lock)
{
    if (lock->fd < 0)
        return;
    // While it is still held: nobody can take the name from under us.
    unlink(lock->path);
    close(lock->fd);
    lock->fd = -1;
}
