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
    bool utf8_names; // any UTF-8 is a label name, else only the legacy alphabet
} RelabelRule;

#define RELABEL_SEPARATOR S(";")
#define RELABEL_REGEX S("(.*)")
#define RELABEL_REPLACEMENT S("$1")

// The defaults of a rule: "replace", "(.*)", "$1", ";".
void relabel_rule_init(RelabelRule *rule);

// "replace", "keepequal", ... False if there is no such action; the case is ignored.
Str relabel_action_name(RelabelAction action);
bool relabel_action_parse(Str name, RelabelAction *ret_action);

// Runs the rules in order over the builder. False: the object is dropped.
bool relabel_apply(const RelabelRule *rules, size_t count, LabelsBuilder *builder);
// Checks one rule (required and forbidden fields for its action) and compiles its regex.
bool relabel_rule_finish(RelabelRule *rule, bool utf8_names, Error *err) MUST_CHECK;
// Checks again when the naming scheme is known only later; from then on the rule goes by it.
bool relabel_rule_set_names(RelabelRule *rule, bool utf8_names, Error *err) MUST_CHECK;
void relabel_rule_deinit(RelabelRule *rule);
