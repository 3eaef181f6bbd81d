// SPDX-License-Identifier: Apache-2.0
// /search/metric_names, /search/label_names, /search/label_values: names and values that answer search terms, as lines of JSON. Facts:
// prometheus.md section 3.6.
//
//     {"results":[...]}      batch by batch
//     {"status":"success","has_more":false}
#include <stdlib.h>

#include "api/api_internal.h"
#include "api/api_search_score.h"
#include "base/number.h"

enum {
    LIMIT_DEFAULT = 100,
    BATCH_DEFAULT = 100,
    RANGE_MS_DEFAULT = 3600 * 1000,
};

typedef enum SearchOrder { BY_VALUE, BY_VALUE_DOWN, BY_SCORE } SearchOrder;

typedef struct Search {
    ApiCall *call;
    SearchFilter filter;
    SearchOrder order;
    bool with_score, with_metadata;
    int64_t start_ms, end_ms;
    size_t limit, batch;
    ApiSelectors selectors;
    const char *key; // "name" or "value"
    TargetMetadata *metadata;
    size_t metadata_count;
} Search;

typedef struct SearchHit {
    Str value;
    double score;
} SearchHit;

// ---- parameters. False: the error has been answered. ----

static Str param(const Search *search, const char *name)
{
    return http_param(search->call->request, str_from_c(name));
}

static bool bool_param(Search *search, const char *name, bool *member)
{
    Str text = param(search, name);
    if (text.len == 0 || api_bool_parse(text, member))
        return true;
    api_error(search->call, API_BAD_DATA, "invalid %s \"" STR_FMT "\": must be boolean", name,
              STR_ARG(text));
    return false;
}

static bool size_param(Search *search, const char *name, size_t *member)
{
    Str text = param(search, name);
    int64_t value;
    if (text.len == 0)
        return true;
    if (!number_parse_i64(text, &value) || value <= 0) {
        api_error(search->call, API_BAD_DATA,
                  "invalid %s \"" STR_FMT "\": must be a positive integer", name, STR_ARG(text));
        return false;
    }
    *member = (size_t)value;
    return true;
}

static bool limit_param(Search *search)
{
    size_t most = (size_t)search->call->api->search_limit_max;
    search->limit = most ? MIN(most, (size_t)LIMIT_DEFAULT) : LIMIT_DEFAULT;
    if (!size_param(search, "limit", &search->limit))
        return false;
    if (most == 0 || search->limit <= most)
        return true;
    api_error(search->call, API_BAD_DATA,
              "limit %zu exceeds the configured maximum (%zu, see --web.search.max-limit)",
              search->limit, most);
    return false;
}

static bool fuzzy_params(Search *search)
{
    Str threshold = param(search, "fuzz_threshold");
    Str algorithm = param(search, "fuzz_alg");
    int64_t percent = 0;
    if (threshold.len && (!number_parse_i64(threshold, &percent) || percent < 0 || percent > 100)) {
        api_error(search->call, API_BAD_DATA,
                  "invalid fuzz_threshold \"" STR_FMT "\": must be 0-100", STR_ARG(threshold));
        return false;
    }
    search->filter.threshold = (double)percent / 100;
    if (str_is(algorithm, "jarowinkler")) {
        search->filter.algorithm = SEARCH_JAROWINKLER;
    } else if (algorithm.len && !str_is(algorithm, "subsequence")) {
        api_error(search->call, API_BAD_DATA,
                  "unsupported fuzz_alg \"" STR_FMT "\": must be one of [subsequence jarowinkler]",
                  STR_ARG(algorithm));
        return false;
    }
    return true;
}

static bool order_params(Search *search)
{
    Str by = param(search, "sort_by");
    Str direction = param(search, "sort_dir");
    bool score = str_is(by, "score");
    const char *fault = NULL;
    if (direction.len && by.len == 0)
        fault = "sort_dir is only valid when sort_by is set";
    else if (direction.len && score)
        fault = "sort_dir is not supported for sort_by=score";
    else if (direction.len && !str_is(direction, "asc") && !str_is(direction, "dsc"))
        fault = "invalid sort_dir: must be \"asc\" or \"dsc\"";
    else if (score && !http_has_param(search->call->request, S("search[]")))
        fault = "sort_by=score requires search[] to be set";
    else if (by.len && !score && !str_is(by, "alpha"))
        fault = "invalid sort_by: must be \"alpha\" or \"score\"";
    if (fault) {
        api_error(search->call, API_BAD_DATA, "%s", fault);
        return false;
    }
    search->order = score ? BY_SCORE : str_is(direction, "dsc") ? BY_VALUE_DOWN : BY_VALUE;
    return true;
}

static bool term_params(Search *search)
{
    const HttpRequest *request = search->call->request;
    size_t terms = 0;
    for (size_t i = 0; i < request->param_count; i++)
        terms += str_is(request->params[i].name, "search[]");
    if (terms > SEARCH_TERMS_MAX) {
        api_error(search->call, API_BAD_DATA, "too many search[] terms: got %zu, maximum is %d",
                  terms, SEARCH_TERMS_MAX);
        return false;
    }
    for (size_t i = 0; i < request->param_count; i++)
        if (str_is(request->params[i].name, "search[]") &&
            !search_filter_add(&search->filter, request->params[i].value, search->call->arena))
            return false; // cannot be: they were counted
    return true;
}

static bool time_params(Search *search)
{
    int64_t now_ms = clock_now_ms(search->call->api->clock);
    if (!api_time_param(search->call, "start", now_ms - RANGE_MS_DEFAULT, &search->start_ms) ||
        !api_time_param(search->call, "end", now_ms, &search->end_ms))
        return false;
    if (search->end_ms >= search->start_ms)
        return true;
    api_error(search->call, API_BAD_DATA, "end timestamp must not be before start timestamp");
    return false;
}

static bool read_params(Search *search)
{
    search->filter.case_sensitive = true;
    search->batch = BATCH_DEFAULT;
    return time_params(search) &&
           bool_param(search, "case_sensitive", &search->filter.case_sensitive) &&
           bool_param(search, "include_score", &search->with_score) && fuzzy_params(search) &&
           term_params(search) && order_params(search) && limit_param(search) &&
           size_param(search, "batch_size", &search->batch) &&
           api_selectors_param(search->call, S("match[]"), &search->selectors);
}

// ---- finding ----

static bool find_strings(Search *search, Querier *querier, const Str *name, StrList *ret_list,
                         Error *err)
{
    const ApiSelectors *selectors = &search->selectors;
    Arena *arena = search->call->arena;
    size_t rounds = MAX(selectors->count, (size_t)1);
    *ret_list = (StrList){0};
    for (size_t i = 0; i < rounds; i++) {
        const Matcher *set = selectors->count ? selectors->sets[i] : NULL;
        size_t count = selectors->count ? selectors->counts[i] : 0;
        StrList one = {0};
        bool ok = name ? querier->label_values(querier, *name, set, count, 0, arena, &one, err)
                       : querier->label_names(querier, set, count, 0, arena, &one, err);
        if (!ok)
            return false;
        *ret_list = api_str_union(arena, *ret_list, one);
    }
    return arena_ok(arena, err);
}

static int compare_hits(const void *a, const void *b)
{
    const SearchHit *x = a;
    const SearchHit *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return str_compare(x->value, y->value);
}

// Those that the filter accepts, in the order asked for.
static bool filter_hits(Search *search, StrList list, SearchHit **ret_hits, size_t *ret_count,
                        Error *err)
{
    Arena *arena = search->call->arena;
    if (!arena_reserve(arena, list.count * sizeof(SearchHit) + ARENA_ALIGN, err))
        return false;
    SearchHit *hits = ARENA_ARRAY(arena, SearchHit, list.count);
    Arena scratch = {0};
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++) {
        size_t at = search->order == BY_VALUE_DOWN ? list.count - 1 - i : i;
        double score;
        arena_reset(&scratch);
        if (search_filter_accepts(&search->filter, list.items[at], &scratch, &score))
            hits[count++] = (SearchHit){list.items[at], score};
        // Without an order of scores what comes behind the limit does not matter.
        if (search->order != BY_SCORE && count > search->limit)
            break;
    }
    arena_deinit(&scratch);
    if (search->order == BY_SCORE && count > 1)
        qsort(hits, count, sizeof *hits, compare_hits);
    *ret_hits = hits;
    *ret_count = count;
    return true;
}

// ---- answering ----

static const Metadata *metadata_of(const Search *search, Str metric)
{
    size_t low = 0;
    for (size_t high = search->metadata_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(search->metadata[middle].metric, metric) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < search->metadata_count && str_equal(search->metadata[low].metric, metric);
    return found ? &search->metadata[low].metadata : NULL;
}

static void write_hit(const Search *search, JsonWriter *json, const SearchHit *hit)
{
    const Metadata *metadata = search->with_metadata ? metadata_of(search, hit->value) : NULL;
    json_object(json);
    json_key_str(json, search->key, hit->value);
    if (search->with_score)
        json_key_double(json, "score", hit->score);
    if (metadata) {
        json_key_str(json, "type", metric_type_name(metadata->type));
        if (metadata->help.len)
            json_key_str(json, "help", metadata->help);
        if (metadata->unit.len)
            json_key_str(json, "unit", metadata->unit);
    }
    json_object_end(json);
}

static void write_batch(const Search *search, ApiReply *reply, const SearchHit *hits, size_t count)
{
    JsonWriter json;
    json_writer_init(&json, &reply->buf);
    json_object(&json);
    json_key(&json, S("results"));
    json_array(&json);
    for (size_t i = 0; i < count; i++)
        write_hit(search, &json, &hits[i]);
    json_array_end(&json);
    json_object_end(&json);
    buf_add_char(&reply->buf, '\n');
    api_reply_flush(reply);
}

static void write_answer(const Search *search, const SearchHit *hits, size_t count)
{
    ApiReply reply;
    size_t shown = MIN(count, search->limit);
    api_stream_begin(search->call, &reply);
    reply.content_type = S("application/x-ndjson; charset=utf-8");
    size_t at = 0;
    do { // one line at least
        size_t batch = MIN(search->batch, shown - at);
        write_batch(search, &reply, hits + at, batch);
        at += batch;
    } while (at < shown && !reply.json.stopped);
    buf_printf(&reply.buf, "{\"status\":\"success\",\"has_more\":%s}\n",
               count > search->limit ? "true" : "false");
    api_stream_end(&reply);
}

static void answer(Search *search, const Str *name)
{
    ApiCall *call = search->call;
    Source *source = tsdb_source(call->api->tsdb);
    Querier *querier = NULL;
    StrList list = {0};
    SearchHit *hits = NULL;
    size_t count = 0;
    Error err = {0};
    bool opened = source->open(source, search->start_ms, search->end_ms, &querier, &err);
    if (opened && find_strings(search, querier, name, &list, &err) &&
        filter_hits(search, list, &hits, &count, &err))
        write_answer(search, hits, count);
    else
        api_error_from(call, &err);
    if (opened)
        querier->close(querier);
    api_selectors_free(&search->selectors);
}

// False: the error has been answered.
static bool begin(ApiCall *call, const char *key, Search *search)
{
    *search = (Search){.call = call, .key = key};
    if (!call->api->enable_search)
        api_error(call, API_UNAVAILABLE, "search API disabled");
    else if (call->request->has_bad_params)
        api_error(call, API_BAD_DATA, "error parsing form values: invalid URL escape");
    else
        return read_params(search);
    return false;
}

void api_search_metric_names(ApiCall *call)
{
    static const Str name = STR("__name__");
    Search search;
    if (!begin(call, "name", &search))
        return;
    if (!bool_param(&search, "include_metadata", &search.with_metadata)) {
        api_selectors_free(&search.selectors);
        return;
    }
    if (search.with_metadata && call->api->scrapes)
        scrape_manager_metadata(call->api->scrapes, STR_NONE, call->arena, &search.metadata,
                                &search.metadata_count);
    answer(&search, &name);
}

void api_search_label_names(ApiCall *call)
{
    Search search;
    if (begin(call, "name", &search))
        answer(&search, NULL);
}

void api_search_label_values(ApiCall *call)
{
    Search search;
    if (!begin(call, "value", &search))
        return;
    Str label = http_param(call->request, S("label"));
    if (label.len) {
        answer(&search, &label);
        return;
    }
    api_error(call, API_BAD_DATA, "missing required parameter \"label\"");
    api_selectors_free(&search.selectors);
}
