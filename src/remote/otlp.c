// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>
#include <stdlib.h>

#include "codec/compress.h"
#include "remote/otlp_internal.h"

// target_info of a resource that sends old and new samples at once.
#define TARGET_INFO_SAMPLES_MAX 10000
#define LOOKBACK_MS_DEFAULT (5 * 60 * 1000)

// Life -------------------------------------------------------------------------------------------------------------------------------

static void rules_unref(OtlpRules *rules)
{
    if (!rules || atomic_fetch_sub(&rules->refs, 1) != 1)
        return;
    arena_deinit(&rules->arena);
    free(rules);
}

static ConfigStrList copy_list(const ConfigStrList *list, Arena *arena)
{
    ConfigStrList copy = {ARENA_ARRAY(arena, Str, list->count), list->count};
    for (size_t i = 0; i < list->count; i++)
        copy.items[i] = arena_str(arena, list->items[i]);
    return copy;
}

void otlp_configure(Otlp *otlp, const OtlpConfig *config)
{
    static _Atomic uint64_t generations;
    OtlpRules *rules = X_NEW(OtlpRules);
    rules->refs = 1;
    rules->config = *config;
    rules->config.promote_resource_attributes =
        copy_list(&config->promote_resource_attributes, &rules->arena);
    rules->config.ignore_resource_attributes =
        copy_list(&config->ignore_resource_attributes, &rules->arena);
    rules->generation = atomic_fetch_add(&generations, 1);
    rules->escapes = config->translation_strategy == OTLP_UNDERSCORE_WITH_SUFFIXES ||
                     config->translation_strategy == OTLP_UNDERSCORE_WITHOUT_SUFFIXES;
    rules->suffixes = config->translation_strategy == OTLP_UNDERSCORE_WITH_SUFFIXES ||
                      config->translation_strategy == OTLP_UTF8_WITH_SUFFIXES;
    rules->type_and_unit = otlp->options.type_and_unit_labels;
    lock_take(&otlp->lock);
    OtlpRules *old = otlp->rules;
    otlp->rules = rules;
    lock_give(&otlp->lock);
    rules_unref(old);
}

Otlp *otlp_new(const OtlpOptions *options)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    OtlpConfig config = {0};
    Otlp *otlp = X_NEW(Otlp);
    otlp->options = *options;
    otlp->write = remote_write_new(&(RemoteWriteOptions){.clock = options->clock,
                                                         .accept_v1 = true,
                                                         .accept_v2 = true,
                                                         .zero_samples = options->zero_samples});
    if (options->delta_to_cumulative)
        otlp->deltas = otlp_deltas_new();
    if (options->registry)
        otlp->requests_refused =
            counter_of(registry_counter(options->registry, "narthex_otlp_refused_requests_total",
                                        "OTLP requests answered with an error.", NULL),
                       NULL);
    lock_init(&otlp->lock, "otlp", 911);
    config_defaults(&scratch, &otlp_config_table, &config);
    otlp_configure(otlp, &config);
    return otlp;
}

void otlp_free(Otlp *otlp)
{
    if (!otlp)
        return;
    rules_unref(otlp->rules);
    otlp_deltas_free(otlp->deltas);
    remote_write_free(otlp->write);
    lock_deinit(&otlp->lock);
    free(otlp);
}

// The walk ---------------------------------------------------------------------------------------------------------------------------

static void add_part(Buf *key, Str part)
{
    buf_add(key, &part.len, sizeof part.len);
    buf_add_str(key, part);
}

static RemoteSeriesKey prefix_of(OtlpRun *run, const OtlpMetric *metric, uint32_t kind)
{
    static const OtlpScope none = {0};
    const OtlpScope *scope = metric->scope ? metric->scope : &none;
    buf_reset(&run->key);
    buf_add(&run->key, &run->rules->generation, sizeof run->rules->generation);
    buf_add(&run->key, &kind, sizeof kind);
    add_part(&run->key, metric->resource->message);
    add_part(&run->key, scope->message);
    add_part(&run->key, scope->schema_url);
    add_part(&run->key, metric->name);
    add_part(&run->key, metric->unit);
    return remote_series_key(run->otlp->write->cache, buf_str(&run->key));
}

static bool walk_metric(OtlpRun *run, OtlpResource *resource, const OtlpScope *scope, Str message)
{
    OtlpMetric *metric = ARENA_NEW(run->arena, OtlpMetric);
    uint32_t kind = 0;
    *metric = (OtlpMetric){.rules = run->rules, .resource = resource, .scope = scope};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.wire != PROTO_BYTES)
            continue;
        if (r.field == 1)
            metric->name = r.bytes;
        else if (r.field == 2)
            metric->description = r.bytes;
        else if (r.field == 3)
            metric->unit = r.bytes;
        else if (r.field >= 5 && r.field <= 11)
            kind = r.field;
    }
    if (r.failed)
        return otlp_run_fail(run, "malformed metric");
    // What is monotonic has another name: it is a part of the kind that the prefix knows.
    metric->prefix = prefix_of(run, metric, kind);
    otlp_run_metric(run, metric, message);
    return !run->failed;
}

static void read_scope(Str message, OtlpScope *scope)
{
    ProtoReader r = proto_reader(message);
    scope->message = message;
    while (proto_next(&r)) {
        if (r.wire != PROTO_BYTES)
            continue;
        if (r.field == 1)
            scope->name = r.bytes;
        else if (r.field == 2)
            scope->version = r.bytes;
    }
}

static bool walk_scope(OtlpRun *run, OtlpResource *resource, Str message)
{
    OtlpScope *scope = ARENA_NEW(run->arena, OtlpScope);
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_BYTES)
            read_scope(r.bytes, scope);
        else if (r.field == 3 && r.wire == PROTO_BYTES)
            scope->schema_url = r.bytes;
    }
    if (r.failed)
        return otlp_run_fail(run, "malformed scope");
    r = proto_reader(message);
    while (!run->write->stopped && proto_next(&r))
        if (r.field == 2 && r.wire == PROTO_BYTES && !walk_metric(run, resource, scope, r.bytes))
            return false;
    return true;
}

// What identifies the resource's samples, and the rest of what it says of itself: one gauge, told as long as samples come.
static void tell_target_info(OtlpRun *run, OtlpResource *resource)
{
    if (resource->first_ms > resource->last_ms || run->write->stopped ||
        (resource->job.len == 0 && resource->instance.len == 0) ||
        otlp_resource_extras(resource->message) == 0)
        return;
    OtlpMetric *metric = ARENA_NEW(run->arena, OtlpMetric);
    *metric = (OtlpMetric){.rules = run->rules,
                           .resource = resource,
                           .name = S("target_info"),
                           .translated = S("target_info"),
                           .description = S("Target metadata"),
                           .type = METRIC_GAUGE};
    metric->prefix = prefix_of(run, metric, 0);
    RemoteSeriesKey base = otlp_point_key(run, metric, resource->message, 1);
    OtlpSeries series = otlp_series(
        run, metric,
        (OtlpOrigin){.metric = metric, .point = resource->message, .attribute_field = 1}, base);
    int64_t lookback_ms = run->otlp->options.lookback_ms;
    int64_t step_ms = (lookback_ms ? lookback_ms : LOOKBACK_MS_DEFAULT) / 2;
    int64_t t_ms = resource->first_ms;
    for (int i = 0; i < TARGET_INFO_SAMPLES_MAX && t_ms < resource->last_ms; i++, t_ms += step_ms)
        write_run_sample(run->write, series.ref, series.origin,
                         (SinkSample){.t_ms = t_ms, .value = 1});
    write_run_sample(run->write, series.ref, series.origin,
                     (SinkSample){.t_ms = resource->last_ms, .value = 1});
}

static void identify(OtlpRun *run, OtlpResource *resource, Str message)
{
    resource->message = message;
    Str name = otlp_attribute(message, 1, S("service.name"), run->arena);
    Str space = otlp_attribute(message, 1, S("service.namespace"), run->arena);
    resource->instance = otlp_attribute(message, 1, S("service.instance.id"), run->arena);
    resource->job = name;
    if (name.ptr && space.ptr)
        resource->job =
            arena_printf(run->arena, STR_FMT "/" STR_FMT, STR_ARG(space), STR_ARG(name));
}

static bool walk_resource(OtlpRun *run, Str message)
{
    OtlpResource *resource = ARENA_NEW(run->arena, OtlpResource);
    *resource = (OtlpResource){.first_ms = INT64_MAX, .last_ms = INT64_MIN};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r))
        if (r.field == 1 && r.wire == PROTO_BYTES)
            identify(run, resource, r.bytes);
    if (r.failed)
        return otlp_run_fail(run, "malformed resource");
    r = proto_reader(message);
    while (!run->write->stopped && proto_next(&r))
        if (r.field == 2 && r.wire == PROTO_BYTES && !walk_scope(run, resource, r.bytes))
            return false;
    tell_target_info(run, resource);
    return true;
}

static bool is_well_formed(Str message)
{
    ProtoReader r = proto_reader(message);
    while (proto_next(&r))
        ;
    return !r.failed;
}

static void write_request(Otlp *otlp, Sink *sink, Str message, Arena *arena, OtlpAnswer *answer)
{
    RemoteWriteAnswer written = {0};
    OtlpRun run = {.otlp = otlp, .arena = arena};
    lock_take(&otlp->lock);
    OtlpRules *rules = otlp->rules;
    atomic_fetch_add(&rules->refs, 1);
    lock_give(&otlp->lock);
    run.rules = rules;
    run.write = write_run_begin(otlp->write, sink, false, arena);
    run.write->labels_of = otlp_labels_of;
    run.write->invalid_fails = true;
    ProtoReader r = proto_reader(message);
    while (!run.write->stopped && !run.failed && proto_next(&r))
        if (r.field == 1 && r.wire == PROTO_BYTES && !walk_resource(&run, r.bytes))
            break;
    if (run.failed)
        write_run_fail(run.write, &run.err);
    write_run_end(run.write, true, &written);
    buf_deinit(&run.key);
    rules_unref(rules);
    answer->status = written.status == 204 ? 200 : written.status;
    answer->text = written.text;
}

// Requests ---------------------------------------------------------------------------------------------------------------------------

static void refuse(OtlpAnswer *answer, const char *text, const Error *err, Arena *arena)
{
    answer->status = 400;
    answer->text = err ? arena_printf(arena, "%s%s", text, err->text) : str_from_c(text);
}

// The body as protobuf, in *plain or *converted or as it came.
static bool read_body(const OtlpRequest *request, Arena *arena, Buf *plain, Buf *converted,
                      Str *ret_message, OtlpAnswer *answer)
{
    Error err;
    Str body = request->body;
    Str type = request->content_type;
    bool is_json = str_is(type, "application/json");
    if (!is_json && !str_is(type, "application/x-protobuf")) {
        answer->status = 400;
        answer->text = arena_printf(arena,
                                    "unsupported content type: " STR_FMT ", supported: "
                                    "[application/json, application/x-protobuf]",
                                    STR_ARG(str_sub(type, 0, 200)));
        return false;
    }
    if (str_is(request->content_encoding, "gzip")) {
        if (!gzip_decode(body, OTLP_BYTES_MAX, plain, &err)) {
            refuse(answer, "", &err, arena);
            return false;
        }
        body = buf_str(plain);
    } else if (request->content_encoding.len) {
        answer->status = 400;
        answer->text = arena_printf(arena,
                                    "unsupported compression: " STR_FMT
                                    ". Only \"gzip\" or no compression supported",
                                    STR_ARG(str_sub(request->content_encoding, 0, 100)));
        return false;
    }
    if (body.len > OTLP_BYTES_MAX) {
        refuse(answer, "the request is too large", NULL, arena);
        return false;
    }
    if (is_json) {
        if (!otlp_json_decode(body, arena, converted, &err)) {
            refuse(answer, "", &err, arena);
            return false;
        }
        body = buf_str(converted);
    }
    if (!is_well_formed(body)) {
        refuse(answer, "proto: the message is malformed", NULL, arena);
        return false;
    }
    *ret_message = body;
    return true;
}

void otlp_handle(Otlp *otlp, Sink *sink, const OtlpRequest *request, Arena *arena,
                 OtlpAnswer *ret_answer)
{
    OtlpAnswer answer = {0};
    Buf plain = {0};
    Buf converted = {0};
    Str message;
    if (read_body(request, arena, &plain, &converted, &message, &answer))
        write_request(otlp, sink, message, arena, &answer);
    buf_deinit(&plain);
    buf_deinit(&converted);
    if (answer.status != 200 && otlp->requests_refused)
        counter_inc(otlp->requests_refused);
    *ret_answer = answer;
}
