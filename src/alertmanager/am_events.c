// SPDX-License-Identifier: Apache-2.0
// The queue and the outputs; what the lines say is made in am_event_lines.c.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "alertmanager/am_event_lines.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"

#define QUEUE_MAX 8192
#define QUEUE_BYTES_MAX ((size_t)16 << 20)
#define OUTPUTS_MAX 16
#define STDOUT S("stdout")

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

typedef struct Line {
    struct Line *next;
    AmEventKind kind;
    size_t len;
    char text[];
} Line;

// Paths of files; "stdout" is no path: those are absolute, or begin with the configuration's folder.
typedef struct Outputs {
    Arena arena;
    Str names[OUTPUTS_MAX];
    size_t count;
} Outputs;

struct AmEvents {
    Arena arena;
    Str instance;
    Thread thread;
    Family *recorded, *bytes, *dropped;
    Gauge *queued;
    _Atomic size_t position;
    _Atomic bool is_on;
    Lock lock; // rank 148; guards all below
    Condition changed;
    Outputs *outputs GUARDED_BY(lock);
    Line *first GUARDED_BY(lock), *last GUARDED_BY(lock);
    size_t count GUARDED_BY(lock), total_bytes GUARDED_BY(lock);
    bool is_closing GUARDED_BY(lock), is_writing GUARDED_BY(lock);
};

// ---- outputs ----

static bool add_file(const AmConfig *config, const YamlNode *item, Outputs *outputs, Error *err)
{
    const YamlNode *path = item->kind == YAML_MAPPING ? yaml_get(item, S("path")) : NULL;
    if (!path || path->kind != YAML_SCALAR || path->scalar.len == 0 || item->count != 1)
        return config_error(&config->reader, item, err,
                            "an item of file_outputs has a path, and nothing else");
    outputs->names[outputs->count++] =
        path->scalar.ptr[0] == '/' || config->reader.folder.len == 0
            ? arena_str(&outputs->arena, path->scalar)
            : fs_join(&outputs->arena, config->reader.folder, path->scalar);
    return true;
}

static bool add_output(const AmConfig *config, Str key, const YamlNode *item, Outputs *outputs,
                       Error *err)
{
    if (outputs->count == OUTPUTS_MAX)
        return config_error(&config->reader, item, err, "more than %d outputs of events",
                            OUTPUTS_MAX);
    if (str_is(key, "file_outputs"))
        return add_file(config, item, outputs, err);
    outputs->names[outputs->count++] = STDOUT;
    return true;
}

static bool read_outputs(const AmConfig *config, Outputs *outputs, Error *err)
{
    const YamlNode *node = config->file.event_recorder.node;
    for (size_t i = 0; node && i < node->count; i++) {
        Str key = node->keys[i]->scalar;
        const YamlNode *list = node->items[i];
        if (!str_is(key, "file_outputs") && !str_is(key, "stdout_outputs"))
            return config_error(&config->reader, node->keys[i], err,
                                "event_recorder: " STR_FMT
                                " is not part of this version, file_outputs and stdout_outputs are",
                                STR_ARG(str_sub(key, 0, 100)));
        if (list->kind != YAML_SEQUENCE && list->kind != YAML_NULL)
            return config_error(&config->reader, list, err, STR_FMT " must be a list",
                                STR_ARG(key));
        for (size_t k = 0; list->kind == YAML_SEQUENCE && k < list->count; k++)
            if (!add_output(config, key, list->items[k], outputs, err))
                return false;
    }
    return true;
}

static void free_outputs(Outputs *outputs)
{
    if (outputs)
        arena_deinit(&outputs->arena);
    free(outputs);
}

bool am_events_check(const AmConfig *config, Error *err)
{
    const YamlNode *node = config->file.event_recorder.node;
    Outputs *outputs = X_NEW(Outputs);
    bool ok = !node || node->kind == YAML_MAPPING ||
              config_error(&config->reader, node, err, "event_recorder must be a mapping");
    ok = ok && read_outputs(config, outputs, err);
    free_outputs(outputs);
    return ok;
}

void am_events_apply(AmEvents *events, const AmConfig *config)
{
    Error err = {0};
    Outputs *outputs = X_NEW(Outputs);
    if (!read_outputs(config, outputs, &err))
        log_error("events go where they went before", KV("err", &err));
    lock_take(&events->lock);
    // The writer lets go of what it writes to first.
    while (events->is_writing)
        condition_wait(&events->changed, &events->lock);
    Outputs *old = events->outputs;
    events->outputs = outputs;
    events->is_on = outputs->count > 0;
    lock_give(&events->lock);
    free_outputs(old);
}

// ---- the queue ----

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
    Line *line = x_malloc(sizeof *line + text.len);
    *line = (Line){.kind = kind, .len = text.len};
    memcpy(line->text, text.ptr, text.len);
    lock_take(&events->lock);
    bool full = events->count >= QUEUE_MAX || events->total_bytes + text.len > QUEUE_BYTES_MAX;
    if (!full) {
        if (events->last)
            events->last->next = line;
        else
            events->first = line;
        events->last = line;
        events->count++;
        events->total_bytes += text.len;
        condition_broadcast(&events->changed);
    }
    lock_give(&events->lock);
    if (full) {
        count_dropped(events, kind);
        free(line);
    }
}

// ---- the writer ----

static bool write_out(Str name, Str text, Error *err)
{
    if (str_equal(name, STDOUT)) {
        while (text.len) {
            ssize_t wrote = write(STDOUT_FILENO, text.ptr, text.len);
            if (wrote < 0)
                return error_set_errno(err, errno, "stdout");
            text = str_skip(text, (size_t)wrote);
        }
        return true;
    }
    File file;
    if (!fs_open(&fs_system, name, FS_APPEND, &file, err))
        return false;
    bool ok = file_write(&file, text, err);
    file_close(&file);
    return ok;
}

static void count_lines(const AmEvents *events, const Line *lines, Str output, bool ok)
{
    for (const Line *l = lines; events->recorded && l; l = l->next) {
        Str kind = str_from_c(am_event_names[l->kind]);
        Str by_result[] = {kind, output, ok ? S("success") : S("error")};
        Str by_output[] = {kind, output};
        counter_inc(counter_of(events->recorded, by_result));
        if (ok)
            counter_add(counter_of(events->bytes, by_output), (double)l->len);
    }
}

static void write_lines(const AmEvents *events, const Outputs *outputs, const Line *lines,
                        bool *told)
{
    CLEANUP(buf_deinit) Buf text = {0};
    CLEANUP(arena_deinit) Arena arena = {0};
    bool all = true;
    for (const Line *l = lines; l; l = l->next)
        buf_add(&text, l->text, l->len);
    for (size_t i = 0; i < outputs->count; i++) {
        Error err = {0};
        Str name = outputs->names[i];
        bool ok = write_out(name, buf_str(&text), &err);
        if (!ok && !*told)
            log_error("events cannot be written, skipping", KV("output", name), KV("err", &err));
        all &= ok;
        if (!str_equal(name, STDOUT))
            name = arena_printf(&arena, "file:" STR_FMT, STR_ARG(name));
        count_lines(events, lines, name, ok);
    }
    *told = !all;
}

static Line *take_lines(AmEvents *events)
{
    lock_take(&events->lock);
    events->is_writing = false;
    condition_broadcast(&events->changed);
    while (!events->first && !events->is_closing)
        condition_wait(&events->changed, &events->lock);
    Line *lines = events->first;
    events->first = events->last = NULL;
    events->count = events->total_bytes = 0;
    events->is_writing = lines != NULL;
    lock_give(&events->lock);
    return lines;
}

static void run(void *arg)
{
    AmEvents *events = arg;
    Line *lines;
    bool told = false;
    while ((lines = take_lines(events))) {
        if (events->outputs)
            write_lines(events, events->outputs, lines, &told);
        for (Line *next; lines; lines = next) {
            next = lines->next;
            free(lines);
        }
    }
}

// ---- life ----

static void make_metrics(AmEvents *events, Registry *registry)
{
    static const char *const by_result[] = {"event_type", "output", "result", NULL};
    static const char *const by_output[] = {"event_type", "output", NULL};
    static const char *const by_kind[] = {"event_type", NULL};
    events->recorded = registry_counter(registry, "alertmanager_events_recorded_total",
                                        "Events that were written, by what came of it.", by_result);
    events->bytes = registry_counter(registry, "alertmanager_event_recorder_bytes_written_total",
                                     "Bytes of events that were written.", by_output);
    events->dropped = registry_counter(registry, "alertmanager_events_dropped_total",
                                       "Events that found the queue full.", by_kind);
}

bool am_events_new(Registry *registry, Str instance, AmEvents **ret_events, Error *err)
{
    AmEvents *events = X_NEW(AmEvents);
    events->instance = arena_str(&events->arena, instance);
    lock_init(&events->lock, "am.events", 148);
    condition_init(&events->changed);
    if (registry)
        make_metrics(events, registry);
    if (!thread_start(&events->thread, "am-events", run, events, err)) {
        am_events_free(events);
        return false;
    }
    *ret_events = events;
    return true;
}

void am_events_set_position(AmEvents *events, size_t position)
{
    if (events)
        events->position = position;
}

void am_events_free(AmEvents *events)
{
    if (!events)
        return;
    lock_take(&events->lock);
    events->is_closing = true;
    condition_broadcast(&events->changed);
    lock_give(&events->lock);
    thread_join(&events->thread);
    free_outputs(events->outputs);
    condition_deinit(&events->changed);
    lock_deinit(&events->lock);
    arena_deinit(&events->arena);
    free(events);
}
