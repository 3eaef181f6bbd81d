// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery_poll.h"

#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "codec/xml_reader.h"
#include "net/url.h"

#define SECRET_BYTES_MAX (1u << 20)

typedef struct Call Call;
struct Call {
    Poll *poll;
    Ask ask;
    Call *next; // while it is queued
};

struct Poll {
    DiscoveryHost *host;
    const PollKind *kind;
    HttpClient *client; // NULL: could not be made
    LoopTimer *timer;
    const void *config;
    void *keep;
    int64_t interval_ms;

    Round *round; // under way
    int64_t began_ns;
    Call *first, **last; // queued
    size_t asked, running;
    bool failed;
    bool stopping;
    Error err;
};

static void run_queue(Poll *poll);

static void drop_queue(Poll *poll)
{
    while (poll->first) {
        Call *call = poll->first;
        poll->first = call->next;
        free(call);
    }
    poll->last = &poll->first;
}

static void round_free(Poll *poll)
{
    drop_queue(poll);
    if (!poll->round)
        return;
    group_snapshot_unref(poll->round->found);
    arena_deinit(&poll->round->arena);
    free(poll->round);
    poll->round = NULL;
}

static void tell_failure(const Poll *poll)
{
    log_error("unable to refresh target groups, keeping what was found before",
              KV("discovery", discovery_host_kind(poll->host)->name),
              KV("config", discovery_host_job(poll->host)), KV("err", &poll->err));
}

static void round_end(Poll *poll)
{
    Round *round = poll->round;
    if (!poll->failed && poll->kind->finish)
        poll->failed = !poll->kind->finish(round, &poll->err);
    discovery_host_refreshed(poll->host, poll->began_ns, poll->failed);
    if (poll->failed && poll->kind->counts_failures)
        discovery_host_count(poll->host, 0);
    if (poll->failed) {
        tell_failure(poll);
    } else if (!round->unchanged) {
        discovery_host_publish(poll->host, round->found);
        round->found = NULL;
    }
    round_free(poll);
    int64_t now_ns = loop_now_ns(discovery_host_loop(poll->host));
    loop_timer_set(poll->timer, MAX(now_ns, poll->began_ns + poll->interval_ms * 1000000));
}

static void fail_round(Poll *poll, const Error *err)
{
    if (poll->failed)
        return;
    poll->failed = true;
    poll->err = *err;
    drop_queue(poll);
}

static bool read_answer(const Call *call, const HttpResponse *response, Answer *ret_answer,
                        Error *err)
{
    Round *round = call->poll->round;
    bool accepted = call->ask.accepts ? call->ask.accepts(response->status)
                                      : response->status >= 200 && response->status < 300;
    if (!accepted)
        return error_set(err, ERR_UNAVAILABLE, "server returned HTTP status %d: " STR_FMT,
                         response->status, STR_ARG(str_sub(str_trim(response->body), 0, 200)));
    *ret_answer = (Answer){.status = response->status,
                           .body = arena_str(&round->arena, response->body),
                           .content_type = response->content_type,
                           .headers = response->headers};
    if (call->ask.form == ASK_TEXT || response->status < 200 || response->status >= 300 ||
        response->status == 204)
        return true;
    JsonValue *root;
    bool ok = call->ask.form == ASK_XML ? xml_read(ret_answer->body, &round->arena, &root, err)
                                        : json_read(ret_answer->body, &round->arena, &root, err);
    if (!ok)
        return error_context(err, "parsing the answer");
    ret_answer->json = root;
    return true;
}

// Without what stands behind '?', which may hold secrets.
static Str shown_url(Str url)
{
    return str_sub(url, 0, MIN(str_find_char(url, '?'), url.len));
}

static void take_answer(Call *call, const HttpResponse *response)
{
    Poll *poll = call->poll;
    Error err = {0};
    Answer answer;
    bool ok = !response->err;
    if (response->err)
        err = *response->err;
    ok = ok && read_answer(call, response, &answer, &err) &&
         (!call->ask.take || call->ask.take(poll->round, &answer, call->ask.arg, &err));
    if (!ok) {
        if (!response->err) // else it names the URL
            (void)error_context(&err, STR_FMT, STR_ARG(shown_url(call->ask.url)));
        fail_round(poll, &err);
    }
}

static void on_done(void *arg, const HttpResponse *response)
{
    Call *call = arg;
    Poll *poll = call->poll;
    if (!poll->stopping && !poll->failed)
        take_answer(call, response);
    free(call);
    poll->running--;
    if (!poll->stopping)
        run_queue(poll);
}

static Str test_origin; // empty in production

void poll_redirect_for_tests(Str origin)
{
    test_origin = origin;
}

static Str place_of(Round *round, Str url)
{
    size_t scheme = str_find(url, S("://"));
    if (test_origin.len == 0 || scheme == STR_NOT_FOUND || str_starts_with(url, test_origin))
        return url;
    return arena_printf(&round->arena, STR_FMT "/" STR_FMT, STR_ARG(test_origin),
                        STR_ARG(str_skip(url, scheme + 3)));
}

static int64_t timeout_of(const Poll *poll)
{
    return poll->kind->timeout_ms ? poll->kind->timeout_ms(poll->config) : poll->interval_ms;
}

static void run_queue(Poll *poll)
{
    while (poll->first && poll->running < POLL_ASKS_AT_ONCE) {
        Call *call = poll->first;
        poll->first = call->next;
        if (!poll->first)
            poll->last = &poll->first;
        const Ask *ask = &call->ask;
        HttpCallOptions options = {.method = ask->method.len ? ask->method
                                             : ask->body.len ? S("POST")
                                                             : STR_NONE,
                                   .url = place_of(poll->round, ask->url),
                                   .headers = ask->headers,
                                   .header_count = ask->header_count,
                                   .body = ask->body,
                                   .unix_socket = ask->unix_socket,
                                   .sigv4_service = ask->sigv4_service,
                                   .timeout_ms = timeout_of(poll),
                                   .body_bytes_max = POLL_ANSWER_BYTES_MAX,
                                   .accept_gzip = true,
                                   .done = on_done,
                                   .arg = call};
        poll->running++;
        (void)http_call(poll->client, &options);
    }
    if (poll->running == 0)
        round_end(poll);
}

void round_ask(Round *round, const Ask *ask)
{
    Poll *poll = round->poll;
    Error err = {0};
    if (poll->failed)
        return;
    if (++poll->asked > POLL_ASKS_MAX) {
        (void)error_set(&err, ERR_LIMIT, "more than %d requests in one round", POLL_ASKS_MAX);
        fail_round(poll, &err);
        return;
    }
    Call *call = X_NEW(Call);
    call->poll = poll;
    call->ask = *ask;
    *poll->last = call;
    poll->last = &call->next;
}

void round_get(Round *round, Str url, TakeFn take, void *arg)
{
    Ask ask = {.url = url, .take = take, .arg = arg};
    round_ask(round, &ask);
}

static bool keep_answer(Round *round, const Answer *answer, void *arg, Error *err)
{
    (void)round;
    (void)err;
    *(const JsonValue **)arg = answer->json;
    return true;
}

void round_get_into(Round *round, Str url, const JsonValue **slot)
{
    round_get(round, url, keep_answer, slot);
}

int64_t round_now_ns(const Round *round)
{
    return loop_now_ns(discovery_host_loop(round->poll->host));
}

Str round_job(const Round *round)
{
    return discovery_host_job(round->poll->host);
}

void round_count(const Round *round, size_t counter)
{
    discovery_host_count(round->poll->host, counter);
}

bool poll_url_is_whole(Str url)
{
    size_t scheme = str_find(url, S("://"));
    Str rest = scheme == STR_NOT_FOUND ? STR_NONE : str_skip(url, scheme + 3);
    return scheme > 0 && rest.len > 0 && rest.ptr[0] != '/' && rest.ptr[0] != '?';
}

bool poll_url_is_http(Str url)
{
    Str scheme = str_sub(url, 0, MIN(str_find(url, S("://")), url.len));
    return str_equal_nocase(scheme, S("http")) || str_equal_nocase(scheme, S("https"));
}

bool poll_type_is_json(Str type)
{
    type = str_trim(type);
    Str semicolon = str_skip(type, MIN(str_find_char(type, ';'), type.len));
    Str name = str_trim(str_sub(type, 0, type.len - semicolon.len));
    Str charset = str_trim(str_skip(semicolon, 1));
    return str_equal_nocase(name, S("application/json")) &&
           (semicolon.len == 0 || str_equal_nocase(charset, S("charset=utf-8")) ||
            str_equal_nocase(charset, S("charset=\"utf-8\"")));
}

bool round_read_secret(Round *round, Str path, Str *ret_secret, Error *err)
{
    Str text;
    if (!fs_read_file(&fs_system, path, &round->arena, SECRET_BYTES_MAX, &text, err))
        return false;
    *ret_secret = str_trim(text);
    return true;
}

static void on_timer(void *arg)
{
    Poll *poll = arg;
    Round *round = X_NEW(Round);
    round->poll = poll;
    round->config = poll->config;
    round->keep = poll->keep;
    round->found = group_snapshot_new();
    round->state = arena_zalloc(&round->arena, poll->kind->state_bytes + 1);
    poll->round = round;
    poll->began_ns = loop_now_ns(discovery_host_loop(poll->host));
    poll->asked = 0;
    poll->failed = false;
    Error err = {0};
    if (!poll->kind->begin(round, &err))
        fail_round(poll, &err);
    run_queue(poll);
}

void *poll_start(DiscoveryHost *host, const void *config)
{
    const PollKind *kind = discovery_host_kind(host)->poll;
    Poll *poll = X_NEW(Poll);
    Error err = {0};
    poll->host = host;
    poll->kind = kind;
    poll->config = config;
    poll->last = &poll->first;
    poll->keep = x_calloc(1, kind->keep_bytes + 1);
    memcpy(&poll->interval_ms, (const char *)config + kind->interval_offset, sizeof(int64_t));
    const void *http = (const char *)config + kind->http_offset;
    if (!http_client_new(discovery_host_loop(host), http, &poll->client, &err)) {
        log_error("cannot create a service discovery",
                  KV("discovery", discovery_host_kind(host)->name),
                  KV("config", discovery_host_job(host)), KV("err", &err));
        discovery_host_fail(host);
        return poll;
    }
    discovery_host_track(host, poll->client);
    poll->timer = loop_timer_new(discovery_host_loop(host), on_timer, poll);
    loop_timer_set(poll->timer, loop_now_ns(discovery_host_loop(host)));
    return poll;
}

void poll_stop(void *provider)
{
    Poll *poll = provider;
    if (!poll)
        return;
    poll->stopping = true;
    drop_queue(poll);
    http_client_free(poll->client); // ends what runs
    round_free(poll);
    if (poll->timer)
        loop_timer_free(poll->timer);
    if (poll->kind->close)
        poll->kind->close(poll->keep);
    free(poll->keep);
    free(poll);
}

Str poll_query_escaped(Arena *arena, Str text)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    url_add_query_escaped(&buf, text);
    return arena_str(arena, buf_str(&buf));
}

Str poll_path_escaped(Arena *arena, Str text)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    url_add_path_escaped(&buf, text);
    return arena_str(arena, buf_str(&buf));
}
