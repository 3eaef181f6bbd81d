// SPDX-License-Identifier: Apache-2.0
// Rows on their way to the engine that instances share: those that wait, in order, and the one result that was sent ahead of them.
#include <stdlib.h>

#include "alertmanager/am_shared_internal.h"
#include "base/log.h"

#define WRITES_PER_TURN 64

static void free_claim(AmClaim *claim)
{
    if (claim)
        arena_deinit(&claim->arena);
    free(claim);
}

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

// The newer row takes the place of one that waits. Returns the ticket of that one; 0 if there is none.
static uint64_t replace(AmShared *shared, Pending *pending) REQUIRES(shared->lock)
{
    Pending *old = map_get(&shared->by_key, pending->map_key);
    if (!old) {
        (void)map_put(&shared->by_key, pending->map_key, pending);
        return 0;
    }
    if (old->row.at_ns > pending->row.at_ns)
        return pending->ticket;
    Str body = old->row.body;
    old->row.body = pending->row.body;
    old->row.at_ns = pending->row.at_ns;
    old->row.expires_ns = pending->row.expires_ns;
    pending->row.body = body;
    return old->ticket;
}

static uint64_t put(AmShared *shared, AmStoreTable table, const AmRow *row)
{
    Pending *pending = new_pending(table, row->key, row, NULL);
    lock_take(&shared->lock);
    uint64_t ticket = pending->ticket = ++shared->tickets;
    uint64_t other = replace(shared, pending);
    if (!other)
        queue(shared, pending);
    condition_broadcast(&shared->changed);
    lock_give(&shared->lock);
    if (other)
        free_pending(pending);
    return other ? other : ticket;
}

// Whether this thread may use the engine to write a result: nobody else does, and no row waits that came before.
static bool take_idle_engine(AmShared *shared)
{
    lock_take(&shared->lock);
    bool idle = !shared->engine_is_used && !shared->first && !shared->sent && !shared->is_closing;
    shared->engine_is_used |= idle;
    lock_give(&shared->lock);
    return idle;
}

// The end of a claim keeps its own place: its owner counts. A result goes to the engine from here if that is possible: an instance that
// is stopped before leaves in doubt whether the group was told.
static void put_end(AmShared *shared, AmClaim *claim, const AmRow *row)
{
    Pending *pending = new_pending(AM_STORE_LOG, claim->key, row, claim);
    bool mine = row && take_idle_engine(shared);
    bool sent = mine && shared->is_connected &&
                shared->kind->begin_write(shared->engine, &pending->row, str_from_c(claim->id));
    lock_take(&shared->lock);
    pending->ticket = ++shared->tickets;
    shared->engine_is_used &= !mine;
    if (sent)
        shared->sent = pending;
    else
        queue(shared, pending);
    condition_broadcast(&shared->changed);
    lock_give(&shared->lock);
}

uint64_t am_shared_put(AmShared *shared, AmStoreTable table, const AmRow *row)
{
    return put(shared, table, row);
}

void am_shared_finish(AmShared *shared, AmClaim *claim, const AmRow *row)
{
    bool granted = claim->verdict == AM_CLAIM_GRANTED;
    if (granted)
        put_end(shared, claim, row);
    else if (row)
        (void)put(shared, AM_STORE_LOG,
                  &(AmRow){claim->key, row->body, row->at_ns, row->expires_ns});
    if (!granted)
        free_claim(claim);
}

bool am_shared_wait(AmShared *shared, uint64_t ticket, int64_t timeout_ms)
{
    int64_t until_ns = am_shared_now_ns() + timeout_ms * MS_NS;
    lock_take(&shared->lock);
    int64_t left_ns = until_ns - am_shared_now_ns();
    while (shared->done < ticket && !shared->away_since_ns && !shared->is_closing && left_ns > 0) {
        (void)condition_wait_ms(&shared->changed, &shared->lock, left_ns / MS_NS + 1);
        left_ns = until_ns - am_shared_now_ns();
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

// What came of the result that went before all that waits.
bool am_shared_rows_end_sent(AmShared *shared, Error *err)
{
    lock_take(&shared->lock);
    Pending *pending = shared->sent;
    shared->sent = NULL;
    lock_give(&shared->lock);
    if (!pending)
        return true;
    Error why = {0};
    bool ok = shared->kind->end_write(shared->engine, &why);
    if (!ok && why.code != ERR_INVALID) {
        give_back_pending(shared, pending);
        *err = why;
        return false;
    }
    if (!ok)
        log_error("the shared database does not take a row, skipping", KV("err", &why));
    note_written(shared, pending);
    free_pending(pending);
    return true;
}

// A release that cannot be told is not worth keeping: the lease ends by itself.
bool am_shared_rows_write(AmShared *shared, Error *err)
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

void am_shared_rows_free(AmShared *shared)
{
    if (shared->sent)
        free_pending(shared->sent);
    for (Pending *next; shared->first; shared->first = next) {
        next = shared->first->next;
        free_pending(shared->first);
    }
    map_deinit(&shared->by_key);
}
