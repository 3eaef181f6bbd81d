// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>
#include <stdlib.h>

#include "net/url.h"
#include "rules/rules_internal.h"

static Labels copy_map(Arena *arena, const ConfigStrMap *map)
{
    RuleSpec spec = {.labels = *map};
    RuleGroupSpec none = {0};
    return labels_copy(arena, rule_spec_labels(&none, &spec, arena));
}

static Str canonical_query(Arena *arena, Str expr, const PromqlFeatures *features)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Error err;
    bool ok = promql_print(expr, features, &out, &err);
    ASSERT(ok); // it was checked with the file
    return arena_str(arena, buf_str(&out));
}

static Str make_generator_url(Arena *arena, Str external_url, Str query)
{
    CLEANUP(buf_deinit) Buf out = {0};
    buf_add_str(&out, external_url);
    buf_add_c(&out, "/graph?g0.expr=");
    url_add_query_escaped(&out, query);
    buf_add_c(&out, "&g0.tab=1");
    return arena_str(arena, buf_str(&out));
}

static Str make_key(Arena *arena, Str name, Labels labels)
{
    CLEANUP(buf_deinit) Buf out = {0};
    buf_add_str(&out, name);
    labels_print(&out, labels);
    return arena_str(arena, buf_str(&out));
}

static bool rule_init(RuleGroup *group, size_t index, const RuleGroupSpec *group_spec,
                      const RuleSpec *spec, const PromqlFeatures *features, Error *err)
{
    Arena *arena = &group->arena;
    Rule *rule = &group->rules[index];
    *rule = (Rule){
        .group = group,
        .index = index,
        .is_alert = spec->alert.len > 0,
        .name = arena_str(arena, rule_spec_name(spec)),
        .query = canonical_query(arena, spec->expr, features),
        .labels = labels_copy(arena, rule_spec_labels(group_spec, spec, arena)),
        .annotations = copy_map(arena, &spec->annotations),
        .for_ms = spec->for_ms,
        .keep_firing_for_ms = spec->keep_firing_for_ms,
        .line = spec->line,
        .restored = true,
        .evaluated_at_ms = RULES_NEVER,
    };
    rule->key = make_key(arena, rule->name, rule->labels);
    if (!rule->is_alert)
        return true;
    group->has_alerts = true;
    rule->generator_url = make_generator_url(arena, group->external_url, rule->query);
    return rule_texts_new(rule->labels, rule->name, group->functions, arena, &rule->label_texts,
                          err) &&
           rule_texts_new(rule->annotations, rule->name, group->functions, arena,
                          &rule->annotation_texts, err);
}

// Everything that an evaluation depends on.
static Str make_fingerprint(const RuleGroup *group)
{
    CLEANUP(buf_deinit) Buf out = {0};
    buf_printf(&out, "%lld %lld %lld ", (long long)group->interval_ms,
               (long long)group->query_offset_ms, (long long)group->limit);
    labels_print(&out, group->external_labels);
    buf_add_go_quoted(&out, group->external_url);
    for (size_t i = 0; i < group->rule_count; i++) {
        const Rule *rule = &group->rules[i];
        buf_printf(&out, "\n%d %lld %lld ", rule->is_alert, (long long)rule->for_ms,
                   (long long)rule->keep_firing_for_ms);
        buf_add_go_quoted(&out, rule->key);
        buf_add_go_quoted(&out, rule->query);
        labels_print(&out, rule->annotations);
    }
    union {
        RuleGroup *group;
        const RuleGroup *view;
    } cast = {.view = group};
    return arena_str(&cast.group->arena, buf_str(&out));
}

bool rule_group_new(const RulesConfig *config, Str file, const RuleGroupSpec *spec,
                    RuleGroup **ret_group, Error *err)
{
    RuleGroup *group = X_NEW(RuleGroup);
    Arena *arena = &group->arena;
    atomic_init(&group->refs, 1);
    lock_init(&group->lock, "rule group", RANK_RULE_GROUP);
    group->file = arena_str(arena, file);
    group->name = arena_str(arena, spec->name);
    group->key = arena_printf(arena, STR_FMT ";" STR_FMT, STR_ARG(file), STR_ARG(spec->name));
    group->interval_ms = spec->interval_ms ? spec->interval_ms : config->interval_ms;
    if (group->interval_ms <= 0)
        group->interval_ms = RULE_INTERVAL_MS_DEFAULT;
    group->query_offset_ms =
        spec->has_query_offset ? spec->query_offset_ms : config->query_offset_ms;
    group->limit = spec->limit;
    group->external_labels = labels_copy(arena, config->external_labels);
    group->external_url = arena_str(arena, config->external_url);
    group->evaluated_at_ms = RULES_NEVER;
    group->functions = template_set_new(&(TemplateOptions){.tables = template_prometheus_tables,
                                                           .missing_key = TEMPLATE_MISSING_ZERO});
    group->rules = arena_zalloc(arena, (spec->rules.count + 1) * sizeof *group->rules);
    for (size_t i = 0; i < spec->rules.count; i++) {
        group->rule_count = i + 1;
        if (!rule_init(group, i, spec, (const RuleSpec *)spec->rules.items + i,
                       &config->file.features, err)) {
            rule_group_unref(group);
            return false;
        }
    }
    rule_group_find_dependencies(group, &config->file.features);
    group->fingerprint = make_fingerprint(group);
    *ret_group = group;
    return true;
}

RuleGroup *rule_group_ref(RuleGroup *group)
{
    atomic_fetch_add_explicit(&group->refs, 1, memory_order_relaxed);
    return group;
}

static void rule_deinit(Rule *rule)
{
    union {
        const char *view;
        void *heap;
    } error = {rule->last_error.ptr};
    rule_texts_free(rule->label_texts, rule->labels.count);
    rule_texts_free(rule->annotation_texts, rule->annotations.count);
    rule_output_deinit(&rule->output);
    alert_list_deinit(&rule->alerts);
    free(error.heap);
}

void rule_group_unref(RuleGroup *group)
{
    if (!group || atomic_fetch_sub_explicit(&group->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < group->rule_count; i++)
        rule_deinit(&group->rules[i]);
    template_set_free(group->functions);
    lock_deinit(&group->lock);
    free(group->stale);
    free(group->metrics);
    arena_deinit(&group->arena);
    free(group);
}

void rule_group_move(RuleGroup *group, const RuleGroup *now)
{
    lock_take(&group->lock);
    for (size_t i = 0; i < group->rule_count && i < now->rule_count; i++)
        group->rules[i].line = now->rules[i].line;
    lock_give(&group->lock);
}

int64_t rules_slot_ns(Str file, Str group, int64_t interval_ms, int64_t now_ns)
{
    const Label pairs[] = {{STR("file"), file}, {STR("name"), group}};
    uint64_t hash = labels_hash((Labels){pairs, COUNT_OF(pairs)});
    int64_t interval_ns = interval_ms * 1000000;
    int64_t offset_ns = (int64_t)(hash % (uint64_t)interval_ns);
    int64_t shifted = now_ns - offset_ns;
    return shifted - shifted % interval_ns + offset_ns;
}

int64_t rule_group_slot(const RuleGroup *group, int64_t now_ns)
{
    return rules_slot_ns(group->file, group->name, group->interval_ms, now_ns);
}

static void add_stale(RuleGroup *group, const SeriesRef *refs, size_t count)
{
    if (count == 0)
        return;
    group->stale = x_realloc(group->stale, (group->stale_count + count) * sizeof *group->stale);
    memcpy(group->stale + group->stale_count, refs, count * sizeof *refs);
    group->stale_count += count;
}

// The rule `to` is `from` of before.
static void take_over_rule(Rule *to, Rule *from)
{
    to->output = from->output;
    from->output = (RuleOutput){0};
    if (!to->is_alert || !from->is_alert)
        return;
    lock_take(&from->group->lock);
    AlertList alerts = from->alerts;
    from->alerts = (AlertList){0};
    lock_give(&from->group->lock);
    to->alerts = alerts; // nobody sees the new group yet
    to->restored = from->restored;
}

void rule_group_take_over(RuleGroup *to, RuleGroup *from)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    bool *taken = arena_zalloc(&arena, from->rule_count + 1);
    to->evaluation_s = from->evaluation_s;
    to->evaluated_at_ms = from->evaluated_at_ms;
    to->wants_restore = from->wants_restore;
    to->starts = from->starts;
    for (size_t i = 0; i < to->rule_count; i++)
        for (size_t k = 0; k < from->rule_count; k++)
            if (!taken[k] && to->rules[i].is_alert == from->rules[k].is_alert &&
                str_equal(to->rules[i].key, from->rules[k].key)) {
                taken[k] = true;
                take_over_rule(&to->rules[i], &from->rules[k]);
                break;
            }
    rule_group_give_up_series(from);
    add_stale(to, from->stale, from->stale_count);
}

void rule_group_give_up_series(RuleGroup *group)
{
    for (size_t i = 0; i < group->rule_count; i++) {
        Rule *rule = &group->rules[i];
        add_stale(group, rule->output.refs, rule->output.count);
        rule_output_deinit(&rule->output);
    }
}
