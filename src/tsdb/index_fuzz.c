// SPDX-License-Identifier: Apache-2.0
// Any bytes as an index: opening, selecting and reading end in an error or in labels, never elsewhere. Checksums are made right first, so
// that what is behind them is reached.
#include <stdlib.h>

#include "base/crc32c.h"
#include "tsdb/index_reader.h"

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, 8);
    return __builtin_bswap64(v);
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, 4);
    return __builtin_bswap32(v);
}

static void put_crc(uint8_t *at, const uint8_t *from, size_t len)
{
    uint32_t crc = __builtin_bswap32(crc32c((Str){(const char *)from, len}));
    memcpy(at, &crc, 4);
}

static void mend_part(uint8_t *data, size_t size, uint64_t offset)
{
    if (offset > size || size - offset < 8)
        return;
    uint32_t len = get_u32(data + offset);
    if (len <= size - offset - 8)
        put_crc(data + offset + 4 + len, data + offset + 4, len);
}

static void mend(uint8_t *data, size_t size)
{
    uint8_t *toc = data + size - INDEX_TOC_BYTES;

    mend_part(data, size, get_u64(toc));
    mend_part(data, size, get_u64(toc + 40));
    put_crc(toc + 48, toc, 48);
}

static void read_series(IndexReader *reader, const IndexPostings *postings, Arena *arena)
{
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};

    for (size_t i = 0; i < MIN(postings->count, 50); i++) {
        Error err = {0};
        Labels labels;
        if (index_reader_series(reader, postings->refs[i], INT64_MIN, INT64_MAX, &series, &err) &&
            index_reader_labels(reader, &series, arena, &labels, &err))
            (void)labels_hash(labels);
    }
}

static void select_with(IndexReader *reader, MatchKind kind, Str name, Str value)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    IndexPostings postings;
    Error err = {0};
    Matcher m;

    if (!matcher_init(&m, kind, name, value, &arena, &err))
        return;
    if (index_reader_postings(reader, &m, 1, &arena, &postings, &err))
        read_series(reader, &postings, &arena);
    matcher_deinit(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    IndexReader *reader;
    IndexPostings postings;
    StrList list;
    Error err = {0};

    if (size < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return 0;
    uint8_t *copy = (uint8_t *)x_malloc(size);
    memcpy(copy, data, size);
    mend(copy, size);
    if (index_reader_new((Str){(const char *)copy, size}, &reader, &err)) {
        if (index_reader_postings(reader, NULL, 0, &arena, &postings, &err))
            read_series(reader, &postings, &arena);
        if (index_reader_names(reader, &arena, &list, &err) && list.count) {
            Str name = list.items[list.count - 1];
            StrList values;
            if (index_reader_values(reader, name, &arena, &values, &err) && values.count)
                select_with(reader, MATCH_EQUAL, name, values.items[values.count / 2]);
            select_with(reader, MATCH_NOT_EQUAL, name, S("x"));
            select_with(reader, MATCH_REGEX, name, S("c.*"));
            select_with(reader, MATCH_NOT_REGEX, name, S(".*e"));
        }
        index_reader_free(reader);
    } else {
        ASSERT(err.code == ERR_CORRUPT || err.code == ERR_INVALID);
    }
    free(copy);
    return 0;
}
