// SPDX-License-Identifier: Apache-2.0
// Events to Kafka by librdkafka, which is loaded when an output asks for it: docs/decisions/0041. It has threads of its own that batch,
// compress, send and try again; here its queue is filled, and what came of each event is fetched from time to time.
#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "alertmanager/am_event_kafka_tls.h"
#include "alertmanager/am_event_output.h"
#include "alertmanager/am_event_proto.h"
#include "alertmanager/am_time.h"
#include "base/library.h"
#include "base/log.h"

#define LIBRARY "librdkafka.so.1"
#define BUFFER_EVENTS 1024
#define POLL_MS 100

LIBRARY_NOTE(LIBRARY, "kafka_outputs", "suggested");

// What is used of the library.
typedef struct Librdkafka {
    __typeof__(&rd_kafka_conf_new) conf_new;
    __typeof__(&rd_kafka_conf_destroy) conf_destroy;
    __typeof__(&rd_kafka_conf_set) conf_set;
    __typeof__(&rd_kafka_conf_set_opaque) conf_set_opaque;
    __typeof__(&rd_kafka_conf_set_dr_msg_cb) conf_set_dr_msg_cb;
    __typeof__(&rd_kafka_conf_set_error_cb) conf_set_error_cb;
    __typeof__(&rd_kafka_conf_set_log_cb) conf_set_log_cb;
    __typeof__(&rd_kafka_conf_set_socket_cb) conf_set_socket_cb;
    __typeof__(&rd_kafka_new) new;
    __typeof__(&rd_kafka_destroy) destroy;
    __typeof__(&rd_kafka_topic_new) topic_new;
    __typeof__(&rd_kafka_topic_destroy) topic_destroy;
    __typeof__(&rd_kafka_produce) produce;
    __typeof__(&rd_kafka_poll) poll;
    __typeof__(&rd_kafka_purge) purge;
    __typeof__(&rd_kafka_outq_len) outq_len;
    __typeof__(&rd_kafka_last_error) last_error;
    __typeof__(&rd_kafka_err2str) err2str;
} Librdkafka;

typedef struct Kafka {
    Librdkafka rd;
    AmEventOutput *output;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    LoopTimer *timer;
    AmEventKafkaTls tls;
    bool is_polling, is_closing, has_failed, is_told;
} Kafka;

// ---- the library ----

static bool load_library(Librdkafka *rd, Error *err)
{
    static const Library library = {.file = LIBRARY,
                                    .needed_by = "kafka_outputs need",
                                    .package = "librdkafka1",
                                    .code = ERR_UNAVAILABLE};
    const LibrarySymbol symbols[] = {
        {"rd_kafka_conf_new", &rd->conf_new},
        {"rd_kafka_conf_destroy", &rd->conf_destroy},
        {"rd_kafka_conf_set", &rd->conf_set},
        {"rd_kafka_conf_set_opaque", &rd->conf_set_opaque},
        {"rd_kafka_conf_set_dr_msg_cb", &rd->conf_set_dr_msg_cb},
        {"rd_kafka_conf_set_error_cb", &rd->conf_set_error_cb},
        {"rd_kafka_conf_set_log_cb", &rd->conf_set_log_cb},
        {"rd_kafka_conf_set_socket_cb", &rd->conf_set_socket_cb},
        {"rd_kafka_new", &rd->new},
        {"rd_kafka_destroy", &rd->destroy},
        {"rd_kafka_topic_new", &rd->topic_new},
        {"rd_kafka_topic_destroy", &rd->topic_destroy},
        {"rd_kafka_produce", &rd->produce},
        {"rd_kafka_poll", &rd->poll},
        {"rd_kafka_purge", &rd->purge},
        {"rd_kafka_outq_len", &rd->outq_len},
        {"rd_kafka_last_error", &rd->last_error},
        {"rd_kafka_err2str", &rd->err2str},
    };
    return library_load(&library, symbols, COUNT_OF(symbols), err);
}

// ---- what the library tells ----

static const char *type_of(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return "timeout";
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__SSL:
        return "network";
    default:
        return code > 0 ? "broker" : "unknown";
    }
}

// On the loop: from inside of poll().
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    Kafka *kafka = opaque;
    (void)client;
    if (!message->err) {
        kafka->has_failed = false;
        kafka->is_told = false;
        return;
    }
    am_event_output_kafka_error(kafka->output, type_of(message->err));
    // Thousands may fail for one reason.
    if (!kafka->has_failed)
        log_error("an event was not taken by Kafka, skipping", KV("output", kafka->output->name),
                  KV("err", kafka->rd.err2str(message->err)));
    kafka->has_failed = true;
}

// On the loop, likewise. It comes again and again while brokers are away: once will do, until one takes an event.
static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    Kafka *kafka = opaque;
    (void)client;
    (void)code;
    if (!kafka->is_told)
        log_warn("Kafka is not well, retrying", KV("output", kafka->output->name),
                 KV("err", reason));
    kafka->is_told = true;
}

// On a thread of the library, which would write to standard error.
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    log_debug("kafka", KV("level", level), KV("facility", facility), KV("text", text));
}

// Likewise.
static int on_socket(int domain, int type, int protocol, void *opaque)
{
    const Kafka *kafka = opaque;
    return am_event_kafka_tls_socket(&kafka->tls, domain, type, protocol);
}

static void poll_client(void *arg)
{
    Kafka *kafka = arg;
    kafka->is_polling = false;
    (void)kafka->rd.poll(kafka->client, 0);
    if (kafka->is_closing && kafka->rd.outq_len(kafka->client) == 0) {
        am_event_kafka.abort(kafka->output);
        return;
    }
    if (kafka->rd.outq_len(kafka->client) == 0)
        return;
    kafka->is_polling = true;
    loop_timer_set(kafka->timer, clock_mono_ns(&clock_system) + POLL_MS * AM_MS_NS);
}

// ---- settings ----

static bool set(Kafka *kafka, rd_kafka_conf_t *conf, const char *name, const char *value,
                Error *err)
{
    char text[300] = "";
    return kafka->rd.conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK ||
           error_set(err, ERR_INVALID, "kafka: %s", text);
}

static bool set_str(Kafka *kafka, rd_kafka_conf_t *conf, const char *name, Str value, Error *err)
{
    return value.len == 0 || set(kafka, conf, name, str_to_c(&kafka->output->arena, value), err);
}

static bool set_tls(Kafka *kafka, rd_kafka_conf_t *conf, const HttpTlsConfig *tls, Error *err)
{
    if (!tls)
        return true;
    if (am_event_kafka_tls_is_needed(tls)) {
        if (!am_event_kafka_tls_init(&kafka->tls, tls, &kafka->output->arena, err))
            return false;
        kafka->rd.conf_set_socket_cb(conf, on_socket);
    }
    return set(kafka, conf, "security.protocol", "ssl", err) &&
           set(kafka, conf, "enable.ssl.certificate.verification",
               tls->insecure_skip_verify ? "false" : "true", err) &&
           set_str(kafka, conf, "ssl.ca.pem", tls->ca, err) &&
           set_str(kafka, conf, "ssl.ca.location", tls->ca_file, err) &&
           set_str(kafka, conf, "ssl.certificate.pem", tls->cert, err) &&
           set_str(kafka, conf, "ssl.certificate.location", tls->cert_file, err) &&
           set_str(kafka, conf, "ssl.key.pem", tls->key, err) &&
           set_str(kafka, conf, "ssl.key.location", tls->key_file, err);
}

static Str join(const ConfigStrList *list, Arena *arena)
{
    CLEANUP(buf_deinit) Buf text = {0};
    for (size_t i = 0; i < list->count; i++)
        buf_printf(&text, "%s" STR_FMT, i ? "," : "", STR_ARG(list->items[i]));
    return arena_str(arena, buf_str(&text));
}

static bool configure(Kafka *kafka, rd_kafka_conf_t *conf, Error *err)
{
    static const char *const acks[] = {"0", "1", "-1"};
    static const char *const compressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    const AmEventKafka *s = kafka->output->settings;
    char events[32];
    snprintf(events, sizeof events, "%llu",
             (unsigned long long)(s->buffer_size ? s->buffer_size : BUFFER_EVENTS));
    kafka->rd.conf_set_opaque(conf, kafka);
    kafka->rd.conf_set_dr_msg_cb(conf, on_delivery);
    kafka->rd.conf_set_error_cb(conf, on_error);
    kafka->rd.conf_set_log_cb(conf, on_log);
    return set_str(kafka, conf, "bootstrap.servers", join(&s->brokers, &kafka->output->arena),
                   err) &&
           set_str(kafka, conf, "client.id", s->client_id.len ? s->client_id : S("alertmanager"),
                   err) &&
           set(kafka, conf, "acks", acks[s->acks], err) &&
           set(kafka, conf, "enable.idempotence", s->acks == 2 ? "true" : "false", err) &&
           set(kafka, conf, "compression.codec", compressions[s->compression], err) &&
           set(kafka, conf, "linger.ms", "5", err) &&
           set(kafka, conf, "queue.buffering.max.messages", events, err) &&
           set_tls(kafka, conf, s->tls_config, err);
}

static bool connect_client(Kafka *kafka, Error *err)
{
    char text[300] = "";
    const AmEventKafka *settings = kafka->output->settings;
    rd_kafka_conf_t *conf = kafka->rd.conf_new();
    bool ok = configure(kafka, conf, err);
    if (ok && !(kafka->client = kafka->rd.new(RD_KAFKA_PRODUCER, conf, text, sizeof text)))
        ok = error_set(err, ERR_INVALID, "kafka: %s", text);
    if (!ok) {
        kafka->rd.conf_destroy(conf);
        return false;
    }
    kafka->topic =
        kafka->rd.topic_new(kafka->client, str_to_c(&kafka->output->arena, settings->topic), NULL);
    return kafka->topic ||
           error_set(err, ERR_INVALID, "kafka: topic " STR_FMT ": %s", STR_ARG(settings->topic),
                     kafka->rd.err2str(kafka->rd.last_error()));
}

// ---- the kind ----

static int by_text(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static Str name_of(const void *settings, Arena *arena)
{
    const AmEventKafka *kafka = settings;
    ConfigStrList sorted = {ARENA_ARRAY(arena, Str, kafka->brokers.count + 1),
                            kafka->brokers.count};
    memcpy(sorted.items, kafka->brokers.items, sorted.count * sizeof(Str));
    qsort(sorted.items, sorted.count, sizeof(Str), by_text);
    return arena_printf(arena, "kafka:" STR_FMT "/" STR_FMT, STR_ARG(join(&sorted, arena)),
                        STR_ARG(kafka->topic));
}

static bool check(const void *settings, Error *err)
{
    Librdkafka rd = {0};
    (void)settings;
    return load_library(&rd, err);
}

static void free_kafka(Kafka *kafka)
{
    if (kafka->topic)
        kafka->rd.topic_destroy(kafka->topic);
    if (kafka->client)
        kafka->rd.destroy(kafka->client);
    loop_timer_free(kafka->timer);
    free(kafka);
}

static bool open_kafka(AmEventOutput *output, Error *err)
{
    Kafka *kafka = X_NEW(Kafka);
    kafka->output = output;
    kafka->timer = loop_timer_new(output->loop, poll_client, kafka);
    if (!load_library(&kafka->rd, err) || !connect_client(kafka, err)) {
        free_kafka(kafka);
        return false;
    }
    output->state = kafka;
    return true;
}

static bool produce(Kafka *kafka, Str value)
{
    Str key = kafka->output->instance;
    // MSG_F_COPY: the library makes copies of both, and changes neither.
    int failed = kafka->rd.produce(kafka->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                   (void *)(uintptr_t)value.ptr, value.len, key.ptr, key.len, NULL);
    if (!failed)
        return true;
    rd_kafka_resp_err_t why = kafka->rd.last_error();
    if (why == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        am_event_output_dropped(kafka->output);
    else
        am_event_output_kafka_error(kafka->output, type_of(why));
    return false;
}

static bool take(AmEventOutput *output, AmEventLine *lines, Error *err)
{
    Kafka *kafka = output->state;
    const AmEventKafka *settings = output->settings;
    bool ok = true;
    CLEANUP(buf_deinit) Buf message = {0};
    CLEANUP(arena_deinit) Arena arena = {0};
    for (AmEventLine *line = lines; line; line = line->next) {
        buf_reset(&message);
        arena_reset(&arena);
        if (settings->format == AM_EVENT_JSON)
            (void)produce(kafka, am_event_line_json(line)); // what is dropped is counted there
        else if (am_event_proto_add(&message, am_event_line_json(line), &arena, err))
            (void)produce(kafka, buf_str(&message));
        else
            ok = false;
    }
    if (!kafka->is_polling)
        poll_client(kafka);
    return ok;
}

static void close_kafka(AmEventOutput *output)
{
    Kafka *kafka = output->state;
    kafka->is_closing = true;
    // Not from inside of poll: abort() frees.
    kafka->is_polling = true;
    loop_timer_set(kafka->timer, clock_mono_ns(&clock_system));
}

static void abort_kafka(AmEventOutput *output)
{
    Kafka *kafka = output->state;
    int left = kafka->rd.outq_len(kafka->client);
    if (left > 0) {
        log_error("events did not reach Kafka before the end, skipping", KV("output", output->name),
                  KV("events", left));
        (void)kafka->rd.purge(kafka->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)kafka->rd.poll(kafka->client, 0);
    }
    free_kafka(kafka);
    am_event_output_gone(output);
}

const AmEventOutputKind am_event_kafka = {
    "kafka", &am_event_kafka_table, name_of, check, open_kafka, take, close_kafka, abort_kafka};
