// SPDX-License-Identifier: Apache-2.0
// remote.h: samples over the wire. Takes remote write 1.0 and 2.0 requests into a Sink.
//
// Formats: prometheus.WriteRequest and io.prometheus.write.v2.Request in snappy blocks (prometheus.md section 7.1); rules of the
// receiver as the original's storage/remote/write_handler.go.
#pragma once

#include "base/clock.h"
#include "client/registry.h"
#include "metric/sink.h"

typedef struct RemoteWriteReceiver RemoteWriteReceiver;

typedef struct RemoteWriteOptions {
    Sink *sink;
    Clock *clock;
    Registry *registry; // NULL: none
    bool accept_v1;
    bool accept_v2;
} RemoteWriteOptions;

RemoteWriteReceiver *remote_write_receiver_new(const RemoteWriteOptions *options);
void remote_write_receiver_free(RemoteWriteReceiver *receiver); // accepts NULL

typedef struct RemoteWriteReply {
    int status; // 204, 400, 415, 500
    uint64_t samples_written, histograms_written,
        exemplars_written; // what the X-Prometheus-Remote-Write-*-Written headers say
    Error err;             // text of the answer when the status is not 204
} RemoteWriteReply;

// One request. An empty content type means 1.0, an empty encoding snappy. 1.0 is all or nothing; of 2.0 the valid part is kept.
// Thread: any.
void remote_write_receive(RemoteWriteReceiver *receiver, Str content_type, Str content_encoding,
                          Str body, Arena *arena, RemoteWriteReply *ret_reply);
