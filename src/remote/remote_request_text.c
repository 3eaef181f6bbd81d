// SPDX-License-Identifier: Apache-2.0
// A request of version 2.0 in words, for the log.
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "remote/remote_request.h"

enum { MESSAGE_BYTES_MAX = 1 << 30 }; // decompressed; our own

typedef struct Symbols {
    Str *items;
    size_t count;
} Symbols;

static Symbols read_symbols(Str message, Arena *arena)
{
    Symbols symbols = {0};
    for (ProtoReader r = proto_reader(message); proto_next(&r);)
        symbols.count += r.field == 4;
    symbols.items = ARENA_ARRAY(arena, Str, symbols.count + 1);
    symbols.count = 0;
    for (ProtoReader r = proto_reader(message); proto_next(&r);)
        if (r.field == 4)
            symbols.items[symbols.count++] = r.bytes;
    return symbols;
}

static Labels read_labels(Str refs, const Symbols *symbols, Arena *arena)
{
    Label *pairs = ARENA_ARRAY(arena, Label, refs.len / 2 + 1);
    Reader packed = reader_from(refs);
    uint64_t name, value;
    size_t count = 0;
    while (proto_packed_next(&packed, PROTO_VARINT, &name) &&
           proto_packed_next(&packed, PROTO_VARINT, &value) && name < symbols->count &&
           value < symbols->count)
        pairs[count++] = (Label){symbols->items[name], symbols->items[value]};
    return (Labels){pairs, count};
}

// " value @t"
static void print_point(Str point, uint32_t value_field, uint32_t time_field, Buf *out)
{
    double value = 0;
    int64_t t_ms = 0;
    for (ProtoReader r = proto_reader(point); proto_next(&r);) {
        if (r.field == value_field && r.wire == PROTO_FIXED64)
            value = proto_double(&r);
        if (r.field == time_field && r.wire == PROTO_VARINT)
            t_ms = (int64_t)r.number;
    }
    buf_printf(out, " %g @%lld", value, (long long)t_ms);
}

static void print_series(Str series, const Symbols *symbols, Arena *arena, Buf *out)
{
    for (ProtoReader r = proto_reader(series); proto_next(&r);) {
        if (r.field == 1)
            labels_print_metric(out, read_labels(r.bytes, symbols, arena));
        else if (r.field == 2)
            print_point(r.bytes, 1, 2, out);
        else if (r.field == 3)
            print_point(r.bytes, 3, 15, out); // a histogram: its sum
        else if (r.field == 4)
            print_point(r.bytes, 2, 3, out); // an exemplar
    }
}

void remote_request_print_v2(Str body, size_t series_max, Buf *out)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf plain = {0};
    Error err;
    size_t count = 0;
    if (!snappy_decode(body, MESSAGE_BYTES_MAX, &plain, &err))
        return; // cannot be: it is our own
    Symbols symbols = read_symbols(buf_str(&plain), &arena);
    for (ProtoReader r = proto_reader(buf_str(&plain)); proto_next(&r);) {
        if (r.field != 5 || count++ >= series_max)
            continue;
        buf_add_c(out, count > 1 ? "; " : "");
        print_series(r.bytes, &symbols, &arena, out);
    }
    if (count > series_max)
        buf_printf(out, "; and %zu more", count - series_max);
}
