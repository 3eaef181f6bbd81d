// SPDX-License-Identifier: Apache-2.0
#include "net/web_gate.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "net/web_tls.h"

enum {
    LOCK_RANK_GATE = 840,
    RETRY_MS = 1000,
    FILES_MAX = 4, // the configuration, certificate, key, client CA
};

// What tells that a file has changed.
typedef struct FileMark {
    int64_t changed_ns, modified_ns;
    uint64_t node;
    int64_t bytes; // -1: not there
} FileMark;

typedef struct Marks {
    FileMark of[FILES_MAX];
} Marks;

struct WebRules {
    _Atomic int holders;
    Arena arena;
    WebConfig config;
    WebTlsPem pem;
    WebTlsRules *tls; // NULL: plain HTTP
};

struct WebGate {
    Str path; // in the arena
    Arena arena;
    bool has_tls;
    void (*on_error)(void *arg, const Error *err);
    void *arg;
    WebUsers users;

    Lock lock;
    WebRules *rules GUARDED_BY(lock); // the last good ones
    Marks marks GUARDED_BY(lock);     // of their files
    Marks seen GUARDED_BY(lock);      // of the files at the last try
    bool is_broken GUARDED_BY(lock);  // the last try failed
    int64_t retry_at_ms GUARDED_BY(lock);
    // Requests that may come now, as the time at which that many would have gathered.
    int64_t tokens_from_ms GUARDED_BY(lock);
};

// The files ---------------------------------------------------------------------------------------------------------------------------------

static FileMark mark_of(Str path)
{
    struct stat info;
    char path_c[4096];
    if (path.len == 0 || path.len >= sizeof path_c)
        return (FileMark){.bytes = -1};
    memcpy(path_c, path.ptr, path.len);
    path_c[path.len] = '\0';
    if (stat(path_c, &info) != 0)
        return (FileMark){.bytes = -1};
    return (FileMark){.changed_ns = info.st_ctim.tv_sec * 1000000000L + info.st_ctim.tv_nsec,
                      .modified_ns = info.st_mtim.tv_sec * 1000000000L + info.st_mtim.tv_nsec,
                      .node = info.st_ino,
                      .bytes = info.st_size};
}

static bool same_mark(FileMark a, FileMark b)
{
    return a.changed_ns == b.changed_ns && a.modified_ns == b.modified_ns && a.node == b.node &&
           a.bytes == b.bytes;
}

// `config` NULL: only the file itself can be looked at.
static Marks marks_of(Str path, const WebConfig *config)
{
    const WebTls *tls = config ? &config->tls : NULL;
    return (Marks){{mark_of(path), mark_of(tls ? tls->cert_file : STR_NONE),
                    mark_of(tls ? tls->key_file : STR_NONE),
                    mark_of(tls ? tls->client_ca_file : STR_NONE)}};
}

static bool same_marks(const Marks *a, const Marks *b)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (!same_mark(a->of[i], b->of[i]))
            return false;
    return true;
}

// One reading ------------------------------------------------------------------------------------------------------------------------------

// The marks are taken before what they mark is read, so that a change meanwhile is seen next time.
static bool read_files(WebRules *rules, Str path, Marks *ret_marks, Error *err)
{
    *ret_marks = marks_of(path, NULL);
    if (!web_config_load(path, &rules->arena, &rules->config, err))
        return false;
    FileMark first = ret_marks->of[0];
    *ret_marks = marks_of(path, &rules->config);
    ret_marks->of[0] = first;
    return web_config_read_pem(&rules->config, &rules->arena, &rules->pem, err) &&
           (!rules->config.tls.is_enabled ||
            web_tls_new(&rules->config.tls, &rules->pem, &rules->tls, err));
}

static bool rules_read(Str path, WebRules **ret_rules, Marks *ret_marks, Error *err)
{
    WebRules *rules = X_NEW(WebRules);
    atomic_init(&rules->holders, 1);
    arena_init(&rules->arena);
    if (!read_files(rules, path, ret_marks, err)) {
        web_rules_unref(rules);
        return false;
    }
    *ret_rules = rules;
    return true;
}
void web_rules_unref(WebRules *rules)
{
    if (!rules || atomic_fetch_sub(&rules->holders, 1) > 1)
        return;
    web_tls_free(rules->tls);
    arena_deinit(&rules->arena);
    free(rules);
}

const WebConfig *web_rules_config(const WebRules *rules)
{
    return &rules->config;
}

const WebTlsPem *web_rules_pem(const WebRules *rules)
{
    return &rules->pem;
}

bool web_rules_secure(WebRules *rules, void *session)
{
    return rules->tls && web_tls_apply(rules->tls, session);
}

// The gate ---------------------------------------------------------------------------------------------------------------------------------

bool web_gate_open(Str path, void (*on_error)(void *arg, const Error *err), void *arg,
                   WebGate **ret_gate, Error *err)
{
    WebRules *rules;
    Marks marks;
    if (!rules_read(path, &rules, &marks, err))
        return false;
    WebGate *gate = X_NEW(WebGate);
    arena_init(&gate->arena);
    gate->path = arena_str(&gate->arena, path);
    gate->on_error = on_error;
    gate->arg = arg;
    gate->has_tls = rules->tls != NULL;
    gate->rules = rules;
    gate->marks = marks;
    web_users_init(&gate->users);
    lock_init(&gate->lock, "web.gate", LOCK_RANK_GATE);
    *ret_gate = gate;
    return true;
}

void web_gate_close(WebGate *gate)
{
    if (!gate)
        return;
    web_rules_unref(gate->rules);
    web_users_deinit(&gate->users);
    lock_deinit(&gate->lock);
    arena_deinit(&gate->arena);
    free(gate);
}

bool web_gate_has_tls(const WebGate *gate)
{
    return gate->has_tls;
}

static bool read_again(WebGate *gate, Error *err) REQUIRES(gate->lock)
{
    WebRules *rules;
    Marks marks;
    bool ok = rules_read(gate->path, &rules, &marks, err);
    gate->seen = marks;
    if (!ok)
        return false;
    if ((rules->tls != NULL) != gate->has_tls) {
        web_rules_unref(rules);
        return error_set(err, ERR_INVALID, STR_FMT ": TLS is switched %s, which takes a restart",
                         STR_ARG(gate->path), gate->has_tls ? "off" : "on");
    }
    web_rules_unref(gate->rules);
    gate->rules = rules;
    gate->marks = marks;
    return true;
}

// Holding the lock. True: *err is news.
static bool look(WebGate *gate, Error *err) REQUIRES(gate->lock)
{
    Marks now = marks_of(gate->path, &gate->rules->config);
    if (!gate->is_broken && same_marks(&now, &gate->marks))
        return false;
    // A broken file may name others, whose coming is not seen: try now and then.
    int64_t now_ms = clock_mono_ns(&clock_system) / 1000000;
    if (gate->is_broken && same_mark(now.of[0], gate->seen.of[0]) && now_ms < gate->retry_at_ms)
        return false;
    Marks before = gate->seen;
    bool was_broken = gate->is_broken;
    gate->retry_at_ms = now_ms + RETRY_MS;
    gate->is_broken = !read_again(gate, err);
    return gate->is_broken && (!was_broken || !same_marks(&before, &gate->seen));
}

WebRules *web_gate_rules(WebGate *gate)
{
    Error err = {0};
    WebRules *rules = NULL;
    lock_take(&gate->lock);
    bool is_news = look(gate, &err);
    if (!gate->is_broken) {
        rules = gate->rules;
        atomic_fetch_add(&rules->holders, 1);
    }
    lock_give(&gate->lock);
    if (is_news && gate->on_error)
        gate->on_error(gate->arg, &err);
    return rules;
}

// A bucket that holds `burst` requests and gains one in each interval.
bool web_gate_may_pass(WebGate *gate, const WebRules *rules)
{
    const WebRateLimit *limit = &rules->config.rate_limit;
    if (limit->interval_ms <= 0 || limit->burst <= 0)
        return true;
    int64_t now_ms = clock_mono_ns(&clock_system) / 1000000;
    int64_t full_ms = INT64_MAX;
    (void)__builtin_mul_overflow(limit->interval_ms, limit->burst, &full_ms);
    lock_take(&gate->lock);
    if (gate->tokens_from_ms == 0 || now_ms - gate->tokens_from_ms > full_ms)
        gate->tokens_from_ms = now_ms - full_ms;
    bool ok = now_ms - gate->tokens_from_ms >= limit->interval_ms;
    if (ok)
        gate->tokens_from_ms += limit->interval_ms;
    lock_give(&gate->lock);
    return ok;
}

WebVerdict web_gate_recall(WebGate *gate, const WebRules *rules, Str authorization)
{
    return web_users_recall(&gate->users, &rules->config.users, authorization);
}

bool web_gate_check(WebGate *gate, const WebRules *rules, Str authorization)
{
    return web_users_check(&gate->users, &rules->config.users, authorization);
}
