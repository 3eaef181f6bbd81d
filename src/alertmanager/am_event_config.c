// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_event_config.h"

#include "alertmanager/am_config.h"

#define WEBHOOK_WORKERS_MAX 64
#define QUEUE_EVENTS_MAX 1000000
#define SERVER_NAME_BYTES_MAX 255 // RFC 1035 2.3.4
#define BATCH_BYTES_MAX (INT64_C(64) << 20)

#define OWNER AmEventFile
static const ConfigField file_fields[] = {
    AM_FIELD(path, CONFIG_PATH, "file that lines are added to"),
};
#undef OWNER
static bool finish_file(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    return ((AmEventFile *)object)->path.len ||
           config_error(reader, node, err, "event_recorder file output requires a path");
}
const ConfigTable am_event_file_table =
    CONFIG_TABLE(AmEventFile, "file_output", file_fields, finish_file);

const ConfigTable am_event_stdout_table = {.name = "stdout_output", .bytes = sizeof(AmEventStdout)};

#define OWNER AmEventWebhook
static const ConfigField webhook_fields[] = {
    AM_FIELD(url, CONFIG_SECRET, "where events are posted"),
    AM_FIELD(http_config, CONFIG_STRUCT_PTR, "how requests are sent",
             .table = &http_client_config_table),
    AM_FIELD(timeout, CONFIG_DURATION, "of a request; 0 is 10s"),
    AM_FIELD(workers, CONFIG_U64, "requests at the same time; 0 is 4", .max = WEBHOOK_WORKERS_MAX),
    AM_FIELD(max_retries, CONFIG_U64, "attempts for a request; 0 is 3", .max = 1000),
    AM_FIELD(retry_backoff, CONFIG_DURATION,
             "before the second attempt, twice as long before each "
             "one after it; 0 is 500ms"),
    AM_FIELD(batch, CONFIG_BOOL, "a JSON array of events in each request"),
    AM_FIELD(batch_max_events, CONFIG_U64, "in one array; 0 is 100", .max = QUEUE_EVENTS_MAX),
    AM_FIELD(batch_max_bytes, CONFIG_U64, "of one array; 0 is 1 MiB", .max = BATCH_BYTES_MAX),
    AM_FIELD(batch_flush_interval, CONFIG_DURATION,
             "how long an event waits for others; 0 is 100ms"),
};
#undef OWNER
static bool finish_webhook(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    AmEventWebhook *webhook = object;
    bool says_batch =
        webhook->batch_max_events || webhook->batch_max_bytes || webhook->batch_flush_interval;
    if (webhook->url.len == 0 || str_is(webhook->url, "<secret>"))
        return config_error(reader, node, err, "event_recorder webhook output requires a url");
    if (!webhook->batch && says_batch)
        return config_error(reader, node, err,
                            "event_recorder webhook batch settings require batch: true");
    return am_config_url(reader, node, &webhook->url, err);
}
const ConfigTable am_event_webhook_table =
    CONFIG_TABLE(AmEventWebhook, "webhook_output", webhook_fields, finish_webhook);

static const char *const format_words[] = {"json", "protobuf", NULL};
static const char *const acks_words[] = {"none", "leader", "all", NULL};
static const char *const compression_words[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};

#define OWNER AmEventKafka
static const ConfigField kafka_fields[] = {
    AM_FIELD(brokers, CONFIG_STR_LIST, "host:port of each"),
    AM_FIELD(topic, CONFIG_STR, "topic that events go to"),
    AM_FIELD(client_id, CONFIG_STR, "how brokers know the client; empty is alertmanager"),
    AM_FIELD(format, CONFIG_ENUM, "json or protobuf", .words = format_words,
             .default_text = "json"),
    AM_FIELD(acks, CONFIG_ENUM, "who must have an event: none, leader or all", .words = acks_words,
             .default_text = "leader"),
    AM_FIELD(compression, CONFIG_ENUM, "of batches", .words = compression_words,
             .default_text = "none"),
    AM_FIELD(buffer_size, CONFIG_U64, "most events that wait; 0 is 1024", .max = QUEUE_EVENTS_MAX),
    AM_FIELD(tls_config, CONFIG_STRUCT_PTR, "TLS towards the brokers",
             .table = &http_tls_config_table),
};
#undef OWNER
static bool finish_kafka(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const AmEventKafka *kafka = object;
    if (kafka->brokers.count == 0)
        return config_error(reader, node, err,
                            "event_recorder kafka: at least one broker is required");
    for (size_t i = 0; i < kafka->brokers.count; i++)
        if (kafka->brokers.items[i].len == 0)
            return config_error(reader, node, err,
                                "event_recorder kafka: broker entries must be non-empty");
    if (kafka->topic.len == 0)
        return config_error(reader, node, err, "event_recorder kafka output requires a topic");
    if (kafka->tls_config && kafka->tls_config->server_name.len > SERVER_NAME_BYTES_MAX)
        return config_error(reader, node, err,
                            "event_recorder kafka: server_name has more than %d bytes",
                            SERVER_NAME_BYTES_MAX);
    return true;
}
const ConfigTable am_event_kafka_table =
    CONFIG_TABLE(AmEventKafka, "kafka_output", kafka_fields, finish_kafka);

#define OWNER AmEventRecorder
static const ConfigField recorder_fields[] = {
    AM_FIELD(file_outputs, CONFIG_STRUCT_LIST, "to files", .table = &am_event_file_table),
    AM_FIELD(webhook_outputs, CONFIG_STRUCT_LIST, "to web servers",
             .table = &am_event_webhook_table),
    AM_FIELD(kafka_outputs, CONFIG_STRUCT_LIST, "to Kafka", .table = &am_event_kafka_table),
    AM_FIELD(stdout_outputs, CONFIG_STRUCT_LIST, "to standard output",
             .table = &am_event_stdout_table),
};
#undef OWNER
const ConfigTable am_event_recorder_table =
    CONFIG_TABLE(AmEventRecorder, "event_recorder", recorder_fields, NULL);
