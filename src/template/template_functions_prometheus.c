// SPDX-License-Identifier: Apache-2.0
// The functions of Prometheus' templates: prometheus.md section 8.6.
#include <math.h>

#include "base/clock.h"
#include "base/timefmt.h"
#include "template/template_escape.h"
#include "template/template_functions.h"
#include "template/template_text.h"
#include "template/template_time.h"

// ---- numbers

// %.4g as Go prints it.
static void add_4g(Buf *out, double v)
{
    if (isnan(v))
        buf_add_c(out, "NaN");
    else if (isinf(v))
        buf_add_c(out, v < 0 ? "-Inf" : "+Inf");
    else
        buf_printf(out, "%.4g", v);
}

static bool humanize(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    static const char large[] = "kMGTPEZY";
    static const char small[] = "munpfazy";
    Buf text = {0};
    char prefix = 0;
    double v;

    if (!template_to_float(&call->args[0], &v, err))
        return false;
    if (v != 0 && isfinite(v)) {
        bool is_large = fabs(v) >= 1;
        for (size_t i = 0; i < 8 && (is_large ? fabs(v) >= 1000 : fabs(v) < 1); i++) {
            prefix = is_large ? large[i] : small[i];
            v = is_large ? v / 1000 : v * 1000;
        }
    }
    add_4g(&text, v);
    if (prefix)
        buf_add_char(&text, prefix);
    return template_return_text(call, &text, ret_value, err);
}

static bool humanize1024(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    static const char prefixes[] = "kMGTPEZY";
    Buf text = {0};
    char prefix = 0;
    double v;

    if (!template_to_float(&call->args[0], &v, err))
        return false;
    for (size_t i = 0; i < 8 && isfinite(v) && fabs(v) >= 1024; i++) {
        prefix = prefixes[i];
        v /= 1024;
    }
    add_4g(&text, v);
    if (prefix)
        buf_printf(&text, "%ci", prefix);
    return template_return_text(call, &text, ret_value, err);
}

static bool humanize_percentage(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {0};
    double v;

    if (!template_to_float(&call->args[0], &v, err))
        return false;
    add_4g(&text, v * 100);
    buf_add_char(&text, '%');
    return template_return_text(call, &text, ret_value, err);
}

// ---- time

// Seconds to milliseconds as Prometheus rounds them: towards zero.
static bool to_time_ms(double v, int64_t *ret_ms, Error *err)
{
    double ns = v * 1e9;

    if (!(ns <= 0x1p63 && ns >= -0x1p63)) {
        Buf shown = {0};
        TemplateValue value = template_float(v);
        template_print(&shown, &value);
        error_set(err, ERR_INVALID,
                  STR_FMT " cannot be represented as a nanoseconds timestamp since it overflows "
                          "int64",
                  STR_ARG(buf_str(&shown)));
        buf_deinit(&shown);
        return false;
    }
    *ret_ms = (ns >= 0x1p63 ? INT64_MAX : (int64_t)ns) / 1000000;
    return true;
}

static bool humanize_timestamp(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {0};
    double v;
    int64_t t_ms;

    if (!template_to_float(&call->args[0], &v, err))
        return false;
    if (isfinite(v)) {
        if (!to_time_ms(v, &t_ms, err))
            return false;
        TemplateValue time = template_time_ms(call->arena, t_ms);
        template_print(&text, &time);
    } else {
        add_4g(&text, v);
    }
    return template_return_text(call, &text, ret_value, err);
}

static bool to_time(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    double v;
    int64_t t_ms;

    if (!template_to_float(&call->args[0], &v, err))
        return false;
    if (!isfinite(v))
        return error_set(err, ERR_INVALID, "value is NaN or Inf");
    if (!to_time_ms(v, &t_ms, err))
        return false;
    *ret_value = template_time_ms(call->arena, t_ms);
    return true;
}

static bool to_duration(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    double v;

    if (!template_to_float(&call->args[0], &v, err))
        return false;
    double ns = v * 1e9;
    *ret_value = template_duration(fabs(ns) < 0x1p63 ? (int64_t)ns : INT64_MIN);
    return true;
}

static bool now(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_float((double)template_now_ms(call) / 1000);
    return true;
}

static bool parse_duration(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Str text = call->args[0].string;
    bool negative = text.len && text.ptr[0] == '-';
    int64_t ms;

    if (!duration_parse(str_skip(text, negative), &ms, err))
        return false;
    *ret_value = template_float((double)(negative ? -ms : ms) / 1000);
    return true;
}

// ---- text

// As strings.Title: what follows no letter, digit or underscore gets its title case.
static bool title(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    bool at_start = true;

    for (Str rest = call->args[0].string; rest.len;) {
        uint32_t rune;
        rest = str_skip(rest, str_rune(rest, &rune));
        template_add_rune(&text, at_start ? template_rune_title(rune) : rune);
        at_start = !template_is_alphanumeric(rune) && (rune < 0x80 || template_is_space(rune));
    }
    return template_return_text(call, &text, ret_value, err);
}

static bool link(const TemplateCall *call, const char *tab, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};

    buf_add_c(&text, "/graph?g0.expr=");
    template_escape_query(&text, call->args[0].string);
    buf_add_c(&text, tab);
    return template_return_text(call, &text, ret_value, err);
}

static bool graph_link(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    return link(call, "&g0.tab=0", ret_value, err);
}

static bool table_link(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    return link(call, "&g0.tab=1", ret_value, err);
}

static bool url_query_escape(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    template_escape_query(&text, call->args[0].string);
    return template_return_text(call, &text, ret_value, err);
}

static bool strip_port(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Str host, port;

    (void)err;
    if (!template_split_host_port(call->args[0].string, &host, &port))
        host = call->args[0].string;
    *ret_value = template_string(host);
    return true;
}

static bool strip_domain(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    Str host, port = STR_NONE;

    if (!template_split_host_port(call->args[0].string, &host, &port))
        host = call->args[0].string;
    if (template_is_ip(host)) {
        *ret_value = call->args[0];
        return true;
    }
    host = str_sub(host, 0, str_find_char(host, '.'));
    if (port.len == 0) {
        *ret_value = template_string(host);
        return true;
    }
    bool brackets = str_find_char(host, ':') != STR_NOT_FOUND;
    buf_printf(&text, brackets ? "[" STR_FMT "]:" STR_FMT : STR_FMT ":" STR_FMT, STR_ARG(host),
               STR_ARG(port));
    return template_return_text(call, &text, ret_value, err);
}

static bool external_url(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_string(call->host ? call->host->external_url : STR_NONE);
    return true;
}

static bool path_prefix(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_string(call->host ? call->host->path_prefix : STR_NONE);
    return true;
}

// args "a" "b" is {arg0: "a", arg1: "b"}: for a template that wants more than one value.
static bool args(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    TemplateEntry *entries = ARENA_ARRAY(call->arena, TemplateEntry, call->count);

    (void)err;
    for (size_t i = 0; i < call->count; i++)
        entries[i] =
            (TemplateEntry){template_string(arena_printf(call->arena, "arg%zu", i)), call->args[i]};
    *ret_value = template_map(entries, call->count);
    return true;
}

// The output of another template of the set; its name may be computed.
static bool tmpl(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Str text;

    if (!template_call_execute(call, call->args[0].string, call->args[1], &text, err))
        return false;
    *ret_value = template_string_of(&template_type_html, text);
    return true;
}

// ---- queries

static TemplateValue sample_labels(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels(((const TemplateSample *)record)->labels);
}

static TemplateValue sample_value(const void *record, Arena *arena)
{
    (void)arena;
    return template_float(((const TemplateSample *)record)->value);
}

static const TemplateField sample_fields[] = {
    {"Labels", NULL, sample_labels},
    {"Value", NULL, sample_value},
};

static const TemplateType sample_type = {.name = "*template.sample",
                                         .kind = TEMPLATE_RECORD,
                                         .fields = sample_fields,
                                         .field_count = COUNT_OF(sample_fields)};
static const TemplateType samples_type = {
    .name = "template.queryResult", .kind = TEMPLATE_LIST, .elem = &sample_type};

TemplateValue template_samples(Arena *arena, const TemplateSample *samples, size_t count)
{
    TemplateValue *items = ARENA_ARRAY(arena, TemplateValue, count);

    for (size_t i = 0; i < count; i++)
        items[i] = template_record(&sample_type, &samples[i]);
    return template_list_of(&samples_type, items, count);
}

static bool query(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    TemplateSample *samples;
    size_t count;

    if (!call->host || !call->host->query)
        return error_set(err, ERR_UNAVAILABLE, "no queries can be asked here");
    if (!call->host->query(call->host->arg, call->args[0].string, call->arena, &samples, &count,
                           err))
        return false;
    *ret_value = template_samples(call->arena, samples, count);
    return true;
}

static bool first(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    if (call->args[0].list.count == 0)
        return error_set(err, ERR_INVALID, "first() called on vector with no elements");
    *ret_value = call->args[0].list.items[0];
    return true;
}

static Str label_of(const TemplateValue *sample, Str name)
{
    return labels_get(((const TemplateSample *)sample->record)->labels, name);
}

static bool label(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_string(label_of(&call->args[1], call->args[0].string));
    return true;
}

static bool value(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = sample_value(call->args[0].record, call->arena);
    return true;
}

static bool strvalue(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_string(label_of(&call->args[0], S("__value__")));
    return true;
}

static void merge_samples(const TemplateValue *from, size_t mid, size_t count, Str name,
                          TemplateValue *to)
{
    size_t left = 0;
    size_t right = mid;

    for (size_t i = 0; i < count; i++) {
        bool take_left =
            right == count || (left < mid && str_compare(label_of(&from[left], name),
                                                         label_of(&from[right], name)) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

static void sort_samples(TemplateValue *items, TemplateValue *spare, size_t count, Str name)
{
    if (count < 2)
        return;

    size_t mid = count / 2;
    sort_samples(items, spare, mid, name);
    sort_samples(items + mid, spare, count - mid, name);
    merge_samples(items, mid, count, name, spare);
    memcpy(items, spare, count * sizeof *items);
}

static bool sort_by_label(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const TemplateValue *list = &call->args[1];
    size_t count = list->list.count;
    TemplateValue *items = ARENA_ARRAY(call->arena, TemplateValue, count);
    TemplateValue *spare = ARENA_ARRAY(call->arena, TemplateValue, count);

    (void)err;
    if (count)
        memcpy(items, list->list.items, count * sizeof *items);
    sort_samples(items, spare, count, call->args[0].string);
    *ret_value = template_list_of(&samples_type, items, count);
    return true;
}

// ---- alerts

static TemplateValue alert_labels(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels(((const TemplateAlertData *)record)->labels);
}

static TemplateValue alert_external_labels(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels(((const TemplateAlertData *)record)->external_labels);
}

static TemplateValue alert_external_url(const void *record, Arena *arena)
{
    (void)arena;
    return template_string(((const TemplateAlertData *)record)->external_url);
}

static TemplateValue alert_value(const void *record, Arena *arena)
{
    (void)arena;
    return ((const TemplateAlertData *)record)->value;
}

static const TemplateField alert_fields[] = {
    {"Labels", NULL, alert_labels},
    {"ExternalLabels", NULL, alert_external_labels},
    {"ExternalURL", NULL, alert_external_url},
    {"Value", NULL, alert_value},
};

static const TemplateType alert_data_type = {
    .name = "struct { Labels map[string]string; ExternalLabels map[string]string; "
            "ExternalURL string; Value interface {} }",
    .kind = TEMPLATE_RECORD,
    .fields = alert_fields,
    .field_count = COUNT_OF(alert_fields)};

TemplateValue template_alert_data(const TemplateAlertData *data)
{
    return template_record(&alert_data_type, data);
}

#define ANY &template_type_any
#define STRING &template_type_string

static const TemplateFunction functions[] = {
    {"args", args, TEMPLATE_PARAMS(ANY), .variadic = true},
    {"externalURL", external_url},
    {"first", first, TEMPLATE_PARAMS(&samples_type)},
    {"graphLink", graph_link, TEMPLATE_PARAMS(STRING)},
    {"humanize", humanize, TEMPLATE_PARAMS(ANY)},
    {"humanize1024", humanize1024, TEMPLATE_PARAMS(ANY)},
    {"humanizeDuration", template_function_humanize_duration, TEMPLATE_PARAMS(ANY)},
    {"humanizePercentage", humanize_percentage, TEMPLATE_PARAMS(ANY)},
    {"humanizeTimestamp", humanize_timestamp, TEMPLATE_PARAMS(ANY)},
    {"label", label, TEMPLATE_PARAMS(STRING, &sample_type)},
    {"match", template_function_match, TEMPLATE_PARAMS(STRING, STRING)},
    {"now", now},
    {"parseDuration", parse_duration, TEMPLATE_PARAMS(STRING)},
    {"pathPrefix", path_prefix},
    {"query", query, TEMPLATE_PARAMS(STRING)},
    {"reReplaceAll", template_function_replace, TEMPLATE_PARAMS(STRING, STRING, STRING)},
    {"safeHtml", template_function_safe_html, TEMPLATE_PARAMS(STRING)},
    {"sortByLabel", sort_by_label, TEMPLATE_PARAMS(STRING, &samples_type)},
    {"stripDomain", strip_domain, TEMPLATE_PARAMS(STRING)},
    {"stripPort", strip_port, TEMPLATE_PARAMS(STRING)},
    {"strvalue", strvalue, TEMPLATE_PARAMS(&sample_type)},
    {"tableLink", table_link, TEMPLATE_PARAMS(STRING)},
    {"title", title, TEMPLATE_PARAMS(STRING)},
    {"toDuration", to_duration, TEMPLATE_PARAMS(ANY)},
    {"toLower", template_function_to_lower, TEMPLATE_PARAMS(STRING)},
    {"toTime", to_time, TEMPLATE_PARAMS(ANY)},
    {"toUpper", template_function_to_upper, TEMPLATE_PARAMS(STRING)},
    {"urlQueryEscape", url_query_escape, TEMPLATE_PARAMS(STRING)},
    {"value", value, TEMPLATE_PARAMS(&sample_type)},
};

const TemplateTable template_functions_prometheus = {functions, COUNT_OF(functions)};
const TemplateTable *const template_prometheus_tables[] = {&template_functions_prometheus, NULL};

static const TemplateFunction console_functions[] = {
    {"tmpl", tmpl, TEMPLATE_PARAMS(STRING, ANY)},
};
static const TemplateTable template_functions_console = {console_functions,
                                                         COUNT_OF(console_functions)};
const TemplateTable *const template_console_tables[] = {&template_functions_prometheus,
                                                        &template_functions_console, NULL};
