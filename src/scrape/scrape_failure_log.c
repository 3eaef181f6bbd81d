// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_failure_log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "codec/json_writer.h"

enum { LOCK_RANK_FAILURE_LOG = 895 };

struct FailureLog {
    FailureLog *next;
    char *path;
    Lock lock;
    int fd GUARDED_BY(lock); // -1: it could not be opened
};

struct FailureLogs {
    FailureLog *first;
};

FailureLogs *failure_logs_new(void)
{
    return X_NEW(FailureLogs);
}

void failure_logs_free(FailureLogs *logs)
{
    if (!logs)
        return;
    for (FailureLog *log = logs->first, *next; log; log = next) {
        next = log->next;
        if (log->fd >= 0)
            close(log->fd);
        lock_deinit(&log->lock);
        free(log->path);
        free(log);
    }
    free(logs);
}

static FailureLog *log_new(FailureLogs *logs, Str path)
{
    FailureLog *log = X_NEW(FailureLog);
    log->path = x_malloc(path.len + 1);
    memcpy(log->path, path.ptr, path.len);
    log->path[path.len] = '\0';
    log->fd = -1;
    lock_init(&log->lock, "scrape.failure_log", LOCK_RANK_FAILURE_LOG);
    log->next = logs->first;
    logs->first = log;
    return log;
}

FailureLog *failure_logs_open(FailureLogs *logs, Str path)
{
    FailureLog *log = logs->first;
    while (log && !str_is(path, log->path))
        log = log->next;
    if (!log)
        log = log_new(logs, path);
    int fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        log_error("cannot open the scrape failure log, ignoring", KV("path", log->path));
    lock_take(&log->lock);
    int old = log->fd;
    log->fd = fd;
    lock_give(&log->lock);
    if (old >= 0)
        close(old);
    return log;
}

void failure_log_write(FailureLog *log, int64_t now_ms, Str job, Str target, const Error *err)
{
    CLEANUP(buf_deinit) Buf line = {0};
    CLEANUP(buf_deinit) Buf time = {0};
    JsonWriter json;
    buf_add_rfc3339(&time, now_ms, 0);
    json_writer_init(&json, &line);
    json_object(&json);
    json_key_str(&json, "time", buf_str(&time));
    json_key_c(&json, "level", "ERROR");
    json_key_c(&json, "msg", err->text);
    json_key_str(&json, "job_name", job);
    json_key_str(&json, "target", target);
    json_object_end(&json);
    buf_add_char(&line, '\n');
    lock_take(&log->lock);
    bool ok = log->fd >= 0 && write(log->fd, line.ptr, line.len) == (ssize_t)line.len;
    (void)ok; // a full disk must not stop scraping
    lock_give(&log->lock);
}
