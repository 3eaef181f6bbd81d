// SPDX-License-Identifier: Apache-2.0
// PostgreSQL 13 or later by libpq, which is loaded when a URL asks for it: nothing else in the program needs it.
//
// What has changed is found by transaction: a row carries the id of the transaction that wrote it; a fetch takes all from the oldest
// transaction that was under way at the last one, so that none is overlooked that committed late.
#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>

#include "alertmanager/am_engine.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/library.h"

#define LIBRARY "libpq.so.5"
#define STEP_TIMEOUT_NS (INT64_C(3) * 1000000000)
#define SCHEMA_VERSION 1
// An instance's connection holds an advisory lock of its id, so that others see whether it is still there.
#define LOCK_OF(id) "hashtextextended(" id ", 7306382013)"
#define PARAMS_MAX 8
#define OID_BYTEA 17
#define OID_INT8 20
#define OID_TEXT 25

LIBRARY_NOTE(LIBRARY, "Alertmanagers that share a database", "suggested");

// What is used of the library.
typedef struct Libpq {
    __typeof__(&PQconninfoParse) conninfo_parse;
    __typeof__(&PQconninfoFree) conninfo_free;
    __typeof__(&PQfreemem) freemem;
    __typeof__(&PQconnectStart) connect_start;
    __typeof__(&PQconnectPoll) connect_poll;
    __typeof__(&PQfinish) finish;
    __typeof__(&PQstatus) status;
    __typeof__(&PQsocket) socket;
    __typeof__(&PQerrorMessage) error_message;
    __typeof__(&PQsetnonblocking) set_nonblocking;
    __typeof__(&PQsendQuery) send_query;
    __typeof__(&PQsendQueryParams) send_params;
    __typeof__(&PQflush) flush;
    __typeof__(&PQconsumeInput) consume_input;
    __typeof__(&PQisBusy) is_busy;
    __typeof__(&PQgetResult) get_result;
    __typeof__(&PQclear) clear;
    __typeof__(&PQresultStatus) result_status;
    __typeof__(&PQresultErrorField) error_field;
    __typeof__(&PQntuples) rows;
    __typeof__(&PQgetisnull) is_null;
    __typeof__(&PQgetvalue) value;
    __typeof__(&PQgetlength) length;
} Libpq;

struct AmEngine {
    Libpq pq;
    Arena arena;
    const char *url;
    PGconn *connection;
    char locked[AM_ENGINE_ID_BYTES]; // the instance whose lock this connection holds
    // Where the next fetch of a table begins: a transaction id as digits.
    char since[AM_STORE_TABLES][24];
};

static const char *const table_names[AM_STORE_TABLES] = {"narthex_am_silences", "narthex_am_log"};

// ---- the library ----

static bool load_library(Libpq *pq, Error *err)
{
    static const Library library = {
        .file = LIBRARY, .needed_by = "PostgreSQL needs", .package = "libpq5", .code = ERR_INVALID};
    const LibrarySymbol symbols[] = {
        {"PQconninfoParse", &pq->conninfo_parse},
        {"PQconninfoFree", &pq->conninfo_free},
        {"PQfreemem", &pq->freemem},
        {"PQconnectStart", &pq->connect_start},
        {"PQconnectPoll", &pq->connect_poll},
        {"PQfinish", &pq->finish},
        {"PQstatus", &pq->status},
        {"PQsocket", &pq->socket},
        {"PQerrorMessage", &pq->error_message},
        {"PQsetnonblocking", &pq->set_nonblocking},
        {"PQsendQuery", &pq->send_query},
        {"PQsendQueryParams", &pq->send_params},
        {"PQflush", &pq->flush},
        {"PQconsumeInput", &pq->consume_input},
        {"PQisBusy", &pq->is_busy},
        {"PQgetResult", &pq->get_result},
        {"PQclear", &pq->clear},
        {"PQresultStatus", &pq->result_status},
        {"PQresultErrorField", &pq->error_field},
        {"PQntuples", &pq->rows},
        {"PQgetisnull", &pq->is_null},
        {"PQgetvalue", &pq->value},
        {"PQgetlength", &pq->length},
    };
    return library_load(&library, symbols, COUNT_OF(symbols), err);
}

// ---- waiting ----

// The library's texts end in a line break and may have several lines.
static bool fail(AmEngine *engine, const char *what, Error *err)
{
    Str text = str_from_c(engine->connection ? engine->pq.error_message(engine->connection) : "");
    size_t end = str_find_char(text, '\n');
    if (end != STR_NOT_FOUND)
        text = str_sub(text, 0, end);
    return error_set(err, ERR_UNAVAILABLE, "%s: " STR_FMT, what, STR_ARG(text));
}

static bool wait_socket(AmEngine *engine, short events, int64_t deadline_ns, const char *what,
                        Error *err)
{
    struct pollfd at = {.fd = engine->pq.socket(engine->connection), .events = events};
    int64_t left_ns = deadline_ns - clock_mono_ns(&clock_system);
    if (left_ns > 0 && poll(&at, 1, (int)(left_ns / 1000000) + 1) != 0)
        return true;
    return error_set(err, ERR_UNAVAILABLE, "%s: no answer within %d s", what,
                     (int)(STEP_TIMEOUT_NS / 1000000000));
}

static bool flush_out(AmEngine *engine, int64_t deadline_ns, const char *what, Error *err)
{
    int left;
    while ((left = engine->pq.flush(engine->connection)) == 1) {
        if (!wait_socket(engine, POLLIN | POLLOUT, deadline_ns, what, err))
            return false;
        if (!engine->pq.consume_input(engine->connection))
            return fail(engine, what, err);
    }
    return left == 0 || fail(engine, what, err);
}

// What the data is to blame for, and not the state the engine is in.
static bool is_of_data(const char *sqlstate)
{
    return sqlstate && (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "54", 2) == 0);
}

static bool is_good(AmEngine *engine, const PGresult *result, const char *what, Error *err)
{
    ExecStatusType status = engine->pq.result_status(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return true;
    (void)fail(engine, what, err);
    if (is_of_data(engine->pq.error_field(result, PG_DIAG_SQLSTATE)))
        err->code = ERR_INVALID;
    return false;
}

// The last result of what was sent, NULL on failure. The others are dropped: after the last one the connection is free for the next.
static PGresult *collect_results(AmEngine *engine, int64_t deadline_ns, const char *what,
                                 Error *err)
{
    const Libpq *pq = &engine->pq;
    PGresult *last = NULL;
    bool ok = true;
    bool is_there = flush_out(engine, deadline_ns, what, err);
    while (is_there) {
        while (is_there && pq->is_busy(engine->connection)) {
            is_there = wait_socket(engine, POLLIN, deadline_ns, what, err);
            if (is_there && !pq->consume_input(engine->connection))
                is_there = fail(engine, what, err);
        }
        PGresult *result = is_there ? pq->get_result(engine->connection) : NULL;
        if (!result)
            break;
        ok = ok && is_good(engine, result, what, err);
        if (last)
            pq->clear(last);
        last = result;
    }
    if (is_there && ok && last)
        return last;
    if (is_there && ok)
        (void)fail(engine, what, err);
    if (last)
        pq->clear(last);
    return NULL;
}

// ---- queries ----

typedef struct Params {
    int count;
    Oid types[PARAMS_MAX];
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX];
    int64_t numbers[PARAMS_MAX];
} Params;

static void add_bytes(Params *params, Oid type, Str bytes)
{
    int at = params->count++;
    params->types[at] = type;
    params->values[at] = bytes.len ? bytes.ptr : "";
    params->lengths[at] = (int)bytes.len;
}

static void add_number(Params *params, int64_t number)
{
    int at = params->count++;
    params->numbers[at] = (int64_t)htobe64((uint64_t)number);
    params->types[at] = OID_INT8;
    params->values[at] = (const char *)&params->numbers[at];
    params->lengths[at] = sizeof(int64_t);
}

static bool send_query(AmEngine *engine, const char *what, const char *sql, const Params *params,
                       Error *err)
{
    static const int binary[PARAMS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    if (!engine->connection)
        return error_set(err, ERR_UNAVAILABLE, "%s: not connected", what);
    return engine->pq.send_params(engine->connection, sql, params->count, params->types,
                                  params->values, params->lengths, binary, 1) ||
           fail(engine, what, err);
}

static PGresult *ask(AmEngine *engine, const char *what, const char *sql, const Params *params,
                     Error *err)
{
    int64_t deadline_ns = clock_mono_ns(&clock_system) + STEP_TIMEOUT_NS;
    if (!send_query(engine, what, sql, params, err))
        return NULL;
    return collect_results(engine, deadline_ns, what, err);
}

static bool tell(AmEngine *engine, const char *what, const char *sql, const Params *params,
                 Error *err)
{
    PGresult *result = ask(engine, what, sql, params, err);
    if (!result)
        return false;
    engine->pq.clear(result);
    return true;
}

static Str text_at(const AmEngine *engine, const PGresult *result, int row, int column)
{
    return (Str){engine->pq.value(result, row, column),
                 (size_t)engine->pq.length(result, row, column)};
}

static int64_t number_at(const AmEngine *engine, const PGresult *result, int row, int column)
{
    uint64_t number = 0;
    Str bytes = text_at(engine, result, row, column);
    if (bytes.len == sizeof number)
        memcpy(&number, bytes.ptr, sizeof number);
    return (int64_t)be64toh(number);
}

// ---- life ----

static void pg_close(AmEngine *engine)
{
    if (!engine)
        return;
    if (engine->connection)
        engine->pq.finish(engine->connection);
    // The library stays loaded: others of its kind may have left things in it.
    arena_deinit(&engine->arena);
    free(engine);
}

static bool pg_open(Str url, AmEngine **ret_engine, Error *err)
{
    AmEngine *engine = X_NEW(AmEngine);
    char *fault = NULL;
    engine->url = str_to_c(&engine->arena, url);
    if (!load_library(&engine->pq, err)) {
        pg_close(engine);
        return false;
    }
    PQconninfoOption *parsed = engine->pq.conninfo_parse(engine->url, &fault);
    if (!parsed) {
        Str text = str_from_c(fault ? fault : "it cannot be read");
        error_set(err, ERR_INVALID, "the URL of the database: " STR_FMT,
                  STR_ARG(str_sub(text, 0, MIN(text.len, str_find_char(text, '\n')))));
        engine->pq.freemem(fault);
        pg_close(engine);
        return false;
    }
    engine->pq.conninfo_free(parsed);
    *ret_engine = engine;
    return true;
}

static bool dial(AmEngine *engine, Error *err)
{
    static const char what[] = "connect";
    const Libpq *pq = &engine->pq;
    int64_t deadline_ns = clock_mono_ns(&clock_system) + STEP_TIMEOUT_NS;
    engine->connection = pq->connect_start(engine->url);
    if (!engine->connection || pq->status(engine->connection) == CONNECTION_BAD)
        return fail(engine, what, err);
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (next == PGRES_POLLING_FAILED)
            return fail(engine, what, err);
        if (!wait_socket(engine, events, deadline_ns, what, err))
            return false;
        next = pq->connect_poll(engine->connection);
    }
    return pq->set_nonblocking(engine->connection, 1) == 0 || fail(engine, what, err);
}

// Several statements in one message are one transaction, and it is the engine that goes from one to the next.
static bool run(AmEngine *engine, const char *what, const char *sql, Error *err)
{
    int64_t deadline_ns = clock_mono_ns(&clock_system) + STEP_TIMEOUT_NS;
    if (!engine->pq.send_query(engine->connection, sql))
        return fail(engine, what, err);
    PGresult *result = collect_results(engine, deadline_ns, what, err);
    if (result)
        engine->pq.clear(result);
    return result != NULL;
}

static const char schema[] =
    // Those who start at the same time make the tables one after the other.
    "SELECT pg_advisory_xact_lock(7306382013);"
    "CREATE TABLE IF NOT EXISTS narthex_am_schema (version bigint PRIMARY KEY);"
    "INSERT INTO narthex_am_schema VALUES (1) ON CONFLICT DO NOTHING;"
    "CREATE TABLE IF NOT EXISTS narthex_am_instances (id text PRIMARY KEY, name text NOT NULL, "
    "address text NOT NULL, until timestamptz NOT NULL);"
    "CREATE TABLE IF NOT EXISTS narthex_am_silences (key bytea PRIMARY KEY, at bigint NOT NULL, "
    "expires bigint NOT NULL, body bytea NOT NULL, xid xid8 NOT NULL DEFAULT "
    "pg_current_xact_id());"
    "CREATE INDEX IF NOT EXISTS narthex_am_silences_xid ON narthex_am_silences (xid);"
    "CREATE TABLE IF NOT EXISTS narthex_am_log (key bytea PRIMARY KEY, at bigint NOT NULL, "
    "expires bigint NOT NULL, body bytea NOT NULL, xid xid8 NOT NULL DEFAULT "
    "pg_current_xact_id(), owner text);"
    "CREATE INDEX IF NOT EXISTS narthex_am_log_xid ON narthex_am_log (xid);";

static bool check_schema(AmEngine *engine, Error *err)
{
    Params none = {0};
    PGresult *result = ask(engine, "look for tables",
                           "SELECT to_regclass('narthex_am_log_xid') IS NULL", &none, err);
    if (!result)
        return false;
    Str missing = text_at(engine, result, 0, 0);
    bool is_missing = missing.len && missing.ptr[0];
    engine->pq.clear(result);
    if (is_missing && !run(engine, "make tables", schema, err))
        return false;
    result = ask(engine, "version", "SELECT max(version) FROM narthex_am_schema", &none, err);
    if (!result)
        return false;
    int64_t version = number_at(engine, result, 0, 0);
    engine->pq.clear(result);
    return version == SCHEMA_VERSION ||
           error_set(err, ERR_UNAVAILABLE, "the tables are of another version (%lld, not %d)",
                     (long long)version, SCHEMA_VERSION);
}

static bool pg_connect(AmEngine *engine, Error *err)
{
    if (engine->connection)
        engine->pq.finish(engine->connection);
    engine->connection = NULL;
    engine->locked[0] = 0;
    for (int t = 0; t < AM_STORE_TABLES; t++)
        memcpy(engine->since[t], "0", 2);
    bool ok = dial(engine, err) &&
              run(engine, "settings",
                  // The engine is to notice a machine that is gone sooner than its system does.
                  "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; "
                  "SET tcp_keepalives_count = 3; "
                  "SET statement_timeout = 2500; SET client_min_messages = warning; "
                  "SET default_transaction_isolation = 'read committed'",
                  err) &&
              check_schema(engine, err);
    if (!ok && engine->connection) {
        engine->pq.finish(engine->connection);
        engine->connection = NULL;
    }
    return ok;
}

// ---- instances ----

static bool read_members(AmEngine *engine, Arena *arena, AmMember **ret_members, size_t *ret_count,
                         Error *err)
{
    Params none = {0};
    PGresult *result = ask(engine, "members",
                           "SELECT DISTINCT ON (name) name, address, (until > now())::int::bigint "
                           "FROM narthex_am_instances ORDER BY name, until DESC",
                           &none, err);
    if (!result)
        return false;
    int count = engine->pq.rows(result);
    *ret_members = ARENA_ARRAY(arena, AmMember, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        (*ret_members)[i] = (AmMember){arena_str(arena, text_at(engine, result, i, 0)),
                                       arena_str(arena, text_at(engine, result, i, 1)),
                                       number_at(engine, result, i, 2) == 1};
    *ret_count = (size_t)count;
    engine->pq.clear(result);
    return true;
}

// Held until the connection ends. Those of lives before stay, too: their claims are this connection's own.
static bool show_connection(AmEngine *engine, Str id, Error *err)
{
    Params params = {0};
    if (str_is(id, engine->locked))
        return true;
    add_bytes(&params, OID_TEXT, id);
    // A connection before this one may still hold it; then the next heartbeat gets it.
    PGresult *result =
        ask(engine, "lock of the instance",
            "SELECT pg_try_advisory_lock(" LOCK_OF("$1") ")::int::bigint", &params, err);
    if (!result)
        return false;
    if (number_at(engine, result, 0, 0) == 1 && id.len < sizeof engine->locked) {
        memcpy(engine->locked, id.ptr, id.len);
        engine->locked[id.len] = 0;
    }
    engine->pq.clear(result);
    return true;
}

static bool pg_beat(AmEngine *engine, const AmSelf *self, bool *ret_held, Arena *arena,
                    AmMember **ret_members, size_t *ret_count, Error *err)
{
    Params params = {0};
    if (!show_connection(engine, self->id, err))
        return false;
    add_bytes(&params, OID_TEXT, self->id);
    add_bytes(&params, OID_TEXT, self->name);
    add_bytes(&params, OID_TEXT, self->address);
    add_number(&params, self->lease_ms);
    PGresult *result =
        ask(engine, "heartbeat",
            "INSERT INTO narthex_am_instances AS i (id, name, address, until) "
            "VALUES ($1, $2, $3, now() + $4 * interval '1 millisecond') ON CONFLICT (id) DO UPDATE "
            "SET until = excluded.until WHERE i.until > now() RETURNING 1",
            &params, err);
    if (!result)
        return false;
    *ret_held = engine->pq.rows(result) == 1;
    engine->pq.clear(result);
    return read_members(engine, arena, ret_members, ret_count, err);
}

static bool pg_leave(AmEngine *engine, const AmSelf *self, Error *err)
{
    Params params = {0};
    add_bytes(&params, OID_TEXT, self->id);
    return tell(engine, "leave", "DELETE FROM narthex_am_instances WHERE id = $1", &params, err);
}

// ---- rows ----

static bool pg_fetch(AmEngine *engine, AmStoreTable table, void (*row)(void *arg, const AmRow *row),
                     void *arg, Error *err)
{
    CLEANUP(buf_deinit) Buf sql = {0};
    Params params = {0};
    buf_printf(&sql,
               "SELECT s.since, r.key, r.at, r.expires, r.body FROM (SELECT "
               "pg_snapshot_xmin(pg_current_snapshot())::text AS since) s LEFT JOIN %s r "
               "ON r.xid >= $1::xid8 AND r.at > 0",
               table_names[table]);
    buf_add_char(&sql, 0);
    add_bytes(&params, OID_TEXT, str_from_c(engine->since[table]));
    PGresult *result = ask(engine, "fetch", sql.ptr, &params, err);
    if (!result)
        return false;
    int count = engine->pq.rows(result);
    for (int i = 0; i < count; i++) {
        if (engine->pq.is_null(result, i, 1))
            continue;
        row(arg, &(AmRow){.key = text_at(engine, result, i, 1),
                          .at_ns = number_at(engine, result, i, 2),
                          .expires_ns = number_at(engine, result, i, 3),
                          .body = text_at(engine, result, i, 4)});
    }
    Str since = count ? text_at(engine, result, 0, 0) : STR_NONE;
    if (since.len && since.len < sizeof engine->since[table]) {
        memcpy(engine->since[table], since.ptr, since.len);
        engine->since[table][since.len] = 0;
    }
    engine->pq.clear(result);
    return true;
}

#define UPSERT                                                                                     \
    "ON CONFLICT (key) DO UPDATE SET at = excluded.at, expires = excluded.expires, "               \
    "body = excluded.body, xid = pg_current_xact_id() WHERE r.at < excluded.at"

static void add_row(Params *params, const AmRow *row)
{
    add_bytes(params, OID_BYTEA, row->key);
    add_number(params, row->at_ns);
    add_number(params, row->expires_ns);
    add_bytes(params, OID_BYTEA, row->body);
}

static const char *const write_plain[AM_STORE_TABLES] = {
    "INSERT INTO narthex_am_silences AS r (key, at, expires, body) VALUES ($1, $2, $3, $4) " UPSERT,
    "INSERT INTO narthex_am_log AS r (key, at, expires, body) VALUES ($1, $2, $3, $4) " UPSERT,
};
static const char write_owned[] =
    "WITH done AS (UPDATE narthex_am_log SET at = $2, expires = $3, body = $4, owner = NULL, "
    "xid = pg_current_xact_id() WHERE key = $1 AND owner = $5 RETURNING 1) "
    "INSERT INTO narthex_am_log AS r (key, at, expires, body) SELECT $1, $2, $3, $4 "
    "WHERE NOT EXISTS (SELECT 1 FROM done) " UPSERT;

static bool pg_write(AmEngine *engine, AmStoreTable table, const AmRow *row, Str owner, Error *err)
{
    Params params = {0};
    if (row->body.len)
        add_row(&params, row);
    else
        add_bytes(&params, OID_BYTEA, row->key);
    if (owner.len)
        add_bytes(&params, OID_TEXT, owner);
    if (row->body.len == 0)
        return tell(engine, "release",
                    "UPDATE narthex_am_log SET owner = NULL WHERE key = $1 AND owner = $2", &params,
                    err);
    return tell(engine, "write", owner.len ? write_owned : write_plain[table], &params, err);
}

static const char result_of_write[] = "write a result";

static bool pg_begin_write(AmEngine *engine, const AmRow *row, Str owner)
{
    Error ignored;
    Params params = {0};
    add_row(&params, row);
    add_bytes(&params, OID_TEXT, owner);
    if (!send_query(engine, result_of_write, write_owned, &params, &ignored))
        return false;
    // What the socket does not take now goes with end_write(), which also tells what went wrong.
    (void)engine->pq.flush(engine->connection);
    return true;
}

static bool pg_end_write(AmEngine *engine, Error *err)
{
    int64_t deadline_ns = clock_mono_ns(&clock_system) + STEP_TIMEOUT_NS;
    PGresult *result = collect_results(engine, deadline_ns, result_of_write, err);
    if (!result)
        return false;
    engine->pq.clear(result);
    return true;
}

static bool look_at(AmEngine *engine, Str key, int64_t seen_ns, Arena *arena,
                    AmVerdict *ret_verdict, AmRow *ret_row, Error *err)
{
    Params params = {0};
    add_bytes(&params, OID_BYTEA, key);
    PGresult *result =
        ask(engine, "look", "SELECT at, expires, body FROM narthex_am_log WHERE key = $1", &params,
            err);
    if (!result)
        return false;
    *ret_verdict = AM_CLAIM_BUSY;
    if (engine->pq.rows(result) == 1 && number_at(engine, result, 0, 0) > seen_ns) {
        *ret_verdict = AM_CLAIM_STALE;
        *ret_row = (AmRow){.key = arena_str(arena, key),
                           .at_ns = number_at(engine, result, 0, 0),
                           .expires_ns = number_at(engine, result, 0, 1),
                           .body = arena_str(arena, text_at(engine, result, 0, 2))};
    }
    engine->pq.clear(result);
    return true;
}

// A conflict makes the engine look at the row as it is now, not as it was when the statement began: what was written in between
// refuses the claim. The lock of an instance whose connection has ended, or is this one, is there to be had, and free again at once.
static bool pg_claim(AmEngine *engine, const AmSelf *self, Str key, int64_t seen_ns, Arena *arena,
                     AmVerdict *ret_verdict, AmRow *ret_row, Error *err)
{
    Params params = {0};
    add_bytes(&params, OID_BYTEA, key);
    add_bytes(&params, OID_TEXT, self->id);
    add_number(&params, seen_ns);
    add_number(&params, AM_DOUBT_LEASES * self->lease_ms);
    PGresult *result =
        ask(engine, "claim",
            "INSERT INTO narthex_am_log AS r (key, at, expires, body, owner) VALUES ($1, 0, "
            "((extract(epoch FROM now()) + 3600) * 1000000000)::bigint, '', $2) "
            "ON CONFLICT (key) DO UPDATE SET owner = $2 WHERE r.at <= $3 AND "
            "(r.owner IS NULL OR r.owner = $2 OR NOT EXISTS (SELECT 1 FROM narthex_am_instances i "
            "WHERE i.id = r.owner AND (i.until > clock_timestamp() OR "
            "(i.until > clock_timestamp() - $4 * interval '1 millisecond' AND NOT "
            "pg_try_advisory_xact_lock(" LOCK_OF("i.id") "))))) RETURNING 1",
            &params, err);
    if (!result)
        return false;
    bool granted = engine->pq.rows(result) == 1;
    engine->pq.clear(result);
    if (!granted)
        return look_at(engine, key, seen_ns, arena, ret_verdict, ret_row, err);
    *ret_verdict = AM_CLAIM_GRANTED;
    return true;
}

static bool pg_collect(AmEngine *engine, int64_t now_ns, Error *err)
{
    Params params = {0};
    Params none = {0};
    add_number(&params, now_ns);
    return tell(engine, "collect", "DELETE FROM narthex_am_silences WHERE expires < $1", &params,
                err) &&
           tell(engine, "collect",
                "DELETE FROM narthex_am_log r WHERE expires < $1 AND (owner IS NULL OR NOT EXISTS "
                "(SELECT 1 FROM narthex_am_instances i WHERE i.id = r.owner AND i.until > now()))",
                &params, err) &&
           tell(engine, "collect",
                "DELETE FROM narthex_am_instances WHERE until < now() - interval '1 hour'", &none,
                err);
}

const AmEngineKind am_engine_postgres = {
    .name = "postgres",
    .schemes = {"postgres", "postgresql", NULL},
    .open = pg_open,
    .close = pg_close,
    .connect = pg_connect,
    .beat = pg_beat,
    .leave = pg_leave,
    .fetch = pg_fetch,
    .write = pg_write,
    .begin_write = pg_begin_write,
    .end_write = pg_end_write,
    .claim = pg_claim,
    .collect = pg_collect,
};
