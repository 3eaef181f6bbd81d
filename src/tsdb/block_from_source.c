// SPDX-License-Identifier: Apache-2.0
#include "tsdb/block_from_source.h"

#include <stdlib.h>

#include "tsdb/chunk_encode.h"

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

typedef struct SymbolTable {
    Str *items; // sorted
    size_t count;
    size_t cap;
} SymbolTable;

static void add_symbols(SymbolTable *table, const StrList *list, Arena *arena)
{
    if (table->count + list->count > table->cap) {
        size_t cap = MAX(2 * table->cap, table->count + list->count);
        table->items =
            (Str *)arena_grow(arena, table->items, table->cap * sizeof(Str), cap * sizeof(Str));
        table->cap = cap;
    }
    if (list->count)
        memcpy(table->items + table->count, list->items, list->count * sizeof(Str));
    table->count += list->count;
}

// All names and values, each once, in order.
static bool gather_symbols(Querier *querier, SymbolTable *table, Arena *arena, Error *err)
{
    StrList names, values;
    size_t kept = 0;

    if (!querier->label_names(querier, NULL, 0, 0, arena, &names, err))
        return false;
    add_symbols(table, &names, arena);
    for (size_t i = 0; i < names.count; i++) {
        if (!querier->label_values(querier, names.items[i], NULL, 0, 0, arena, &values, err))
            return false;
        add_symbols(table, &values, arena);
    }
    if (table->count)
        qsort(table->items, table->count, sizeof(Str), compare_strs);
    for (size_t i = 0; i < table->count; i++)
        if (kept == 0 || !str_equal(table->items[kept - 1], table->items[i]))
            table->items[kept++] = table->items[i];
    table->count = kept;
    return true;
}

static bool find_symbol(const SymbolTable *table, Str text, uint32_t *ret_symbol, Error *err)
{
    const Str *at =
        (const Str *)bsearch(&text, table->items, table->count, sizeof(Str), compare_strs);

    if (!at)
        return error_set(err, ERR_UNAVAILABLE, "a series appeared while it was read");
    *ret_symbol = (uint32_t)(at - table->items);
    return true;
}

static bool write_one(Querier *querier, const SeriesEntry *entry, const SymbolTable *table,
                      const BlockWriterOptions *options, size_t samples_per_chunk,
                      BlockWriter *writer, Arena *arena, Error *err)
{
    uint32_t *refs = ARENA_ARRAY(arena, uint32_t, 2 * entry->labels.count);
    ChunkEncode out = {.arena = arena};
    SampleColumns columns;

    for (size_t i = 0; i < entry->labels.count; i++)
        if (!find_symbol(table, entry->labels.pairs[i].name, &refs[2 * i], err) ||
            !find_symbol(table, entry->labels.pairs[i].value, &refs[2 * i + 1], err))
            return false;
    if (!querier->read(querier, entry->handle, options->min_t_ms, options->max_t_ms - 1, arena,
                       &columns, err))
        return false;
    chunk_encode(&out, &columns, samples_per_chunk);
    return block_writer_series(writer, refs, 2 * entry->labels.count, out.chunks, out.count, err);
}

static bool write_all(Querier *querier, const BlockWriterOptions *options, size_t samples_per_chunk,
                      BlockWriter *writer, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(arena_deinit) Arena one = {.next = NULL};
    SymbolTable table = {NULL, 0, 0};
    SeriesList list;

    if (!querier->select(querier, NULL, 0, NULL, &arena, &list, err) ||
        !gather_symbols(querier, &table, &arena, err))
        return false;
    for (size_t i = 0; i < table.count; i++)
        if (!block_writer_symbol(writer, table.items[i], err))
            return false;
    for (size_t i = 0; i < list.count; i++) {
        arena_reset(&one);
        if (!write_one(querier, &list.series[i], &table, options, samples_per_chunk, writer, &one,
                       err))
            return false;
    }
    return true;
}

bool block_from_source(Source *source, const BlockWriterOptions *options, size_t samples_per_chunk,
                       bool *ret_made, Error *err)
{
    BlockWriter *writer;
    Querier *querier;

    if (!source->open(source, options->min_t_ms, options->max_t_ms - 1, &querier, err))
        return false;
    if (!block_writer_open(options, &writer, err)) {
        querier->close(querier);
        return false;
    }
    bool ok = write_all(querier, options, samples_per_chunk, writer, err);
    querier->close(querier);
    if (!ok) {
        block_writer_abort(writer);
        return false;
    }
    return block_writer_finish(writer, ret_made, err);
}
