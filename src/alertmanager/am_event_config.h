// SPDX-License-Identifier: Apache-2.0
// am_event_config.h: the block event_recorder of the configuration: alertmanager.md section 22.
#pragma once

#include "net/http_client.h"

typedef struct AmEventFile {
    Str path;
} AmEventFile;

typedef struct AmEventStdout {
    bool unused; // it has no settings
} AmEventStdout;

typedef struct AmEventWebhook {
    Str url;
    HttpClientConfig *http_config;                        // NULL: the defaults
    int64_t timeout, retry_backoff, batch_flush_interval; // ms
    uint64_t workers, max_retries, batch_max_events, batch_max_bytes;
    bool batch;
} AmEventWebhook;

typedef enum AmEventFormat { AM_EVENT_JSON, AM_EVENT_PROTOBUF } AmEventFormat;

typedef struct AmEventKafka {
    ConfigStrList brokers;
    Str topic, client_id;
    int format, acks, compression; // AmEventFormat; words of the tables
    uint64_t buffer_size;
    HttpTlsConfig *tls_config; // NULL: none
} AmEventKafka;

typedef struct AmEventRecorder {
    ConfigList file_outputs, webhook_outputs, kafka_outputs, stdout_outputs;
} AmEventRecorder;

extern const ConfigTable am_event_recorder_table;
// Of one item of each list.
extern const ConfigTable am_event_file_table, am_event_webhook_table, am_event_kafka_table,
    am_event_stdout_table;
