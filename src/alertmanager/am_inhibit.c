// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_inhibit.h"

#include <stdlib.h>

#include "alertmanager/am_trace.h"

typedef struct Rule {
    AmMatchers source, target;
    Str name;
    ConfigStrList equal;
    AmTable sources; // hash of the equal labels' values to AmAlert
} Rule;

struct AmInhibitor {
    Arena arena, scratch;
    Rule *rules;
    size_t count;
    AmMatchers *owned; // compiled from the old forms
    size_t owned_count;
};

// Both forms as one list; matchers of the old form are owned by the inhibitor.
static bool join_matchers(AmInhibitor *in, ConfigStrMap match, ConfigStrMap match_re,
                          const AmMatchers *matchers, AmMatchers *ret_all, Error *err)
{
    size_t max = match.count + match_re.count;
    AmMatchers own = {arena_zalloc(&in->arena, (max + 1) * sizeof(Matcher)), 0};
    bool ok = true;
    for (size_t i = 0; ok && i < max; i++) {
        const ConfigStrMap *map = i < match.count ? &match : &match_re;
        size_t at = i < match.count ? i : i - match.count;
        ok = am_matcher_init(&own.items[i], map == &match ? MATCH_EQUAL : MATCH_REGEX,
                             map->keys[at], map->values[at], &in->arena, err);
        own.count += ok;
    }
    in->owned[in->owned_count++] = own;
    AmMatchers all = {arena_zalloc(&in->arena, (max + matchers->count + 1) * sizeof(Matcher)),
                      own.count + matchers->count};
    memcpy(all.items, own.items, own.count * sizeof(Matcher));
    if (matchers->count)
        memcpy(all.items + own.count, matchers->items, matchers->count * sizeof(Matcher));
    *ret_all = all;
    return ok;
}

bool am_inhibitor_new(const AmConfig *config, AmInhibitor **ret_inhibitor, Error *err)
{
    const AmInhibitConfig *from = config->file.inhibit_rules.items;
    AmInhibitor *in = X_NEW(AmInhibitor);
    in->count = config->file.inhibit_rules.count;
    in->rules = arena_zalloc(&in->arena, (in->count + 1) * sizeof *in->rules);
    in->owned = arena_zalloc(&in->arena, (2 * in->count + 1) * sizeof *in->owned);
    bool ok = true;
    for (size_t i = 0; ok && i < in->count; i++) {
        in->rules[i].name = from[i].name;
        in->rules[i].equal = from[i].equal;
        ok = join_matchers(in, from[i].source_match, from[i].source_match_re,
                           &from[i].source_matchers, &in->rules[i].source, err) &&
             join_matchers(in, from[i].target_match, from[i].target_match_re,
                           &from[i].target_matchers, &in->rules[i].target, err);
    }
    if (!ok) {
        am_inhibitor_free(in);
        return false;
    }
    *ret_inhibitor = in;
    return true;
}

void am_inhibitor_free(AmInhibitor *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->count; i++) {
        for (AmTableSlot *s = NULL; (s = am_table_next(&in->rules[i].sources, s));)
            am_alert_unref(s->value);
        am_table_deinit(&in->rules[i].sources);
    }
    for (size_t i = 0; i < in->owned_count; i++)
        am_matchers_deinit(&in->owned[i]);
    arena_deinit(&in->scratch);
    arena_deinit(&in->arena);
    free(in);
}

// Values of the labels that must be equal; a missing one is empty.
static uint64_t equal_key(const Rule *rule, Labels labels)
{
    char bytes[512];
    Buf large = {0};
    size_t used = 0;
    for (size_t i = 0; i < rule->equal.count; i++) {
        Str value = labels_get(labels, rule->equal.items[i]);
        if (large.len == 0 && used + value.len + 1 <= sizeof bytes) {
            memcpy(bytes + used, value.len ? value.ptr : "", value.len);
            used += value.len;
            bytes[used++] = (char)0xFF;
            continue;
        }
        if (large.len == 0)
            buf_add(&large, bytes, used);
        buf_add_str(&large, value);
        buf_add_char(&large, (char)0xFF);
    }
    uint64_t key = str_hash(large.len ? buf_str(&large) : str_make(bytes, used));
    buf_deinit(&large);
    return key;
}

static void tell_rule(Span *span, const char *what, const Rule *rule)
{
    const SpanAttribute name = {"alerting.inhibit_rule.name", rule->name.len ? rule->name : S(""),
                                0};
    span_event(span, str_from_c(what), &name, 1);
}

void am_inhibitor_note(AmInhibitor *in, AmAlert *alert)
{
    arena_reset(&in->scratch);
    Labels labels = am_alert_labels(alert, &in->scratch);
    CLEANUP(span_end) Span span;
    am_trace_alert(&span, "inhibit.Inhibitor.processAlert", labels, alert->fingerprint);
    for (size_t i = 0; i < in->count; i++) {
        Rule *rule = &in->rules[i];
        if (!am_matchers_match(&rule->source, labels))
            continue;
        tell_rule(&span, "alert matched rule source", rule);
        span_str(&span, "alerting.inhibit_rule.name", rule->name);
        uint64_t key = equal_key(rule, labels);
        AmAlert *known = am_table_get(&rule->sources, key);
        if (known && known->fingerprint != alert->fingerprint && known->ends_ns > alert->ends_ns)
            continue;
        (void)am_table_put(&rule->sources, key, am_alert_ref(alert));
        am_alert_unref(known);
    }
}

static bool is_target(const Rule *rule, const AmAlert *alert)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    return am_matchers_match(&rule->target, am_alert_labels(alert, &arena));
}

static bool find_source(const AmInhibitor *in, Labels labels, int64_t now_ns, Span *span,
                        uint64_t *ret_source, size_t *ret_rule)
{
    for (size_t i = 0; i < in->count; i++) {
        const Rule *rule = &in->rules[i];
        if (!span && rule->sources.count == 0)
            continue;
        if (!am_matchers_match(&rule->target, labels))
            continue;
        if (span)
            tell_rule(span, "alert matched rule target", rule);
        const AmAlert *source = am_table_get(&rule->sources, equal_key(rule, labels));
        if (!source || am_alert_resolved_at(source, now_ns))
            continue;
        // What is on both sides is not inhibited by what is on both sides: nothing inhibits itself.
        if (am_matchers_match(&rule->source, labels) && is_target(rule, source))
            continue;
        *ret_source = source->fingerprint;
        *ret_rule = i;
        return true;
    }
    return false;
}

bool am_inhibitor_mutes(const AmInhibitor *in, Labels labels, int64_t now_ns, uint64_t *ret_source)
{
    size_t rule;
    return find_source(in, labels, now_ns, NULL, ret_source, &rule);
}

bool am_inhibitor_mutes_by(const AmInhibitor *in, Labels labels, int64_t now_ns,
                           uint64_t *ret_source, size_t *ret_rule)
{
    Span span;
    if (!span_open_recorded(&span, S("inhibit.Inhibitor.Mutes")))
        return find_source(in, labels, now_ns, NULL, ret_source, ret_rule);
    char hex[17];
    am_trace_fingerprint(&span, "alerting.alert.fingerprint", am_alert_fingerprint(labels));
    bool mutes = find_source(in, labels, now_ns, &span, ret_source, ret_rule);
    if (mutes) {
        const SpanAttribute source = {"alerting.inhibit_rule.source.fingerprint",
                                      am_trace_hex(*ret_source, hex), 0};
        span_event(&span, S("alert inhibited"), &source, 1);
    } else {
        span_event(&span, S("alert not inhibited"), NULL, 0);
    }
    span_end(&span);
    return mutes;
}

static void collect_rule(Rule *rule, int64_t now_ns)
{
    AmTable kept = {0};
    for (AmTableSlot *s = NULL; (s = am_table_next(&rule->sources, s));) {
        AmAlert *alert = s->value;
        if (am_alert_resolved_at(alert, now_ns))
            am_alert_unref(alert);
        else
            (void)am_table_put(&kept, s->key, alert);
    }
    am_table_deinit(&rule->sources);
    rule->sources = kept;
}

void am_inhibitor_collect(AmInhibitor *in, int64_t now_ns)
{
    for (size_t i = 0; i < in->count; i++)
        collect_rule(&in->rules[i], now_ns);
}

size_t am_inhibitor_rules(const AmInhibitor *in)
{
    return in->count;
}
