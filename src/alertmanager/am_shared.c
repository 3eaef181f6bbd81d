// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <time.h>

#include "alertmanager/am_shared_internal.h"
#include "base/log.h"
#include "base/random.h"

#define RETRY_NS (1000 * MS_NS)
#define COLLECT_NS (INT64_C(15) * 60 * 1000 * MS_NS)
#define LEAVE_NS (2000 * MS_NS)

// A lease must not outlive a sleep of the machine, which the monotonic clock does not see.
int64_t am_shared_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// How long claims wait for an engine that has gone away.
static int64_t patience_ns(const AmShared *shared)
{
    return shared->options.lease_ms * MS_NS / 2;
}

// ---- claims ----

static void run_done(void *arg)
{
    AmClaim *claim = arg;
    claim->done(claim);
}

static void answer(AmShared *shared, AmClaim *claim, AmVerdict verdict)
{
    claim->verdict = verdict;
    lock_take(&shared->lock);
    shared->counts.claims[verdict]++;
    lock_give(&shared->lock);
    loop_post(shared->options.loop, run_done, claim);
}

static bool is_away(const AmShared *shared, int64_t now_ns) REQUIRES(shared->lock)
{
    return shared->is_closing ||
           (shared->away_since_ns && now_ns - shared->away_since_ns >= patience_ns(shared));
}

AmClaim *am_shared_claim(AmShared *shared, Str key, int64_t seen_ns, void (*done)(AmClaim *claim),
                         void *arg)
{
    AmClaim *claim = X_NEW(AmClaim);
    claim->done = done;
    claim->arg = arg;
    claim->shared = shared;
    claim->seen_ns = seen_ns;
    claim->asked_ns = am_shared_now_ns();
    claim->key = arena_str(&claim->arena, key);
    lock_take(&shared->lock);
    bool away = is_away(shared, claim->asked_ns);
    if (!away) {
        if (shared->last_claim)
            shared->last_claim->next = claim;
        else
            shared->first_claim = claim;
        shared->last_claim = claim;
        condition_broadcast(&shared->changed);
    }
    lock_give(&shared->lock);
    if (away)
        answer(shared, claim, AM_CLAIM_ALONE);
    return claim;
}

bool am_shared_may_send(AmShared *shared, const AmClaim *claim)
{
    lock_take(&shared->lock);
    int64_t margin_ns = shared->options.lease_ms * MS_NS / 4;
    bool holds =
        claim->life == shared->life && am_shared_now_ns() < shared->lease_until_ns - margin_ns;
    bool away = shared->away_since_ns || shared->is_closing;
    bool may = claim->verdict == AM_CLAIM_ALONE ? away : holds;
    lock_give(&shared->lock);
    return may;
}

static AmClaim *take_claim(AmShared *shared)
{
    lock_take(&shared->lock);
    AmClaim *claim = shared->first_claim;
    if (claim) {
        shared->first_claim = claim->next;
        if (!shared->first_claim)
            shared->last_claim = NULL;
        claim->next = NULL;
    }
    lock_give(&shared->lock);
    return claim;
}

static void give_back_claim(AmShared *shared, AmClaim *claim)
{
    lock_take(&shared->lock);
    claim->next = shared->first_claim;
    shared->first_claim = claim;
    if (!shared->last_claim)
        shared->last_claim = claim;
    lock_give(&shared->lock);
}

// Claims that have waited long enough for an engine that is away.
static void answer_alone(AmShared *shared)
{
    for (;;) {
        lock_take(&shared->lock);
        bool away = is_away(shared, am_shared_now_ns());
        lock_give(&shared->lock);
        AmClaim *claim = away ? take_claim(shared) : NULL;
        if (!claim)
            return;
        answer(shared, claim, AM_CLAIM_ALONE);
    }
}

// ---- the thread ----

static void new_id(char *id)
{
    uint8_t bytes[(AM_SHARED_ID_BYTES - 1) / 2];
    random_system(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        id[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        id[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    id[AM_SHARED_ID_BYTES - 1] = 0;
}

// Claims of the life before have gone to others, or may go at any time.
static void begin_life(AmShared *shared, bool lapsed)
{
    lock_take(&shared->lock);
    new_id(shared->id);
    shared->life++;
    shared->lease_until_ns = 0;
    shared->counts.lapses += lapsed;
    lock_give(&shared->lock);
    if (lapsed)
        log_warn("the lease of this instance ran out, beginning a new one");
}

static bool is_among(const AmMember *members, size_t count, Str name)
{
    for (size_t i = 0; i < count; i++)
        if (members[i].is_alive && str_equal(members[i].name, name))
            return true;
    return false;
}

static void compare_members(AmShared *shared, const AmMember *now, size_t count)
    REQUIRES(shared->lock)
{
    for (size_t i = 0; i < count; i++)
        shared->counts.joined +=
            now[i].is_alive && !is_among(shared->members, shared->member_count, now[i].name);
    for (size_t i = 0; i < shared->member_count; i++)
        shared->counts.left += !is_among(now, count, shared->members[i].name);
}

static void note_beat(AmShared *shared, int64_t until_ns, const AmMember *members, size_t count)
{
    lock_take(&shared->lock);
    shared->lease_until_ns = until_ns;
    shared->counts.beats++;
    compare_members(shared, members, count);
    arena_reset(&shared->member_arena);
    shared->members = ARENA_ARRAY(&shared->member_arena, AmMember, count + 1);
    shared->member_count = shared->counts.failed_peers = 0;
    for (size_t i = 0; i < count; i++) {
        if (!members[i].is_alive)
            shared->counts.failed_peers++;
        else
            shared->members[shared->member_count++] =
                (AmMember){arena_str(&shared->member_arena, members[i].name),
                           arena_str(&shared->member_arena, members[i].address), true};
    }
    lock_give(&shared->lock);
}

static bool beat(AmShared *shared, Error *err)
{
    int64_t lease_ns = shared->options.lease_ms * MS_NS;
    if (shared->lease_until_ns && am_shared_now_ns() >= shared->lease_until_ns)
        begin_life(shared, true);
    for (int i = 0; i < 2; i++) {
        CLEANUP(arena_deinit) Arena arena = {0};
        AmSelf self = {str_from_c(shared->id), shared->options.name, shared->options.address,
                       shared->options.lease_ms};
        AmMember *members;
        size_t count;
        bool held;
        int64_t begun_ns = am_shared_now_ns();
        if (!shared->kind->beat(shared->engine, &self, &held, &arena, &members, &count, err))
            return false;
        shared->beat_at_ns = begun_ns + lease_ns / 3;
        if (held) {
            note_beat(shared, begun_ns + lease_ns, members, count);
            return true;
        }
        begin_life(shared, true);
    }
    return error_set(err, ERR_UNAVAILABLE, "heartbeat: the lease is over as soon as it begins");
}

static bool beat_if_due(AmShared *shared, Error *err)
{
    return am_shared_now_ns() < shared->beat_at_ns || beat(shared, err);
}

// Results go before claims: an instance that is stopped leaves in doubt what it has told and not written.
static bool serve_claims(AmShared *shared, Error *err)
{
    AmClaim *claim;
    while ((claim = take_claim(shared))) {
        AmVerdict verdict = AM_CLAIM_BUSY;
        bool ok = am_shared_rows_write(shared, err) && beat_if_due(shared, err);
        memcpy(claim->id, shared->id, sizeof claim->id);
        claim->life = shared->life;
        AmSelf self = {.id = str_from_c(claim->id), .lease_ms = shared->options.lease_ms};
        ok = ok && shared->kind->claim(shared->engine, &self, claim->key, claim->seen_ns,
                                       &claim->arena, &verdict, &claim->row, err);
        if (!ok) {
            give_back_claim(shared, claim);
            return false;
        }
        answer(shared, claim, verdict);
    }
    return true;
}

typedef struct Fetch {
    AmShared *shared;
    AmStoreTable table;
} Fetch;

static void fetch_row(void *arg, const AmRow *row)
{
    const Fetch *fetch = arg;
    lock_take(&fetch->shared->lock);
    fetch->shared->counts.rows++;
    fetch->shared->counts.row_bytes += row->body.len;
    lock_give(&fetch->shared->lock);
    fetch->shared->options.row(fetch->shared->options.arg, fetch->table, row);
}

static bool fetch_all(AmShared *shared, Error *err)
{
    for (int t = 0; t < AM_STORE_TABLES; t++) {
        Fetch fetch = {shared, (AmStoreTable)t};
        if (!shared->kind->fetch(shared->engine, (AmStoreTable)t, fetch_row, &fetch, err))
            return false;
    }
    shared->fetch_at_ns = am_shared_now_ns() + shared->options.poll_ms * MS_NS;
    return true;
}

static bool collect_if_due(AmShared *shared, Error *err)
{
    int64_t now_ns = am_shared_now_ns();
    if (now_ns < shared->collect_at_ns)
        return true;
    shared->collect_at_ns = now_ns + COLLECT_NS;
    return shared->kind->collect(shared->engine, clock_now_ms(&clock_system) * MS_NS, err);
}

static void note_away(AmShared *shared, const Error *err)
{
    int64_t now_ns = am_shared_now_ns();
    shared->is_connected = false;
    shared->retry_at_ns = now_ns + RETRY_NS;
    lock_take(&shared->lock);
    bool told = shared->away_since_ns != 0;
    if (!told)
        shared->away_since_ns = now_ns;
    shared->counts.failures++;
    condition_broadcast(&shared->changed);
    lock_give(&shared->lock);
    if (!told)
        log_error(
            "the shared database is away: this instance notifies on its own until it is back, "
            "retrying",
            KV("err", err));
}

static void note_back(AmShared *shared)
{
    lock_take(&shared->lock);
    bool first = !shared->is_synced;
    int64_t away_ns = shared->away_since_ns ? am_shared_now_ns() - shared->away_since_ns : 0;
    shared->away_since_ns = 0;
    shared->is_synced = true;
    shared->counts.connects++;
    condition_broadcast(&shared->changed);
    lock_give(&shared->lock);
    log_info("the shared database is there", KV("away_ms", away_ns / MS_NS));
    if (first && shared->options.synced)
        shared->options.synced(shared->options.arg);
}

static bool connect_again(AmShared *shared, Error *err)
{
    if (!shared->kind->connect(shared->engine, err) || !beat(shared, err) ||
        !fetch_all(shared, err))
        return false;
    shared->is_connected = true;
    note_back(shared);
    return true;
}

static bool work(AmShared *shared, Error *err)
{
    if (!shared->is_connected && am_shared_now_ns() < shared->retry_at_ns)
        return true;
    if (!shared->is_connected && !connect_again(shared, err))
        return false;
    return am_shared_rows_end_sent(shared, err) && beat_if_due(shared, err) &&
           am_shared_rows_write(shared, err) && serve_claims(shared, err) &&
           (am_shared_now_ns() < shared->fetch_at_ns || fetch_all(shared, err)) &&
           collect_if_due(shared, err);
}

// Until there is something to do. False when the module closes.
static bool wait_for_work(AmShared *shared)
{
    lock_take(&shared->lock);
    int64_t at_ns =
        shared->is_connected ? MIN(shared->beat_at_ns, shared->fetch_at_ns) : shared->retry_at_ns;
    bool wants = shared->is_connected && (shared->first || shared->first_claim);
    int64_t left_ns = at_ns - am_shared_now_ns();
    shared->engine_is_used = false;
    if (!shared->is_closing && !wants && left_ns > 0)
        (void)condition_wait_ms(&shared->changed, &shared->lock, left_ns / MS_NS + 1);
    // Whoever writes a result in between does not wait for anything.
    while (shared->engine_is_used)
        condition_wait(&shared->changed, &shared->lock);
    shared->engine_is_used = true;
    bool goes_on = !shared->is_closing;
    lock_give(&shared->lock);
    return goes_on;
}

static bool has_pending(AmShared *shared)
{
    lock_take(&shared->lock);
    bool has = shared->first != NULL;
    lock_give(&shared->lock);
    return has;
}

// The rest is written as far as that is quick, and the claims of this instance are free at once.
static void leave(AmShared *shared)
{
    Error err = {0};
    int64_t until_ns = am_shared_now_ns() + LEAVE_NS;
    bool ok = shared->is_connected && am_shared_rows_end_sent(shared, &err);
    while (ok && has_pending(shared) && am_shared_now_ns() < until_ns)
        ok = am_shared_rows_write(shared, &err);
    AmSelf self = {.id = str_from_c(shared->id)};
    if (ok)
        ok = shared->kind->leave(shared->engine, &self, &err);
    if (!ok && err.code)
        log_warn("the shared database was not told that this instance stops, ignoring",
                 KV("err", &err));
}

static void run(void *arg)
{
    AmShared *shared = arg;
    do {
        Error err = {0};
        if (!work(shared, &err))
            note_away(shared, &err);
        answer_alone(shared);
    } while (wait_for_work(shared));
    answer_alone(shared);
    leave(shared);
}

// ---- life ----

bool am_shared_open(const AmSharedOptions *options, AmShared **ret_shared, Error *err)
{
    const AmEngineKind *kind = options->kind ? options->kind : am_engine_kind_of(options->url);
    if (!kind)
        return error_set(err, ERR_INVALID,
                         "the database that instances share must be postgres://...");
    AmEngine *engine;
    if (!kind->open(options->url, &engine, err))
        return false;
    AmShared *shared = X_NEW(AmShared);
    shared->kind = kind;
    shared->engine = engine;
    shared->options = *options;
    shared->options.name = arena_str(&shared->arena, options->name);
    shared->options.address = arena_str(&shared->arena, options->address);
    lock_init(&shared->lock, "am.shared", 147);
    condition_init(&shared->changed);
    shared->engine_is_used = true;
    begin_life(shared, false);
    if (!thread_start(&shared->thread, "am-shared", run, shared, err)) {
        am_shared_free(shared);
        return false;
    }
    *ret_shared = shared;
    return true;
}

bool am_shared_settle(AmShared *shared, int64_t timeout_ms)
{
    int64_t until_ns = am_shared_now_ns() + timeout_ms * MS_NS;
    int64_t left_ns;
    lock_take(&shared->lock);
    while (!shared->is_synced && (left_ns = until_ns - am_shared_now_ns()) > 0)
        (void)condition_wait_ms(&shared->changed, &shared->lock, left_ns / MS_NS + 1);
    bool ok = shared->is_synced;
    lock_give(&shared->lock);
    return ok;
}

void am_shared_stop(AmShared *shared)
{
    if (!shared)
        return;
    lock_take(&shared->lock);
    shared->is_closing = true;
    condition_broadcast(&shared->changed);
    lock_give(&shared->lock);
    thread_join(&shared->thread);
    shared->thread.started = false;
}

void am_shared_free(AmShared *shared)
{
    if (!shared)
        return;
    am_shared_stop(shared);
    am_shared_rows_free(shared);
    shared->kind->close(shared->engine);
    condition_deinit(&shared->changed);
    lock_deinit(&shared->lock);
    arena_deinit(&shared->member_arena);
    arena_deinit(&shared->arena);
    free(shared);
}

AmSharedState am_shared_state(AmShared *shared, Arena *arena)
{
    lock_take(&shared->lock);
    AmSharedState state = shared->counts;
    state.up = shared->away_since_ns == 0 && shared->is_synced;
    state.is_synced = shared->is_synced;
    state.name = shared->options.name;
    state.waiting = shared->sent != NULL;
    for (const Pending *p = shared->first; p; p = p->next)
        state.waiting++;
    // An instance that is cut off knows of none but itself.
    bool alone = !state.up || shared->member_count == 0;
    state.member_count = alone ? 1 : shared->member_count;
    state.members = ARENA_ARRAY(arena, AmMember, state.member_count);
    state.members[0] = (AmMember){shared->options.name, shared->options.address, true};
    for (size_t i = 0; !alone && i < state.member_count; i++) {
        state.members[i] = (AmMember){arena_str(arena, shared->members[i].name),
                                      arena_str(arena, shared->members[i].address), true};
        if (str_equal(state.members[i].name, shared->options.name))
            state.position = i;
    }
    lock_give(&shared->lock);
    return state;
}
