// SPDX-License-Identifier: Apache-2.0
// index_table.h: the entries of an index' postings offset table: which list belongs to a pair of label name and value.
//
//     | 2 uvarint | name str | value str | offset of the list uvarint |
//
// From version 2 on they are in order of name and value, the pair of empty strings first. Version 1 knows no order.
#pragma once

#include "base/reader.h"

typedef struct IndexTableEntry {
    Str name;
    Str value;
    uint64_t offset;
} IndexTableEntry;

static inline bool index_table_entry(Reader *r, IndexTableEntry *entry)
{
    uint64_t count = reader_uvarint(r);

    entry->name = reader_str(r);
    entry->value = reader_str(r);
    entry->offset = reader_uvarint(r);
    r->failed |= count != 2;
    return !r->failed;
}
