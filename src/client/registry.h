// SPDX-License-Identifier: Apache-2.0
// registry.h: counters, gauges and histograms that we measure ourselves with, and the text they are served as.
//
// A family is registered once with its label names; a child is found by its label values once and then kept by whoever updates it:
// the hot path is one atomic addition on the child. Collectors are functions that write samples at gather time (for values that live
// elsewhere). Thread: any.
#pragma once

#include "base/arena.h"
#include "base/buf.h"

typedef struct Registry Registry;
typedef struct Family Family;
typedef struct Counter Counter;
typedef struct Gauge Gauge;
typedef struct HistogramMetric HistogramMetric;
typedef struct Collection Collection; // one gathering under way

Registry *registry_new(void);
void registry_free(Registry *registry);

// Families live as long as the registry. Names and help are copied. A name that is registered already with the same kind and labels
// gives the same family; with others it aborts (our bug). `label_names` ends with NULL; NULL for none.
Family *registry_counter(Registry *registry, const char *name, const char *help,
                         const char *const *label_names);
Family *registry_gauge(Registry *registry, const char *name, const char *help,
                       const char *const *label_names);
// `bounds` are upper bounds without +Inf, rising.
Family *registry_histogram(Registry *registry, const char *name, const char *help,
                           const char *const *label_names, const double *bounds,
                           size_t bound_count);

// The child with these label values (as many as the family has names; created if new). Lives as long as the family, unless removed.
Counter *counter_of(Family *family, const Str *label_values);
Gauge *gauge_of(Family *family, const Str *label_values);
HistogramMetric *histogram_of(Family *family, const Str *label_values);
void family_remove(Family *family, const Str *label_values);

void counter_add(Counter *counter, double v); // v >= 0
void counter_inc(Counter *counter);           // one relaxed atomic addition
double counter_value(const Counter *counter);
void gauge_set(Gauge *gauge, double v);
void gauge_add(Gauge *gauge, double v);
double gauge_value(const Gauge *gauge);
void histogram_observe(HistogramMetric *histogram, double v);

// Calls `collect(arg, collection)` at each gathering; it writes whole families with collection_family and collection_add.
typedef void (*CollectFn)(void *arg, Collection *collection);
void registry_collector(Registry *registry, CollectFn collect, void *arg);

typedef enum FamilyKind {
    FAMILY_COUNTER,
    FAMILY_GAUGE,
    FAMILY_HISTOGRAM,
    FAMILY_SUMMARY,
    FAMILY_UNTYPED
} FamilyKind;

// Begins (or goes on with) the family `name`; the samples that follow belong to it.
void collection_family(Collection *collection, const char *name, FamilyKind kind, const char *help);
// One sample of the current family: labels as alternating name, value; `pairs` counts pairs. Strings are copied.
void collection_add(Collection *collection, const Str *names_and_values, size_t pairs,
                    double value);
// The same with a suffix to the family's name ("_sum", "_count", "_bucket", quantile children).
void collection_add_suffixed(Collection *collection, const char *suffix,
                             const Str *names_and_values, size_t pairs, double value);

typedef enum RegistryFormat { REGISTRY_TEXT, REGISTRY_OPENMETRICS } RegistryFormat;

// Gathers everything and writes it: families sorted by name, samples sorted by label values; HELP, TYPE first.
void registry_write(Registry *registry, RegistryFormat format, Buf *out);

// The same for who writes another format: families by name, samples in the order of the text. All is good for the call of `see`.
typedef struct RegistrySample {
    Str suffix;       // "_bucket", "_sum", "_count" or none
    const Str *pairs; // name, value, name, value, ...
    size_t pair_count;
    double value;
    size_t order; // of arrival
} RegistrySample;

typedef struct RegistryFamily {
    Str name, help;
    FamilyKind kind;
    const RegistrySample *samples;
    size_t count;
} RegistryFamily;

typedef void (*RegistrySeeFn)(void *arg, const RegistryFamily *family);
void registry_see(Registry *registry, RegistrySeeFn see, void *arg);

// process_* (cpu, memory, fds, start time) of this process, read anew at each gathering.
void registry_process_metrics(Registry *registry);
// The gauge `name` ("prometheus_build_info") with the constant value 1 and the version as its label.
void registry_build_info(Registry *registry, const char *name, const char *version);
