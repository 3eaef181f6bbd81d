// SPDX-License-Identifier: Apache-2.0
// The queue and the outputs; what the lines say is made in am_event_lines.c.
#include <stdlib.h>

#include "alertmanager/am_event_output.h"
#include "base/lock.h"
#include "base/log.h"

#define QUEUE_MAX 8192
#define QUEUE_BYTES_MAX ((size_t)16 << 20)
#define OUTPUTS_MAX 16
#define DRAIN_MS 10000 // what waits when the program ends has this long

const char *const am_event_names[AM_EVENT_KINDS] = {
    "alertmanager_startup_event",
    "alertmanager_shutdown_event",
    "alert_created",
    "alert_resolved",
    "alert_grouped",
    "notification",
    "silence_created",
    "silence_updated",
    "silence_muted_alert",
    "inhibition_muted_alert",
};

static const AmEventOutputKind *const output_kinds[] = {&am_event_file, &am_event_webhook,
                                                        &am_event_kafka, &am_event_stdout};

struct AmEvents {
    Arena arena;
    Str instance;
    Loop *loop;
    Family *recorded, *bytes, *dropped, *output_dropped, *kafka_errors;
    _Atomic size_t position;
    _Atomic bool is_on;
    AmEventOutput *outputs; // loop am-events
    Lock lock;              // rank 148; guards all below
    Condition changed;
    AmEventLine *first GUARDED_BY(lock), *last GUARDED_BY(lock);
    size_t count GUARDED_BY(lock), total_bytes GUARDED_BY(lock);
    bool is_posted GUARDED_BY(lock);        // the loop is about to take the lines
    AmEventOutput *ending GUARDED_BY(lock); // closed, and not gone yet
};

// ---- lines ----

AmEventLine *am_event_line_ref(AmEventLine *line)
{
    line->refs++;
    return line;
}

void am_event_line_unref(AmEventLine *line)
{
    if (--line->refs == 0)
        free(line);
}

// ---- outputs ----

static const ConfigList *list_of(const AmEventRecorder *recorder, size_t kind)
{
    const ConfigList *const lists[] = {&recorder->file_outputs, &recorder->webhook_outputs,
                                       &recorder->kafka_outputs, &recorder->stdout_outputs};
    return lists[kind];
}

static const void *settings_of(const ConfigList *list, const AmEventOutputKind *kind, size_t at)
{
    return (const char *)list->items + at * kind->table->bytes;
}

bool am_events_check(const AmConfig *config, Error *err)
{
    size_t total = 0;
    const AmEventRecorder *recorder = config->file.event_recorder;
    for (size_t k = 0; recorder && k < COUNT_OF(output_kinds); k++) {
        const AmEventOutputKind *kind = output_kinds[k];
        const ConfigList *list = list_of(recorder, k);
        for (size_t i = 0; i < list->count; i++)
            if (kind->check && !kind->check(settings_of(list, kind, i), err))
                return error_context(err, "event_recorder");
        total += list->count;
    }
    return total <= OUTPUTS_MAX ||
           error_set(err, ERR_INVALID, "event_recorder: more than %d outputs of events",
                     OUTPUTS_MAX);
}

static void free_output(AmEventOutput *output)
{
    Arena arena = output->arena; // the output stands in it
    am_config_unref(output->config);
    arena_deinit(&arena);
}

void am_event_output_gone(AmEventOutput *output)
{
    AmEvents *events = output->events;
    lock_take(&events->lock);
    AmEventOutput **at = &events->ending;
    while (*at != output)
        at = &(*at)->next;
    *at = output->next;
    condition_broadcast(&events->changed);
    lock_give(&events->lock);
    free_output(output);
}

static void end_output(AmEvents *events, AmEventOutput *output)
{
    lock_take(&events->lock);
    output->next = events->ending;
    events->ending = output;
    lock_give(&events->lock);
    output->kind->close(output);
}

static AmEventOutput *new_output(AmEvents *events, AmConfig *config, const AmEventOutputKind *kind,
                                 const void *settings)
{
    Arena arena = {0};
    AmEventOutput *output = ARENA_NEW(&arena, AmEventOutput);
    *output = (AmEventOutput){
        .kind = kind,
        .settings = settings,
        .loop = events->loop,
        .instance = events->instance,
        .events = events,
        .config = am_config_ref(config),
    };
    output->name = kind->name_of(settings, &arena);
    output->fingerprint = config_fingerprint(&arena, kind->table, settings);
    output->arena = arena;
    return output;
}

// One that was there before with the same settings goes on, with what it has to do.
static AmEventOutput *take_same(AmEventOutput **olds, const AmEventOutput *like)
{
    for (AmEventOutput **at = olds; *at; at = &(*at)->next) {
        AmEventOutput *old = *at;
        if (old->kind != like->kind || !str_equal(old->fingerprint, like->fingerprint))
            continue;
        *at = old->next;
        return old;
    }
    return NULL;
}

typedef struct Apply {
    AmEvents *events;
    AmConfig *config;
} Apply;

static void add_output(AmEvents *events, AmEventOutput **olds, AmEventOutput *output)
{
    Error err = {0};
    AmEventOutput *same = take_same(olds, output);
    if (!same && !output->kind->open(output, &err)) {
        log_error("an output of events cannot be opened, skipping", KV("output", output->name),
                  KV("err", &err));
        free_output(output);
        return;
    }
    if (same) {
        free_output(output);
        output = same;
    }
    output->next = events->outputs;
    events->outputs = output;
}

static void apply(void *arg)
{
    const Apply *a = arg;
    AmEvents *events = a->events;
    AmEventOutput *olds = events->outputs;
    const AmEventRecorder *recorder = a->config->file.event_recorder;
    events->outputs = NULL;
    for (size_t k = 0; recorder && k < COUNT_OF(output_kinds); k++) {
        const ConfigList *list = list_of(recorder, k);
        for (size_t i = 0; i < list->count; i++)
            add_output(events, &olds,
                       new_output(events, a->config, output_kinds[k],
                                  settings_of(list, output_kinds[k], i)));
    }
    for (AmEventOutput *next; olds; olds = next) {
        next = olds->next;
        end_output(events, olds);
    }
    events->is_on = events->outputs != NULL;
}

void am_events_apply(AmEvents *events, AmConfig *config)
{
    Apply a = {events, config};
    loop_call(events->loop, apply, &a);
}

// ---- metrics ----

void am_event_output_dropped(const AmEventOutput *output)
{
    if (output->events->output_dropped)
        counter_inc(counter_of(output->events->output_dropped, &output->name));
}

void am_event_output_kafka_error(const AmEventOutput *output, const char *type)
{
    Str labels[] = {output->name, str_from_c(type)};
    if (output->events->kafka_errors)
        counter_inc(counter_of(output->events->kafka_errors, labels));
}

static void count_lines(const AmEvents *events, const AmEventLine *lines, Str output, bool ok)
{
    for (const AmEventLine *l = lines; events->recorded && l; l = l->next) {
        Str kind = str_from_c(am_event_names[l->kind]);
        Str by_result[] = {kind, output, ok ? S("success") : S("error")};
        Str by_output[] = {kind, output};
        counter_inc(counter_of(events->recorded, by_result));
        if (ok)
            counter_add(counter_of(events->bytes, by_output), (double)l->len);
    }
}

// ---- the queue ----

static AmEventLine *take_lines(AmEvents *events)
{
    lock_take(&events->lock);
    AmEventLine *lines = events->first;
    events->first = events->last = NULL;
    events->count = events->total_bytes = 0;
    events->is_posted = false;
    lock_give(&events->lock);
    return lines;
}

static void give_to(AmEvents *events, AmEventOutput *output, AmEventLine *lines)
{
    Error err = {0};
    bool ok = output->kind->take(output, lines, &err);
    if (!ok && !output->has_failed)
        log_error("events cannot be written, skipping", KV("output", output->name),
                  KV("err", &err));
    output->has_failed = !ok;
    count_lines(events, lines, output->name, ok);
}

static void write_lines(void *arg)
{
    AmEvents *events = arg;
    AmEventLine *lines = take_lines(events);
    for (AmEventOutput *o = lines ? events->outputs : NULL; o; o = o->next)
        give_to(events, o, lines);
    for (AmEventLine *next; lines; lines = next) {
        next = lines->next;
        am_event_line_unref(lines);
    }
}

bool am_events_begin(AmEvents *events)
{
    return events && events->is_on;
}

Str am_events_instance(const AmEvents *events, size_t *ret_position)
{
    *ret_position = events->position;
    return events->instance;
}

static void count_dropped(const AmEvents *events, AmEventKind kind)
{
    Str name = str_from_c(am_event_names[kind]);
    if (events->dropped)
        counter_inc(counter_of(events->dropped, &name));
}

void am_events_add(AmEvents *events, AmEventKind kind, Str text)
{
    AmEventLine *line = x_malloc(sizeof *line + text.len);
    *line = (AmEventLine){.kind = kind, .refs = 1, .len = text.len};
    memcpy(line->text, text.ptr, text.len);
    lock_take(&events->lock);
    bool full = events->count >= QUEUE_MAX || events->total_bytes + text.len > QUEUE_BYTES_MAX;
    bool posts = !full && !events->is_posted;
    if (!full) {
        if (events->last)
            events->last->next = line;
        else
            events->first = line;
        events->last = line;
        events->count++;
        events->total_bytes += text.len;
        events->is_posted = true;
    }
    lock_give(&events->lock);
    if (posts)
        loop_post(events->loop, write_lines, events);
    if (full) {
        count_dropped(events, kind);
        free(line);
    }
}

// ---- life ----

static void make_metrics(AmEvents *events, Registry *registry)
{
    static const char *const by_result[] = {"event_type", "output", "result", NULL};
    static const char *const by_output[] = {"event_type", "output", NULL};
    static const char *const by_kind[] = {"event_type", NULL};
    static const char *const by_name[] = {"output", NULL};
    static const char *const by_error[] = {"output", "error_type", NULL};
    events->recorded = registry_counter(registry, "alertmanager_events_recorded_total",
                                        "Events that were written, by what came of it.", by_result);
    events->bytes = registry_counter(registry, "alertmanager_event_recorder_bytes_written_total",
                                     "Bytes of events that were written.", by_output);
    events->dropped = registry_counter(registry, "alertmanager_events_dropped_total",
                                       "Events that found the queue full.", by_kind);
    events->output_dropped =
        registry_counter(registry, "alertmanager_event_output_drops_total",
                         "Events that found the queue of an output full.", by_name);
    events->kafka_errors =
        registry_counter(registry, "alertmanager_event_kafka_produce_errors_total",
                         "Events that did not reach Kafka.", by_error);
}

bool am_events_new(Registry *registry, Str instance, AmEvents **ret_events, Error *err)
{
    AmEvents *events = X_NEW(AmEvents);
    events->instance = arena_str(&events->arena, instance);
    lock_init(&events->lock, "am.events", 148);
    condition_init(&events->changed);
    if (registry)
        make_metrics(events, registry);
    Loop *loop;
    bool is_made = loop_new("am-events", &loop, err);
    if (!is_made || !loop_start(loop, err)) {
        if (is_made)
            loop_free(loop);
        am_events_free(events);
        return false;
    }
    events->loop = loop;
    *ret_events = events;
    return true;
}

void am_events_set_position(AmEvents *events, size_t position)
{
    if (events)
        events->position = position;
}

static void end_all(void *arg)
{
    AmEvents *events = arg;
    write_lines(events);
    for (AmEventOutput *o = events->outputs, *next; o; o = next) {
        next = o->next;
        end_output(events, o);
    }
    events->outputs = NULL;
}

static AmEventOutput *first_ending(AmEvents *events)
{
    lock_take(&events->lock);
    AmEventOutput *output = events->ending;
    lock_give(&events->lock);
    return output;
}

static void abort_all(void *arg)
{
    AmEventOutput *output;
    while ((output = first_ending(arg)))
        output->kind->abort(output);
}

static void wait_for_outputs(AmEvents *events)
{
    int64_t until_ns = clock_mono_ns(&clock_system) + DRAIN_MS * AM_MS_NS;
    int64_t left_ns = 1;
    lock_take(&events->lock);
    while (events->ending && (left_ns = until_ns - clock_mono_ns(&clock_system)) > 0)
        (void)condition_wait_ms(&events->changed, &events->lock, left_ns / AM_MS_NS + 1);
    lock_give(&events->lock);
}

void am_events_free(AmEvents *events)
{
    if (!events)
        return;
    if (events->loop) {
        loop_call(events->loop, end_all, events);
        wait_for_outputs(events);
        loop_call(events->loop, abort_all, events);
        loop_stop(events->loop);
        loop_join(events->loop);
        loop_free(events->loop);
    }
    condition_deinit(&events->changed);
    lock_deinit(&events->lock);
    arena_deinit(&events->arena);
    free(events);
}
