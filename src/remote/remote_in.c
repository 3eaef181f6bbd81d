// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_in.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/number.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "net/http_client.h"
#include "remote/remote_answer.h"
#include "trace/trace.h"

enum {
    RANK_SET = 780,     // the endpoints of now
    RANK_QUERIER = 782, // its selections
    RANK_FETCH = 784,   // requests of one selection
};

typedef struct Endpoint {
    const RemoteReadConfig *config;
    Str name, shown_url;
    HttpClient *client;
    Str *headers;
    size_t header_count;
    Gauge *running;
    HistogramMetric *seconds;
} Endpoint;

// The endpoints of one configuration. Counted.
typedef struct EndpointSet {
    _Atomic int refs;
    RemoteIn *in;
    Arena arena;
    RemoteInConfig owner;
    Endpoint *endpoints;
    size_t count;
} EndpointSet;

struct RemoteIn {
    RemoteInOptions options;
    Source source;
    Loop *loop;
    Family *queries_total, *running, *seconds;
    Lock lock; // guards `set`
    EndpointSet *set GUARDED_BY(lock);
};

// Sets -------------------------------------------------------------------------------------------------------------------------------

static void free_clients(void *arg)
{
    EndpointSet *set = arg;
    for (size_t i = 0; i < set->count; i++)
        http_client_free(set->endpoints[i].client);
}

static void set_unref(EndpointSet *set)
{
    if (!set || atomic_fetch_sub(&set->refs, 1) != 1)
        return;
    loop_call(set->in->loop, free_clients, set);
    if (set->owner.unref)
        set->owner.unref(set->owner.owner);
    arena_deinit(&set->arena);
    free(set);
}

static EndpointSet *current_set(RemoteIn *in)
{
    lock_take(&in->lock);
    EndpointSet *set = in->set;
    if (set)
        atomic_fetch_add(&set->refs, 1);
    lock_give(&in->lock);
    return set;
}

static void make_headers(Endpoint *endpoint, Arena *arena)
{
    static const Str fixed[] = {
        STR("Content-Encoding: snappy"), STR("Content-Type: application/x-protobuf"),
        STR("Accept-Encoding: snappy"), STR("User-Agent: narthex/" NARTHEX_VERSION),
        STR("X-Prometheus-Remote-Read-Version: 0.1.0")};
    const ConfigStrMap *own = &endpoint->config->headers;
    endpoint->headers = ARENA_ARRAY(arena, Str, COUNT_OF(fixed) + own->count);
    memcpy(endpoint->headers, fixed, sizeof fixed);
    endpoint->header_count = COUNT_OF(fixed);
    for (size_t i = 0; i < own->count; i++)
        endpoint->headers[endpoint->header_count++] = arena_printf(
            arena, STR_FMT ": " STR_FMT, STR_ARG(own->keys[i]), STR_ARG(own->values[i]));
}

typedef struct Making {
    EndpointSet *set;
    Error *err;
    bool ok;
} Making;

static void make_clients(void *arg)
{
    Making *making = arg;
    EndpointSet *set = making->set;
    making->ok = true;
    for (size_t i = 0; i < set->count && making->ok; i++) {
        making->ok = http_client_new(set->in->loop, &set->endpoints[i].config->http,
                                     &set->endpoints[i].client, making->err);
        if (making->ok)
            http_client_track(set->endpoints[i].client, set->in->options.registry,
                              S("remote_storage_read_client"));
    }
}

static EndpointSet *set_new(RemoteIn *in, const RemoteInConfig *config)
{
    EndpointSet *set = X_NEW(EndpointSet);
    set->refs = 1;
    set->in = in;
    set->owner = *config;
    set->owner.external = labels_copy(&set->arena, config->external);
    if (config->ref)
        config->ref(config->owner);
    set->count = config->reads.count;
    set->endpoints = arena_zalloc(&set->arena, (set->count + 1) * sizeof(Endpoint));
    for (size_t i = 0; i < set->count; i++) {
        Endpoint *endpoint = &set->endpoints[i];
        endpoint->config = (const RemoteReadConfig *)config->reads.items + i;
        endpoint->name = remote_read_config_name(endpoint->config, &set->arena);
        endpoint->shown_url = remote_config_shown_url(endpoint->config->url, &set->arena);
        make_headers(endpoint, &set->arena);
        const Str values[] = {endpoint->name, endpoint->shown_url};
        if (in->running) {
            endpoint->running = gauge_of(in->running, values);
            endpoint->seconds = histogram_of(in->seconds, values);
        }
    }
    return set;
}

bool remote_in_apply(RemoteIn *in, const RemoteInConfig *config, Error *err)
{
    EndpointSet *set = NULL;
    if (config->reads.count) {
        set = set_new(in, config);
        Making making = {set, err, false};
        loop_call(in->loop, make_clients, &making);
        if (!making.ok) {
            set_unref(set);
            return error_context(err, "remote_read");
        }
    }
    lock_take(&in->lock);
    EndpointSet *old = in->set;
    in->set = set;
    lock_give(&in->lock);
    set_unref(old);
    return true;
}

// Requests ---------------------------------------------------------------------------------------------------------------------------

typedef struct Selection Selection;

// The question to one endpoint and what it says.
typedef struct Fetch {
    RemoteIn *in;
    Selection *selection;
    Endpoint *endpoint;
    Buf question;
    Buf body; // of the answer
    Str content_type;
    Labels added; // external labels that the question asks for and the answer must not show
    RemoteAnswer answer;
    bool is_asked, ok;
    Str failure; // empty: none
    Span span;
} Fetch;

// A series of the list that a selection gave.
typedef struct Joined {
    Labels labels;
    bool has_local;
    uint64_t local;
    const RemoteAnswerSeries **remote; // one for each endpoint that has it
    size_t remote_count;
} Joined;

// What one select made; lives as long as the querier.
struct Selection {
    Arena arena;
    Fetch *fetches; // one for each endpoint
    size_t count;
    Lock lock;
    Condition done;
    size_t waiting GUARDED_BY(lock);
    Selection *next;
};

typedef struct FanQuerier {
    Querier querier;
    RemoteIn *in;
    EndpointSet *set;
    Querier *local;
    int64_t min_t_ms, max_t_ms;
    Lock lock; // guards `selections`
    Selection *selections GUARDED_BY(lock);
} FanQuerier;

static void count_query(const Fetch *fetch, const HttpResponse *response)
{
    const Endpoint *endpoint = fetch->endpoint;
    char code[16];
    if (!fetch->in->queries_total)
        return;
    int len = snprintf(code, sizeof code, "%d", response->status);
    bool streamed = str_starts_with(response->content_type, S("application/x-streamed-protobuf"));
    const Str values[] = {endpoint->name, endpoint->shown_url,
                          streamed ? S("chunked") : S("sampled"),
                          response->err ? S("none") : (Str){code, (size_t)len}};
    counter_inc(counter_of(fetch->in->queries_total, values));
    histogram_observe(endpoint->seconds, (double)response->took_ns / 1e9);
    gauge_add(endpoint->running, -1);
}

// `text` is what the query's answer warns of, in the original's words.
static void tell_failure(Fetch *fetch, const Error *err, const char *text)
{
    fetch->failure = arena_printf(&fetch->selection->arena, "remote_read: %s", text);
    log_warn("remote read failed, ignoring what it would have said",
             KV("remote_name", fetch->endpoint->name), KV("url", fetch->endpoint->shown_url),
             KV("err", err));
}

static void on_answer(void *arg, const HttpResponse *response)
{
    Fetch *fetch = arg;
    Selection *selection = fetch->selection;
    Error err = {0};
    Error words;
    count_query(fetch, response);
    if (response->err) {
        err = *response->err;
        error_set(&words, err.code, "error sending request: %s", err.text);
    } else if (response->status / 100 != 2) {
        Str line = response->body;
        line = str_trim(str_sub(line, 0, MIN(str_find_char(line, '\n'), (size_t)200)));
        error_set(&err, ERR_IO, "server returned HTTP status %d: " STR_FMT, response->status,
                  STR_ARG(line));
        error_set(&words, ERR_IO, "remote server " STR_FMT " returned http status %d: " STR_FMT,
                  STR_ARG(fetch->endpoint->shown_url), response->status, STR_ARG(line));
    } else {
        fetch->ok = true;
        fetch->content_type = arena_str(&selection->arena, response->content_type);
    }
    if (!fetch->ok) {
        span_fail(&fetch->span, str_from_c(err.text));
        tell_failure(fetch, &err, words.text);
    }
    span_end(&fetch->span);
    lock_take(&selection->lock);
    selection->waiting--;
    condition_signal(&selection->done);
    lock_give(&selection->lock);
}

static void send(void *arg)
{
    Fetch *fetch = arg;
    const RemoteReadConfig *config = fetch->endpoint->config;
    if (fetch->endpoint->running)
        gauge_add(fetch->endpoint->running, 1);
    HttpCallOptions options = {
        .method = S("POST"),
        .url = config->url,
        .headers = fetch->endpoint->headers,
        .header_count = fetch->endpoint->header_count,
        .body = buf_str(&fetch->question),
        .timeout_ms = config->remote_timeout_ms,
        .body_bytes_max = REMOTE_ANSWER_BYTES_MAX,
        .body_buf = &fetch->body,
        .span = &fetch->span,
        .done = on_answer,
        .arg = fetch,
    };
    http_call(fetch->endpoint->client, &options);
}

// Questions --------------------------------------------------------------------------------------------------------------------------

static bool has_required(const RemoteReadConfig *config, const Matcher *matchers, size_t count)
{
    for (size_t i = 0; i < config->required_matchers.count; i++) {
        bool found = false;
        for (size_t k = 0; k < count && !found; k++)
            found = matchers[k].kind == MATCH_EQUAL &&
                    str_equal(matchers[k].name, config->required_matchers.keys[i]) &&
                    str_equal(matchers[k].value, config->required_matchers.values[i]);
        if (!found)
            return false;
    }
    return true;
}

static void add_matcher(Buf *buf, MatchKind kind, Str name, Str value)
{
    static const uint8_t types[] = {
        [MATCH_EQUAL] = 0, [MATCH_NOT_EQUAL] = 1, [MATCH_REGEX] = 2, [MATCH_NOT_REGEX] = 3};
    size_t begin = proto_begin(buf, 3);
    proto_add_varint(buf, 1, types[kind]);
    proto_add_bytes(buf, 2, name);
    proto_add_bytes(buf, 3, value);
    proto_end(buf, begin);
}

static void add_hints(Buf *buf, const SelectHints *hints)
{
    size_t begin = proto_begin(buf, 4);
    proto_add_varint(buf, 1, (uint64_t)hints->step_ms);
    proto_add_bytes(buf, 2, hints->func);
    proto_add_varint(buf, 3, (uint64_t)hints->start_ms);
    proto_add_varint(buf, 4, (uint64_t)hints->end_ms);
    for (size_t i = 0; i < hints->grouping_count; i++)
        proto_add_bytes(buf, 5, hints->grouping[i]);
    proto_add_varint(buf, 6, hints->by);
    proto_add_varint(buf, 7, (uint64_t)hints->range_ms);
    proto_end(buf, begin);
}

// External labels that no matcher speaks of are asked for too.
static void add_external(Fetch *fetch, Buf *buf, Labels external, const Matcher *matchers,
                         size_t count)
{
    Label *added = ARENA_ARRAY(&fetch->selection->arena, Label, external.count);
    size_t added_count = 0;
    for (size_t i = 0; i < external.count; i++) {
        bool told = false;
        for (size_t k = 0; k < count && !told; k++)
            told = str_equal(matchers[k].name, external.pairs[i].name);
        if (told)
            continue;
        add_matcher(buf, MATCH_EQUAL, external.pairs[i].name, external.pairs[i].value);
        added[added_count++] = external.pairs[i];
    }
    fetch->added = (Labels){added, added_count};
}

static void write_question(Fetch *fetch, const FanQuerier *q, int64_t end_ms,
                           const Matcher *matchers, size_t count, const SelectHints *hints)
{
    Buf plain = {0};
    size_t query = proto_begin(&plain, 1);
    proto_add_varint(&plain, 1, (uint64_t)q->min_t_ms);
    proto_add_varint(&plain, 2, (uint64_t)end_ms);
    for (size_t i = 0; i < count; i++)
        add_matcher(&plain, matchers[i].kind, matchers[i].name, matchers[i].value);
    if (fetch->endpoint->config->filter_external_labels)
        add_external(fetch, &plain, q->set->owner.external, matchers, count);
    if (hints)
        add_hints(&plain, hints);
    proto_end(&plain, query);
    proto_add_varint(&plain, 2, 1); // streamed chunks first
    proto_add_varint(&plain, 2, 0);
    snappy_encode(buf_str(&plain), &fetch->question);
    buf_deinit(&plain);
}

// Asks all endpoints that have something to say at the same time, and waits for them.
static void ask(FanQuerier *q, Selection *selection, const Matcher *matchers, size_t count,
                const SelectHints *hints)
{
    const RemoteInOptions *options = &q->in->options;
    int64_t local_start_ms = options->local_start_ms ? options->local_start_ms(options->arg) : 0;
    selection->count = q->set->count;
    selection->fetches = arena_zalloc(&selection->arena, (q->set->count + 1) * sizeof(Fetch));
    for (size_t i = 0; i < q->set->count; i++) {
        Fetch *fetch = &selection->fetches[i];
        *fetch = (Fetch){.in = q->in, .selection = selection, .endpoint = &q->set->endpoints[i]};
        bool recent = fetch->endpoint->config->read_recent;
        fetch->is_asked = has_required(fetch->endpoint->config, matchers, count) &&
                          (recent || q->min_t_ms < local_start_ms);
        if (!fetch->is_asked)
            continue;
        if (span_current())
            span_child(&fetch->span, span_current(), SPAN_CLIENT, S("Remote Read"));
        write_question(fetch, q, recent ? q->max_t_ms : MIN(q->max_t_ms, local_start_ms), matchers,
                       count, hints);
        selection->waiting++;
    }
    for (size_t i = 0; i < selection->count; i++)
        if (selection->fetches[i].is_asked)
            loop_post(q->in->loop, send, &selection->fetches[i]);
    lock_take(&selection->lock);
    while (selection->waiting)
        condition_wait(&selection->done, &selection->lock);
    lock_give(&selection->lock);
}

static void decode_answers(Selection *selection)
{
    for (size_t i = 0; i < selection->count; i++) {
        Fetch *fetch = &selection->fetches[i];
        Error err = {0};
        if (!fetch->ok)
            continue;
        fetch->ok = remote_answer_decode(fetch->content_type, buf_str(&fetch->body),
                                         fetch->endpoint->config->chunked_read_limit, fetch->added,
                                         &selection->arena, &fetch->answer, &err);
        if (!fetch->ok)
            tell_failure(fetch, &err, err.text);
    }
}

// Joining ----------------------------------------------------------------------------------------------------------------------------

static void joined_add(Joined *joined, const RemoteAnswerSeries *series, Arena *arena)
{
    joined->remote =
        arena_grow(arena, joined->remote, joined->remote_count * sizeof *joined->remote,
                   (joined->remote_count + 1) * sizeof *joined->remote);
    joined->remote[joined->remote_count++] = series;
}

// The next labels in order among the local list and all answers.
static const Labels *smallest(const Selection *selection, const SeriesList *local, const size_t *at)
{
    const Labels *least =
        at[selection->count] < local->count ? &local->series[at[selection->count]].labels : NULL;
    for (size_t i = 0; i < selection->count; i++) {
        const RemoteAnswer *answer = &selection->fetches[i].answer;
        if (!selection->fetches[i].ok || at[i] == answer->count)
            continue;
        const Labels *labels = &answer->series[at[i]].labels;
        if (!least || labels_compare(*labels, *least) < 0)
            least = labels;
    }
    return least;
}

static void join(Selection *selection, const SeriesList *local, Arena *arena, SeriesList *ret_list)
{
    size_t cap = local->count;
    for (size_t i = 0; i < selection->count; i++)
        cap += selection->fetches[i].ok ? selection->fetches[i].answer.count : 0;
    // The cursors: one for each answer, the local one last.
    size_t *at = ARENA_ARRAY(arena, size_t, selection->count + 1);
    memset(at, 0, (selection->count + 1) * sizeof *at);
    SeriesList list = {ARENA_ARRAY(arena, SeriesEntry, cap), 0};
    const Labels *next;
    while ((next = smallest(selection, local, at))) {
        Joined *joined = ARENA_NEW(&selection->arena, Joined);
        joined->labels = *next;
        size_t *of_local = &at[selection->count];
        if (*of_local < local->count &&
            labels_equal(local->series[*of_local].labels, joined->labels)) {
            joined->has_local = true;
            joined->local = local->series[(*of_local)++].handle;
        }
        for (size_t i = 0; i < selection->count; i++) {
            const RemoteAnswer *answer = &selection->fetches[i].answer;
            if (selection->fetches[i].ok && at[i] < answer->count &&
                labels_equal(answer->series[at[i]].labels, joined->labels))
                joined_add(joined, &answer->series[at[i]++], &selection->arena);
        }
        list.series[list.count++] = (SeriesEntry){joined->labels, (uint64_t)(uintptr_t)joined};
    }
    *ret_list = list;
}

// The querier ------------------------------------------------------------------------------------------------------------------------

static bool fan_select(Querier *querier, const Matcher *matchers, size_t count,
                       const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    FanQuerier *q = CONTAINER_OF(querier, FanQuerier, querier);
    Selection *selection = X_NEW(Selection);
    SeriesList local;
    lock_init(&selection->lock, "remote_in.fetch", RANK_FETCH);
    condition_init(&selection->done);
    lock_take(&q->lock);
    selection->next = q->selections;
    q->selections = selection;
    lock_give(&q->lock);
    if (!q->local->select(q->local, matchers, count, hints, arena, &local, err))
        return false;
    ask(q, selection, matchers, count, hints);
    decode_answers(selection);
    join(selection, &local, arena, ret_list);
    return true;
}

static bool fan_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                     Arena *arena, SampleColumns *ret_columns, Error *err)
{
    FanQuerier *q = CONTAINER_OF(querier, FanQuerier, querier);
    const Joined *joined = (const Joined *)(uintptr_t)handle;
    SampleColumns all = {0};
    min_t_ms = MAX(min_t_ms, q->min_t_ms);
    max_t_ms = MIN(max_t_ms, q->max_t_ms);
    if (joined->has_local &&
        !q->local->read(q->local, joined->local, min_t_ms, max_t_ms, arena, &all, err))
        return false;
    for (size_t i = 0; i < joined->remote_count; i++) {
        SampleColumns columns;
        if (!remote_answer_read(&q->in->options, joined->remote[i], min_t_ms, max_t_ms, arena,
                                &columns, err))
            return false;
        if (columns.count == 0)
            continue;
        SampleColumns before = all;
        remote_columns_merge(&before, &columns, arena, &all);
    }
    *ret_columns = all;
    return true;
}

static StrList fan_warnings(Querier *querier, Arena *arena)
{
    FanQuerier *q = CONTAINER_OF(querier, FanQuerier, querier);
    size_t cap = 0;
    StrList list = {0};
    lock_take(&q->lock);
    for (const Selection *s = q->selections; s; s = s->next)
        cap += s->count;
    list.items = ARENA_ARRAY(arena, Str, cap + 1);
    for (const Selection *s = q->selections; s; s = s->next)
        for (size_t i = 0; i < s->count; i++)
            if (s->fetches[i].failure.len)
                list.items[list.count++] = arena_str(arena, s->fetches[i].failure);
    lock_give(&q->lock);
    return list;
}

static bool fan_label_names(Querier *querier, const Matcher *matchers, size_t count, size_t limit,
                            Arena *arena, StrList *ret_names, Error *err)
{
    const FanQuerier *q = CONTAINER_OF(querier, FanQuerier, querier);
    return q->local->label_names(q->local, matchers, count, limit, arena, ret_names, err);
}

static bool fan_label_values(Querier *querier, Str name, const Matcher *matchers, size_t count,
                             size_t limit, Arena *arena, StrList *ret_values, Error *err)
{
    const FanQuerier *q = CONTAINER_OF(querier, FanQuerier, querier);
    return q->local->label_values(q->local, name, matchers, count, limit, arena, ret_values, err);
}

static void selection_free(Selection *selection)
{
    for (size_t i = 0; i < selection->count; i++) {
        buf_deinit(&selection->fetches[i].question);
        buf_deinit(&selection->fetches[i].body);
    }
    condition_deinit(&selection->done);
    lock_deinit(&selection->lock);
    arena_deinit(&selection->arena);
    free(selection);
}

static void fan_close(Querier *querier)
{
    FanQuerier *q = CONTAINER_OF(querier, FanQuerier, querier);
    q->local->close(q->local);
    for (Selection *selection = q->selections; selection;) {
        Selection *next = selection->next;
        selection_free(selection);
        selection = next;
    }
    set_unref(q->set);
    lock_deinit(&q->lock);
    free(q);
}

static bool fan_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                     Error *err)
{
    RemoteIn *in = CONTAINER_OF(source, RemoteIn, source);
    Source *local_source = in->options.local;
    Querier *local;
    if (!local_source->open(local_source, min_t_ms, max_t_ms, &local, err))
        return false;
    EndpointSet *set = current_set(in);
    if (!set) {
        *ret_querier = local;
        return true;
    }
    FanQuerier *q = X_NEW(FanQuerier);
    q->querier = (Querier){.select = fan_select,
                           .read = fan_read,
                           .label_names = fan_label_names,
                           .label_values = fan_label_values,
                           .close = fan_close,
                           .warnings = fan_warnings};
    q->in = in;
    q->set = set;
    q->local = local;
    q->min_t_ms = min_t_ms;
    q->max_t_ms = max_t_ms;
    lock_init(&q->lock, "remote_in.querier", RANK_QUERIER);
    *ret_querier = &q->querier;
    return true;
}

// Life -------------------------------------------------------------------------------------------------------------------------------

static void add_metrics(RemoteIn *in, Registry *registry)
{
    static const char *const labels[] = {"remote_name", "url", NULL};
    static const char *const query_labels[] = {"remote_name", "url", "response_type", "code", NULL};
    static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 60};
    in->queries_total =
        registry_counter(registry, "prometheus_remote_read_client_queries_total",
                         "Remote read requests, by how they were answered.", query_labels);
    in->running = registry_gauge(registry, "prometheus_remote_read_client_queries",
                                 "Remote read requests under way.", labels);
    in->seconds =
        registry_histogram(registry, "prometheus_remote_read_client_request_duration_seconds",
                           "Duration of remote read requests.", labels, bounds, COUNT_OF(bounds));
}

bool remote_in_new(const RemoteInOptions *options, RemoteIn **ret_in, Error *err)
{
    RemoteIn *in = X_NEW(RemoteIn);
    in->options = *options;
    in->source.open = fan_open;
    if (!loop_new("remote-read", &in->loop, err) || !loop_start(in->loop, err)) {
        loop_free(in->loop);
        free(in);
        return false;
    }
    lock_init(&in->lock, "remote_in", RANK_SET);
    if (options->registry)
        add_metrics(in, options->registry);
    *ret_in = in;
    return true;
}

void remote_in_free(RemoteIn *in)
{
    if (!in)
        return;
    set_unref(in->set);
    loop_stop(in->loop);
    loop_join(in->loop);
    loop_free(in->loop);
    lock_deinit(&in->lock);
    free(in);
}

Source *remote_in_source(RemoteIn *in)
{
    return &in->source;
}
