// SPDX-License-Identifier: Apache-2.0
// relabel.h: relabel_configs and metric_relabel_configs. Facts: prometheus.md section 1.6.
#pragma once

#include "base/regex.h"
#include "metric/labels.h"

typedef enum RelabelAction {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
} RelabelAction;

// A field table for `config` stands in relabel_config.h.
typedef struct RelabelRule {
    Str *source_labels;
    size_t source_label_count;
    Str separator;
    Str regex_text;
    Regex *regex; // owned by the rule
    uint64_t modulus;
    Str target_label;
    Str replacement;
    RelabelAction action;
} RelabelRule;

// Runs the rules in order over the builder. False: the object is dropped.
bool relabel_apply(const RelabelRule *rules, size_t count, LabelsBuilder *builder);
// Checks one rule (required and forbidden fields for its action) and compiles its regex.
bool relabel_rule_finish(RelabelRule *rule, bool utf8_names, Error *err) MUST_CHECK;
void relabel_rule_deinit(RelabelRule *rule);
