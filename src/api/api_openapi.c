// SPDX-License-Identifier: Apache-2.0
// /openapi.yaml: what the API offers, as an OpenAPI document, made from the table below. A test holds the table against the routes.
//
// Version 3.1, or 3.2 with openapi_version=3.2: what is used here is the same in both.
#include "api/api_internal.h"

enum { PARAMS_MAX = 13 };

// One letter for what a parameter is.
typedef enum OpenApiType {
    OA_STRING,
    OA_STRINGS, // may be repeated
    OA_TIME,
    OA_DURATION,
    OA_COUNT,
    OA_BOOL,
    OA_SEGMENT, // of the path
} OpenApiType;

typedef struct OpenApiParam {
    const char *name;
    OpenApiType type;
    bool required;
} OpenApiParam;

typedef struct OpenApiRow {
    const char *path; // below /api/v1
    unsigned methods; // METHOD_*
    const char *tag, *summary;
    OpenApiParam params[PARAMS_MAX];
} OpenApiRow;

#define GET METHOD_GET
#define POST METHOD_POST
#define PUT METHOD_PUT
#define QUERY                                                                                      \
    {                                                                                              \
        "query", OA_STRING, true                                                                   \
    }
#define MATCH                                                                                      \
    {                                                                                              \
        "match[]", OA_STRINGS, false                                                               \
    }
#define START                                                                                      \
    {                                                                                              \
        "start", OA_TIME, false                                                                    \
    }
#define END                                                                                        \
    {                                                                                              \
        "end", OA_TIME, false                                                                      \
    }
#define LIMIT                                                                                      \
    {                                                                                              \
        "limit", OA_COUNT, false                                                                   \
    }
#define STATS                                                                                      \
    {                                                                                              \
        "stats", OA_STRING, false                                                                  \
    }
#define TIMEOUT                                                                                    \
    {                                                                                              \
        "timeout", OA_DURATION, false                                                              \
    }
#define SEARCH                                                                                     \
    {"search[]", OA_STRINGS, false}, {"fuzz_threshold", OA_COUNT, false},                          \
        {"fuzz_alg", OA_STRING, false}, {"case_sensitive", OA_BOOL, false},                        \
        {"include_score", OA_BOOL, false}, {"sort_by", OA_STRING, false},                          \
        {"sort_dir", OA_STRING, false}, {"batch_size", OA_COUNT, false}, MATCH, START, END, LIMIT
#define LOOKBACK                                                                                   \
    {                                                                                              \
        "lookback_delta", OA_DURATION, false                                                       \
    }

// clang-format off
static const OpenApiRow rows[] = {
    {"/query", GET | POST, "query", "Evaluate an expression at one time",
     {QUERY, {"time", OA_TIME, false}, TIMEOUT, LIMIT, LOOKBACK, STATS}},
    {"/query_range", GET | POST, "query", "Evaluate an expression at every step of a range of time",
     {QUERY, {"start", OA_TIME, true}, {"end", OA_TIME, true}, {"step", OA_DURATION, true}, TIMEOUT, LIMIT, LOOKBACK, STATS}},
    {"/query_exemplars", GET | POST, "query", "Exemplars of the series that an expression selects", {QUERY, START, END}},
    {"/format_query", GET | POST, "query", "An expression in its pretty form", {QUERY}},
    {"/parse_query", GET | POST, "query", "An expression as a tree", {QUERY}},
    {"/series", GET | POST, "metadata", "Label sets of the series that match", {{"match[]", OA_STRINGS, true}, START, END, LIMIT}},
    {"/labels", GET | POST, "metadata", "Names of labels", {MATCH, START, END, LIMIT}},
    {"/label/{name}/values", GET, "metadata", "Values of a label", {{"name", OA_SEGMENT, true}, MATCH, START, END, LIMIT}},
    {"/search/metric_names", GET | POST, "search", "Names of metrics that answer search terms",
     {SEARCH, {"include_metadata", OA_BOOL, false}}},
    {"/search/label_names", GET | POST, "search", "Names of labels that answer search terms", {SEARCH}},
    {"/search/label_values", GET | POST, "search", "Values of a label that answer search terms",
     {{"label", OA_STRING, true}, SEARCH}},
    {"/metadata", GET, "metadata", "Type, help and unit of metrics by name",
     {LIMIT, {"limit_per_metric", OA_COUNT, false}, {"metric", OA_STRING, false}}},
    {"/targets", GET, "targets", "Targets of scraping and their state", {{"state", OA_STRING, false}, {"scrapePool", OA_STRING, false}}},
    {"/targets/metadata", GET, "targets", "Type, help and unit of metrics by target",
     {{"match_target", OA_STRING, false}, {"metric", OA_STRING, false}, LIMIT}},
    {"/targets/relabel_steps", GET, "targets", "What each relabelling rule of a scrape pool does to given labels",
     {{"scrapePool", OA_STRING, true}, {"labels", OA_STRING, true}}},
    {"/scrape_pools", GET, "targets", "Names of scrape pools", {{NULL}}},
    {"/scrape_pools/config", GET, "targets", "Configuration of a scrape pool", {{"scrapePool", OA_STRING, true}}},
    {"/rules", GET, "rules", "Groups of rules with their state",
     {{"type", OA_STRING, false}, {"rule_name[]", OA_STRINGS, false}, {"rule_group[]", OA_STRINGS, false}, {"file[]", OA_STRINGS, false},
      MATCH, {"exclude_alerts", OA_BOOL, false}, {"rule_lines", OA_BOOL, false}, {"group_limit", OA_COUNT, false}, {"group_next_token", OA_STRING, false}}},
    {"/alerts", GET, "alerts", "Pending and firing alerts", {{NULL}}},
    {"/alertmanagers", GET, "alerts", "Alertmanagers that are known", {{NULL}}},
    {"/status/config", GET, "status", "The configuration that holds", {{NULL}}},
    {"/status/flags", GET, "status", "Values of the command line's flags", {{NULL}}},
    {"/status/runtimeinfo", GET, "status", "The state of the process", {{NULL}}},
    {"/status/buildinfo", GET, "status", "Version and build", {{NULL}}},
    {"/status/tsdb", GET, "status", "Where most series, labels and memory are", {LIMIT}},
    {"/status/tsdb/blocks", GET, "status", "Blocks on disk", {{NULL}}},
    {"/status/walreplay", GET, "status", "How far the log is replayed", {{NULL}}},
    {"/status/self_metrics", GET, "status", "Metrics of the server itself", {{"metric_name_pattern", OA_STRING, false}}},
    {"/features", GET, "status", "What is switched on", {{NULL}}},
    {"/notifications", GET, "notifications", "What an operator should know now", {{NULL}}},
    {"/notifications/live", GET, "notifications", "The same as events, as they come and go", {{NULL}}},
    {"/admin/tsdb/delete_series", POST | PUT, "admin", "Delete samples of series", {{"match[]", OA_STRINGS, true}, START, END}},
    {"/admin/tsdb/clean_tombstones", POST | PUT, "admin", "Give the space of deleted samples back", {{NULL}}},
    {"/admin/tsdb/snapshot", POST | PUT, "admin", "Make a copy of all data", {{"skip_head", OA_BOOL, false}}},
    {"/read", POST, "remote", "Remote read", {{NULL}}},
    {"/write", POST, "remote", "Remote write", {{NULL}}},
    {"/otlp/v1/metrics", POST, "remote", "OTLP metrics", {{NULL}}},
    {"/openapi.yaml", GET, "status", "This document", {{"openapi_version", OA_STRING, false}}},
};
// clang-format on

static void add_schema(Buf *out, OpenApiType type)
{
    static const char *const schemas[] = {
        [OA_STRING] = "{type: string}",
        [OA_STRINGS] = "{type: array, items: {type: string}}",
        [OA_TIME] = "{$ref: '#/components/schemas/Time'}",
        [OA_DURATION] = "{$ref: '#/components/schemas/Duration'}",
        [OA_COUNT] = "{type: integer, minimum: 0}",
        [OA_BOOL] = "{type: boolean}",
        [OA_SEGMENT] = "{type: string}",
    };
    buf_add_c(out, schemas[type]);
}

static void add_param(Buf *out, const OpenApiParam *param)
{
    buf_printf(out, "        - name: '%s'\n          in: %s\n          required: %s\n", param->name,
               param->type == OA_SEGMENT ? "path" : "query", param->required ? "true" : "false");
    if (param->type == OA_STRINGS)
        buf_add_c(out, "          style: form\n          explode: true\n");
    buf_add_c(out, "          schema: ");
    add_schema(out, param->type);
    buf_add_char(out, '\n');
}

// The same parameters in the body of a form.
static void add_form(Buf *out, const OpenApiRow *row)
{
    buf_add_c(out, "      requestBody:\n        content:\n"
                   "          application/x-www-form-urlencoded:\n"
                   "            schema:\n              type: object\n"
                   "              properties:\n");
    for (size_t i = 0; i < PARAMS_MAX && row->params[i].name; i++) {
        buf_printf(out, "                '%s': ", row->params[i].name);
        add_schema(out, row->params[i].type);
        buf_add_char(out, '\n');
    }
}

static void add_body(Buf *out)
{
    buf_add_c(out, "      requestBody:\n        required: true\n        content:\n"
                   "          application/x-protobuf:\n"
                   "            schema: {type: string, format: binary}\n");
}

// "queryRangePost" of "/query_range" and "post".
static void add_operation_id(Buf *out, const char *path, const char *method)
{
    bool upper = false;
    size_t start = out->len;
    for (; *path; path++) {
        bool letter = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z');
        if (letter)
            buf_add_char(out, upper && *path >= 'a' ? (char)(*path - 32) : *path);
        upper = !letter && out->len > start;
    }
    buf_add_char(out, (char)(method[0] - 32));
    buf_add_c(out, method + 1);
}

static void add_operation(Buf *out, const OpenApiRow *row, const char *method)
{
    bool form = strcmp(method, "get") != 0 && row->params[0].name;
    bool remote = strcmp(row->tag, "remote") == 0;
    buf_printf(out, "    %s:\n      operationId: ", method);
    add_operation_id(out, row->path, method);
    buf_printf(out, "\n      summary: %s\n      tags: [%s]\n", row->summary, row->tag);
    if (row->params[0].name && (!form || strcmp(row->tag, "admin") == 0)) {
        buf_add_c(out, "      parameters:\n");
        for (size_t i = 0; i < PARAMS_MAX && row->params[i].name; i++)
            add_param(out, &row->params[i]);
    } else if (form) {
        add_form(out, row);
    }
    if (remote)
        add_body(out);
    buf_add_c(out, "      responses:\n");
    if (remote)
        buf_add_c(out, "        '200': {description: Done}\n        '204': {description: Done}\n");
    else
        buf_add_c(out, "        '200': {$ref: '#/components/responses/Success'}\n");
    buf_add_c(out, "        default: {$ref: '#/components/responses/Error'}\n");
}

static void add_path(Buf *out, const OpenApiRow *row)
{
    static const struct {
        unsigned bit;
        const char *name;
    } methods[] = {{GET, "get"}, {POST, "post"}, {PUT, "put"}};
    buf_printf(out, "  %s:\n", row->path);
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (row->methods & methods[i].bit)
            add_operation(out, row, methods[i].name);
}

static void add_components(Buf *out)
{
    buf_add_c(
        out, "components:\n"
             "  schemas:\n"
             "    Time:\n"
             "      description: Seconds since 1970, or RFC 3339.\n"
             "      oneOf: [{type: number}, {type: string, format: date-time}]\n"
             "    Duration:\n"
             "      description: Seconds, or a duration such as 5m.\n"
             "      oneOf: [{type: number}, {type: string}]\n"
             "    Annotations: {type: array, items: {type: string}}\n"
             "    Success:\n"
             "      type: object\n"
             "      required: [status, data]\n"
             "      properties:\n"
             "        status: {const: success}\n"
             "        data: {}\n"
             "        warnings: {$ref: '#/components/schemas/Annotations'}\n"
             "        infos: {$ref: '#/components/schemas/Annotations'}\n"
             "    Error:\n"
             "      type: object\n"
             "      required: [status, errorType, error]\n"
             "      properties:\n"
             "        status: {const: error}\n"
             "        errorType:\n"
             "          enum: [bad_data, execution, canceled, timeout, internal, not_found, "
             "not_acceptable, unavailable]\n"
             "        error: {type: string}\n"
             "        data: {}\n"
             "        warnings: {$ref: '#/components/schemas/Annotations'}\n"
             "        infos: {$ref: '#/components/schemas/Annotations'}\n"
             "  responses:\n"
             "    Success:\n"
             "      description: It succeeded.\n"
             "      content: {application/json: {schema: {$ref: '#/components/schemas/Success'}}}\n"
             "    Error:\n"
             "      description: It failed.\n"
             "      content: {application/json: {schema: {$ref: '#/components/schemas/Error'}}}\n");
}

void api_openapi(ApiCall *call)
{
    const ApiContext *api = call->api;
    Str asked = http_param(call->request, S("openapi_version"));
    bool newer = str_is(asked, "3.2") || str_is(asked, "3.2.0");
    Buf out = {0};
    buf_printf(
        &out,
        "openapi: %s\ninfo:\n  title: Prometheus HTTP API of narthex\n  version: " STR_FMT
        "\n  license: {name: Apache-2.0, identifier: Apache-2.0}\nservers:\n  - url: '" STR_FMT
        "/api/v1'\npaths:\n",
        newer ? "3.2.0" : "3.1.0", STR_ARG(api->build.version), STR_ARG(api->external_url));
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        add_path(&out, &rows[i]);
    add_components(&out);
    http_reply_header(call->request, S("Cache-Control"), S("no-cache, no-store, must-revalidate"));
    http_reply_compress(call->request);
    api_bytes(call, 200, S("application/yaml; charset=utf-8"), buf_str(&out));
    buf_deinit(&out);
}
