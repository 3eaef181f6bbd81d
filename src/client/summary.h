// SPDX-License-Identifier: Apache-2.0
// summary.h: a metric of the kind summary: sum and count of all observations, quantiles of the latest SUMMARY_KEPT within ten minutes.
//
// Its owner frees it, once the registry is not gathered from any more. Thread: any.
#pragma once

#include "client/registry.h"

#define SUMMARY_KEPT 256
#define SUMMARY_AGE_MS (10 * 60 * 1000)

typedef struct Summary Summary;
typedef struct SummaryMetric SummaryMetric;

// `label` names its labels, with a comma between them ("mechanism,config", four at most), or is NULL. `quantiles` are rising texts ("0.5", "0.99"), ended by NULL; all outlive the summary.
Summary *summary_new(Registry *registry, const char *name, const char *help, const char *label,
                     const char *const *quantiles);
void summary_free(Summary *summary); // accepts NULL

// With several labels: their values as the one `label_value` that the functions below take. Lives in the arena.
Str summary_key(Arena *arena, const Str *label_values, size_t count);

// The child with this label value (empty without a label); lives until summary_remove or summary_free.
SummaryMetric *summary_of(Summary *summary, Str label_value);
void summary_remove(Summary *summary, Str label_value);
void summary_observe(SummaryMetric *metric, double v);
