// SPDX-License-Identifier: Apache-2.0
// template.h: Go's text/template and html/template, for what annotations, notifications and consoles are written in.
//
//     TemplateSet *set = template_set_new(&(TemplateOptions){.tables = template_prometheus_tables,
//                                                            .missing_key = TEMPLATE_MISSING_ZERO});
//     if (!template_set_parse(set, S("greet"), S("Hello {{ .instance | toUpper }}!"), &err)) ...
//
//     TemplateExecution run = {.dot = template_labels(labels), .host = &host, .arena = &arena};
//     if (!template_execute(set, S("greet"), &run, &out, &err)) ...          // "Hello DB1:9100!"
//     template_set_free(set);
//
// (1) The same text comes out as from Go, and the same sentence where Go fails: a fault in the text is told by
//     template_set_parse() as "template: NAME:LINE: ...", one of the values by template_execute() as
//     "template: NAME:LINE:COLUMN: executing "NAME" at <.X>: ...".
// (2) A set is parsed by one thread and then never changes: any number of threads may execute it at once. Texts that come
//     later (a receiver's setting, a preview) go into a child set, which sees its parent's definitions and hides them by
//     its own.
// (3) Nothing a template does is unbounded: nesting, depth of calls, steps, memory and bytes of output have limits; beyond
//     one it fails with ERR_LIMIT.
// (4) With .html each value is escaped for the place in the page where it stands (element, attribute, URL, script, style),
//     as html/template does. The place is found while the page is written, not by a look at the templates: what html/template
//     refuses because two branches end in different places works here.
//
// Values: template_value.h. Functions come in tables; Go's own are always there.
#pragma once

#include "template/template_value.h"

typedef enum TemplateMissingKey {
    TEMPLATE_MISSING_DEFAULT, // <no value>
    TEMPLATE_MISSING_ZERO,    // the zero value of the map's elements
    TEMPLATE_MISSING_ERROR,
} TemplateMissingKey;

typedef struct TemplateTable {
    const TemplateFunction *functions;
    size_t count;
} TemplateTable;

// NULL-terminated lists of tables for TemplateOptions; an earlier table hides the names of a later.
extern const TemplateTable template_functions_prometheus;
extern const TemplateTable template_functions_alertmanager;
extern const TemplateTable *const template_prometheus_tables[];
extern const TemplateTable *const template_console_tables[]; // Prometheus' and tmpl
extern const TemplateTable *const template_alertmanager_tables[];

typedef struct TemplateOptions {
    const TemplateTable *const *tables; // NULL: only Go's own functions
    TemplateMissingKey missing_key;
    bool html;
} TemplateOptions;

typedef struct TemplateSet TemplateSet;

#define TEMPLATE_TEXT_BYTES_MAX (4 << 20) // of one parsed text
#define TEMPLATE_NESTING_MAX 200          // blocks and parentheses inside each other

TemplateSet *template_set_new(const TemplateOptions *options);
// Has the parent's options; the parent must outlive it.
TemplateSet *template_set_new_child(const TemplateSet *parent);
void template_set_free(TemplateSet *set);

// Parses a text as the template `name` together with all that it defines. As in Go a body of nothing but white space and
// definitions does not replace a template of that name that has one. On failure nothing of the text is kept.
bool template_set_parse(TemplateSet *set, Str name, Str text, Error *err) MUST_CHECK;

// A place in a text; lines and columns (in bytes) count from 1. Line 0: not known.
typedef struct TemplatePlace {
    Str name; // of the text
    uint32_t line, column;
} TemplatePlace;
// Where the text that template_set_parse() refused last is wrong. The name is the one that was given.
TemplatePlace template_set_fault(const TemplateSet *set);
// Reads the place out of an error of template_execute(); the name is a view into it. False if it has none.
bool template_error_place(Str message, TemplatePlace *ret_place);

bool template_set_has(const TemplateSet *set, Str name);
// The definition as Go's Tree prints it; false if there is none.
bool template_set_print(const TemplateSet *set, Str name, Buf *out);

// A sample of a query, for first, value, label, sortByLabel and for fields .Labels and .Value.
typedef struct TemplateSample {
    Labels labels;
    double value;
} TemplateSample;

// What functions ask of the world around the template; unset callbacks make their functions fail.
struct TemplateHost {
    void *arg;        // the caller's
    int64_t now_ms;   // for now and since: 0 is the clock
    Str external_url; // for externalURL
    Str path_prefix;  // for pathPrefix
    // For query: evaluates the expression now; the samples live in the arena.
    bool (*query)(void *arg, Str expression, Arena *arena, TemplateSample **ret_samples,
                  size_t *ret_count, Error *err);
};

typedef struct TemplateLimits {
    size_t output_bytes; // 0: 16 MiB
    size_t memory_bytes; // of the arena during one execution; 0: 64 MiB
    uint64_t steps;      // nodes visited; 0: 20 million
    uint32_t depth;      // of nested calls of templates; 0: 200
} TemplateLimits;

typedef struct TemplateExecution {
    TemplateValue dot;
    const TemplateHost *host; // may be NULL
    Arena *arena;             // for values that come into being; not reset
    TemplateLimits limits;
} TemplateExecution;

// Executes the template `name` of the set and appends what it writes to `out`, on failure what it wrote until then.
//
// Thread  any; the set is only read
bool template_execute(const TemplateSet *set, Str name, const TemplateExecution *execution,
                      Buf *out, Error *err) MUST_CHECK;

// For functions that run another template of the set: its output with html escaping, if the set has it.
bool template_call_execute(const TemplateCall *call, Str name, TemplateValue dot, Str *ret_text,
                           Error *err) MUST_CHECK;

// A query's answer as the function `query` returns it: [](*template.sample).
TemplateValue template_samples(Arena *arena, const TemplateSample *samples, size_t count);

// Go's Time.Format of a moment in a zone offset_s east of Greenwich; 0: UTC.
void template_format_time(Buf *out, int64_t unix_s, int32_t ns, int32_t offset_s, Str layout);

// The dot of alert labels and annotations.
typedef struct TemplateAlertData {
    Labels labels;
    Labels external_labels;
    Str external_url;
    TemplateValue value; // a float, or a string for a histogram
} TemplateAlertData;
TemplateValue template_alert_data(const TemplateAlertData *data);

// Stands in front of each text of an alerting rule, so that places in errors are Prometheus'.
#define TEMPLATE_ALERT_PREFIX                                                                      \
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"                                 \
    "{{$externalURL := .ExternalURL}}{{$value := .Value}}"
