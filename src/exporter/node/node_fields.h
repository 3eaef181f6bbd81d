// SPDX-License-Identifier: Apache-2.0
// node_fields.h: which family a field of a /proc file belongs to. The kernel writes the same fields in the same order each time, so the
// answer for a position is kept with the field's name and found again by comparing bytes.
#pragma once

#include "exporter/node/node_sink.h"

#define NODE_FIELDS_MAX 4096 // positions remembered; those behind are not exposed

typedef struct NodeField {
    char *name;
    size_t name_bytes;
    NodeFamily *family; // NULL: not exposed
    NodeFamily *second; // of collectors that tell a field in two ways
} NodeField;

typedef struct NodeFields {
    NodeField *rows;
    size_t count;
    size_t room;
} NodeFields;

void node_fields_deinit(NodeFields *fields);
// The field at `position`, which the caller counts up from 0. *ret_is_new is true if its families must be set.
// NULL behind the last position that is remembered.
NodeField *node_fields_at(NodeFields *fields, size_t position, Str name, bool *ret_is_new);
// Forgets the positions from `count` on.
void node_fields_cut(NodeFields *fields, size_t count);
