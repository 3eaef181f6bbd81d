// SPDX-License-Identifier: Apache-2.0
// info(v, {selector}): adds the labels of info series, by default target_info, that have the same instance and job.
//
//     temperature{job, instance}          a series of v
//       identity {instance, job}          groups of info series with that identity, one for each metric name
//         group target_info               at each step the newest series of the group gives its labels
#include <stdlib.h>

#include "promql/eval_run.h"

#define NO_PICK UINT32_MAX

static const Str identity_names[] = {STR("instance"), STR("job")};

// Info series with one name and one identity.
typedef struct InfoGroup {
    uint64_t hash; // of the identity
    Labels example;
    uint32_t next;  // of the same slot, plus one
    uint32_t *pick; // per step: the newest series, or NO_PICK
} InfoGroup;

typedef struct InfoRun {
    EvalContext *context;
    const Steps *steps;
    Arena *arena;
    const Matcher *matchers; // of the second argument, and the default name
    size_t matcher_count;
    Value base;
    Value info; // info series; values are their samples' times in ms
    InfoGroup *groups;
    size_t group_count;
    uint32_t *slots; // by identity: group plus one
    size_t mask;
    VectorSeries *out;
    size_t out_count, out_cap;
} InfoRun;

static bool is_data_matcher(const Matcher *matcher)
{
    return !str_equal(matcher->name, LABEL_METRIC_NAME);
}

// Such series are not enriched.
static bool is_info_metric(const InfoRun *run, Labels labels)
{
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    for (size_t i = 0; i < run->matcher_count; i++)
        if (!is_data_matcher(&run->matchers[i]) && !matcher_matches(&run->matchers[i], name))
            return false;
    return true;
}

static bool same_identity(Labels a, Labels b)
{
    for (size_t i = 0; i < COUNT_OF(identity_names); i++)
        if (!str_equal(labels_get(a, identity_names[i]), labels_get(b, identity_names[i])))
            return false;
    return true;
}

static uint64_t identity_hash(Labels labels)
{
    return labels_hash_only(labels, identity_names, COUNT_OF(identity_names));
}

// Which info series are looked at ---------------------------------------------------------------------------------------------------

// Without a positive matcher on the name, target_info is meant; with only negative ones, any name that ends in _info.
static bool info_matchers(InfoRun *run, const Expr *selector, Error *err)
{
    size_t count = selector ? selector->selector.count : 0;
    Matcher *matchers = ARENA_ARRAY(run->arena, Matcher, count + 1);
    bool has_name = false;
    bool has_positive = false;
    for (size_t i = 0; i < count; i++) {
        matchers[i] = selector->selector.matchers[i];
        if (is_data_matcher(&matchers[i]))
            continue;
        has_name = true;
        has_positive |= matchers[i].kind == MATCH_EQUAL || matchers[i].kind == MATCH_REGEX;
    }
    run->matchers = matchers;
    run->matcher_count = count;
    if (has_positive)
        return true;
    MatchKind kind = has_name ? MATCH_REGEX : MATCH_EQUAL;
    Str value = has_name ? S(".+_info") : S("target_info");
    if (!matcher_init(&matchers[count], kind, LABEL_METRIC_NAME, value, run->arena, err))
        return false;
    run->matcher_count++;
    return true;
}

// The offset and @ of the first selector inside an expression, subqueries around it included: they govern the look-up of info
// series. False if there is no selector.
static bool governing_shift(const Expr *expr, TimeShift *ret_shift)
{
    switch (expr->kind) {
    case EXPR_SELECTOR:
        *ret_shift = expr->selector.shift;
        return true;
    case EXPR_SUBQUERY:
        if (!governing_shift(expr->subquery.expr, ret_shift))
            return false;
        // An @ inside is absolute; else the subquery's own times move what is inside.
        if (ret_shift->at == AT_NONE) {
            ret_shift->at = expr->subquery.shift.at;
            ret_shift->at_ms = expr->subquery.shift.at_ms;
            ret_shift->offset_ms += expr->subquery.shift.offset_ms;
        }
        return true;
    case EXPR_CALL:
        for (size_t i = 0; i < expr->call.count; i++)
            if (governing_shift(expr->call.args[i], ret_shift))
                return true;
        return false;
    case EXPR_AGGREGATE:
        return governing_shift(expr->aggregate.expr, ret_shift);
    case EXPR_BINARY: {
        const Expr *inner = binary_innermost(expr);
        if (governing_shift(inner->binary.left, ret_shift))
            return true;
        for (; inner && inner->kind == EXPR_BINARY; inner = inner->binary.above)
            if (governing_shift(inner->binary.right, ret_shift))
                return true;
        return false;
    }
    case EXPR_UNARY:
        return governing_shift(expr->unary.expr, ret_shift);
    case EXPR_PAREN:
        return governing_shift(expr->paren, ret_shift);
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        break;
    }
    return false;
}

// The values that a label has among the series to enrich: sorted.
typedef struct IdentityValues {
    Str *values;
    size_t count;
} IdentityValues;

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static IdentityValues identity_values(const InfoRun *run, Str name)
{
    IdentityValues list = {ARENA_ARRAY(run->arena, Str, run->base.count), 0};
    for (size_t s = 0; s < run->base.count; s++) {
        Labels labels = run->base.series[s].labels;
        Str value = labels_get(labels, name);
        bool repeats = list.count && str_equal(list.values[list.count - 1], value);
        if (value.len && !repeats && !is_info_metric(run, labels))
            list.values[list.count++] = value;
    }
    if (list.count)
        qsort(list.values, list.count, sizeof(Str), compare_strs);
    return list;
}

// Only those whose identity has values that are asked for. Without any identity there is nothing to look up.
static void keep_identities(const InfoRun *run, SeriesList *list)
{
    IdentityValues values[COUNT_OF(identity_names)];
    bool any = false;
    for (size_t n = 0; n < COUNT_OF(identity_names); n++) {
        values[n] = identity_values(run, identity_names[n]);
        any |= values[n].count > 0;
    }
    size_t kept = 0;
    for (size_t i = 0; any && i < list->count; i++) {
        bool wanted = true;
        for (size_t n = 0; n < COUNT_OF(identity_names); n++) {
            Str value = labels_get(list->series[i].labels, identity_names[n]);
            wanted &= values[n].count == 0 ||
                      bsearch(&value, values[n].values, values[n].count, sizeof(Str), compare_strs);
        }
        if (wanted)
            list->series[kept++] = list->series[i];
    }
    if (kept < list->count)
        list->read_order = NULL; // it tells of all
    list->count = kept;
}

// Info metrics carry their labels on floats.
static bool check_info_floats(const InfoRun *run, Error *err)
{
    for (size_t s = 0; s < run->info.count; s++) {
        if (!run->info.series[s].histogram)
            continue;
        Buf text = {0};
        labels_print(&text, run->info.series[s].labels);
        error_set(err, ERR_LIMIT, "this should be an info metric, with float samples: " STR_FMT,
                  STR_ARG(buf_str(&text)));
        buf_deinit(&text);
        return false;
    }
    return true;
}

static bool fetch_info(InfoRun *run, const Expr *expr, Error *err)
{
    Expr *lookup = ARENA_NEW(run->arena, Expr);
    lookup->kind = EXPR_SELECTOR;
    lookup->type = TYPE_VECTOR;
    lookup->selector.matchers = ARENA_ARRAY(run->arena, Matcher, run->matcher_count);
    memcpy(lookup->selector.matchers, run->matchers, run->matcher_count * sizeof(Matcher));
    lookup->selector.count = run->matcher_count;
    (void)governing_shift(expr->call.args[0], &lookup->selector.shift); // none: the step's own time
    SeriesRun series;
    if (!series_run_vector(run->context, lookup, run->steps, WANT_INFO, NULL, run->arena, &series,
                           err))
        return false;
    keep_identities(run, &series.list);
    series.count = series.list.count;
    series.out = ARENA_ARRAY(run->arena, VectorSeries, series.count);
    if (!series_run_all(&series, err))
        return false;
    run->info = (Value){.type = TYPE_VECTOR, .series = series.out, .count = series.count};
    eval_remove_empty(&run->info, run->steps->count);
    return check_info_floats(run, err);
}

// Groups -------------------------------------------------------------------------------------------------------------------------

static InfoGroup *group_of(InfoRun *run, Labels labels)
{
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    uint64_t hash = identity_hash(labels);
    uint32_t *slot = &run->slots[hash & run->mask];
    for (uint32_t g = *slot; g; g = run->groups[g - 1].next) {
        InfoGroup *group = &run->groups[g - 1];
        if (group->hash == hash && same_identity(group->example, labels) &&
            str_equal(labels_get(group->example, LABEL_METRIC_NAME), name))
            return group;
    }
    InfoGroup *group = &run->groups[run->group_count++];
    *group = (InfoGroup){hash, labels, *slot, ARENA_ARRAY(run->arena, uint32_t, run->steps->count)};
    *slot = (uint32_t)run->group_count;
    for (size_t i = 0; i < run->steps->count; i++)
        group->pick[i] = NO_PICK;
    return group;
}

static bool fail_duplicate(const VectorSeries *a, const VectorSeries *b, size_t step, Error *err)
{
    Buf text = {0};
    buf_add_c(&text, "found duplicate series for info metric: existing ");
    labels_print(&text, a->labels);
    buf_printf(&text, " @ %lld, new ", (long long)a->value[step]);
    labels_print(&text, b->labels);
    buf_printf(&text, " @ %lld", (long long)b->value[step]);
    error_set(err, ERR_LIMIT, STR_FMT, STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return false;
}

// The series becomes its group's pick where it is the newest. Steps without a series to enrich do not count.
static bool offer(InfoRun *run, uint32_t index, const uint8_t *present, Error *err)
{
    const VectorSeries *series = &run->info.series[index];
    InfoGroup *group = group_of(run, series->labels);
    for (size_t i = 0; i < run->steps->count; i++) {
        if (series->kind[i] == POINT_NONE || !present[i])
            continue;
        const VectorSeries *other =
            group->pick[i] == NO_PICK ? NULL : &run->info.series[group->pick[i]];
        if (other && other->value[i] == series->value[i])
            return fail_duplicate(other, series, i, err);
        if (!other || other->value[i] < series->value[i])
            group->pick[i] = index;
    }
    return true;
}

static bool make_groups(InfoRun *run, Error *err)
{
    size_t slots = 16;
    while (slots < run->info.count * 2)
        slots *= 2;
    run->mask = slots - 1;
    run->slots = arena_zalloc(run->arena, slots * sizeof(uint32_t));
    run->groups = ARENA_ARRAY(run->arena, InfoGroup, run->info.count);
    uint8_t *present = arena_zalloc(run->arena, run->steps->count);
    for (size_t s = 0; s < run->base.count; s++)
        for (size_t i = 0; i < run->steps->count; i++)
            present[i] |= run->base.series[s].kind[i] != POINT_NONE;
    for (size_t s = 0; s < run->info.count; s++)
        if (!offer(run, (uint32_t)s, present, err))
            return false;
    return eval_check(run->context, run->arena, err);
}

// Results ------------------------------------------------------------------------------------------------------------------------

// All labels but the name; with data matchers only the named ones.
static bool is_wanted_label(const InfoRun *run, Str name)
{
    if (str_equal(name, LABEL_METRIC_NAME))
        return false;
    bool any = false;
    for (size_t i = 0; i < run->matcher_count; i++) {
        if (!is_data_matcher(&run->matchers[i]))
            continue;
        any = true;
        if (str_equal(run->matchers[i].name, name))
            return true;
    }
    return !any;
}

static bool needs_info(const InfoRun *run)
{
    for (size_t i = 0; i < run->matcher_count; i++)
        if (is_data_matcher(&run->matchers[i]) && !run->matchers[i].matches_empty)
            return true;
    return false;
}

// Adds the data labels of one info series; base labels win, two info series must agree.
static bool add_data_labels(const InfoRun *run, Labels base, Labels info, LabelsBuilder *added,
                            Error *err)
{
    for (size_t i = 0; i < info.count; i++) {
        Label label = info.pairs[i];
        if (!is_wanted_label(run, label.name) || labels_get(base, label.name).len)
            continue;
        Str before = labels_builder_get(added, label.name);
        if (before.len && !str_equal(before, label.value))
            return error_set(err, ERR_LIMIT, "conflicting label: " STR_FMT, STR_ARG(label.name));
        labels_builder_set(added, label.name, label.value);
    }
    return true;
}

static uint32_t info_out(InfoRun *run, Labels labels, bool drop_name, size_t first_of_base)
{
    for (size_t i = first_of_base; i < run->out_count; i++)
        if (labels_equal(run->out[i].labels, labels))
            return (uint32_t)i;
    if (run->out_count == run->out_cap) {
        size_t cap = run->out_cap ? run->out_cap * 2 : 32;
        run->out = arena_grow(run->arena, run->out, run->out_cap * sizeof *run->out,
                              cap * sizeof *run->out);
        run->out_cap = cap;
    }
    vector_series_init(run->arena, run->steps->count, labels, &run->out[run->out_count]);
    run->out[run->out_count].drop_name = drop_name;
    return (uint32_t)run->out_count++;
}

// One series under way: its groups, and what they picked at the step before, as that seldom changes.
typedef struct Enrichment {
    const VectorSeries *base;
    const InfoGroup **groups;
    uint32_t *picks;
    size_t count;
    size_t first_out;
    bool passes;  // an info series itself
    bool known;   // picks and out are of a step before
    uint32_t out; // NO_PICK: left out
} Enrichment;

static void find_groups(const InfoRun *run, Enrichment *series)
{
    Labels labels = series->base->labels;
    uint64_t hash = identity_hash(labels);
    for (uint32_t g = series->passes ? 0 : run->slots[hash & run->mask]; g;
         g = run->groups[g - 1].next)
        if (run->groups[g - 1].hash == hash && same_identity(run->groups[g - 1].example, labels))
            series->groups[series->count++] = &run->groups[g - 1];
}

static bool choose_out(InfoRun *run, Enrichment *series, size_t step, Error *err)
{
    bool same = series->known;
    for (size_t g = 0; g < series->count; g++) {
        same &= series->picks[g] == series->groups[g]->pick[step];
        series->picks[g] = series->groups[g]->pick[step];
    }
    if (same)
        return true;
    Labels base = series->base->labels;
    LabelsBuilder added;
    labels_builder_init(&added, run->arena, LABELS_NONE);
    bool found = false;
    for (size_t g = 0; g < series->count; g++) {
        if (series->picks[g] == NO_PICK)
            continue;
        found = true;
        if (!add_data_labels(run, base, run->info.series[series->picks[g]].labels, &added, err))
            return false;
    }
    series->known = true;
    series->out = NO_PICK;
    if (!series->passes && !found && needs_info(run))
        return true;
    Labels data = labels_builder_finish(&added);
    LabelsBuilder all;
    labels_builder_init(&all, run->arena, base);
    for (size_t d = 0; d < data.count; d++)
        labels_builder_set(&all, data.pairs[d].name, data.pairs[d].value);
    series->out =
        info_out(run, labels_builder_finish(&all), series->base->drop_name, series->first_out);
    return true;
}

static bool enrich_series(InfoRun *run, const VectorSeries *base, Enrichment *series, Error *err)
{
    size_t n = run->steps->count;
    *series = (Enrichment){.base = base,
                           .groups = series->groups,
                           .picks = series->picks,
                           .first_out = run->out_count,
                           .passes = is_info_metric(run, base->labels)};
    find_groups(run, series);
    for (size_t i = 0; i < n; i++) {
        if (base->kind[i] == POINT_NONE)
            continue;
        if (!choose_out(run, series, i, err))
            return false;
        if (series->out == NO_PICK)
            continue;
        VectorSeries *out = &run->out[series->out];
        if (base->kind[i] == POINT_HISTOGRAM) {
            vector_series_set_histogram(run->arena, n, out, i, base->histogram[i]);
        } else {
            out->value[i] = base->value[i];
            out->kind[i] = POINT_FLOAT;
        }
    }
    return eval_check(run->context, run->arena, err);
}

static bool enrich(InfoRun *run, const Expr *expr, Error *err)
{
    if (!fetch_info(run, expr, err) || !make_groups(run, err))
        return false;
    Enrichment series = {
        .groups = ARENA_ARRAY(run->arena, const InfoGroup *, run->group_count),
        .picks = ARENA_ARRAY(run->arena, uint32_t, run->group_count),
    };
    for (size_t s = 0; s < run->base.count; s++)
        if (!enrich_series(run, &run->base.series[s], &series, err))
            return false;
    return true;
}

bool eval_info(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
               Value *ret_value, Error *err)
{
    InfoRun run = {.context = context, .steps = steps, .arena = arena};
    const Expr *selector = expr->call.count > 1 ? expr_without_parens(expr->call.args[1]) : NULL;
    if (!eval(context, expr->call.args[0], steps, arena, &run.base, err) ||
        !info_matchers(&run, selector, err))
        return false;
    bool ok = enrich(&run, expr, err);
    if (!selector || run.matcher_count > selector->selector.count) {
        Matcher own = run.matchers[run.matcher_count - 1];
        matcher_deinit(&own);
    }
    if (!ok)
        return false;
    *ret_value = (Value){.type = TYPE_VECTOR, .series = run.out, .count = run.out_count};
    return vector_merge_steps(arena, steps, ret_value, err);
}
