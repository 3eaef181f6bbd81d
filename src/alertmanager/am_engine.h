// SPDX-License-Identifier: Apache-2.0
// am_engine.h: an engine in which several instances keep what they share: am_shared.h asks it, am_engine_kinds names those that exist.
//
//     instances  id, name, address, until     alive until then, by the engine's clock
//     silences   key, at, expires, body       the newer `at` wins
//     log        key, at, expires, body, owner    the same, and which instance is about to tell the group
//
// (1) Each function is one step of the engine: an instance that stops between two of them holds no lock of the engine.
// (2) A claim on a row of the log holds as long as its owner is alive; it is given only on the row that the asker has seen. An owner that
//     is not, but whose connection is (it is paused: its request may be out), keeps it for AM_DOUBT_LEASES more.
// (3) No function waits longer than a few seconds. ERR_UNAVAILABLE: the engine is away; ERR_INVALID: it does not take this row.
//
// Thread: one at a time.
#pragma once

#include "alertmanager/am_store.h"
#include "base/arena.h"

#define AM_DOUBT_LEASES 3

typedef struct AmEngine AmEngine;

typedef struct AmRow {
    Str key, body;
    int64_t at_ns, expires_ns;
} AmRow;

typedef struct AmMember {
    Str name, address;
    bool is_alive; // its lease lasts; the others were there within the hour
} AmMember;

typedef enum AmVerdict {
    AM_CLAIM_GRANTED, // tell the group, then write the row as its owner
    AM_CLAIM_STALE,   // the log has another row than the one seen: here it is
    AM_CLAIM_BUSY,    // another instance is about to tell
    AM_CLAIM_ALONE,   // the engine is away; no engine says this
    AM_CLAIM_VERDICTS
} AmVerdict;

#define AM_ENGINE_ID_BYTES 33 // of an instance's id as text

// An instance as the engine knows it. `id` is new for each life and after each lapse.
typedef struct AmSelf {
    Str id, name, address;
    int64_t lease_ms;
} AmSelf;

typedef struct AmEngineKind {
    const char *name;
    const char *schemes[3]; // of its URLs; NULL behind the last
    // Takes the URL; does not connect.
    bool (*open)(Str url, AmEngine **ret_engine, Error *err);
    void (*close)(AmEngine *engine); // accepts NULL
    // Connects anew and makes the tables that are missing.
    bool (*connect)(AmEngine *engine, Error *err);
    // Makes the lease last from now. *ret_held is false if it has run out. The members, sorted by name, in the arena.
    bool (*beat)(AmEngine *engine, const AmSelf *self, bool *ret_held, Arena *arena,
                 AmMember **ret_members, size_t *ret_count, Error *err);
    bool (*leave)(AmEngine *engine, const AmSelf *self, Error *err);
    // Rows that may have changed since the last fetch; all after connect().
    bool (*fetch)(AmEngine *engine, AmStoreTable table, void (*row)(void *arg, const AmRow *row),
                  void *arg, Error *err);
    // Writes a row unless there is a newer one. With an owner who still holds the claim it is written and the claim ends; without a
    // body only the claim ends.
    bool (*write)(AmEngine *engine, AmStoreTable table, const AmRow *row, Str owner, Error *err);
    // write() of a row of the log by its owner in two halves: what is sent takes place, whatever becomes of this process. False: it cannot
    // be sent now. What came of it is asked before any other function is called.
    bool (*begin_write)(AmEngine *engine, const AmRow *row, Str owner);
    bool (*end_write)(AmEngine *engine, Error *err);
    // *ret_row (in the arena) is what the log has; for AM_CLAIM_STALE.
    bool (*claim)(AmEngine *engine, const AmSelf *self, Str key, int64_t seen_ns, Arena *arena,
                  AmVerdict *ret_verdict, AmRow *ret_row, Error *err);
    // Drops rows that are over and instances long gone.
    bool (*collect)(AmEngine *engine, int64_t now_ns, Error *err);
} AmEngineKind;

// By the scheme of a URL; NULL if there is none.
const AmEngineKind *am_engine_kind_of(Str url);

extern const AmEngineKind am_engine_postgres;
