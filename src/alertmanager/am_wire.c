// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_wire.h"

#include "codec/protobuf.h"

enum { WIRE_EQUAL, WIRE_REGEX, WIRE_NOT_EQUAL, WIRE_NOT_REGEX };

// ---- times ----

void am_wire_add_seconds(Buf *buf, uint32_t field, int64_t s, int32_t ns)
{
    size_t begin = proto_begin(buf, field);
    if (s)
        proto_add_varint(buf, 1, (uint64_t)s);
    if (ns)
        proto_add_varint(buf, 2, (uint64_t)ns);
    proto_end(buf, begin);
}

static void add_time(Buf *buf, uint32_t field, int64_t t_ns)
{
    int64_t s;
    int32_t ns;
    am_time_split(t_ns, &s, &ns);
    am_wire_add_seconds(buf, field, s, ns);
}

static int64_t read_time(Str message)
{
    ProtoReader r = proto_reader(message);
    int64_t s = 0;
    int64_t ns = 0;
    while (proto_next(&r)) {
        if (r.field == 1)
            s = (int64_t)r.number;
        else if (r.field == 2)
            ns = (int64_t)r.number;
    }
    return am_time_join(s, MIN(MAX(ns, 0), AM_S_NS - 1));
}

// ---- silences ----

static void add_matcher(Buf *buf, uint32_t field, const Matcher *m)
{
    static const uint8_t types[] = {WIRE_EQUAL, WIRE_NOT_EQUAL, WIRE_REGEX, WIRE_NOT_REGEX};
    size_t begin = proto_begin(buf, field);
    if (types[m->kind])
        proto_add_varint(buf, 1, types[m->kind]);
    if (m->name.len)
        proto_add_bytes(buf, 2, m->name);
    if (m->value.len)
        proto_add_bytes(buf, 3, m->value);
    proto_end(buf, begin);
}

static void add_annotation(Buf *buf, uint32_t field, Label pair)
{
    size_t begin = proto_begin(buf, field);
    proto_add_bytes(buf, 1, pair.name);
    proto_add_bytes(buf, 2, pair.value);
    proto_end(buf, begin);
}

static void add_silence(Buf *buf, const AmSilenceData *silence)
{
    proto_add_bytes(buf, 1, silence->id);
    for (size_t i = 0; silence->set_count && i < silence->sets[0].count; i++)
        add_matcher(buf, 2, &silence->sets[0].items[i]);
    add_time(buf, 3, silence->starts_ns);
    add_time(buf, 4, silence->ends_ns);
    add_time(buf, 5, silence->updated_ns);
    if (silence->created_by.len)
        proto_add_bytes(buf, 8, silence->created_by);
    if (silence->comment.len)
        proto_add_bytes(buf, 9, silence->comment);
    for (size_t i = 0; i < silence->annotations.count; i++)
        add_annotation(buf, 10, silence->annotations.pairs[i]);
    for (size_t i = 0; i < silence->set_count; i++) {
        size_t begin = proto_begin(buf, 11);
        for (size_t k = 0; k < silence->sets[i].count; k++)
            add_matcher(buf, 1, &silence->sets[i].items[k]);
        proto_end(buf, begin);
    }
}

void am_wire_add_silence(Buf *buf, const AmSilenceData *silence)
{
    size_t begin = proto_begin(buf, 1);
    add_silence(buf, silence);
    proto_end(buf, begin);
    add_time(buf, 2, silence->expires_ns);
}

size_t am_wire_silence_bytes(const AmSilenceData *silence)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    am_wire_add_silence(&buf, silence);
    return buf.len;
}

static bool read_matcher(Str message, Arena *arena, AmMatchers *set, Error *err)
{
    static const MatchKind kinds[] = {MATCH_EQUAL, MATCH_REGEX, MATCH_NOT_EQUAL, MATCH_NOT_REGEX};
    ProtoReader r = proto_reader(message);
    uint64_t type = WIRE_EQUAL;
    Str name = STR_NONE;
    Str value = STR_NONE;
    while (proto_next(&r)) {
        if (r.field == 1)
            type = r.number;
        else if (r.field == 2)
            name = r.bytes;
        else if (r.field == 3)
            value = r.bytes;
    }
    if (r.failed || type >= COUNT_OF(kinds))
        return error_set(err, ERR_CORRUPT, "bad matcher in a silence");
    set->items = arena_grow(arena, set->items, set->count * sizeof *set->items,
                            (set->count + 1) * sizeof *set->items);
    if (!am_matcher_init(&set->items[set->count], kinds[type], name, value, arena, err))
        return false;
    set->count++;
    return true;
}

static bool read_set(Str message, Arena *arena, AmSilenceData *silence, Error *err)
{
    ProtoReader r = proto_reader(message);
    if (silence->set_count == AM_MATCHER_SETS_MAX)
        return error_set(err, ERR_LIMIT, "a silence has more than %d sets of matchers",
                         AM_MATCHER_SETS_MAX);
    AmMatchers *set = &silence->sets[silence->set_count++];
    while (proto_next(&r))
        if (r.field == 1 && !read_matcher(r.bytes, arena, set, err))
            return false;
    return !r.failed || error_set(err, ERR_CORRUPT, "bad set of matchers in a silence");
}

static void read_annotation(Str message, Arena *arena, LabelsBuilder *builder)
{
    ProtoReader r = proto_reader(message);
    Str name = STR_NONE;
    Str value = STR_NONE;
    while (proto_next(&r)) {
        if (r.field == 1)
            name = r.bytes;
        else if (r.field == 2)
            value = r.bytes;
    }
    labels_builder_set(builder, arena_str(arena, name), arena_str(arena, value));
}

// Author and text of the first of the old comments.
static void read_comment(Str message, Arena *arena, AmSilenceData *silence)
{
    ProtoReader r = proto_reader(message);
    if (silence->created_by.len || silence->comment.len)
        return;
    while (proto_next(&r)) {
        if (r.field == 1)
            silence->created_by = arena_str(arena, r.bytes);
        else if (r.field == 2)
            silence->comment = arena_str(arena, r.bytes);
    }
}

static bool read_silence(Str message, Arena *arena, AmSilenceData *silence, Error *err)
{
    ProtoReader r = proto_reader(message);
    AmMatchers old = {0};
    LabelsBuilder annotations;
    bool ok = true;
    labels_builder_init(&annotations, arena, LABELS_NONE);
    while (ok && proto_next(&r)) {
        switch (r.field) {
        case 1:
            silence->id = arena_str(arena, r.bytes);
            break;
        case 2:
            ok = read_matcher(r.bytes, arena, &old, err);
            break;
        case 3:
            silence->starts_ns = read_time(r.bytes);
            break;
        case 4:
            silence->ends_ns = read_time(r.bytes);
            break;
        case 5:
            silence->updated_ns = read_time(r.bytes);
            break;
        case 7:
            read_comment(r.bytes, arena, silence);
            break;
        case 8:
            silence->created_by = arena_str(arena, r.bytes);
            break;
        case 9:
            silence->comment = arena_str(arena, r.bytes);
            break;
        case 10:
            read_annotation(r.bytes, arena, &annotations);
            break;
        case 11:
            ok = read_set(r.bytes, arena, silence, err);
            break;
        default:
            break;
        }
    }
    silence->annotations = labels_builder_finish(&annotations);
    if (silence->set_count == 0 && old.count)
        silence->sets[silence->set_count++] = old;
    else
        am_matchers_deinit(&old);
    if (ok && (r.failed || silence->id.len == 0))
        ok = error_set(err, ERR_CORRUPT, "bad silence");
    return ok;
}

bool am_wire_read_silence(Str message, Arena *arena, AmSilenceData *ret_silence, Error *err)
{
    ProtoReader r = proto_reader(message);
    AmSilenceData silence = {.sets = arena_zalloc(arena, AM_MATCHER_SETS_MAX * sizeof(AmMatchers))};
    bool ok = true;
    while (ok && proto_next(&r)) {
        if (r.field == 1)
            ok = read_silence(r.bytes, arena, &silence, err);
        else if (r.field == 2)
            silence.expires_ns = read_time(r.bytes);
    }
    if (ok && (r.failed || silence.id.len == 0))
        ok = error_set(err, ERR_CORRUPT, "bad silence");
    if (!ok) {
        am_wire_free_silence(&silence);
        return false;
    }
    *ret_silence = silence;
    return true;
}

void am_wire_free_silence(AmSilenceData *silence)
{
    for (size_t i = 0; i < silence->set_count; i++)
        am_matchers_deinit(&silence->sets[i]);
    silence->set_count = 0;
}

// ---- the log ----

static void add_hashes(Buf *buf, uint32_t field, const uint64_t *hashes, size_t count)
{
    if (count == 0)
        return;
    size_t begin = proto_begin(buf, field);
    for (size_t i = 0; i < count; i++)
        buf_add_uvarint(buf, hashes[i]);
    proto_end(buf, begin);
}

static void add_receiver_data(Buf *buf, const char *key, Str value)
{
    if (value.len == 0)
        return;
    size_t begin = proto_begin(buf, 8);
    proto_add_bytes(buf, 1, str_from_c(key));
    size_t inner = proto_begin(buf, 2);
    proto_add_bytes(buf, 1, value);
    proto_end(buf, inner);
    proto_end(buf, begin);
}

void am_wire_add_log(Buf *buf, const AmLogData *entry)
{
    size_t begin = proto_begin(buf, 1);
    proto_add_bytes(buf, 1, entry->group_key);
    size_t receiver = proto_begin(buf, 2);
    proto_add_bytes(buf, 1, entry->receiver);
    proto_add_bytes(buf, 2, entry->integration);
    if (entry->index)
        proto_add_varint(buf, 3, entry->index);
    proto_end(buf, receiver);
    add_time(buf, 5, entry->at_ns);
    add_hashes(buf, 6, entry->firing, entry->firing_count);
    add_hashes(buf, 7, entry->resolved, entry->resolved_count);
    add_receiver_data(buf, "channelId", entry->channel_id);
    add_receiver_data(buf, "threadTs", entry->thread_ts);
    proto_end(buf, begin);
    add_time(buf, 2, entry->expires_ns);
}

// Packed or one by one.
static bool read_hashes(const ProtoReader *r, Arena *arena, uint64_t **list, size_t *count)
{
    Reader packed = reader_from(r->bytes);
    uint64_t hash;
    if (r->wire == PROTO_VARINT) {
        *list = arena_grow(arena, *list, *count * sizeof **list, (*count + 1) * sizeof **list);
        (*list)[(*count)++] = r->number;
        return true;
    }
    // Each takes a byte at least.
    *list =
        arena_grow(arena, *list, *count * sizeof **list, (*count + r->bytes.len) * sizeof **list);
    while (proto_packed_next(&packed, PROTO_VARINT, &hash))
        (*list)[(*count)++] = hash;
    return !packed.failed;
}

static void read_receiver(Str message, Arena *arena, AmLogData *entry)
{
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1)
            entry->receiver = arena_str(arena, r.bytes);
        else if (r.field == 2)
            entry->integration = arena_str(arena, r.bytes);
        else if (r.field == 3)
            entry->index = (uint32_t)r.number;
    }
}

static void read_receiver_data(Str message, Arena *arena, AmLogData *entry)
{
    ProtoReader r = proto_reader(message);
    Str key = STR_NONE;
    Str value = STR_NONE;
    while (proto_next(&r)) {
        if (r.field == 1)
            key = r.bytes;
        if (r.field == 2) {
            ProtoReader inner = proto_reader(r.bytes);
            while (proto_next(&inner))
                if (inner.field == 1)
                    value = inner.bytes;
        }
    }
    if (str_is(key, "threadTs"))
        entry->thread_ts = arena_str(arena, value);
    else if (str_is(key, "channelId"))
        entry->channel_id = arena_str(arena, value);
}

static bool read_entry(Str message, Arena *arena, AmLogData *entry)
{
    ProtoReader r = proto_reader(message);
    bool ok = true;
    while (ok && proto_next(&r)) {
        switch (r.field) {
        case 1:
            entry->group_key = arena_str(arena, r.bytes);
            break;
        case 2:
            read_receiver(r.bytes, arena, entry);
            break;
        case 5:
            entry->at_ns = read_time(r.bytes);
            break;
        case 6:
            ok = read_hashes(&r, arena, &entry->firing, &entry->firing_count);
            break;
        case 7:
            ok = read_hashes(&r, arena, &entry->resolved, &entry->resolved_count);
            break;
        case 8:
            read_receiver_data(r.bytes, arena, entry);
            break;
        default:
            break;
        }
    }
    return ok && !r.failed;
}

bool am_wire_read_log(Str message, Arena *arena, AmLogData *ret_entry, Error *err)
{
    ProtoReader r = proto_reader(message);
    AmLogData entry = {0};
    bool ok = true;
    while (ok && proto_next(&r)) {
        if (r.field == 1)
            ok = read_entry(r.bytes, arena, &entry);
        else if (r.field == 2)
            entry.expires_ns = read_time(r.bytes);
    }
    if (!ok || r.failed || entry.group_key.len == 0)
        return error_set(err, ERR_CORRUPT, "bad entry of the notification log");
    *ret_entry = entry;
    return true;
}

bool am_wire_next(Str *rest, Str *ret_message, bool *ret_bad)
{
    uint64_t len = 0;
    size_t at = 0;
    *ret_bad = false;
    if (rest->len == 0)
        return false;
    for (int shift = 0; shift < 35; shift += 7) {
        if (at == rest->len)
            break;
        uint8_t byte = (uint8_t)rest->ptr[at++];
        len |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            if (len > rest->len - at)
                break;
            *ret_message = str_sub(*rest, at, len);
            *rest = str_skip(*rest, at + len);
            return true;
        }
    }
    *ret_bad = true;
    return false;
}
