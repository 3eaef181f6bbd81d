// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_store.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"

#define BUSY_TIMEOUT_MS 5000
#define RETRY_MS 1000
#define SCHEMA_VERSION 1

typedef struct Write {
    struct Write *next;
    uint64_t ticket;
    AmStoreTable table;
    Str key, body; // behind the struct
} Write;

struct AmStore {
    sqlite3 *db;
    sqlite3_stmt *put[AM_STORE_TABLES], *drop[AM_STORE_TABLES];
    Thread thread;
    Lock lock; // rank 146; guards all below
    Condition changed;
    Write *first GUARDED_BY(lock), *last GUARDED_BY(lock);
    uint64_t tickets GUARDED_BY(lock), done GUARDED_BY(lock), failed GUARDED_BY(lock);
    Error fault GUARDED_BY(lock);
    AmStoreCounts counts GUARDED_BY(lock);
    bool closing GUARDED_BY(lock);
};

static const char *const table_names[AM_STORE_TABLES] = {"silences", "nflog"};

static bool fail(const AmStore *store, const char *what, Error *err)
{
    return error_set(err, ERR_IO, "%s: %s", what, sqlite3_errmsg(store->db));
}

static bool run(const AmStore *store, const char *sql, Error *err)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK || fail(store, sql, err);
}

static bool user_version(const AmStore *store, int *ret_version, Error *err)
{
    sqlite3_stmt *ask;
    if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &ask, NULL) != SQLITE_OK)
        return fail(store, "version", err);
    bool ok = sqlite3_step(ask) == SQLITE_ROW;
    if (ok)
        *ret_version = sqlite3_column_int(ask, 0);
    sqlite3_finalize(ask);
    return ok || fail(store, "version", err);
}

static bool prepare(AmStore *store, Error *err)
{
    for (int t = 0; t < AM_STORE_TABLES; t++) {
        char *put = sqlite3_mprintf("INSERT INTO %s(key, body) VALUES(?1, ?2) "
                                    "ON CONFLICT(key) DO UPDATE SET body = excluded.body",
                                    table_names[t]);
        char *drop = sqlite3_mprintf("DELETE FROM %s WHERE key = ?1", table_names[t]);
        bool ok = sqlite3_prepare_v2(store->db, put, -1, &store->put[t], NULL) == SQLITE_OK &&
                  sqlite3_prepare_v2(store->db, drop, -1, &store->drop[t], NULL) == SQLITE_OK;
        sqlite3_free(put);
        sqlite3_free(drop);
        if (!ok)
            return fail(store, "prepare", err);
    }
    return true;
}

static bool make_schema(AmStore *store, bool *ret_is_new, Error *err)
{
    int version;
    // FULL: a commit is on the disk when it returns. One process owns the file.
    if (!run(store, "PRAGMA journal_mode = WAL", err) ||
        !run(store, "PRAGMA synchronous = FULL", err) || !user_version(store, &version, err))
        return false;
    if (version > SCHEMA_VERSION)
        return error_set(err, ERR_INVALID, "the database is of a later version (%d)", version);
    *ret_is_new = version == 0;
    return run(
        store,
        "BEGIN;"
        "CREATE TABLE IF NOT EXISTS silences(key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT "
        "ROWID;"
        "CREATE TABLE IF NOT EXISTS nflog(key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;"
        "PRAGMA user_version = 1;"
        "COMMIT",
        err);
}

static void close_database(AmStore *store)
{
    for (int t = 0; t < AM_STORE_TABLES; t++) {
        sqlite3_finalize(store->put[t]);
        sqlite3_finalize(store->drop[t]);
    }
    sqlite3_close(store->db);
}

// The writer --------------------------------------------------------------------------------------

static bool apply(AmStore *store, const Write *write, Error *err)
{
    sqlite3_stmt *stmt = write->body.len ? store->put[write->table] : store->drop[write->table];
    sqlite3_bind_text(stmt, 1, write->key.ptr, (int)write->key.len, SQLITE_STATIC);
    if (write->body.len)
        sqlite3_bind_blob(stmt, 2, write->body.ptr, (int)write->body.len, SQLITE_STATIC);
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return rc == SQLITE_DONE || fail(store, "write", err);
}

static bool commit(AmStore *store, const Write *batch, Error *err)
{
    if (!run(store, "BEGIN IMMEDIATE", err))
        return false;
    bool ok = true;
    for (const Write *w = batch; ok && w; w = w->next)
        ok = apply(store, w, err);
    if (ok && run(store, "COMMIT", err))
        return true;
    (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

static void free_writes(Write *write)
{
    while (write) {
        Write *next = write->next;
        free(write);
        write = next;
    }
}

// Takes all that waits; NULL when the store closes.
static Write *take_batch(AmStore *store, Write **ret_last)
{
    lock_take(&store->lock);
    while (!store->first && !store->closing)
        condition_wait(&store->changed, &store->lock);
    Write *batch = store->first;
    *ret_last = store->last;
    store->first = store->last = NULL;
    lock_give(&store->lock);
    return batch;
}

static void note_commit(AmStore *store, uint64_t ticket, const Error *fault)
{
    lock_take(&store->lock);
    if (fault) {
        store->failed = ticket;
        store->fault = *fault;
        store->counts.failures++;
    } else {
        store->done = ticket;
        store->counts.commits++;
    }
    condition_broadcast(&store->changed);
    lock_give(&store->lock);
}

// Puts back what could not be written, in front of what came since, and waits a little. False when the store closes.
static bool put_back(AmStore *store, Write *batch, Write *last)
{
    lock_take(&store->lock);
    last->next = store->first;
    store->first = batch;
    if (!store->last)
        store->last = last;
    bool closing = store->closing;
    if (!closing)
        (void)condition_wait_ms(&store->changed, &store->lock, RETRY_MS);
    lock_give(&store->lock);
    return !closing;
}

static void write_all(void *arg)
{
    AmStore *store = arg;
    Write *last;
    Write *batch;
    bool told = false;
    while ((batch = take_batch(store, &last))) {
        Error err = {0};
        if (commit(store, batch, &err)) {
            note_commit(store, last->ticket, NULL);
            free_writes(batch);
            told = false;
            continue;
        }
        if (!told)
            log_error("silences and notification log cannot be written, retrying", KV("err", &err));
        told = true;
        note_commit(store, last->ticket, &err);
        if (!put_back(store, batch, last))
            return;
    }
}

// The door ----------------------------------------------------------------------------------------

bool am_store_open(Str path, AmStore **ret_store, bool *ret_is_new, Error *err)
{
    Arena arena = {0};
    AmStore *store = X_NEW(AmStore);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    bool ok = sqlite3_open_v2(str_to_c(&arena, path), &store->db, flags, NULL) == SQLITE_OK ||
              fail(store, "open", err);
    arena_deinit(&arena);
    if (ok)
        sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
    lock_init(&store->lock, "am.store", 146);
    condition_init(&store->changed);
    if (ok && make_schema(store, ret_is_new, err) && prepare(store, err)) {
        *ret_store = store;
        return true;
    }
    error_context(err, STR_FMT, STR_ARG(path));
    am_store_close(store);
    return false;
}

void am_store_close(AmStore *store)
{
    if (!store)
        return;
    lock_take(&store->lock);
    store->closing = true;
    condition_broadcast(&store->changed);
    lock_give(&store->lock);
    thread_join(&store->thread);
    free_writes(store->first);
    close_database(store);
    condition_deinit(&store->changed);
    lock_deinit(&store->lock);
    free(store);
}

bool am_store_load(AmStore *store, AmStoreTable table, void (*row)(void *arg, Str key, Str body),
                   void *arg, Error *err)
{
    sqlite3_stmt *all;
    char *sql = sqlite3_mprintf("SELECT key, body FROM %s", table_names[table]);
    int rc = sqlite3_prepare_v2(store->db, sql, -1, &all, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK)
        return fail(store, "load", err);
    while ((rc = sqlite3_step(all)) == SQLITE_ROW) {
        Str key = {(const char *)sqlite3_column_text(all, 0), (size_t)sqlite3_column_bytes(all, 0)};
        Str body = {sqlite3_column_blob(all, 1), (size_t)sqlite3_column_bytes(all, 1)};
        row(arg, key, body);
    }
    sqlite3_finalize(all);
    return rc == SQLITE_DONE || fail(store, "load", err);
}

uint64_t am_store_put(AmStore *store, AmStoreTable table, Str key, Str body)
{
    Write *write = x_malloc(sizeof *write + key.len + body.len);
    char *text = (char *)(write + 1);
    memcpy(text, key.ptr, key.len);
    if (body.len)
        memcpy(text + key.len, body.ptr, body.len);
    *write = (Write){.table = table, .key = {text, key.len}, .body = {text + key.len, body.len}};
    lock_take(&store->lock);
    if (!store->thread.started) {
        Error err = {0};
        if (!thread_start(&store->thread, "am-store", write_all, store, &err))
            log_error("no thread for silences and notification log", KV("err", &err));
    }
    uint64_t ticket = write->ticket = ++store->tickets;
    if (store->last)
        store->last->next = write;
    else
        store->first = write;
    store->last = write;
    condition_broadcast(&store->changed);
    lock_give(&store->lock);
    return ticket;
}

bool am_store_wait(AmStore *store, uint64_t ticket, Error *err)
{
    lock_take(&store->lock);
    while (store->done < ticket && store->failed < ticket && !store->closing)
        condition_wait(&store->changed, &store->lock);
    bool ok = store->done >= ticket;
    if (!ok)
        *err = store->fault;
    if (!ok && store->failed < ticket)
        error_set(err, ERR_CANCELED, "the store closes");
    lock_give(&store->lock);
    return ok;
}

AmStoreCounts am_store_counts(AmStore *store)
{
    lock_take(&store->lock);
    AmStoreCounts counts = store->counts;
    counts.waiting = store->tickets - store->done;
    lock_give(&store->lock);
    return counts;
}
