// SPDX-License-Identifier: Apache-2.0
// discovery_meta.h: from a walk over JSON to targets and their __meta_ labels.
#pragma once

#include "codec/json_reader.h"
#include "discovery/discovery_kind.h"

// Walks "a.b.0.c": members of objects and numbers of array elements; "" is the value itself. NULL if something is not there.
// An object {"@x": .., "#text": ..} of XML is found by its own name.
const JsonValue *json_at(const JsonValue *value, const char *path);
// As Go prints it: text as it is, numbers, true and false; empty for null, lists, objects and NULL. Lives in the arena or the tree.
Str meta_text(Arena *arena, const JsonValue *value);
// The string at a path, else the empty Str.
Str json_str_at(const JsonValue *value, const char *path);
int64_t json_i64_at(const JsonValue *value, const char *path); // also from a string; else 0
bool json_bool_at(const JsonValue *value, const char *path);   // also from "true"; else false

// One row of a kind's table: where a label comes from.
typedef enum MetaForm {
    META_TEXT,
    META_LIST, // ",a,b,": with the separator around it; no label for an empty list
    META_TIME, // RFC 3339, without a fraction of a second
    META_MAP,  // an object's members: the label is the prefix, the rest is the member's name
} MetaForm;

typedef struct MetaRow {
    const char *label;
    const char *path;
    MetaForm form;
} MetaRow;

void meta_rows(LabelsBuilder *labels, const JsonValue *item, const MetaRow *rows, size_t count,
               Str separator);

// Empty values make no label. Names are not copied, values neither.
void meta_set(LabelsBuilder *labels, const char *name, Str value);
void meta_setf(LabelsBuilder *labels, const char *name, const char *fmt, ...) PRINTF(3, 4);
void meta_set_bool(LabelsBuilder *labels, const char *name, bool value);
// The name is the prefix and the key, whose other characters than [a-zA-Z0-9_] become '_'.
void meta_set_key(LabelsBuilder *labels, const char *prefix, Str key, Str value);
void meta_map(LabelsBuilder *labels, const char *prefix, const JsonValue *object);
// ",a,b,"; ",," for none, as the original joins what it does not look at.
Str meta_join(Arena *arena, const Str *items, size_t count, Str separator);
Str meta_join_json(Arena *arena, const JsonValue *list, Str separator);

// "host:port", "[v6]:port".
void meta_address(LabelsBuilder *labels, Str host, int64_t port);

// Makes one group of a snapshot; what comes and goes meanwhile lives in the scratch arena.
typedef struct GroupMaker {
    GroupSnapshot *snapshot;
    Arena *scratch;
    Str source;
    LabelsBuilder group;  // labels of all
    LabelsBuilder target; // of the one being made
    Labels *targets;
    size_t count;
    size_t cap;
} GroupMaker;

void group_begin(GroupMaker *maker, GroupSnapshot *snapshot, Arena *scratch, Str source);
// An empty target to be labelled; ends with group_add, or is forgotten with the next one.
LabelsBuilder *group_target(GroupMaker *maker);
// The same as a copy of another one's labels so far.
LabelsBuilder *group_target_from(GroupMaker *maker, Labels base);
void group_add(GroupMaker *maker);
// The group, with its targets in the order of their labels.
void group_end(GroupMaker *maker);
