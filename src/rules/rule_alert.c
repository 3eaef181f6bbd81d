// SPDX-License-Identifier: Apache-2.0
// The state of alerts: inactive, pending, firing; prometheus.md section 8.3.
#include <math.h>
#include <stdlib.h>

#include "rules/rules_internal.h"

#define ALERT_NAME S("alertname")
#define ALERT_STATE S("alertstate")

// The list ---------------------------------------------------------------------------------------------------------------------------

static Str key_of(const Alert *alert)
{
    return (Str){(const char *)&alert->hash, sizeof alert->hash};
}

static void alert_free(Alert *alert)
{
    rule_labels_unref(alert->labels);
    rule_labels_unref(alert->annotations);
    free(alert);
}

void alert_list_deinit(AlertList *list)
{
    for (size_t i = 0; i < list->count; i++)
        alert_free(list->items[i]);
    free(list->items);
    map_deinit(&list->by_hash);
    *list = (AlertList){.evaluations = list->evaluations};
}

Alert *alert_list_find(const AlertList *list, Hash128 hash)
{
    return map_get(&list->by_hash, (Str){(const char *)&hash, sizeof hash});
}

void alert_list_add(AlertList *list, Alert *alert)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->items = x_realloc(list->items, list->cap * sizeof(Alert *));
    }
    list->items[list->count++] = alert;
    map_put(&list->by_hash, key_of(alert), alert);
}

// What the expression found ------------------------------------------------------------------------------------------------------------

typedef struct Found {
    Labels labels;
    Labels annotations;
    Hash128 hash;
    double value;
} Found;

static Labels expand_labels(const Rule *rule, const RuleExpansion *expansion)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, expansion->run->arena, expansion->labels);
    labels_builder_set(&builder, LABEL_METRIC_NAME, STR_NONE);
    for (size_t i = 0; i < rule->labels.count; i++)
        labels_builder_set(&builder, rule->labels.pairs[i].name,
                           rule_text_expand(&rule->label_texts[i], expansion));
    labels_builder_set(&builder, ALERT_NAME, rule->name);
    return labels_builder_finish(&builder);
}

static Labels expand_annotations(const Rule *rule, const RuleExpansion *expansion)
{
    Label *pairs = ARENA_ARRAY(expansion->run->arena, Label, rule->annotations.count + 1);
    for (size_t i = 0; i < rule->annotations.count; i++)
        pairs[i] = (Label){rule->annotations.pairs[i].name,
                           rule_text_expand(&rule->annotation_texts[i], expansion)};
    return (Labels){pairs, rule->annotations.count};
}

static bool find_all(const RuleEval *run, const Rule *rule, const QueryResult *result,
                     Found **ret_found, Error *err)
{
    Found *found = ARENA_ARRAY(run->arena, Found, result->count + 1);
    CLEANUP(buf_deinit) Buf scratch = {0};
    CLEANUP(map_deinit) Map seen = {0};
    for (size_t i = 0; i < result->count; i++) {
        const SampleColumns *samples = &result->series[i].samples;
        const Histogram *histogram = samples->histograms ? samples->histograms[0] : NULL;
        RuleExpansion expansion = {run, result->series[i].labels, histogram ? 0 : samples->value[0],
                                   histogram};
        found[i].labels = expand_labels(rule, &expansion);
        found[i].annotations = expand_annotations(rule, &expansion);
        found[i].value = expansion.value;
        found[i].hash = rule_labels_hash(found[i].labels, &scratch);
        if (map_put(&seen, (Str){(const char *)&found[i].hash, sizeof found[i].hash}, &found[i]))
            return error_set(
                err, ERR_INVALID,
                "vector contains metrics with the same labelset after applying alert labels");
    }
    *ret_found = found;
    return true;
}

// States -------------------------------------------------------------------------------------------------------------------------------

static Alert *alert_new(const Found *found)
{
    Alert *alert = X_NEW(Alert);
    alert->labels = rule_labels_new(found->labels);
    alert->hash = found->hash;
    return alert;
}

static void begin(Alert *alert, int64_t t_ms)
{
    alert->state = ALERT_PENDING;
    alert->active_at_ms = t_ms;
    alert->fired_at_ms = alert->resolved_at_ms = RULES_NEVER;
    alert->sent_at_ms = alert->keep_firing_since_ms = RULES_NEVER;
}

// New alerts come in, known ones get their value and annotations.
static void take_found(AlertList *list, const Found *found, size_t count, int64_t t_ms)
{
    list->evaluations++;
    for (size_t i = 0; i < count; i++) {
        Alert *alert = alert_list_find(list, found[i].hash);
        if (!alert) {
            alert = alert_new(&found[i]);
            alert_list_add(list, alert);
        }
        if (alert->state == ALERT_INACTIVE)
            begin(alert, t_ms);
        alert->seen = list->evaluations;
        alert->value = found[i].value;
        if (!alert->annotations ||
            !labels_equal(alert->annotations->labels, found[i].annotations)) {
            rule_labels_unref(alert->annotations);
            alert->annotations = rule_labels_new(found[i].annotations);
        }
    }
}

// The expression has no result for it any more. True if it is still active; *ret_drop: it is forgotten.
static bool carry_on_gone(const Rule *rule, Alert *alert, int64_t t_ms, bool *ret_drop)
{
    bool keeps_firing = false;
    if (alert->state == ALERT_FIRING && rule->keep_firing_for_ms > 0) {
        if (alert->keep_firing_since_ms == RULES_NEVER)
            alert->keep_firing_since_ms = t_ms;
        keeps_firing = t_ms - alert->keep_firing_since_ms < rule->keep_firing_for_ms;
    }
    // A resolved alert stays for a while: it is told again, should the first message have been lost.
    *ret_drop = alert->state == ALERT_PENDING || (alert->resolved_at_ms != RULES_NEVER &&
                                                  t_ms - alert->resolved_at_ms > ALERT_KEPT_MS);
    if (alert->state != ALERT_INACTIVE && !keeps_firing) {
        alert->state = ALERT_INACTIVE;
        alert->resolved_at_ms = t_ms;
    }
    return keeps_firing;
}

static void carry_on_found(const Rule *rule, Alert *alert, int64_t t_ms)
{
    alert->keep_firing_since_ms = RULES_NEVER;
    // A reload has made `for` longer.
    if (alert->state == ALERT_FIRING && t_ms - alert->active_at_ms < rule->for_ms) {
        alert->state = ALERT_PENDING;
        alert->fired_at_ms = RULES_NEVER;
    }
    if (alert->state == ALERT_PENDING && t_ms - alert->active_at_ms >= rule->for_ms) {
        alert->state = ALERT_FIRING;
        alert->fired_at_ms = t_ms;
    }
}

// Returns how many are pending or firing, and puts those first in *ret_active.
static size_t carry_on(Rule *rule, int64_t t_ms, Alert **ret_active)
{
    AlertList *list = &rule->alerts;
    size_t kept = 0;
    size_t active = 0;
    for (size_t i = 0; i < list->count; i++) {
        Alert *alert = list->items[i];
        bool drop = false;
        bool is_active = true;
        if (alert->seen == list->evaluations)
            carry_on_found(rule, alert, t_ms);
        else
            is_active = carry_on_gone(rule, alert, t_ms, &drop);
        if (drop) {
            map_remove(&list->by_hash, key_of(alert));
            alert_free(alert);
            continue;
        }
        list->items[kept++] = alert;
        if (is_active)
            ret_active[active++] = alert;
    }
    list->count = kept;
    return active;
}

// Series -------------------------------------------------------------------------------------------------------------------------------

Labels rule_alert_series(const Rule *rule, const Alert *alert, AlertSeries series, Arena *arena)
{
    LabelsBuilder builder;
    // As the original: the rule's labels as they are written stay where an alert has none of that name.
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < rule->labels.count; i++)
        labels_builder_set(&builder, rule->labels.pairs[i].name, rule->labels.pairs[i].value);
    for (size_t i = 0; i < alert->labels->labels.count; i++)
        labels_builder_set(&builder, alert->labels->labels.pairs[i].name,
                           alert->labels->labels.pairs[i].value);
    bool for_state = series == ALERT_SERIES_FOR;
    labels_builder_set(&builder, LABEL_METRIC_NAME,
                       for_state ? S("ALERTS_FOR_STATE") : S("ALERTS"));
    labels_builder_set(&builder, ALERT_NAME, rule->name);
    if (!for_state)
        labels_builder_set(&builder, ALERT_STATE,
                           series == ALERT_SERIES_FIRING ? S("firing") : S("pending"));
    return labels_builder_finish(&builder);
}

// Samples in pairs: ALERTS and ALERTS_FOR_STATE of each active alert.
typedef struct SeriesSource {
    const Rule *rule;
    Alert **active;
} SeriesSource;

static AlertSeries series_of(const Alert *alert, size_t index)
{
    if (index % 2)
        return ALERT_SERIES_FOR;
    return alert->state == ALERT_FIRING ? ALERT_SERIES_FIRING : ALERT_SERIES_PENDING;
}

static Labels series_labels(void *arg, size_t index, Arena *arena)
{
    const SeriesSource *source = arg;
    const Alert *alert = source->active[index / 2];
    return rule_alert_series(source->rule, alert, series_of(alert, index), arena);
}

static int64_t unix_seconds(int64_t t_ms)
{
    return t_ms >= 0 ? t_ms / 1000 : -((999 - t_ms) / 1000);
}

static void make_batch(const RuleEval *run, const Rule *rule, Alert **active, size_t count,
                       RuleBatch *batch)
{
    SeriesSource *source = ARENA_NEW(run->arena, SeriesSource);
    *source = (SeriesSource){rule, active};
    *batch = (RuleBatch){
        .samples = ARENA_ARRAY(run->arena, SinkSample, count * 2 + 1),
        .homes = ARENA_ARRAY(run->arena, SeriesRef *, count * 2 + 1),
        .count = count * 2,
        .labels = series_labels,
        .arg = source,
    };
    for (size_t i = 0; i < count * 2; i++) {
        Alert *alert = active[i / 2];
        batch->homes[i] = &alert->refs[series_of(alert, i)];
        batch->samples[i] = (SinkSample){
            .ref = *batch->homes[i],
            .t_ms = run->sample_t_ms,
            .value = i % 2 ? (double)unix_seconds(alert->active_at_ms) : 1,
        };
    }
}

bool rule_alert_update(const RuleEval *run, Rule *rule, const QueryResult *result,
                       RuleBatch *ret_batch, Error *err)
{
    Found *found;
    if (!find_all(run, rule, result, &found, err))
        return false;
    lock_take(&run->group->lock);
    take_found(&rule->alerts, found, result->count, run->t_ms);
    Alert **active = ARENA_ARRAY(run->arena, Alert *, rule->alerts.count + 1);
    size_t count = carry_on(rule, run->t_ms, active);
    bool fits = run->group->limit <= 0 || count <= (size_t)run->group->limit;
    if (!fits)
        alert_list_deinit(&rule->alerts);
    lock_give(&run->group->lock);
    if (!fits)
        return error_set(err, ERR_LIMIT, "exceeded limit of %lld with %zu alerts",
                         (long long)run->group->limit, count);
    make_batch(run, rule, active, rule->restored ? count : 0, ret_batch);
    return true;
}

// Telling ------------------------------------------------------------------------------------------------------------------------------

static bool is_due(const Alert *alert, int64_t t_ms, int64_t resend_ms)
{
    if (alert->state == ALERT_PENDING)
        return false;
    if (alert->resolved_at_ms > alert->sent_at_ms) // RULES_NEVER is before all
        return true;
    return alert->sent_at_ms == RULES_NEVER || alert->sent_at_ms + resend_ms < t_ms;
}

void rule_alert_send(const RuleEval *run, Rule *rule)
{
    const RulesOptions *options = &run->manager->options;
    // Two evaluations or messages may fail before the receiver takes the alert for over.
    int64_t valid_until_ms = run->t_ms + 4 * MAX(options->resend_delay_ms, run->group->interval_ms);
    size_t count = 0;
    if (!options->send)
        return;
    lock_take(&run->group->lock);
    NotifierAlert *due = ARENA_ARRAY(run->arena, NotifierAlert, rule->alerts.count + 1);
    RuleLabels **held = ARENA_ARRAY(run->arena, RuleLabels *, rule->alerts.count * 2 + 1);
    for (size_t i = 0; i < rule->alerts.count; i++) {
        Alert *alert = rule->alerts.items[i];
        if (!is_due(alert, run->t_ms, options->resend_delay_ms))
            continue;
        alert->sent_at_ms = run->t_ms;
        held[count * 2] = rule_labels_ref(alert->labels);
        held[count * 2 + 1] = rule_labels_ref(alert->annotations);
        due[count++] = (NotifierAlert){
            .labels = alert->labels->labels,
            .annotations = alert->annotations->labels,
            .starts_at_ms = alert->fired_at_ms,
            .ends_at_ms =
                alert->resolved_at_ms != RULES_NEVER ? alert->resolved_at_ms : valid_until_ms,
            .generator_url = rule->generator_url,
        };
    }
    lock_give(&run->group->lock);
    if (count)
        options->send(options->send_arg, due, count);
    for (size_t i = 0; i < count * 2; i++)
        rule_labels_unref(held[i]);
}
