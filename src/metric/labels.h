// SPDX-License-Identifier: Apache-2.0
// labels.h: a set of label pairs: sorted by name, each name once, no empty values.
//
// The metric name is the pair "__name__". A Labels is a view: whoever made it owns pairs and strings.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define LABEL_METRIC_NAME S("__name__")

typedef struct Label {
    Str name;
    Str value;
} Label;

typedef struct Labels {
    const Label *pairs;
    size_t count;
} Labels;

#define LABELS_NONE ((Labels){NULL, 0})

// The value, or the empty Str if there is no such label.
Str labels_get(Labels labels, Str name);
bool labels_equal(Labels a, Labels b);
// As labels.Compare: name by name, then value by value, shorter first.
int labels_compare(Labels a, Labels b);
// xxHash64 (seed 0) over Prometheus' compact encoding (prometheus.md section 13): each string preceded by its length,
// one byte if < 255, else 255 and 3 bytes little endian. The same bits as Prometheus' Labels.Hash().
uint64_t labels_hash(Labels labels);
// Hash of only / all but the named labels (names sorted); for grouping. `__name__` counts like any other.
uint64_t labels_hash_only(Labels labels, const Str *names, size_t count);
uint64_t labels_hash_without(Labels labels, const Str *names, size_t count);

// A deep copy.
Labels labels_copy(Arena *arena, Labels labels);
// By name, in place.
void labels_order(Label *pairs, size_t count);
// Sorts by name in place, drops empty values. False with ERR_INVALID if a name stands twice.
bool labels_sort(Label *pairs, size_t *count, Error *err) MUST_CHECK;
// Sorted copies with only / without the named labels (names need not be sorted; strings are shared).
Labels labels_keep(Arena *arena, Labels labels, const Str *names, size_t count);
Labels labels_drop(Arena *arena, Labels labels, const Str *names, size_t count);
// Sets one label (an empty value removes it); strings are shared.
Labels labels_set(Arena *arena, Labels labels, Str name, Str value);

// {__name__="up", a="b"}: every pair, values quoted as Go's strconv.Quote, label names only if they are not legacy: as Labels.String().
void labels_print(Buf *buf, Labels labels);
// up{a="b"}: the name in front if it is a legacy metric name, no braces if nothing else is left: as model.Metric.String().
void labels_print_metric(Buf *buf, Labels labels);
// Go's strconv.Quote.
void buf_add_go_quoted(Buf *buf, Str s);
// Go's unicode.IsPrint.
bool rune_is_printable(uint32_t rune);

// Legacy: [a-zA-Z_:][a-zA-Z0-9_:]* / [a-zA-Z_][a-zA-Z0-9_]*. UTF-8 scheme: any non-empty valid UTF-8.
bool metric_name_is_legacy(Str name);
bool label_name_is_legacy(Str name);
bool name_is_utf8(Str name);

// Builds a Labels by changes: starts from a base, later sets win, `labels_builder_finish` sorts and drops empties.
typedef struct LabelsBuilder {
    Arena *arena;
    Label *pairs; // unsorted, names unique
    size_t count;
    size_t cap;
} LabelsBuilder;

void labels_builder_init(LabelsBuilder *builder, Arena *arena, Labels base);
void labels_builder_set(LabelsBuilder *builder, Str name,
                        Str value); // empty removes; strings are shared
Str labels_builder_get(const LabelsBuilder *builder, Str name);
Labels labels_builder_finish(LabelsBuilder *builder);
