// SPDX-License-Identifier: Apache-2.0
// am_wire.h: silences and entries of the notification log as the original's protobuf messages: alertmanager.md sections 11, 12. So are
// the rows of the database, and the original's snapshot files can be taken over.
#pragma once

#include "alertmanager/am_matcher.h"
#include "alertmanager/am_time.h"

#define AM_MATCHER_SETS_MAX 64
#define AM_WIRE_BYTES_MAX ((size_t)64 << 20)

typedef struct AmSilenceData {
    Str id;
    AmMatchers *sets; // any of them; the API knows one
    size_t set_count;
    int64_t starts_ns, ends_ns, updated_ns, expires_ns;
    Str created_by, comment;
    Labels annotations;
} AmSilenceData;

// google.protobuf.Timestamp and Duration.
void am_wire_add_seconds(Buf *buf, uint32_t field, int64_t s, int32_t ns);

void am_wire_add_silence(Buf *buf, const AmSilenceData *silence);
// Strings are copied into the arena; am_wire_free_silence frees the regexes.
bool am_wire_read_silence(Str message, Arena *arena, AmSilenceData *ret_silence,
                          Error *err) MUST_CHECK;
void am_wire_free_silence(AmSilenceData *silence);
// The size that --silences.max-silence-size-bytes speaks of.
size_t am_wire_silence_bytes(const AmSilenceData *silence);

typedef struct AmLogData {
    Str group_key, receiver, integration;
    uint32_t index;
    int64_t at_ns, expires_ns;
    uint64_t *firing, *resolved; // hashes of alerts
    size_t firing_count, resolved_count;
    Str thread_ts, channel_id; // receiver data of slack
} AmLogData;

void am_wire_add_log(Buf *buf, const AmLogData *entry);
bool am_wire_read_log(Str message, Arena *arena, AmLogData *ret_entry, Error *err) MUST_CHECK;

// The next message of a file of the original: its length as a varint, then the message. False at the end; *ret_bad: what follows
// is none.
bool am_wire_next(Str *rest, Str *ret_message, bool *ret_bad);
