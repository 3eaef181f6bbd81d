// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_shared.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"

#define MS_NS INT64_C(1000000)
#define RETRY_NS (1000 * MS_NS)
#define COLLECT_NS (INT64_C(15) * 60 * 1000 * MS_NS)
#define WRITES_PER_TURN 64
#define LEAVE_NS (2000 * MS_NS)

// One row that the engine does not have yet. A newer one with the same key takes its place.
typedef struct Pending {
    struct Pending *next;
    Str map_key; // table and key, behind the struct
    AmStoreTable table;
    AmRow row;      // body: on the heap
    AmClaim *claim; // ends with the write
    uint64_t ticket;
} Pending;

struct AmShared {
    const AmEngineKind *kind;
    AmEngine *engine;
    AmSharedOptions options;
    Arena arena; // of the options
    Thread thread;
    // Only the thread.
    int64_t retry_at_ns, beat_at_ns, fetch_at_ns, collect_at_ns;
    bool is_connected;

    Lock lock; // rank 147; guards all below
    Condition changed;
    char id[AM_SHARED_ID_BYTES] GUARDED_BY(lock);
    uint64_t life GUARDED_BY(lock);
    int64_t lease_until_ns GUARDED_BY(lock); // by the clock that goes on while the machine sleeps
    int64_t away_since_ns GUARDED_BY(lock);  // 0: the engine is there
    bool is_synced GUARDED_BY(lock), is_closing GUARDED_BY(lock);
    AmClaim *first_claim GUARDED_BY(lock), *last_claim GUARDED_BY(lock);
    Map by_key GUARDED_BY(lock); // Pending
    Pending *first GUARDED_BY(lock), *last GUARDED_BY(lock);
    uint64_t tickets GUARDED_BY(lock), done GUARDED_BY(lock);
    AmSharedState counts GUARDED_BY(lock);
    Arena member_arena GUARDED_BY(lock);
    AmMember *members GUARDED_BY(lock);
    size_t member_count GUARDED_BY(lock);
};

// A lease must not outlive a sleep of the machine, which the monotonic clock does not see.
static int64_t boot_now_ns(void)
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

static void free_claim(AmClaim *claim)
{
    if (claim)
        arena_deinit(&claim->arena);
    free(claim);
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
    claim->asked_ns = boot_now_ns();
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
    bool holds = claim->life == shared->life && boot_now_ns() < shared->lease_until_ns - margin_ns;
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
        bool away = is_away(shared, boot_now_ns());
        lock_give(&shared->lock);
        AmClaim *claim = away ? take_claim(shared) : NULL;
        if (!claim)
            return;
        answer(shared, claim, AM_CLAIM_ALONE);
    }
}

// ---- writes ----

static void queue(AmShared *shared, Pending *pending) REQUIRES(shared->lock)
{
    if (shared->last)
        shared->last->next = pending;
    else
        shared->first = pending;
    shared->last = pending;
}

static Str copy_body(Str body)
{
    return body.len ? (Str){memcpy(x_malloc(body.len), body.ptr, body.len), body.len} : STR_NONE;
}

static void free_body(Str body)
{
    union {
        const char *view;
        void *heap;
    } text = {body.ptr};
    free(text.heap);
}

static void free_pending(Pending *pending)
{
    free_body(pending->row.body);
    free_claim(pending->claim);
    free(pending);
}

static Pending *new_pending(AmStoreTable table, Str key, const AmRow *row, AmClaim *claim)
{
    Pending *pending = x_malloc(sizeof *pending + key.len + 1);
    char *text = (char *)(pending + 1);
    text[0] = (char)table;
    if (key.len)
        memcpy(text + 1, key.ptr, key.len);
    *pending = (Pending){.map_key = {text, key.len + 1}, .table = table, .claim = claim};
    if (row)
        pending->row = *row;
    pending->row.key = (Str){text + 1, key.len};
    pending->row.body = row ? copy_body(row->body) : STR_NONE;
    return pending;
}

static uint64_t put(AmShared *shared, AmStoreTable table, Str key, const AmRow *row, AmClaim *claim)
{
    Pending *pending = new_pending(table, key, row, claim);
    lock_take(&shared->lock);
    uint64_t ticket = pending->ticket = ++shared->tickets;
    // What ends a claim keeps its own place: its owner counts.
    Pending *old = claim ? NULL : map_get(&shared->by_key, pending->map_key);
    if (old && old->row.at_ns <= pending->row.at_ns) {
        Str body = old->row.body;
        old->row.body = pending->row.body;
        old->row.at_ns = pending->row.at_ns;
        old->row.expires_ns = pending->row.expires_ns;
        pending->row.body = body;
        ticket = old->ticket;
    }
    if (!old && !claim)
        (void)map_put(&shared->by_key, pending->map_key, pending);
    if (!old)
        queue(shared, pending);
    condition_broadcast(&shared->changed);
    lock_give(&shared->lock);
    if (old)
        free_pending(pending);
    return ticket;
}

uint64_t am_shared_put(AmShared *shared, AmStoreTable table, const AmRow *row)
{
    return put(shared, table, row->key, row, NULL);
}

void am_shared_finish(AmShared *shared, AmClaim *claim, const AmRow *row)
{
    bool granted = claim->verdict == AM_CLAIM_GRANTED;
    if (granted)
        (void)put(shared, AM_STORE_LOG, claim->key, row, claim);
    else if (row)
        (void)put(shared, AM_STORE_LOG, claim->key, row, NULL);
    if (!granted)
        free_claim(claim);
}

bool am_shared_wait(AmShared *shared, uint64_t ticket, int64_t timeout_ms)
{
    int64_t until_ns = boot_now_ns() + timeout_ms * MS_NS;
    lock_take(&shared->lock);
    int64_t left_ns = until_ns - boot_now_ns();
    while (shared->done < ticket && !shared->away_since_ns && !shared->is_closing && left_ns > 0) {
        (void)condition_wait_ms(&shared->changed, &shared->lock, left_ns / MS_NS + 1);
        left_ns = until_ns - boot_now_ns();
    }
    bool ok = shared->done >= ticket;
    lock_give(&shared->lock);
    return ok;
}

// The first row that waits. It leaves the map, so that what is put now comes behind it.
static Pending *take_pending(AmShared *shared)
{
    lock_take(&shared->lock);
    Pending *pending = shared->first;
    if (pending) {
        shared->first = pending->next;
        if (!shared->first)
            shared->last = NULL;
        pending->next = NULL;
        if (map_get(&shared->by_key, pending->map_key) == pending)
            (void)map_remove(&shared->by_key, pending->map_key);
    }
    lock_give(&shared->lock);
    return pending;
}

static void give_back_pending(AmShared *shared, Pending *pending)
{
    lock_take(&shared->lock);
    pending->next = shared->first;
    shared->first = pending;
    if (!shared->last)
        shared->last = pending;
    lock_give(&shared->lock);
}

static void note_written(AmShared *shared, const Pending *pending)
{
    lock_take(&shared->lock);
    shared->done = pending->ticket;
    shared->counts.writes++;
    shared->counts.write_bytes += pending->row.body.len;
    condition_broadcast(&shared->changed);
    lock_give(&shared->lock);
}

// A release that cannot be told is not worth keeping: the lease ends by itself.
static bool write_pending(AmShared *shared, Error *err)
{
    for (int i = 0; i < WRITES_PER_TURN; i++) {
        Pending *pending = take_pending(shared);
        if (!pending)
            return true;
        Str owner = pending->claim ? str_from_c(pending->claim->id) : STR_NONE;
        Error why = {0};
        if (!shared->kind->write(shared->engine, pending->table, &pending->row, owner, &why)) {
            if (why.code != ERR_INVALID) {
                give_back_pending(shared, pending);
                *err = why;
                return false;
            }
            log_error("the shared database does not take a row, skipping", KV("err", &why));
        }
        note_written(shared, pending);
        free_pending(pending);
    }
    return true;
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
    if (shared->lease_until_ns && boot_now_ns() >= shared->lease_until_ns)
        begin_life(shared, true);
    for (int i = 0; i < 2; i++) {
        CLEANUP(arena_deinit) Arena arena = {0};
        AmSelf self = {str_from_c(shared->id), shared->options.name, shared->options.address,
                       shared->options.lease_ms};
        AmMember *members;
        size_t count;
        bool held;
        int64_t begun_ns = boot_now_ns();
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
    return boot_now_ns() < shared->beat_at_ns || beat(shared, err);
}

static bool serve_claims(AmShared *shared, Error *err)
{
    AmClaim *claim;
    while ((claim = take_claim(shared))) {
        AmVerdict verdict = AM_CLAIM_BUSY;
        bool ok = beat_if_due(shared, err);
        memcpy(claim->id, shared->id, sizeof claim->id);
        claim->life = shared->life;
        ok = ok && shared->kind->claim(shared->engine, str_from_c(claim->id), claim->key,
                                       claim->seen_ns, &claim->arena, &verdict, &claim->row, err);
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
    shared->fetch_at_ns = boot_now_ns() + shared->options.poll_ms * MS_NS;
    return true;
}

static bool collect_if_due(AmShared *shared, Error *err)
{
    int64_t now_ns = boot_now_ns();
    if (now_ns < shared->collect_at_ns)
        return true;
    shared->collect_at_ns = now_ns + COLLECT_NS;
    return shared->kind->collect(shared->engine, clock_now_ms(&clock_system) * MS_NS, err);
}

static void note_away(AmShared *shared, const Error *err)
{
    int64_t now_ns = boot_now_ns();
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
    int64_t away_ns = shared->away_since_ns ? boot_now_ns() - shared->away_since_ns : 0;
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
    if (!shared->is_connected && boot_now_ns() < shared->retry_at_ns)
        return true;
    if (!shared->is_connected && !connect_again(shared, err))
        return false;
    return beat_if_due(shared, err) && write_pending(shared, err) && serve_claims(shared, err) &&
           (boot_now_ns() < shared->fetch_at_ns || fetch_all(shared, err)) &&
           collect_if_due(shared, err);
}

// Until there is something to do. False when the module closes.
static bool wait_for_work(AmShared *shared)
{
    lock_take(&shared->lock);
    int64_t at_ns =
        shared->is_connected ? MIN(shared->beat_at_ns, shared->fetch_at_ns) : shared->retry_at_ns;
    bool wants = shared->is_connected && (shared->first || shared->first_claim);
    int64_t left_ns = at_ns - boot_now_ns();
    if (!shared->is_closing && !wants && left_ns > 0)
        (void)condition_wait_ms(&shared->changed, &shared->lock, left_ns / MS_NS + 1);
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
    int64_t until_ns = boot_now_ns() + LEAVE_NS;
    bool ok = shared->is_connected;
    while (ok && has_pending(shared) && boot_now_ns() < until_ns)
        ok = write_pending(shared, &err);
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
    int64_t until_ns = boot_now_ns() + timeout_ms * MS_NS;
    int64_t left_ns;
    lock_take(&shared->lock);
    while (!shared->is_synced && (left_ns = until_ns - boot_now_ns()) > 0)
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
    for (Pending *next; shared->first; shared->first = next) {
        next = shared->first->next;
        free_pending(shared->first);
    }
    map_deinit(&shared->by_key);
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
