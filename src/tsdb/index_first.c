// SPDX-License-Identifier: Apache-2.0
#include "tsdb/index_first.h"

#include <stdlib.h>

#include "tsdb/index_table.h"

static int compare_entries(const void *a, const void *b)
{
    const IndexTableEntry *x = (const IndexTableEntry *)a, *y = (const IndexTableEntry *)b;
    int c = str_compare(x->name, y->name);
    return c ? c : str_compare(x->value, y->value);
}

bool index_first_sort(Str table, uint32_t count, Buf *sorted)
{
    Reader r = reader_from(table);

    if (count > table.len / 4) // the least that an entry takes
        return false;
    IndexTableEntry *entries = X_ARRAY(IndexTableEntry, (size_t)count + 1);
    for (uint32_t i = 0; i < count && index_table_entry(&r, &entries[i]); i++)
        continue;
    if (!r.failed)
        qsort(entries, count, sizeof *entries, compare_entries);
    for (uint32_t i = 0; i < count && !r.failed; i++) {
        buf_add_uvarint(sorted, 2);
        buf_add_uvarint(sorted, entries[i].name.len);
        buf_add_str(sorted, entries[i].name);
        buf_add_uvarint(sorted, entries[i].value.len);
        buf_add_str(sorted, entries[i].value);
        buf_add_uvarint(sorted, entries[i].offset);
    }
    free(entries);
    return !r.failed && !sorted->failed;
}

uint32_t index_first_symbol(Str symbols, uint32_t count, const uint32_t *samples, uint32_t step,
                            uint64_t offset)
{
    uint32_t low = 0, high = count / step + (count % step != 0);

    if (offset >= symbols.len || high == 0)
        return UINT32_MAX;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (samples[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    Reader r = reader_from(str_skip(symbols, samples[low]));
    for (uint32_t i = low * step, end = MIN(count, i + step); i < end; i++) {
        if ((const char *)r.at == symbols.ptr + offset)
            return i;
        (void)reader_str(&r);
    }
    return UINT32_MAX;
}
