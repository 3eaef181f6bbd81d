// SPDX-License-Identifier: Apache-2.0
// am_silence.h: silences: made, changed, expired, asked whether they hold an alert back: alertmanager.md section 12.
//
// Matching looks only at silences that could match: each set of matchers stands under one of its equalities in an index.
// Thread: belongs to the lock of Am.
#pragma once

#include "alertmanager/am_shared.h"
#include "alertmanager/am_store.h"
#include "alertmanager/am_table.h"
#include "alertmanager/am_wire.h"
#include "base/map.h"
#include "client/registry.h"

typedef enum AmSilenceState {
    AM_SILENCE_EXPIRED,
    AM_SILENCE_ACTIVE,
    AM_SILENCE_PENDING
} AmSilenceState;

typedef struct AmSilence {
    Arena arena;
    AmSilenceData data;
    bool in_engine; // the shared engine has it, or will
} AmSilence;

typedef struct AmSilenceLimits {
    int64_t count_max; // 0: none
    int64_t bytes_max; // of one; 0: none
} AmSilenceLimits;

typedef struct AmSilences {
    Map by_id;          // AmSilence
    AmTable index;      // hash of an equality to AmSilenceList
    AmSilence **others; // without an equality
    size_t other_count;
    bool index_is_old;
    HistogramMetric *query_seconds; // may be NULL
    AmStore *store;                 // NULL: kept in memory alone
    AmShared *shared;               // NULL: this instance is the only one
    uint64_t shared_ticket;         // of the last change there
    int64_t retention_ns;
    AmSilenceLimits limits;
    uint64_t queries, scanned, skipped;
    size_t unreadable; // rows that could not be read
} AmSilences;

void am_silences_deinit(AmSilences *silences);
bool am_silences_load(AmSilences *silences, int64_t now_ns, Error *err) MUST_CHECK;
// Takes over the file of the original.
bool am_silences_import(AmSilences *silences, Str bytes, int64_t now_ns, size_t *ret_count,
                        Error *err) MUST_CHECK;

AmSilenceState am_silence_state(const AmSilenceData *silence, int64_t now_ns);
const char *am_silence_state_name(AmSilenceState state);
const AmSilence *am_silences_find(const AmSilences *silences, Str id);

// Takes over what another instance has made or changed: the newer one counts.
bool am_silences_merge(AmSilences *silences, Str message, int64_t now_ns, Error *err) MUST_CHECK;
// Gives the shared engine what it does not have.
void am_silences_share(AmSilences *silences);

// Makes a silence (empty id) or changes one; the id may become another. Copies `data`. *ret_ticket is for am_store_wait.
//
// Fails  ERR_NOT_FOUND for an unknown id, ERR_INVALID for what may not be
bool am_silences_set(AmSilences *silences, const AmSilenceData *data, bool utf8, int64_t now_ns,
                     const AmSilence **ret_silence, uint64_t *ret_ticket, Error *err) MUST_CHECK;
// Ends a silence now. One that is over stays as it is.
bool am_silences_expire(AmSilences *silences, Str id, int64_t now_ns, uint64_t *ret_ticket,
                        Error *err) MUST_CHECK;

// Active silences that match, at most `max`, sorted by id. Returns how many.
size_t am_silences_match(AmSilences *silences, Labels labels, int64_t now_ns,
                         const AmSilence **ret_list, size_t max);
// The same to decide whether an alert is held back: a span where this thread's is recorded.
size_t am_silences_mute(AmSilences *silences, Labels labels, int64_t now_ns,
                        const AmSilence **ret_list, size_t max);
// Drops silences whose retention is over. Returns how many.
size_t am_silences_collect(AmSilences *silences, int64_t now_ns);
