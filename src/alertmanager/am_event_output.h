// SPDX-License-Identifier: Apache-2.0
// am_event_output.h: what a kind of output of events is. To add one, write am_event_x.c and one row in am_events.c.
//
//     open --> take, take, ... --> close --> am_event_output_gone()
//                                   '-- abort, if that takes too long
//
// Thread: all of it runs on the loop am-events.
#pragma once

#include "alertmanager/am_config.h"
#include "alertmanager/am_event_lines.h"
#include "net/loop.h"

typedef struct AmEventLine {
    struct AmEventLine *next;
    AmEventKind kind;
    size_t refs;
    size_t len; // with the line break
    char text[];
} AmEventLine;

static inline Str am_event_line_json(const AmEventLine *line)
{
    return str_make(line->text, line->len - 1);
}
AmEventLine *am_event_line_ref(AmEventLine *line);
void am_event_line_unref(AmEventLine *line);

typedef struct AmEventOutput AmEventOutput;

typedef struct AmEventOutputKind {
    const char *name;
    const ConfigTable *table;
    // For metrics and logs: "webhook:http://host/path". No secrets.
    Str (*name_of)(const void *settings, Arena *arena);
    // Whether it can be, beyond what the table checks. May be NULL. Any thread.
    bool (*check)(const void *settings, Error *err);
    bool (*open)(AmEventOutput *output, Error *err);
    // Takes lines over that it wants to keep by a reference. What it cannot take it drops and counts itself; false: an error, of all.
    bool (*take)(AmEventOutput *output, AmEventLine *lines, Error *err);
    // What waits is still delivered. Then, at once or later, am_event_output_gone().
    void (*close)(AmEventOutput *output);
    // After close(): no time is left. am_event_output_gone() comes before this returns.
    void (*abort)(AmEventOutput *output);
} AmEventOutputKind;

struct AmEventOutput {
    const AmEventOutputKind *kind;
    const void *settings;
    void *state; // the kind's own
    Loop *loop;
    Str name, fingerprint, instance;
    // Of am_events.c.
    AmEvents *events;
    AmEventOutput *next;
    AmConfig *config; // in which the settings stand
    Arena arena;
    bool has_failed;
};

void am_event_output_gone(AmEventOutput *output);
void am_event_output_dropped(const AmEventOutput *output);
// `type` as the original's: timeout, network, broker, unknown.
void am_event_output_kafka_error(const AmEventOutput *output, const char *type);

extern const AmEventOutputKind am_event_file, am_event_stdout, am_event_webhook, am_event_kafka;
