// SPDX-License-Identifier: Apache-2.0
// /consoles/*: pages of HTML templates from a folder, with the library folder's *.lib. Facts: prometheus.md section 8.7.
#include <stdlib.h>

#include "api/api_internal.h"
#include "base/fs.h"
#include "template/template.h"

#define CONSOLE_LIBRARIES_MAX 200

// Stands in front of each page, so that places in errors are Prometheus'.
#define CONSOLE_PREFIX                                                                             \
    "{{$rawParams := .RawParams }}{{$params := .Params}}{{$path := .Path}}"                        \
    "{{$externalLabels := .ExternalLabels}}"

typedef struct Console {
    ApiCall *call;
    Str path; // below /consoles/, without a slash in front
    Labels external_labels;
    Labels params; // first values
    TemplateValue raw_params;
    int64_t t_ms;
} Console;

// ---- the dot

static TemplateValue console_raw_params(const void *record, Arena *arena)
{
    (void)arena;
    return ((const Console *)record)->raw_params;
}

static TemplateValue console_params(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels(((const Console *)record)->params);
}

static TemplateValue console_path(const void *record, Arena *arena)
{
    (void)arena;
    return template_string(((const Console *)record)->path);
}

static TemplateValue console_external_labels(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels(((const Console *)record)->external_labels);
}

static const TemplateField console_fields[] = {
    {"RawParams", NULL, console_raw_params},
    {"Params", NULL, console_params},
    {"Path", NULL, console_path},
    {"ExternalLabels", NULL, console_external_labels},
};

static const TemplateType console_type = {
    .name = "struct { RawParams url.Values; Params map[string]string; Path string; "
            "ExternalLabels map[string]string }",
    .kind = TEMPLATE_RECORD,
    .fields = console_fields,
    .field_count = COUNT_OF(console_fields)};

// By name, then as they were sent.
static int compare_params(const void *a, const void *b)
{
    const HttpPair *const *x = a;
    const HttpPair *const *y = b;
    int order = str_compare((*x)->name, (*y)->name);
    return order ? order : (*x > *y) - (*x < *y);
}

static void gather_params(Console *console)
{
    const HttpRequest *request = console->call->request;
    Arena *arena = console->call->arena;
    size_t count = request->param_count;
    const HttpPair **sorted = ARENA_ARRAY(arena, const HttpPair *, count + 1);
    Label *first = ARENA_ARRAY(arena, Label, count + 1);
    TemplateEntry *entries = ARENA_ARRAY(arena, TemplateEntry, count + 1);
    TemplateValue *values = ARENA_ARRAY(arena, TemplateValue, count + 1);
    size_t names = 0;

    for (size_t i = 0; i < count; i++)
        sorted[i] = &request->params[i];
    qsort(sorted, count, sizeof(const HttpPair *), compare_params);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && str_equal(sorted[end]->name, sorted[i]->name); end++)
            values[end] = template_string(sorted[end]->value);
        first[names] = (Label){sorted[i]->name, sorted[i]->value};
        entries[names++] = (TemplateEntry){
            template_string(sorted[i]->name),
            template_list_of(&template_type_strings, values + i, end - i),
        };
    }
    console->params = (Labels){first, names};
    console->raw_params = template_map(entries, names);
}

static bool client_is_gone(void *arg)
{
    return http_client_gone(arg);
}

static bool console_query(void *arg, Str expression, Arena *arena, TemplateSample **ret_samples,
                          size_t *ret_count, Error *err)
{
    const Console *console = arg;
    ApiContext *api = console->call->api;
    QueryRequest request = {.query = expression,
                            .start_ms = console->t_ms,
                            .end_ms = console->t_ms,
                            .budget = &console->call->budget,
                            .origin = {.client_ip = console->call->request->client_ip,
                                       .method = console->call->request->method,
                                       .path = console->call->request->path},
                            .is_canceled = client_is_gone,
                            .arg = console->call->request};
    QueryResult result = {0};
    if (!engine_query(api->engine, api_source(api), &request, arena, &result, err))
        return false;
    if (result.kind == QUERY_MATRIX || result.kind == QUERY_STRING)
        return error_set(err, ERR_INVALID, "query result is not a vector or scalar");
    size_t count = result.kind == QUERY_SCALAR ? 1 : result.count;
    TemplateSample *samples = ARENA_ARRAY(arena, TemplateSample, count + 1);
    for (size_t i = 0; i < count; i++)
        samples[i] =
            result.kind == QUERY_SCALAR
                ? (TemplateSample){LABELS_NONE, result.scalar}
                : (TemplateSample){result.series[i].labels, result.series[i].samples.value[0]};
    *ret_samples = samples;
    *ret_count = count;
    return true;
}

// ---- the files

// A path that stays in its folder.
static bool path_is_safe(Str path)
{
    Str rest = path;
    Str segment;
    if (path.len == 0 || str_find_char(path, 0) != STR_NOT_FOUND)
        return false;
    while (str_split_next(&rest, '/', &segment))
        if (str_is(segment, ".."))
            return false;
    return true;
}

static bool parse_libraries(TemplateSet *set, Str dir, Arena *arena, Error *err)
{
    FsList list;
    Error ignored = {0};
    size_t count = 0;
    // As a glob that matches nothing: no folder, no libraries.
    if (!fs_list(&fs_system, dir, arena, &list, &ignored))
        return true;
    for (size_t i = 0; i < list.count; i++) {
        Str name = list.entries[i].name;
        Str text;
        if (!str_ends_with(name, S(".lib")) || name.ptr[0] == '.')
            continue;
        if (++count > CONSOLE_LIBRARIES_MAX)
            return error_set(err, ERR_LIMIT, "more than %d console libraries",
                             CONSOLE_LIBRARIES_MAX);
        if (!fs_read_file(&fs_system, fs_join(arena, dir, name), arena, TEMPLATE_TEXT_BYTES_MAX,
                          &text, err) ||
            !template_set_parse(set, name, text, err))
            return false;
    }
    return true;
}

static bool render(Console *console, TemplateSet *set, Str text, Buf *out, Error *err)
{
    ApiContext *api = console->call->api;
    Arena *arena = console->call->arena;
    Str name = arena_printf(arena, "__console_/" STR_FMT, STR_ARG(console->path));
    Str whole = arena_printf(arena, "%s" STR_FMT, CONSOLE_PREFIX, STR_ARG(text));
    TemplateHost host = {.arg = console,
                         .now_ms = console->t_ms,
                         .external_url = api->external_url,
                         .path_prefix = api->route_prefix,
                         .query = console_query};
    TemplateExecution execution = {
        .dot = template_record(&console_type, console), .host = &host, .arena = arena};
    if (!template_set_parse(set, name, whole, err))
        return error_context(err, "error parsing template " STR_FMT, STR_ARG(name));
    if (!parse_libraries(set, api->console_libraries, arena, err))
        return error_context(err, "error parsing template files for " STR_FMT, STR_ARG(name));
    return template_execute(set, name, &execution, out, err) ||
           error_context(err, "error executing template " STR_FMT, STR_ARG(name));
}

void api_console(ApiCall *call)
{
    static const TemplateOptions options = {
        .tables = template_console_tables, .missing_key = TEMPLATE_MISSING_ZERO, .html = true};
    ApiContext *api = call->api;
    CLEANUP(buf_deinit) Buf out = {0};
    Console console = {.call = call,
                       .path = str_skip(call->path, strlen("/consoles/")),
                       .t_ms = clock_now_ms(api->clock)};
    Error err = {0};
    Str text;
    if (!path_is_safe(console.path) || api->console_templates.len == 0 ||
        !fs_read_file(&fs_system, fs_join(call->arena, api->console_templates, console.path),
                      call->arena, TEMPLATE_TEXT_BYTES_MAX, &text, &err)) {
        api_text(call, err.code == ERR_LIMIT ? 500 : 404,
                 err.code == ERR_LIMIT ? str_from_c(err.text) : S("no such console\n"));
        return;
    }
    if (api->external_labels)
        console.external_labels = api->external_labels(api->owner, call->arena);
    gather_params(&console);
    TemplateSet *set = template_set_new(&options);
    if (render(&console, set, text, &out, &err))
        api_bytes(call, 200, S("text/html; charset=utf-8"), buf_str(&out));
    else
        api_text(call, 500, arena_printf(call->arena, "%s\n", err.text));
    template_set_free(set);
}
