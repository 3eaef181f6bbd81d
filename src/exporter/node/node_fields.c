// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_fields.h"

#include <stdlib.h>

void node_fields_deinit(NodeFields *fields)
{
    node_fields_cut(fields, 0);
    free(fields->rows);
    *fields = (NodeFields){0};
}

NodeField *node_fields_at(NodeFields *fields, size_t position, Str name, bool *ret_is_new)
{
    ASSERT(position <= MIN(fields->count, (size_t)NODE_FIELDS_MAX));
    *ret_is_new = false;
    if (position < fields->count) {
        NodeField *row = &fields->rows[position];
        if (LIKELY(row->name_bytes == name.len && memcmp(row->name, name.ptr, name.len) == 0))
            return row;
        free(row->name);
    } else {
        if (position == NODE_FIELDS_MAX)
            return NULL;
        if (fields->count == fields->room) {
            fields->room = MAX((size_t)16, fields->room * 2);
            fields->rows = x_realloc(fields->rows, fields->room * sizeof(NodeField));
        }
        fields->count++;
    }
    NodeField *row = &fields->rows[position];
    *row = (NodeField){.name = x_malloc(name.len + 1), .name_bytes = name.len};
    memcpy(row->name, name.ptr, name.len);
    row->name[name.len] = 0;
    *ret_is_new = true;
    return row;
}

void node_fields_cut(NodeFields *fields, size_t count)
{
    while (fields->count > count)
        free(fields->rows[--fields->count].name);
}
