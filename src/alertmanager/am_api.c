// SPDX-License-Identifier: Apache-2.0
// API v2: routes, parameters, faults: alertmanager.md section 14.
#include "alertmanager/am_api.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "net/http_gzip.h"

#define JSON_TYPE S("application/json")

// ---- answers ----

void am_api_bytes(AmCall *call, int status, Str content_type, Str body)
{
    call->status = status;
    call->sent_bytes = body.len;
    http_reply(call->request, status, content_type, body);
}

void am_api_empty(AmCall *call, int status)
{
    am_api_bytes(call, status, STR_NONE, STR_NONE);
}

void am_api_writer(JsonWriter *json, Buf *buf)
{
    json_writer_init(json, buf);
    json->keeps_html = true;
}

void am_api_json(AmCall *call, int status, Buf *buf)
{
    buf_add_char(buf, '\n');
    am_api_bytes(call, status, JSON_TYPE, buf_str(buf));
}

void am_api_fault(AmCall *call, int status, const char *fmt, ...)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    va_list args;
    va_start(args, fmt);
    Str text = arena_vprintf(call->arena, fmt, args);
    va_end(args);
    am_api_writer(&json, &buf);
    json_str(&json, text);
    am_api_json(call, status, &buf);
}

void am_api_refuse(AmCall *call, int status, int code, const char *fmt, ...)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    va_list args;
    va_start(args, fmt);
    Str text = arena_vprintf(call->arena, fmt, args);
    va_end(args);
    am_api_writer(&json, &buf);
    json_object(&json);
    json_key_i64(&json, "code", code);
    json_key_str(&json, "message", text);
    json_object_end(&json);
    am_api_bytes(call, status, JSON_TYPE, buf_str(&buf));
}

void am_api_unreadable(AmCall *call, const char *what, const Error *err)
{
    am_api_refuse(call, 400, 400, "parsing %s body from \"\" failed, because %s", what, err->text);
}

void am_api_compress(AmCall *call)
{
    Str wanted = http_header(call->request, S("Accept-Encoding"));
    if (http_encoding_choose(wanted) != HTTP_ENCODING_IDENTITY)
        http_reply_compress(call->request);
}

// ---- parameters ----

bool am_api_flag(AmCall *call, const char *name, bool fallback, bool *ret_value)
{
    static const char *const yes[] = {"true", "1",        "yes",     "ok", "y",
                                      "on",   "selected", "checked", "t",  "enabled"};
    Str text = http_param(call->request, str_from_c(name));
    *ret_value = fallback;
    if (text.len == 0)
        return true;
    *ret_value = false;
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        *ret_value |= str_equal_nocase(text, str_from_c(yes[i]));
    return true;
}

bool am_api_matchers(AmCall *call, const char *name, AmMatchers *ret_matchers)
{
    AmMatchers made = {arena_zalloc(call->arena, AM_API_FILTERS_MAX * sizeof(Matcher)), 0};
    for (size_t i = 0; i < call->request->param_count; i++) {
        const HttpPair *pair = &call->request->params[i];
        Error err = {0};
        if (!str_is(pair->name, name))
            continue;
        if (made.count == AM_API_FILTERS_MAX) {
            am_matchers_deinit(&made);
            am_api_fault(call, 400, "more than %d filters", AM_API_FILTERS_MAX);
            return false;
        }
        if (!am_matcher_parse(pair->value, call->am->options.matchers, call->arena,
                              &made.items[made.count], &err)) {
            am_matchers_deinit(&made);
            bool is_filter = str_is(S("filter"), name);
            am_api_fault(call, 400, "%s%s%s%s", is_filter ? "" : "failed to parse ",
                         is_filter ? "" : name, is_filter ? "" : " param: ", err.text);
            return false;
        }
        made.count++;
    }
    *ret_matchers = made;
    return true;
}

bool am_api_regex(AmCall *call, const char *name, Regex **ret_regex)
{
    Str text = http_param(call->request, str_from_c(name));
    Error err = {0};
    *ret_regex = NULL;
    // Anchors of its own make the fault read as the original's.
    Str anchored = arena_printf(call->arena, "^(?:" STR_FMT ")$", STR_ARG(text));
    if (text.len == 0 || regex_new(anchored, ret_regex, &err))
        return true;
    am_api_fault(call, 400, "failed to parse receiver param: %s", err.text);
    return false;
}

bool am_api_body(AmCall *call, const char *what, JsonValue **ret_body)
{
    Str type = http_header(call->request, S("Content-Type"));
    Error err = {0};
    Str plain = str_trim(str_sub(type, 0, str_find_char(type, ';')));
    if (plain.len && str_find_char(plain, '/') == STR_NOT_FOUND) {
        am_api_refuse(call, 400, 400,
                      "parsing Content-Type header from \"" STR_FMT
                      "\" failed, because mediatype: malformed: \"" STR_FMT "\" has no subtype",
                      STR_ARG(type), STR_ARG(plain));
        return false;
    }
    if (plain.len == 0)
        plain = S("application/octet-stream");
    if (!str_equal_nocase(plain, JSON_TYPE)) {
        am_api_refuse(call, 415, 415,
                      "unsupported media type \"" STR_FMT "\", only [application/json] are allowed",
                      STR_ARG(plain));
        return false;
    }
    if (str_trim(call->request->body).len == 0) {
        am_api_refuse(call, 422, 602, "%s in body is required", what);
        return false;
    }
    if (am_json_read(call->request->body, call->arena, ret_body, &err))
        return true;
    am_api_unreadable(call, what, &err);
    return false;
}

// ---- pieces ----

void am_api_labels(JsonWriter *json, const char *key, Labels labels)
{
    json_key(json, str_from_c(key));
    json_object(json);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(json, labels.pairs[i].name);
        json_str(json, labels.pairs[i].value);
    }
    json_object_end(json);
}

bool am_api_read_labels(AmCall *call, const JsonValue *object, Labels *ret_labels, Error *err)
{
    Label *pairs = ARENA_ARRAY(call->arena, Label, object->count + 1);
    size_t count = object->count;
    if (object->kind != JSON_OBJECT)
        return error_set(err, ERR_INVALID, "a label set must be an object");
    for (size_t i = 0; i < count; i++) {
        bool is_null = object->items[i].kind == JSON_NULL;
        if (!is_null && object->items[i].kind != JSON_STRING)
            return error_set(err, ERR_INVALID, "the value of " STR_FMT " must be a string",
                             STR_ARG(str_sub(object->keys[i], 0, 200)));
        pairs[i] = (Label){object->keys[i], is_null ? STR_NONE : object->items[i].str};
    }
    if (!labels_sort(pairs, &count, err))
        return false;
    *ret_labels = (Labels){pairs, count};
    return true;
}

static bool has_label(Labels labels, Str name)
{
    return labels_get(labels, name).len > 0;
}

bool am_api_passes(const AmMatchers *filters, Labels labels)
{
    for (size_t i = 0; i < filters->count; i++) {
        const Matcher *m = &filters->items[i];
        bool negative = m->kind == MATCH_NOT_EQUAL || m->kind == MATCH_NOT_REGEX;
        if (m->value.len == 0 && has_label(labels, m->name) == negative)
            continue;
        if (!matcher_matches(m, labels_get(labels, m->name)))
            return false;
    }
    return true;
}

// ---- status and receivers ----

static void json_pair(JsonWriter *json, const char *key, const char *value)
{
    json_key_c(json, key, value);
}

static void print_cluster(AmCall *call, JsonWriter *json)
{
    AmSharedState state = {0};
    if (call->am->shared)
        state = am_shared_state(call->am->shared, call->arena);
    if (call->am->shared)
        json_key_str(json, "name", state.name);
    json_key(json, S("peers"));
    json_array(json);
    for (size_t i = 0; i < state.member_count; i++) {
        json_object(json);
        json_key_str(json, "address", state.members[i].address);
        json_key_str(json, "name", state.members[i].name);
        json_object_end(json);
    }
    json_array_end(json);
    json_pair(json, "status", !call->am->shared ? "disabled" : state.up ? "ready" : "settling");
}

void am_api_status(AmCall *call)
{
    Am *am = call->am;
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    am_api_writer(&json, &buf);
    json_object(&json);
    json_key(&json, S("cluster"));
    json_object(&json);
    print_cluster(call, &json);
    json_object_end(&json);
    json_key(&json, S("config"));
    json_object(&json);
    lock_take(&am->lock);
    json_key_str(&json, "original", buf_str(&am->generation->printed));
    lock_give(&am->lock);
    json_object_end(&json);
    json_key(&json, S("uptime"));
    am_time_api_json(&json, am->started_ms * AM_MS_NS);
    json_key(&json, S("versionInfo"));
    json_object(&json);
    json_pair(&json, "branch", "narthex");
    json_pair(&json, "buildDate", "");
    json_pair(&json, "buildUser", "narthex");
    json_pair(&json, "goVersion", "C17, " __VERSION__);
    json_pair(&json, "revision", "narthex " NARTHEX_VERSION);
    json_pair(&json, "version", AM_VERSION);
    json_object_end(&json);
    json_object_end(&json);
    am_api_json(call, 200, &buf);
}

static Labels receiver_labels(Arena *arena, const AmReceiverConfig *receiver)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < receiver->labels.count; i++)
        labels_builder_set(&builder, receiver->labels.keys[i], receiver->labels.values[i]);
    return labels_builder_finish(&builder);
}

void am_api_receivers(AmCall *call)
{
    Am *am = call->am;
    CLEANUP(buf_deinit) Buf buf = {0};
    CLEANUP(am_matchers_deinit) AmMatchers matchers = {0};
    JsonWriter json;
    if (!am_api_matchers(call, "receiver_matchers", &matchers))
        return;
    am_api_writer(&json, &buf);
    json_array(&json);
    lock_take(&am->lock);
    const ConfigList *list = &am->generation->config->file.receivers;
    const AmReceiverConfig *all = list->items;
    for (size_t i = 0; i < list->count; i++) {
        Labels labels = receiver_labels(call->arena, &all[i]);
        if (!am_matchers_match(&matchers, labels))
            continue;
        json_object(&json);
        am_api_labels(&json, "labels", labels);
        json_key_str(&json, "name", all[i].name);
        json_object_end(&json);
    }
    lock_give(&am->lock);
    json_array_end(&json);
    am_api_json(call, 200, &buf);
}

// ---- routes ----

typedef struct AmApiRoute {
    const char *method;
    const char *path; // below /api/v2; a '/' at the end takes one more segment
    void (*handle)(AmCall *call);
    const char *name;
    const char *span; // as the original's
} AmApiRoute;

static const AmApiRoute routes[] = {
    {"GET", "/status", am_api_status, "/status", "api.getStatusHandler"},
    {"GET", "/receivers", am_api_receivers, "/receivers", "api.getReceiversHandler"},
    {"GET", "/alerts", am_api_alerts_get, "/alerts", "api.getAlertsHandler"},
    {"POST", "/alerts", am_api_alerts_post, "/alerts", "api.postAlertsHandler"},
    {"GET", "/alerts/groups", am_api_groups, "/alerts/groups", "api.getAlertGroupsHandler"},
    {"GET", "/silences", am_api_silences_get, "/silences", "api.getSilencesHandler"},
    {"POST", "/silences", am_api_silences_post, "/silences", "api.postSilencesHandler"},
    {"GET", "/silence/", am_api_silence_get, "/silence/{silenceID}", "api.getSilenceHandler"},
    {"DELETE", "/silence/", am_api_silence_delete, "/silence/{silenceID}",
     "api.deleteSilenceHandler"},
    {"GET", "/narthex/explain", am_explain_handle, "/narthex/explain", "api.explainHandler"},
    {"POST", "/narthex/explain", am_explain_handle, "/narthex/explain", "api.explainHandler"},
    {"POST", "/narthex/template", am_preview_handle, "/narthex/template", "api.previewHandler"},
    {"POST", "/narthex/test", am_trial_handle, "/narthex/test", "api.testHandler"},
};

static bool route_fits(const AmApiRoute *route, Str path, Str *ret_rest)
{
    Str pattern = str_from_c(route->path);
    if (!str_ends_with(pattern, S("/")) || pattern.len == 1)
        return str_equal(path, pattern);
    if (!str_starts_with(path, pattern) || path.len == pattern.len)
        return false;
    *ret_rest = str_skip(path, pattern.len);
    return str_find_char(*ret_rest, '/') == STR_NOT_FOUND;
}

static void method_not_allowed(AmCall *call, Str path)
{
    CLEANUP(buf_deinit) Buf allowed = {0};
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        Str rest;
        if (route_fits(&routes[i], path, &rest))
            buf_printf(&allowed, "%s%s", allowed.len ? "," : "", routes[i].method);
    }
    if (allowed.len == 0) {
        am_api_refuse(call, 404, 404, "path /api/v2" STR_FMT " was not found", STR_ARG(path));
        return;
    }
    http_reply_header(call->request, S("Allow"), buf_str(&allowed));
    am_api_refuse(call, 405, 405, "method " STR_FMT " is not allowed, but [" STR_FMT "] are",
                  STR_ARG(call->request->method), STR_ARG(buf_str(&allowed)));
}

static void run(AmCall *call, const AmApiRoute *route)
{
    Am *am = call->am;
    bool is_get = str_is(S("GET"), route->method);
    call->name = route->name;
    int64_t running = is_get ? atomic_fetch_add(&am->gets_running, 1) + 1 : 0;
    if (running > am->options.get_concurrency) {
        counter_inc(am->metrics.gets_refused);
        am_api_bytes(
            call, 503, S("text/plain; charset=utf-8"),
            arena_printf(call->arena,
                         "Limit of concurrent GET requests reached (%lld), try again later.\n\n",
                         (long long)am->options.get_concurrency));
    } else {
        Span span;
        span_open(&span, str_from_c(route->span));
        gauge_add(am->metrics.gets_in_flight, is_get);
        route->handle(call);
        span_end(&span);
        gauge_add(am->metrics.gets_in_flight, -(double)is_get);
    }
    if (is_get)
        atomic_fetch_sub(&am->gets_running, 1);
}

// Pages of any origin may read and post; they may not delete.
static bool is_for_origins(Str method)
{
    return str_is(method, "GET") || str_is(method, "POST") || str_is(method, "HEAD");
}

static bool is_preflight(const AmCall *call)
{
    return str_is(call->request->method, "OPTIONS") &&
           http_header(call->request, S("Access-Control-Request-Method")).len;
}

static bool are_headers_allowed(Str list)
{
    static const char *const allowed[] = {"accept", "content-type", "x-requested-with"};
    Str name;
    while (str_split_next(&list, ',', &name)) {
        bool known = false;
        for (size_t i = 0; i < COUNT_OF(allowed); i++)
            known |= str_is(str_trim(name), allowed[i]);
        if (!known)
            return false;
    }
    return true;
}

static void answer_preflight(AmCall *call)
{
    HttpRequest *request = call->request;
    Str method = http_header(request, S("Access-Control-Request-Method"));
    Str headers = http_header(request, S("Access-Control-Request-Headers"));
    http_reply_header(request, S("Vary"),
                      S("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    if (http_header(request, S("Origin")).len && is_for_origins(method) &&
        are_headers_allowed(headers)) {
        http_reply_header(request, S("Access-Control-Allow-Origin"), S("*"));
        http_reply_header(request, S("Access-Control-Allow-Methods"), method);
        if (headers.len)
            http_reply_header(request, S("Access-Control-Allow-Headers"), headers);
    }
    am_api_empty(call, 204);
}

static void allow_origin(AmCall *call)
{
    HttpRequest *request = call->request;
    http_reply_header(request, S("Cache-Control"), S("no-store"));
    http_reply_header(request, S("Vary"), S("Origin"));
    if (http_header(request, S("Origin")).len &&
        (is_for_origins(request->method) || str_is(request->method, "OPTIONS")))
        http_reply_header(request, S("Access-Control-Allow-Origin"), S("*"));
}

void am_api_handle(AmCall *call, Str path)
{
    Str method = call->request->method;
    call->name = "/api/v2";
    if (is_preflight(call)) {
        answer_preflight(call);
        return;
    }
    allow_origin(call);
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (str_is(method, routes[i].method) && route_fits(&routes[i], path, &call->rest)) {
            run(call, &routes[i]);
            return;
        }
    method_not_allowed(call, path);
}
