// SPDX-License-Identifier: Apache-2.0
// The ReadRequest message. Facts: prometheus.md section 7.4.
#include "remote/remote_read_internal.h"

#define READ_MATCHERS_MAX 1000
#define READ_GROUPING_MAX 1000

static bool bad(Error *err, const char *what)
{
    return error_set(err, ERR_INVALID, "remote read request: %s", what);
}

// An equality matcher of an external label looks for series without that label: stored series do not have it.
static bool is_external(const ReadRun *run, Str name, Str value)
{
    return value.len > 0 && str_equal(labels_get(run->external, name), value);
}

static bool decode_matcher(ReadRun *run, Str message, Matcher *ret_matcher, Error *err)
{
    uint64_t type = MATCH_EQUAL;
    Str name = STR_NONE;
    Str value = STR_NONE;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT)
            type = r.number;
        else if (r.field == 2 && r.wire == PROTO_BYTES)
            name = r.bytes;
        else if (r.field == 3 && r.wire == PROTO_BYTES)
            value = r.bytes;
    }
    if (r.failed)
        return bad(err, "malformed matcher");
    if (type > MATCH_NOT_REGEX)
        return bad(err, "invalid matcher type");
    if (!str_is_utf8(name) || !str_is_utf8(value))
        return bad(err, "matcher is not UTF-8");
    if (type == MATCH_EQUAL && is_external(run, name, value))
        value = STR_NONE;
    return matcher_init(ret_matcher, (MatchKind)type, name, value, run->arena, err);
}

static bool decode_hints(ReadRun *run, Str message, ReadQuery *query, Error *err)
{
    SelectHints *hints = &query->hints;
    size_t cap = 0;
    query->has_hints = true;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        switch (r.field) {
        case 1:
            hints->step_ms = (int64_t)r.number;
            break;
        case 2:
            hints->func = arena_str(run->arena, r.bytes);
            break;
        case 3:
            hints->start_ms = (int64_t)r.number;
            break;
        case 4:
            hints->end_ms = (int64_t)r.number;
            break;
        case 5:
            if (hints->grouping_count == READ_GROUPING_MAX)
                return bad(err, "too many labels in a grouping");
            if (hints->grouping_count == cap) {
                size_t grown = MAX(cap * 2, 8u);
                hints->grouping =
                    arena_grow(run->arena, hints->grouping, cap * sizeof(Str), grown * sizeof(Str));
                cap = grown;
            }
            hints->grouping[hints->grouping_count++] = arena_str(run->arena, r.bytes);
            break;
        case 6:
            hints->by = r.number != 0;
            break;
        case 7:
            hints->range_ms = (int64_t)r.number;
            break;
        default:
            break;
        }
    }
    return !r.failed || bad(err, "malformed hints");
}

static size_t count_fields(Str message, uint32_t field)
{
    size_t count = 0;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r))
        count += r.field == field;
    return count;
}

static bool decode_query(ReadRun *run, Str message, ReadQuery *query, Error *err)
{
    size_t matchers = count_fields(message, 3);
    if (matchers > READ_MATCHERS_MAX)
        return bad(err, "too many matchers");
    query->matchers = arena_zalloc(run->arena, matchers * sizeof(Matcher));
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT) {
            query->start_ms = (int64_t)r.number;
        } else if (r.field == 2 && r.wire == PROTO_VARINT) {
            query->end_ms = (int64_t)r.number;
        } else if (r.field == 3 && r.wire == PROTO_BYTES) {
            if (!decode_matcher(run, r.bytes, &query->matchers[query->matcher_count], err))
                return false;
            query->matcher_count++;
        } else if (r.field == 4 && r.wire == PROTO_BYTES) {
            if (!decode_hints(run, r.bytes, query, err))
                return false;
        }
    }
    return !r.failed || bad(err, "malformed query");
}

// The first type that we know is it; none at all means samples.
typedef struct TypeChoice {
    bool any, found;
    int type;
} TypeChoice;

static void offer_type(TypeChoice *choice, uint64_t type)
{
    choice->any = true;
    if (choice->found || type > READ_STREAMED_CHUNKS)
        return;
    choice->found = true;
    choice->type = (int)type;
}

static void offer_types(TypeChoice *choice, const ProtoReader *r)
{
    if (r->wire == PROTO_VARINT)
        offer_type(choice, r->number);
    if (r->wire != PROTO_BYTES)
        return;
    Reader packed = reader_from(r->bytes);
    for (uint64_t type; proto_packed_next(&packed, PROTO_VARINT, &type);)
        offer_type(choice, type);
}

bool read_request_decode(ReadRun *run, Str message, Error *err)
{
    TypeChoice choice = {0};
    size_t queries = count_fields(message, 1);
    if (queries > REMOTE_READ_QUERIES_MAX)
        return bad(err, "too many queries");
    run->queries = arena_zalloc(run->arena, queries * sizeof(ReadQuery));
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_BYTES) {
            ReadQuery *query = &run->queries[run->query_count++];
            if (!decode_query(run, r.bytes, query, err))
                return false;
        } else if (r.field == 2) {
            offer_types(&choice, &r);
        }
    }
    if (r.failed)
        return bad(err, "malformed protobuf");
    if (choice.any && !choice.found)
        return bad(err, "server does not support any of the requested response types; supported: "
                        "SAMPLES, STREAMED_XOR_CHUNKS");
    run->type = choice.type;
    return arena_ok(run->arena, err);
}

void read_request_free(ReadRun *run)
{
    for (size_t q = 0; q < run->query_count; q++)
        for (size_t i = 0; i < run->queries[q].matcher_count; i++)
            matcher_deinit(&run->queries[q].matchers[i]);
}
