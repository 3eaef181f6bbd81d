// SPDX-License-Identifier: Apache-2.0
// node_sink.h: where collectors put their samples, and the text that comes out.
//
// Families are registered once, at start or when the kernel shows a new field, and kept sorted by name. A scrape resets the sink,
// adds samples in any order and writes them: memory is kept, so that the next scrape allocates nothing.
//
// Thread: one.
#pragma once

#include "base/buf.h"

typedef struct NodeSink NodeSink;
typedef struct NodeFamily NodeFamily;

typedef enum NodeType { NODE_COUNTER, NODE_GAUGE, NODE_UNTYPED } NodeType;

NodeSink *node_sink_new(void);
void node_sink_free(NodeSink *sink);

// The family `name`, registered if it is new. Name and help are copied. Lives as long as the sink.
NodeFamily *node_sink_family(NodeSink *sink, Str name, NodeType type, Str help);
static inline NodeFamily *node_counter(NodeSink *sink, const char *name, const char *help)
{
    return node_sink_family(sink, str_from_c(name), NODE_COUNTER, str_from_c(help));
}
static inline NodeFamily *node_gauge(NodeSink *sink, const char *name, const char *help)
{
    return node_sink_family(sink, str_from_c(name), NODE_GAUGE, str_from_c(help));
}

typedef struct NodeLabel {
    const char *name;
    Str value;
} NodeLabel;

// Labels as they will be printed, good until the next reset; many samples may share them.
typedef struct NodeLabels {
    uint32_t at;
    uint32_t bytes;
} NodeLabels;

#define NODE_NO_LABELS ((NodeLabels){0, 0})
// The pairs stand in the order of their names.
NodeLabels node_labels(NodeSink *sink, const NodeLabel *labels, size_t count);
#define NODE_LABELS(sink, ...)                                                                     \
    node_labels((sink), (const NodeLabel[]){__VA_ARGS__},                                          \
                COUNT_OF(((const NodeLabel[]){__VA_ARGS__})))

void node_sample(NodeFamily *family, NodeLabels labels, double value);

// Forgets all samples and labels.
void node_sink_reset(NodeSink *sink);
// Families in the order of their names, those without samples left out; samples in the order of their label values.
void node_sink_write(NodeSink *sink, Buf *out);

// The shortest text of a sample's value, as Go prints it ('g'). `out` has room for NUMBER_BYTES_MAX; returns the length.
size_t node_format_value(double value, char *out);
