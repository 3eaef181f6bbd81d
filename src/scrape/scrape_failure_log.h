// SPDX-License-Identifier: Apache-2.0
// scrape_failure_log.h: the files of scrape_failure_log_file: a JSON line for each scrape that failed.
//
// A file is opened once, whatever number of jobs name it, and anew at each reload, so that it may be moved away.
#pragma once

#include "base/error.h"
#include "base/str.h"

typedef struct FailureLog FailureLog;   // one file; good as long as its FailureLogs
typedef struct FailureLogs FailureLogs; // all of one manager

FailureLogs *failure_logs_new(void);
void failure_logs_free(FailureLogs *logs); // accepts NULL
// The log of this file, opened anew. Thread: the manager's, one at a time.
FailureLog *failure_logs_open(FailureLogs *logs, Str path);

// Thread: any. What cannot be written is lost.
void failure_log_write(FailureLog *log, int64_t now_ms, Str job, Str target, const Error *err);
