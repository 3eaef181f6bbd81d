// SPDX-License-Identifier: Apache-2.0
// tool_write_request.h: a page of metrics as a remote write request. Private to the room. Facts: prometheus.md section 7.1.
//
// Summaries and histograms become the series that a scrape would make of them; a histogram without a +Inf bucket gets one.
#pragma once

#include "tool/tool_page.h"

typedef enum WriteMessage {
    WRITE_V1, // prometheus.WriteRequest
    WRITE_V2, // io.prometheus.write.v2.Request
} WriteMessage;

typedef struct WriteRequestOptions {
    WriteMessage message;
    const Label
        *labels; // of all series; a metric's own win, but for `job`, which becomes exported_job
    size_t label_count;
    int64_t now_ms; // of samples without a timestamp
} WriteRequestOptions;

// Appends the message, not compressed. ERR_INVALID if a series has more labels than a receiver takes.
bool write_request_encode(const Page *page, const WriteRequestOptions *options, Buf *out,
                          Error *err) MUST_CHECK;
