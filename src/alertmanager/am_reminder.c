// SPDX-License-Identifier: Apache-2.0
// Reminders of silences that are about to end while they still mute something: the Alertmanager raises an alert of its own, which goes
// the way of all alerts (routes, groups, receivers, silences, other instances). It stands until the silence ends or is made longer.
#include "alertmanager/am_internal.h"
#include "base/log.h"

#define TICK_MS_MIN 1000
#define TICK_MS_MAX 30000
#define TICKS_STANDING 3
#define MATCHERS_BYTES_MAX ((size_t)4096)

static int64_t tick_ms(const Am *am)
{
    return MIN(MAX(am->options.reminder_ms / 4, TICK_MS_MIN), TICK_MS_MAX);
}

static bool is_ending(const Am *am, const AmSilenceData *silence, int64_t now_ns)
{
    return am_silence_state(silence, now_ns) == AM_SILENCE_ACTIVE &&
           silence->ends_ns - now_ns <= am->options.reminder_ms * AM_MS_NS;
}

static bool any_is_ending(const Am *am, int64_t now_ns)
{
    for (MapEntry *e = NULL; (e = map_next(&am->silences.by_id, e));)
        if (is_ending(am, &((AmSilence *)e->value)->data, now_ns))
            return true;
    return false;
}

typedef struct Muted {
    const AmSilence *silence;
    size_t count;
} Muted;

// How many alerts each silence that is ending mutes; one that mutes none is not there.
static size_t count_muted(Am *am, int64_t now_ns, Arena *arena, Muted *muted)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    size_t max = am->silences.by_id.count;
    const AmSilence **found = ARENA_ARRAY(arena, const AmSilence *, max);
    size_t count = 0;
    for (AmTableSlot *s = NULL; (s = am_table_next(&am->alerts.alerts, s));) {
        arena_reset(&scratch);
        if (am_alert_resolved_at(s->value, now_ns))
            continue;
        size_t matches = am_silences_match(&am->silences, am_alert_labels(s->value, &scratch),
                                           now_ns, found, max);
        for (size_t i = 0; i < matches; i++) {
            size_t k = 0;
            while (k < count && muted[k].silence != found[i])
                k++;
            if (k == count && is_ending(am, &found[i]->data, now_ns))
                muted[count++] = (Muted){found[i], 0};
            if (k < count)
                muted[k].count++;
        }
    }
    return count;
}

static Labels make_labels(Arena *arena, const Label *pairs, size_t count)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < count; i++)
        labels_builder_set(&builder, pairs[i].name, pairs[i].value);
    return labels_copy(arena, labels_builder_finish(&builder));
}

static Str matchers_of(Arena *arena, const AmSilenceData *silence)
{
    CLEANUP(buf_deinit) Buf text = {.max = MATCHERS_BYTES_MAX};
    for (size_t i = 0; i < silence->set_count; i++) {
        buf_add_c(&text, i ? " or " : "");
        am_matchers_print(&text, &silence->sets[i]);
    }
    return arena_str(arena, buf_str(&text));
}

static AmAlertInput reminder_of(const Am *am, const Muted *muted, int64_t now_ns, Arena *arena)
{
    const AmSilenceData *silence = &muted->silence->data;
    CLEANUP(buf_deinit) Buf ends = {0};
    am_time_print(&ends, silence->ends_ns);
    Str ends_at = arena_str(arena, buf_str(&ends));
    Str id = arena_str(arena, silence->id);
    Str author = arena_str(arena, silence->created_by);
    Str summary =
        arena_printf(arena, "The silence of " STR_FMT " ends at " STR_FMT " and mutes %zu alert%s",
                     STR_ARG(author), STR_ARG(ends_at), muted->count, muted->count == 1 ? "" : "s");
    const Label labels[] = {
        {S("alertname"), S("SilenceExpiring")}, {S("created_by"), author}, {S("silence_id"), id}};
    const Label annotations[] = {{S("comment"), arena_str(arena, silence->comment)},
                                 {S("ends_at"), ends_at},
                                 {S("matchers"), matchers_of(arena, silence)},
                                 {S("summary"), summary}};
    int64_t stands_ns = am_time_add(now_ns, TICKS_STANDING * tick_ms(am) * AM_MS_NS);
    return (AmAlertInput){
        .labels = make_labels(arena, labels, COUNT_OF(labels)),
        .annotations = make_labels(arena, annotations, COUNT_OF(annotations)),
        .generator_url = arena_printf(arena, STR_FMT "/#/silences/" STR_FMT,
                                      STR_ARG(am->options.external_url), STR_ARG(id)),
        .starts_ns = MIN(silence->ends_ns - am->options.reminder_ms * AM_MS_NS, now_ns),
        .ends_ns = MIN(silence->ends_ns, stands_ns),
    };
}

static void tick(void *arg)
{
    Am *am = arg;
    CLEANUP(arena_deinit) Arena arena = {0};
    Error err = {0};
    int64_t now_ns = am_now_ns(am->clock);
    size_t count = 0;
    lock_take(&am->lock);
    AmAlertInput *inputs = NULL;
    if (any_is_ending(am, now_ns)) {
        Muted *muted = ARENA_ARRAY(&arena, Muted, am->silences.by_id.count);
        count = count_muted(am, now_ns, &arena, muted);
        inputs = ARENA_ARRAY(&arena, AmAlertInput, count + 1);
        for (size_t i = 0; i < count; i++)
            inputs[i] = reminder_of(am, &muted[i], now_ns, &arena);
    }
    lock_give(&am->lock);
    if (count && !am_receive(am, inputs, count, &err))
        log_error("a silence cannot be reminded of", KV("err", &err));
    loop_timer_set(am->reminder_timer, clock_mono_ns(am->clock) + tick_ms(am) * AM_MS_NS);
}

void am_reminder_start(Am *am)
{
    if (am->options.reminder_ms == 0)
        return;
    am->reminder_timer = loop_timer_new(am->loop, tick, am);
    loop_timer_set(am->reminder_timer, clock_mono_ns(am->clock) + TICK_MS_MIN * AM_MS_NS);
}
