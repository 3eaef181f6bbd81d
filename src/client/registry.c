// SPDX-License-Identifier: Apache-2.0
#include "client/registry.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/map.h"
#include "base/number.h"

#define REGISTRY_LOCK_RANK 900 // nothing is called while it is held
#define REGISTRY_LABELS_MAX 16

// What all children have in common; it stands first in each.
typedef struct Child {
    Str key;     // the values one after another, each behind a byte 0xff: never part of UTF-8
    Str *values; // as many as the family has names
} Child;

struct Counter {
    Child child;
    _Atomic uint64_t whole;         // what was added in whole numbers
    _Atomic uint64_t fraction_bits; // the rest, a double
};

struct Gauge {
    Child child;
    _Atomic uint64_t bits;
};

struct HistogramMetric {
    Child child;
    Family *family;
    _Atomic uint64_t sum_bits;
    _Atomic uint64_t counts[]; // not cumulative; the last is +Inf
};

struct Family {
    Registry *registry;
    Str name;
    Str help;
    FamilyKind kind;
    Str *label_names;
    size_t label_count;
    double *bounds;
    size_t bound_count;
    Map children;
};

typedef struct Collector {
    CollectFn collect;
    void *arg;
} Collector;

struct Registry {
    Lock lock;
    Map families GUARDED_BY(lock); // by name; also the children of each
    Collector *collectors GUARDED_BY(lock);
    size_t collector_count GUARDED_BY(lock);
};

Registry *registry_new(void)
{
    Registry *registry = X_NEW(Registry);
    lock_init(&registry->lock, "registry", REGISTRY_LOCK_RANK);
    return registry;
}

static void child_free(Child *child)
{
    free(child->values);
    free((void *)(uintptr_t)child->key.ptr);
    free(child);
}

static void family_free(Family *family)
{
    for (MapEntry *e = NULL; (e = map_next(&family->children, e));)
        child_free(e->value);
    map_deinit(&family->children);
    for (size_t i = 0; i < family->label_count; i++)
        free((void *)(uintptr_t)family->label_names[i].ptr);
    free(family->label_names);
    free((void *)(uintptr_t)family->name.ptr);
    free((void *)(uintptr_t)family->help.ptr);
    free(family->bounds);
    free(family);
}

void registry_free(Registry *registry)
{
    if (!registry)
        return;
    for (MapEntry *e = NULL; (e = map_next(&registry->families, e));)
        family_free(e->value);
    map_deinit(&registry->families);
    free(registry->collectors);
    lock_deinit(&registry->lock);
    free(registry);
}

static Str heap_str(const char *c)
{
    size_t len = strlen(c);
    char *copy = x_malloc(len + 1);
    memcpy(copy, c, len + 1);
    return str_make(copy, len);
}

static Family *family_new(Registry *registry, const char *name, const char *help, FamilyKind kind,
                          const char *const *label_names)
{
    Family *family = X_NEW(Family);
    family->registry = registry;
    family->name = heap_str(name);
    family->help = heap_str(help);
    family->kind = kind;
    while (label_names && label_names[family->label_count])
        family->label_count++;
    ASSERT(family->label_count <= REGISTRY_LABELS_MAX);
    family->label_names = X_ARRAY(Str, family->label_count + 1);
    for (size_t i = 0; i < family->label_count; i++)
        family->label_names[i] = heap_str(label_names[i]);
    return family;
}

static bool family_same(const Family *family, FamilyKind kind, const char *const *label_names)
{
    if (family->kind != kind)
        return false;
    for (size_t i = 0; i < family->label_count; i++)
        if (!label_names || !label_names[i] || !str_is(family->label_names[i], label_names[i]))
            return false;
    return !label_names || !label_names[family->label_count];
}

// The key of label values, in `key` (which the caller frees).
static void key_write(const Family *family, const Str *values, Buf *key)
{
    for (size_t i = 0; i < family->label_count; i++) {
        buf_add_char(key, (char)0xff);
        buf_add_str(key, values[i]);
    }
}

static Child *child_new(Family *family, const Str *values, Str key)
{
    Child *child;
    switch (family->kind) {
    case FAMILY_COUNTER:
        child = &X_NEW(Counter)->child;
        break;
    case FAMILY_GAUGE:
        child = &X_NEW(Gauge)->child;
        break;
    default: {
        HistogramMetric *histogram = x_calloc(
            1, sizeof *histogram + (family->bound_count + 1) * sizeof histogram->counts[0]);
        histogram->family = family;
        child = &histogram->child;
    }
    }
    char *copy = x_malloc(key.len + 1);
    if (key.len)
        memcpy(copy, key.ptr, key.len);
    child->key = str_make(copy, key.len);
    child->values = X_ARRAY(Str, family->label_count + 1);
    for (size_t i = 0, at = 0; i < family->label_count; at += values[i].len, i++)
        child->values[i] = str_make(copy + ++at, values[i].len);
    return child;
}

static Child *child_locked(Registry *registry, Family *family, const Str *values)
    REQUIRES(registry->lock)
{
    ASSERT(family->registry == registry);
    CLEANUP(buf_deinit) Buf key = {0};
    key_write(family, values, &key);
    Child *child = map_get(&family->children, buf_str(&key));
    if (!child) {
        child = child_new(family, values, buf_str(&key));
        map_put(&family->children, child->key, child);
    }
    return child;
}

static Child *child_of(Family *family, const Str *values)
{
    Registry *registry = family->registry;
    lock_take(&registry->lock);
    Child *child = child_locked(registry, family, values);
    lock_give(&registry->lock);
    return child;
}

static Family *family_register(Registry *registry, const char *name, const char *help,
                               FamilyKind kind, const char *const *label_names,
                               const double *bounds, size_t bound_count)
{
    lock_take(&registry->lock);
    Family *family = map_get(&registry->families, str_from_c(name));
    if (family) {
        bool same = family_same(family, kind, label_names);
        ASSERT(same);
    } else {
        family = family_new(registry, name, help, kind, label_names);
        family->bounds = X_ARRAY(double, bound_count + 1);
        family->bound_count = bound_count;
        if (bound_count)
            memcpy(family->bounds, bounds, bound_count * sizeof *bounds);
        map_put(&registry->families, family->name, family);
    }
    // A family without labels shows its one child from the start.
    if (family->label_count == 0)
        (void)child_locked(registry, family, NULL);
    lock_give(&registry->lock);
    return family;
}

Family *registry_counter(Registry *registry, const char *name, const char *help,
                         const char *const *label_names)
{
    return family_register(registry, name, help, FAMILY_COUNTER, label_names, NULL, 0);
}

Family *registry_gauge(Registry *registry, const char *name, const char *help,
                       const char *const *label_names)
{
    return family_register(registry, name, help, FAMILY_GAUGE, label_names, NULL, 0);
}

Family *registry_histogram(Registry *registry, const char *name, const char *help,
                           const char *const *label_names, const double *bounds, size_t bound_count)
{
    for (size_t i = 1; i < bound_count; i++)
        ASSERT(bounds[i - 1] < bounds[i]);
    return family_register(registry, name, help, FAMILY_HISTOGRAM, label_names, bounds,
                           bound_count);
}

Counter *counter_of(Family *family, const Str *label_values)
{
    ASSERT(family->kind == FAMILY_COUNTER);
    return CONTAINER_OF(child_of(family, label_values), Counter, child);
}

Gauge *gauge_of(Family *family, const Str *label_values)
{
    ASSERT(family->kind == FAMILY_GAUGE);
    return CONTAINER_OF(child_of(family, label_values), Gauge, child);
}

HistogramMetric *histogram_of(Family *family, const Str *label_values)
{
    ASSERT(family->kind == FAMILY_HISTOGRAM);
    return CONTAINER_OF(child_of(family, label_values), HistogramMetric, child);
}

void family_remove(Family *family, const Str *label_values)
{
    CLEANUP(buf_deinit) Buf key = {0};
    key_write(family, label_values, &key);
    lock_take(&family->registry->lock);
    Child *child = map_remove(&family->children, buf_str(&key));
    lock_give(&family->registry->lock);
    if (child)
        child_free(child);
}

// Adds to a double that is kept as bits.
static void bits_add(_Atomic uint64_t *bits, double v)
{
    uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(bits, &old,
                                                  double_bits(double_from_bits(old) + v),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

static double bits_get(const _Atomic uint64_t *bits)
{
    return double_from_bits(atomic_load_explicit(bits, memory_order_relaxed));
}

void counter_add(Counter *counter, double v)
{
    ASSERT(v >= 0);
    if (v < 0x1p53 && (double)(uint64_t)v == v)
        atomic_fetch_add_explicit(&counter->whole, (uint64_t)v, memory_order_relaxed);
    else
        bits_add(&counter->fraction_bits, v);
}

void counter_inc(Counter *counter)
{
    atomic_fetch_add_explicit(&counter->whole, 1, memory_order_relaxed);
}

double counter_value(const Counter *counter)
{
    return (double)atomic_load_explicit(&counter->whole, memory_order_relaxed) +
           bits_get(&counter->fraction_bits);
}

void gauge_set(Gauge *gauge, double v)
{
    atomic_store_explicit(&gauge->bits, double_bits(v), memory_order_relaxed);
}

void gauge_add(Gauge *gauge, double v)
{
    bits_add(&gauge->bits, v);
}

double gauge_value(const Gauge *gauge)
{
    return bits_get(&gauge->bits);
}

void histogram_observe(HistogramMetric *histogram, double v)
{
    const double *bounds = histogram->family->bounds;
    size_t low = 0;
    size_t high = histogram->family->bound_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bounds[middle] >= v)
            high = middle;
        else
            low = middle + 1;
    }
    atomic_fetch_add_explicit(&histogram->counts[v != v ? histogram->family->bound_count : low], 1,
                              memory_order_relaxed);
    bits_add(&histogram->sum_bits, v);
}

void registry_collector(Registry *registry, CollectFn collect, void *arg)
{
    lock_take(&registry->lock);
    registry->collectors =
        x_realloc(registry->collectors, (registry->collector_count + 1) * sizeof(Collector));
    registry->collectors[registry->collector_count++] = (Collector){collect, arg};
    lock_give(&registry->lock);
}

// One line of the answer.
typedef RegistrySample GatheredSample;

typedef struct GatheredFamily {
    Str name;
    Str help;
    FamilyKind kind;
    GatheredSample *samples;
    size_t count;
    size_t cap;
} GatheredFamily;

struct Collection {
    Arena arena;
    Map by_name;
    GatheredFamily *current;
};

static GatheredFamily *gathered_family(Collection *collection, Str name, FamilyKind kind, Str help)
{
    GatheredFamily *family = map_get(&collection->by_name, name);
    if (!family) {
        family = ARENA_NEW(&collection->arena, GatheredFamily);
        family->name = arena_str(&collection->arena, name);
        family->help = arena_str(&collection->arena, help);
        family->kind = kind;
        map_put(&collection->by_name, family->name, family);
    }
    return family;
}

void collection_family(Collection *collection, const char *name, FamilyKind kind, const char *help)
{
    collection->current = gathered_family(collection, str_from_c(name), kind, str_from_c(help));
}

// Adds a sample whose strings live in the arena already.
static void gathered_add(Collection *collection, GatheredFamily *family, Str suffix,
                         const Str *pairs, size_t pair_count, double value)
{
    if (family->count == family->cap) {
        size_t cap = family->cap ? family->cap * 2 : 4;
        family->samples =
            arena_grow(&collection->arena, family->samples, family->cap * sizeof(GatheredSample),
                       cap * sizeof(GatheredSample));
        family->cap = cap;
    }
    family->samples[family->count] =
        (GatheredSample){suffix, pairs, pair_count, value, family->count};
    family->count++;
}

void collection_add_suffixed(Collection *collection, const char *suffix,
                             const Str *names_and_values, size_t pairs, double value)
{
    ASSERT(collection->current != NULL);
    Str *copy = ARENA_ARRAY(&collection->arena, Str, pairs * 2);
    for (size_t i = 0; i < pairs * 2; i++)
        copy[i] = arena_str(&collection->arena, names_and_values[i]);
    gathered_add(collection, collection->current, arena_str(&collection->arena, str_from_c(suffix)),
                 copy, pairs, value);
}

void collection_add(Collection *collection, const Str *names_and_values, size_t pairs, double value)
{
    collection_add_suffixed(collection, "", names_and_values, pairs, value);
}

// Copies of a child's labels with room for one pair more (le).
static Str *child_pairs(Collection *collection, const Family *family, const Child *child)
{
    Str *pairs = ARENA_ARRAY(&collection->arena, Str, (family->label_count + 1) * 2);
    for (size_t i = 0; i < family->label_count; i++) {
        pairs[2 * i] = family->label_names[i]; // lives as long as the registry
        pairs[2 * i + 1] = arena_str(&collection->arena, child->values[i]);
    }
    return pairs;
}

static Str bound_text(Arena *arena, double bound)
{
    char text[NUMBER_BYTES_MAX];
    size_t len = number_format_g(bound, text);
    return arena_str(arena, str_make(text, len));
}

static void gather_histogram(Collection *collection, GatheredFamily *out, const Family *family,
                             const HistogramMetric *histogram)
{
    Str *pairs = child_pairs(collection, family, &histogram->child);
    double cumulative = 0;
    for (size_t i = 0; i <= family->bound_count; i++) {
        cumulative += (double)atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        Str *with_le = ARENA_ARRAY(&collection->arena, Str, (family->label_count + 1) * 2);
        memcpy(with_le, pairs, family->label_count * 2 * sizeof(Str));
        with_le[family->label_count * 2] = S("le");
        with_le[family->label_count * 2 + 1] =
            i < family->bound_count ? bound_text(&collection->arena, family->bounds[i]) : S("+Inf");
        gathered_add(collection, out, S("_bucket"), with_le, family->label_count + 1, cumulative);
    }
    gathered_add(collection, out, S("_sum"), pairs, family->label_count,
                 bits_get(&histogram->sum_bits));
    gathered_add(collection, out, S("_count"), pairs, family->label_count, cumulative);
}

static int child_order(const void *a, const void *b)
{
    const Child *const *x = a;
    const Child *const *y = b;
    return str_compare((*x)->key, (*y)->key);
}

static void gather_family(Collection *collection, const Family *family)
{
    GatheredFamily *out = gathered_family(collection, family->name, family->kind, family->help);
    const Child **children = ARENA_ARRAY(&collection->arena, const Child *, family->children.count);
    size_t count = 0;
    for (MapEntry *e = NULL; (e = map_next(&family->children, e));)
        children[count++] = e->value;
    if (count)
        qsort(children, count, sizeof *children, child_order);
    for (size_t i = 0; i < count; i++) {
        const Child *child = children[i];
        if (family->kind == FAMILY_HISTOGRAM) {
            gather_histogram(collection, out, family, (const HistogramMetric *)child);
            continue;
        }
        double value = family->kind == FAMILY_COUNTER ? counter_value((const Counter *)child)
                                                      : gauge_value((const Gauge *)child);
        gathered_add(collection, out, STR_NONE, child_pairs(collection, family, child),
                     family->label_count, value);
    }
}

static int family_order(const void *a, const void *b)
{
    const GatheredFamily *const *x = a;
    const GatheredFamily *const *y = b;
    return str_compare((*x)->name, (*y)->name);
}

static int sample_order(const void *a, const void *b)
{
    const GatheredSample *x = a;
    const GatheredSample *y = b;
    for (size_t i = 0; i < MIN(x->pair_count, y->pair_count); i++) {
        int order = str_compare(x->pairs[2 * i + 1], y->pairs[2 * i + 1]);
        if (order)
            return order;
    }
    if (x->pair_count != y->pair_count)
        return x->pair_count < y->pair_count ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void write_escaped(Buf *out, Str text, bool quotes)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        const char *escaped = c == '\\'            ? "\\\\"
                              : c == '\n'          ? "\\n"
                              : c == '"' && quotes ? "\\\""
                                                   : NULL;
        if (!escaped)
            continue;
        buf_add(out, text.ptr + from, i - from);
        buf_add_c(out, escaped);
        from = i + 1;
    }
    buf_add(out, text.ptr + from, text.len - from);
}

static const char *kind_name(FamilyKind kind, RegistryFormat format)
{
    switch (kind) {
    case FAMILY_COUNTER:
        return "counter";
    case FAMILY_GAUGE:
        return "gauge";
    case FAMILY_HISTOGRAM:
        return "histogram";
    case FAMILY_SUMMARY:
        return "summary";
    case FAMILY_UNTYPED:
        break;
    }
    return format == REGISTRY_OPENMETRICS ? "unknown" : "untyped";
}

// OpenMetrics wants le and quantile as floats: 1 becomes 1.0.
static bool is_float_label(const GatheredFamily *family, Str name, Str value)
{
    bool float_label = (family->kind == FAMILY_HISTOGRAM && str_is(name, "le")) ||
                       (family->kind == FAMILY_SUMMARY && str_is(name, "quantile"));
    if (!float_label)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (!(value.ptr[i] == '-' || (value.ptr[i] >= '0' && value.ptr[i] <= '9')))
            return false;
    return true;
}

static void write_sample(Buf *out, const GatheredFamily *family, Str name, Str suffix,
                         const GatheredSample *sample, RegistryFormat format)
{
    buf_add_str(out, name);
    buf_add_str(out, suffix);
    for (size_t i = 0; i < sample->pair_count; i++) {
        Str label = sample->pairs[2 * i];
        Str value = sample->pairs[2 * i + 1];
        buf_add_char(out, i ? ',' : '{');
        buf_add_str(out, label);
        buf_add_c(out, "=\"");
        write_escaped(out, value, true);
        if (format == REGISTRY_OPENMETRICS && is_float_label(family, label, value))
            buf_add_c(out, ".0");
        buf_add_char(out, '"');
    }
    if (sample->pair_count)
        buf_add_char(out, '}');
    buf_add_char(out, ' ');
    buf_add_double_g(out, sample->value);
    buf_add_char(out, '\n');
}

static void write_family(Buf *out, const GatheredFamily *family, RegistryFormat format)
{
    // In OpenMetrics the family of a counter has no _total, its samples do.
    bool strip = format == REGISTRY_OPENMETRICS && family->kind == FAMILY_COUNTER;
    Str name = family->name;
    if (strip && str_ends_with(name, S("_total")))
        name.len -= strlen("_total");

    buf_add_c(out, "# HELP ");
    buf_add_str(out, name);
    buf_add_char(out, ' ');
    write_escaped(out, family->help, format == REGISTRY_OPENMETRICS);
    buf_add_c(out, "\n# TYPE ");
    buf_add_str(out, name);
    buf_add_char(out, ' ');
    buf_add_c(out, kind_name(family->kind, format));
    buf_add_char(out, '\n');
    for (size_t i = 0; i < family->count; i++) {
        const GatheredSample *sample = &family->samples[i];
        write_sample(out, family, name,
                     strip && sample->suffix.len == 0 ? S("_total") : sample->suffix, sample,
                     format);
    }
}

static void gather(Registry *registry, Collection *collection)
{
    lock_take(&registry->lock);
    for (MapEntry *e = NULL; (e = map_next(&registry->families, e));)
        gather_family(collection, e->value);
    size_t count = registry->collector_count;
    Collector *collectors = ARENA_ARRAY(&collection->arena, Collector, count);
    if (count)
        memcpy(collectors, registry->collectors, count * sizeof *collectors);
    lock_give(&registry->lock);

    // Without the lock: collectors take locks of their own.
    for (size_t i = 0; i < count; i++) {
        collection->current = NULL;
        collectors[i].collect(collectors[i].arg, collection);
    }
}

// All families, sorted, each with its samples in order; they live in the collection.
static GatheredFamily **gather_sorted(Registry *registry, Collection *collection, size_t *ret_count)
{
    size_t count = 0;
    gather(registry, collection);
    GatheredFamily **families =
        ARENA_ARRAY(&collection->arena, GatheredFamily *, collection->by_name.count);
    for (MapEntry *e = NULL; (e = map_next(&collection->by_name, e));)
        families[count++] = e->value;
    if (count)
        qsort(families, count, sizeof *families, family_order);
    for (size_t i = 0; i < count; i++) {
        GatheredFamily *family = families[i];
        // Buckets and quantiles keep the order in which they were written.
        if (family->count > 1 && family->kind != FAMILY_HISTOGRAM && family->kind != FAMILY_SUMMARY)
            qsort(family->samples, family->count, sizeof *family->samples, sample_order);
    }
    *ret_count = count;
    return families;
}

static void collection_deinit(Collection *collection)
{
    map_deinit(&collection->by_name);
    arena_deinit(&collection->arena);
}

void registry_write(Registry *registry, RegistryFormat format, Buf *out)
{
    Collection collection = {0};
    size_t count;
    GatheredFamily **families = gather_sorted(registry, &collection, &count);
    for (size_t i = 0; i < count; i++)
        if (families[i]->count)
            write_family(out, families[i], format);
    if (format == REGISTRY_OPENMETRICS)
        buf_add_c(out, "# EOF\n");
    collection_deinit(&collection);
}

void registry_see(Registry *registry, RegistrySeeFn see, void *arg)
{
    Collection collection = {0};
    size_t count;
    GatheredFamily **families = gather_sorted(registry, &collection, &count);
    for (size_t i = 0; i < count; i++)
        if (families[i]->count)
            see(arg, &(RegistryFamily){families[i]->name, families[i]->help, families[i]->kind,
                                       families[i]->samples, families[i]->count});
    collection_deinit(&collection);
}
