// SPDX-License-Identifier: Apache-2.0
// yaml.h: YAML 1.1 (on libyaml) into a tree in an arena; each node knows its place. Anchors and aliases are resolved (with a limit on the
// expansion), duplicate keys are errors, one document.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define YAML_BYTES_MAX (64u << 20)
#define YAML_DEPTH_MAX 100
#define YAML_NODES_MAX 10000000

typedef enum YamlKind { YAML_NULL, YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING } YamlKind;

typedef struct YamlNode YamlNode;
struct YamlNode {
    YamlKind kind;
    int line;    // from 1
    int column;  // from 1
    bool quoted; // a quoted or block scalar: always a string
    Str scalar;
    YamlNode **items; // elements or values
    YamlNode **keys;  // of a mapping: scalars, in document order
    size_t count;
};

// `file_name` goes into errors: "prometheus.yml:12:5: ...". An empty document gives a YAML_NULL node.
bool yaml_parse(Str text, Str file_name, Arena *arena, YamlNode **ret_root, Error *err) MUST_CHECK;
// Only the first document; *ret_next_line is where a second one begins, which is not read, or 0.
bool yaml_parse_first(Str text, Str file_name, Arena *arena, YamlNode **ret_root,
                      int *ret_next_line, Error *err) MUST_CHECK;
// NULL if there is no such key.
YamlNode *yaml_get(const YamlNode *mapping, Str key);

// Scalars as yaml.v2 reads them: yes/no/on/off/true/false; octal, hex, underscores in integers. False if it is not one.
bool yaml_bool(const YamlNode *node, bool *ret_value);
bool yaml_i64(const YamlNode *node, int64_t *ret_value);
bool yaml_double(const YamlNode *node, double *ret_value);

// Writes one scalar so that it reads back the same string: plain where that is allowed, else quoted, choosing as yaml.v2 does.
void yaml_write_scalar(Buf *buf, Str value);
// The same inside [a, b], where more characters need quotes.
void yaml_write_flow_scalar(Buf *buf, Str value);
