// SPDX-License-Identifier: Apache-2.0
// /targets, /scrape_pools, /metadata, /targets/metadata, /scrape_pools/config, /targets/relabel_steps.
#include "api/api_internal.h"
#include "base/number.h"
#include "base/timefmt.h"
#include "codec/json_reader.h"

static void write_labels(JsonWriter *json, const char *key, Labels labels)
{
    json_key(json, str_from_c(key));
    api_json_labels(json, labels);
}

// ---- the address as the outside sees it ----

// Cuts "scheme://host:port/rest"; false if it is not of this form.
static bool split_url(Str url, Str *ret_scheme, Str *ret_host_port, Str *ret_rest)
{
    size_t colon = str_find(url, S("://"));
    if (colon == STR_NOT_FOUND)
        return false;
    Str after = str_skip(url, colon + 3);
    size_t slash = 0;
    while (slash < after.len && after.ptr[slash] != '/' && after.ptr[slash] != '?')
        slash++;
    *ret_scheme = str_sub(url, 0, colon);
    *ret_host_port = str_sub(after, 0, slash);
    *ret_rest = str_skip(after, slash);
    return true;
}

// A target on our own host is shown under the host of the external URL.
static Str global_url(ApiCall *call, Str url)
{
    static const char *const local[] = {"127.0.0.1", "localhost", "::1"};
    const ApiContext *api = call->api;
    Str scheme, host_port, rest, host, port;
    Str own_scheme, own_host_port, own_rest, own_host, own_port;
    Error ignored; // an address without a port stays as it is
    if (!split_url(url, &scheme, &host_port, &rest) ||
        !url_split_host_port(host_port, &host, &port, &ignored) ||
        !split_url(api->external_url, &own_scheme, &own_host_port, &own_rest))
        return url;
    bool is_local = false;
    for (size_t i = 0; i < COUNT_OF(local); i++)
        is_local = is_local || str_is(host, local[i]);
    if (!is_local)
        return url;
    if (str_equal(port, api->listen_port)) // it is us
        return arena_printf(call->arena, STR_FMT "://" STR_FMT STR_FMT, STR_ARG(own_scheme),
                            STR_ARG(own_host_port), STR_ARG(rest));
    if (!url_split_host_port(own_host_port, &own_host, &own_port, &ignored))
        own_host = own_host_port;
    Buf buf = {0};
    buf_printf(&buf, STR_FMT "://", STR_ARG(scheme));
    url_add_host_port(&buf, own_host, port);
    buf_add_str(&buf, rest);
    Str result = arena_str(call->arena, buf_str(&buf));
    buf_deinit(&buf);
    return result;
}

// ---- /targets ----

static void write_duration(JsonWriter *json, const char *key, int64_t ms)
{
    Buf text = {0};
    buf_add_duration(&text, ms);
    json_key_str(json, key, buf_str(&text));
    buf_deinit(&text);
}

static void write_active(ApiCall *call, JsonWriter *json, const TargetInfo *target)
{
    static const char *const health[] = {"unknown", "up", "down"};
    json_object(json);
    write_labels(json, "discoveredLabels", target->discovered);
    write_labels(json, "labels", target->labels);
    json_key_str(json, "scrapePool", target->pool);
    json_key_str(json, "scrapeUrl", target->url);
    json_key_str(json, "globalUrl", global_url(call, target->url));
    json_key_str(json, "lastError", target->last_error);
    json_key(json, S("lastScrape"));
    if (target->last_scrape_ms)
        api_json_rfc3339(json, target->last_scrape_ms);
    else
        json_c(json, "0001-01-01T00:00:00Z"); // Go's zero time
    json_key_double(json, "lastScrapeDuration", target->last_duration_s);
    json_key_c(json, "health", health[target->health]);
    write_duration(json, "scrapeInterval", target->interval_ms);
    write_duration(json, "scrapeTimeout", target->timeout_ms);
    json_object_end(json);
}

static void targets_snapshot(ApiCall *call, Str pool, bool active, bool dropped,
                             TargetsSnapshot *ret_snapshot)
{
    *ret_snapshot = (TargetsSnapshot){0};
    if (call->api->scrapes)
        scrape_manager_targets(call->api->scrapes, pool, active, dropped, call->arena,
                               ret_snapshot);
}

void api_targets(ApiCall *call)
{
    Str state = http_param(call->request, S("state"));
    bool any = state.len == 0 || str_equal_nocase(state, S("any"));
    bool active = any || str_equal_nocase(state, S("active"));
    bool dropped = any || str_equal_nocase(state, S("dropped"));
    TargetsSnapshot snapshot;
    targets_snapshot(call, http_param(call->request, S("scrapePool")), active, dropped, &snapshot);

    ApiReply reply;
    JsonWriter *json = &reply.json;
    api_reply_begin(call, &reply);
    json_object(json);
    json_key(json, S("activeTargets"));
    json_array(json);
    for (size_t i = 0; i < snapshot.active_count; i++)
        write_active(call, json, &snapshot.active[i]);
    json_array_end(json);
    json_key(json, S("droppedTargets"));
    json_array(json);
    for (size_t i = 0; i < snapshot.dropped_count; i++) {
        json_object(json);
        write_labels(json, "discoveredLabels", snapshot.dropped[i].discovered);
        json_key_str(json, "scrapePool", snapshot.dropped[i].pool);
        json_object_end(json);
    }
    json_array_end(json);
    json_key(json, S("droppedTargetCounts"));
    json_object(json);
    for (size_t i = 0; i < snapshot.pool_count; i++) {
        json_key(json, snapshot.pools[i].name);
        json_u64(json, snapshot.pools[i].dropped);
    }
    json_object_end(json);
    json_object_end(json);
    api_reply_done(&reply);
}

void api_scrape_pools(ApiCall *call)
{
    TargetsSnapshot snapshot;
    targets_snapshot(call, STR_NONE, false, false, &snapshot);
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    json_key(&reply.json, S("scrapePools"));
    json_array(&reply.json);
    for (size_t i = 0; i < snapshot.pool_count; i++)
        json_str(&reply.json, snapshot.pools[i].name);
    json_array_end(&reply.json);
    json_object_end(&reply.json);
    api_reply_done(&reply);
}

void api_scrape_pool_config(ApiCall *call)
{
    Str pool = http_param(call->request, S("scrapePool"));
    Buf yaml = {0};
    if (pool.len == 0) {
        api_error(call, API_BAD_DATA, "no scrapePool parameter provided");
    } else if (!call->api->scrapes || !scrape_manager_pool_yaml(call->api->scrapes, pool, &yaml)) {
        api_error(call, API_NOT_FOUND, "scrape pool \"" STR_FMT "\" not found", STR_ARG(pool));
    } else {
        ApiReply reply;
        api_reply_begin(call, &reply);
        json_object(&reply.json);
        json_key_str(&reply.json, "yaml", buf_str(&yaml));
        json_object_end(&reply.json);
        api_reply_done(&reply);
    }
    buf_deinit(&yaml);
}

// ---- metadata ----

// A number that may be absent (-1). False: the error has been answered.
static bool number_param(ApiCall *call, const char *name, int64_t *ret_number)
{
    Str text = http_param(call->request, str_from_c(name));
    *ret_number = -1;
    if (text.len == 0 || number_parse_i64(text, ret_number))
        return true;
    api_error(call, API_BAD_DATA, "%s must be a number", name);
    return false;
}

static void write_metadata(JsonWriter *json, const Metadata *metadata)
{
    json_key_str(json, "type", metric_type_name(metadata->type));
    json_key_str(json, "help", metadata->help);
    json_key_str(json, "unit", metadata->unit);
}

void api_metadata(ApiCall *call)
{
    int64_t limit, per_metric;
    TargetMetadata *list = NULL;
    size_t count = 0;
    if (!number_param(call, "limit", &limit) ||
        !number_param(call, "limit_per_metric", &per_metric))
        return;
    if (call->api->scrapes)
        scrape_manager_metadata(call->api->scrapes, http_param(call->request, S("metric")),
                                call->arena, &list, &count);

    ApiReply reply;
    JsonWriter *json = &reply.json;
    api_reply_begin(call, &reply);
    json_object(json);
    int64_t metrics = 0;
    for (size_t i = 0; i < count;) {
        if (limit >= 0 && metrics >= limit)
            break;
        metrics++;
        Str metric = list[i].metric;
        int64_t texts = 0;
        json_key(json, metric);
        json_array(json);
        for (; i < count && str_equal(list[i].metric, metric); i++) {
            if (per_metric > 0 && texts >= per_metric)
                continue;
            texts++;
            json_object(json);
            write_metadata(json, &list[i].metadata);
            json_object_end(json);
        }
        json_array_end(json);
    }
    json_object_end(json);
    api_reply_done(&reply);
}

static void write_target_metadata(ApiCall *call, const TargetMetadata *list, size_t count,
                                  bool with_metric)
{
    ApiReply reply;
    JsonWriter *json = &reply.json;
    api_reply_begin(call, &reply);
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        json_object(json);
        write_labels(json, "target", list[i].target);
        if (with_metric)
            json_key_str(json, "metric", list[i].metric);
        write_metadata(json, &list[i].metadata);
        json_object_end(json);
    }
    json_array_end(json);
    api_reply_done(&reply);
}

void api_targets_metadata(ApiCall *call)
{
    Str match = http_param(call->request, S("match_target"));
    Str metric = http_param(call->request, S("metric"));
    Matcher *matchers = NULL;
    size_t matcher_count = 0;
    TargetMetadata *list = NULL;
    size_t count = 0;
    int64_t limit;
    Error err = {0};
    if (!number_param(call, "limit", &limit))
        return;
    if (match.len && !promql_parse_selector(match, call->arena, &matchers, &matcher_count, &err)) {
        api_error_from(call, &err);
        return;
    }
    if (call->api->scrapes && limit != 0)
        scrape_manager_target_metadata(call->api->scrapes, matchers, matcher_count, metric,
                                       limit > 0 ? (size_t)limit : 0, call->arena, &list, &count);
    write_target_metadata(call, list, count, metric.len == 0);
    promql_matchers_free(matchers, matcher_count);
}

// ---- relabelling, step by step ----

// The labels of a JSON object; false: the error has been answered.
static bool labels_param(ApiCall *call, Labels *ret_labels)
{
    JsonValue *value = NULL;
    Error err = {0};
    if (!json_read(http_param(call->request, S("labels")), call->arena, &value, &err)) {
        api_bad_param(call, "labels", &err);
        return false;
    }
    Label *pairs = ARENA_ARRAY(call->arena, Label, MAX(value->count, 1u));
    size_t count = value->kind == JSON_OBJECT ? value->count : 0;
    if (value->kind != JSON_OBJECT)
        error_set(&err, ERR_INVALID, "not an object");
    for (size_t i = 0; i < count; i++) {
        if (value->items[i].kind != JSON_STRING)
            error_set(&err, ERR_INVALID, "the value of \"" STR_FMT "\" is not a string",
                      STR_ARG(value->keys[i]));
        pairs[i] = (Label){value->keys[i], value->items[i].str};
    }
    if (err.code != ERR_NONE || !labels_sort(pairs, &count, &err)) {
        api_bad_param(call, "labels", &err);
        return false;
    }
    *ret_labels = (Labels){pairs, count};
    return true;
}

void api_relabel_steps(ApiCall *call)
{
    Str pool = http_param(call->request, S("scrapePool"));
    Labels labels;
    RelabelStep *steps = NULL;
    size_t count = 0;
    Error err = {0};
    if (pool.len == 0) {
        api_error(call, API_BAD_DATA, "no scrapePool parameter provided");
        return;
    }
    if (!labels_param(call, &labels))
        return;
    if (!call->api->scrapes) {
        api_error(call, API_NOT_FOUND, "scrape pool \"" STR_FMT "\" not found", STR_ARG(pool));
        return;
    }
    if (!scrape_manager_relabel_steps(call->api->scrapes, pool, labels, call->arena, &steps, &count,
                                      &err)) {
        api_error_from(call, &err);
        return;
    }
    ApiReply reply;
    JsonWriter *json = &reply.json;
    api_reply_begin(call, &reply);
    json_object(json);
    json_key(json, S("steps"));
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        json_object(json);
        json_key_str(json, "rule", steps[i].rule);
        write_labels(json, "output", steps[i].output);
        json_key_bool(json, "keep", steps[i].keep);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
    api_reply_done(&reply);
}
