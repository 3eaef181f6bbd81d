// SPDX-License-Identifier: Apache-2.0
// One unit test's Alertmanager: what it was sent, what it told, and whether that is what the test expects.
#include "tool/tool_alert_tests.h"

#include <stdlib.h>

#include "alertmanager/alertmanager.h"
#include "base/timefmt.h"

#define FAR_MS (INT64_C(100) * 365 * 86400000) // "never"
#define NOTIFICATIONS_MAX 100000

typedef struct ToldAlert {
    Labels labels, annotations;
    bool resolved;
} ToldAlert;

// A template that a test asks for, filled in when the notification was sent.
typedef struct ToldText {
    Str template, text;
} ToldText;

typedef struct Told {
    int64_t at_ms; // from the start
    Str receiver;
    Str integrations; // "webhook[0], email[0]"; empty: the receiver has none
    const char *reason;
    Labels group_labels;
    ToldAlert *alerts; // sorted by labels
    size_t alert_count;
    ToldText *texts;
    size_t text_count;
    bool firing;
    bool is_matched; // by an expectation of the window that is being looked at
} Told;

struct AlertTest {
    const RuleTest *test;
    Arena *arena;
    AmSimulation *simulation;
    const AlertTestSent **others; // by time
    size_t other_count, others_sent;
    Told *told;
    size_t told_count, told_cap;
    bool is_full; // more than NOTIFICATIONS_MAX were sent
    StrList failures;
};

static Labels labels_of_map(Arena *arena, const ConfigStrMap *map)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < map->count; i++)
        labels_builder_set(&builder, map->keys[i], map->values[i]);
    return labels_builder_finish(&builder);
}

// ---- what is told ----

static int compare_told_alerts(const void *a, const void *b)
{
    return labels_compare(((const ToldAlert *)a)->labels, ((const ToldAlert *)b)->labels);
}

static void copy_alerts(AlertTest *test, const AmSimulationNote *note, Told *told)
{
    told->alerts = ARENA_ARRAY(test->arena, ToldAlert, note->count + 1);
    told->alert_count = note->count;
    for (size_t i = 0; i < note->count; i++) {
        told->alerts[i] = (ToldAlert){
            labels_copy(test->arena, am_simulation_labels(note, i, test->arena)),
            labels_copy(test->arena, am_simulation_annotations(note, i, test->arena)),
            am_simulation_is_resolved(note, i),
        };
        told->firing |= !told->alerts[i].resolved;
    }
    qsort(told->alerts, note->count, sizeof *told->alerts, compare_told_alerts);
}

static bool window_has(const AlertTestWindow *window, int64_t at_ms, Str receiver)
{
    return (at_ms > window->from_ms || (at_ms == 0 && window->from_ms == 0)) &&
           at_ms <= window->until_ms &&
           (window->receiver.len == 0 || str_equal(window->receiver, receiver));
}

static Str text_of(const Told *told, Str template)
{
    for (size_t i = 0; i < told->text_count; i++)
        if (str_equal(told->texts[i].template, template))
            return told->texts[i].text;
    return STR_NONE;
}

static void render(AlertTest *test, const AmSimulationNote *note, Str template, Told *told)
{
    Error err = {0};
    Str text;
    for (size_t i = 0; i < told->text_count; i++)
        if (str_equal(told->texts[i].template, template))
            return;
    if (!am_simulation_render(note, template, test->arena, &text, &err))
        text = arena_printf(test->arena, "error: %s", err.text);
    told->texts = arena_grow(test->arena, told->texts, told->text_count * sizeof(ToldText),
                             (told->text_count + 1) * sizeof(ToldText));
    told->texts[told->text_count++] = (ToldText){template, text};
}

// The data is gone later, so each text that may be asked for is made now.
static void render_all(AlertTest *test, const AmSimulationNote *note, Told *told)
{
    const AlertTestWindow *windows = test->test->notifications.items;
    for (size_t w = 0; w < test->test->notifications.count; w++) {
        const AlertTestNotification *expected = windows[w].expected.items;
        if (!window_has(&windows[w], told->at_ms, told->receiver))
            continue;
        for (size_t i = 0; i < windows[w].expected.count; i++)
            for (size_t k = 0; k < expected[i].texts.count; k++)
                render(test, note, ((const AlertTestText *)expected[i].texts.items)[k].template,
                       told);
    }
}

static bool same_alerts(const Told *a, const Told *b)
{
    bool same = a->alert_count == b->alert_count;
    for (size_t i = 0; same && i < a->alert_count; i++)
        same = a->alerts[i].resolved == b->alerts[i].resolved &&
               labels_equal(a->alerts[i].labels, b->alerts[i].labels);
    return same;
}

// Integrations of a receiver that are told the same at the same time are one notification.
static bool join_last(AlertTest *test, const Told *told)
{
    Told *last = test->told_count ? &test->told[test->told_count - 1] : NULL;
    if (!last || last->at_ms != told->at_ms || !str_equal(last->receiver, told->receiver) ||
        !labels_equal(last->group_labels, told->group_labels) || !same_alerts(last, told))
        return false;
    last->integrations = arena_printf(test->arena, STR_FMT ", " STR_FMT,
                                      STR_ARG(last->integrations), STR_ARG(told->integrations));
    return true;
}

static void on_tell(void *arg, const AmSimulationNote *note)
{
    AlertTest *test = arg;
    Told told = {
        .at_ms = note->at_ms - test->test->start_ms,
        .receiver = arena_str(test->arena, note->receiver),
        .reason = str_to_c(test->arena, str_from_c(note->reason)),
        .group_labels = labels_copy(test->arena, note->group_labels),
    };
    if (note->integration[0])
        told.integrations = arena_printf(test->arena, "%s[%u]", note->integration, note->index);
    copy_alerts(test, note, &told);
    if (join_last(test, &told))
        return;
    if (test->told_count == NOTIFICATIONS_MAX) {
        test->is_full = true;
        return;
    }
    render_all(test, note, &told);
    if (test->told_count == test->told_cap) {
        test->told_cap = test->told_cap ? test->told_cap * 2 : 16;
        test->told = arena_grow(test->arena, test->told, test->told_count * sizeof(Told),
                                test->told_cap * sizeof(Told));
    }
    test->told[test->told_count++] = told;
}

// ---- life ----

static int by_start(const void *a, const void *b)
{
    int64_t x = (*(const AlertTestSent *const *)a)->start_ms;
    int64_t y = (*(const AlertTestSent *const *)b)->start_ms;
    return (x > y) - (x < y);
}

static void order_others(AlertTest *test)
{
    const AlertTestSent *sent = test->test->sent.items;
    test->other_count = test->test->sent.count;
    test->others = ARENA_ARRAY(test->arena, const AlertTestSent *, test->other_count + 1);
    for (size_t i = 0; i < test->other_count; i++)
        test->others[i] = &sent[i];
    if (test->other_count > 1)
        qsort(test->others, test->other_count, sizeof *test->others, by_start);
}

static bool add_silences(AlertTest *test, Error *err)
{
    const AlertTestSilence *silences = test->test->silences.items;
    int64_t start_ms = test->test->start_ms;
    for (size_t i = 0; i < test->test->silences.count; i++) {
        const AlertTestSilence *s = &silences[i];
        if (!am_simulation_silence(test->simulation, s->matchers.items, s->matchers.count,
                                   start_ms + s->start_ms,
                                   start_ms + (s->has_end ? s->end_ms : FAR_MS), err))
            return error_context(err, "silences[%zu]", i);
    }
    return true;
}

bool alert_test_new(const RuleTestFile *file, const RuleTest *rules, Arena *arena,
                    AlertTest **ret_test, Error *err)
{
    *ret_test = NULL;
    if (rules->notifications.count == 0)
        return rules->silences.count + rules->sent.count == 0 ||
               error_set(err, ERR_INVALID,
                         "silences and alerts are for a notification_test, which is not there");
    if (file->alertmanager_config.len == 0)
        return error_set(err, ERR_INVALID, "a notification_test needs an alertmanager_config");
    AlertTest *test = X_NEW(AlertTest);
    test->test = rules;
    test->arena = arena;
    AmSimulationOptions options = {
        .config = {.path = file->alertmanager_config},
        .external_url = rules->external_url,
        .start_ms = rules->start_ms,
        .tell = on_tell,
        .arg = test,
    };
    order_others(test);
    if (!am_simulation_new(&options, &test->simulation, err) || !add_silences(test, err)) {
        alert_test_free(test);
        return false;
    }
    *ret_test = test;
    return true;
}

void alert_test_free(AlertTest *test)
{
    if (!test)
        return;
    am_simulation_free(test->simulation);
    free(test);
}

int64_t alert_test_last(const RuleTest *test)
{
    int64_t last_ms = 0;
    for (size_t i = 0; i < test->notifications.count; i++)
        last_ms = MAX(last_ms, ((const AlertTestWindow *)test->notifications.items)[i].until_ms);
    return last_ms;
}

bool alert_test_send(AlertTest *test, int64_t t_ms, const NotifierAlert *alerts, size_t count,
                     Error *err)
{
    AmAlertInput *inputs = ARENA_ARRAY(test->arena, AmAlertInput, count + 1);
    for (size_t i = 0; i < count; i++)
        inputs[i] = (AmAlertInput){
            .labels = alerts[i].labels,
            .annotations = alerts[i].annotations,
            .generator_url = alerts[i].generator_url,
            .starts_ns = alerts[i].starts_at_ms * AM_MS_NS,
            .ends_ns = alerts[i].ends_at_ms * AM_MS_NS,
        };
    return am_simulation_receive(test->simulation, t_ms, inputs, count, err);
}

bool alert_test_send_others(AlertTest *test, int64_t t_ms, Error *err)
{
    int64_t start_ms = test->test->start_ms;
    for (; test->others_sent < test->other_count; test->others_sent++) {
        const AlertTestSent *sent = test->others[test->others_sent];
        int64_t at_ms = start_ms + sent->start_ms;
        if (at_ms > t_ms)
            return true;
        NotifierAlert alert = {
            .labels = labels_of_map(test->arena, &sent->labels),
            .annotations = labels_of_map(test->arena, &sent->annotations),
            .starts_at_ms = at_ms,
            .ends_at_ms = start_ms + (sent->has_end ? sent->end_ms : FAR_MS),
        };
        if (!alert_test_send(test, at_ms, &alert, 1, err))
            return false;
    }
    return true;
}

// ---- comparing ----

static bool fits_alert(const AlertTestAlert *want, const ToldAlert *got, Arena *arena)
{
    return str_is(want->status, "resolved") == got->resolved &&
           labels_equal(labels_of_map(arena, &want->labels), got->labels) &&
           (!want->has_annotations ||
            labels_equal(labels_of_map(arena, &want->annotations), got->annotations));
}

static bool fits_alerts(const AlertTestNotification *want, const Told *got, Arena *arena)
{
    const AlertTestAlert *alerts = want->alerts.items;
    if (want->alerts.count != got->alert_count)
        return false;
    // Label sets of one notification are all different, so each finds at most one.
    for (size_t i = 0; i < want->alerts.count; i++) {
        size_t k = 0;
        while (k < got->alert_count && !fits_alert(&alerts[i], &got->alerts[k], arena))
            k++;
        if (k == got->alert_count)
            return false;
    }
    return true;
}

static bool has_integration(Str list, Str name)
{
    Str rest = list;
    Str one;
    while (str_split_next(&rest, ',', &one))
        if (str_equal(str_trim(one), name))
            return true;
    return false;
}

static bool fits_texts(const AlertTestNotification *want, const Told *got)
{
    const AlertTestText *texts = want->texts.items;
    for (size_t i = 0; i < want->texts.count; i++)
        if (!str_equal(texts[i].text, text_of(got, texts[i].template)))
            return false;
    return true;
}

static bool fits(const AlertTestNotification *want, const Told *got, Arena *arena)
{
    return (!want->has_at || want->at_ms == got->at_ms) &&
           (!want->receiver.len || str_equal(want->receiver, got->receiver)) &&
           (!want->integration.len || has_integration(got->integrations, want->integration)) &&
           (!want->status.len || str_is(want->status, "firing") == got->firing) &&
           (!want->reason.len || str_is(want->reason, got->reason)) &&
           (!want->has_group_labels ||
            labels_equal(labels_of_map(arena, &want->group_labels), got->group_labels)) &&
           (!want->has_alerts || fits_alerts(want, got, arena)) && fits_texts(want, got);
}

// How many of receiver, group and time agree: which notification was meant.
static int likeness(const AlertTestNotification *want, const Told *got, Arena *arena)
{
    int alike = 0;
    if (want->receiver.len && !str_equal(want->receiver, got->receiver))
        return 0;
    alike += want->receiver.len > 0;
    alike += 2 * (want->has_group_labels &&
                  labels_equal(labels_of_map(arena, &want->group_labels), got->group_labels));
    alike += 2 * (want->has_at && want->at_ms == got->at_ms);
    alike += want->has_alerts && want->alerts.count == got->alert_count;
    return alike;
}

// ---- showing: both sides in the same words, what is not compared left out of both ----

static void add_time(Buf *out, int64_t ms)
{
    buf_add_c(out, "at: ");
    buf_add_duration(out, ms);
    buf_add_char(out, '\n');
}

static void add_labels(Buf *out, const char *key, Labels labels)
{
    buf_add_c(out, key);
    labels_print(out, labels);
    buf_add_char(out, '\n');
}

static void add_word(Buf *out, const char *key, Str value)
{
    buf_printf(out, "%s: " STR_FMT "\n", key, STR_ARG(value));
}

static void add_alert(Buf *out, bool resolved, Labels labels, const Labels *annotations)
{
    buf_printf(out, "- %s ", resolved ? "resolved" : "firing");
    labels_print(out, labels);
    if (annotations) {
        buf_add_c(out, " annotations ");
        labels_print(out, *annotations);
    }
    buf_add_char(out, '\n');
}

static int compare_wanted(const void *a, const void *b)
{
    const ToldAlert *x = a;
    const ToldAlert *y = b;
    return labels_compare(x->labels, y->labels);
}

static void show_wanted_alerts(Buf *out, const AlertTestNotification *want, bool annotations,
                               Arena *arena)
{
    const AlertTestAlert *from = want->alerts.items;
    ToldAlert *alerts = ARENA_ARRAY(arena, ToldAlert, want->alerts.count + 1);
    for (size_t i = 0; i < want->alerts.count; i++)
        alerts[i] = (ToldAlert){labels_of_map(arena, &from[i].labels),
                                labels_of_map(arena, &from[i].annotations),
                                str_is(from[i].status, "resolved")};
    if (want->alerts.count > 1)
        qsort(alerts, want->alerts.count, sizeof *alerts, compare_wanted);
    for (size_t i = 0; i < want->alerts.count; i++)
        add_alert(out, alerts[i].resolved, alerts[i].labels,
                  annotations ? &alerts[i].annotations : NULL);
}

static bool wants_annotations(const AlertTestNotification *want)
{
    for (size_t i = 0; i < want->alerts.count; i++)
        if (((const AlertTestAlert *)want->alerts.items)[i].has_annotations)
            return true;
    return false;
}

static Str show_wanted(const AlertTestNotification *want, Arena *arena)
{
    CLEANUP(buf_deinit) Buf out = {0};
    const AlertTestText *texts = want->texts.items;
    if (want->has_at)
        add_time(&out, want->at_ms);
    if (want->receiver.len)
        add_word(&out, "receiver", want->receiver);
    if (want->integration.len)
        add_word(&out, "integration", want->integration);
    if (want->status.len)
        add_word(&out, "status", want->status);
    if (want->reason.len)
        add_word(&out, "reason", want->reason);
    if (want->has_group_labels)
        add_labels(&out, "group: ", labels_of_map(arena, &want->group_labels));
    if (want->has_alerts)
        show_wanted_alerts(&out, want, wants_annotations(want), arena);
    for (size_t i = 0; i < want->texts.count; i++)
        add_word(&out, "text", texts[i].text);
    return arena_str(arena, buf_str(&out));
}

// `like` (may be NULL): only what it compares.
static Str show_told(const Told *told, const AlertTestNotification *like, Arena *arena)
{
    CLEANUP(buf_deinit) Buf out = {0};
    bool annotations = like && wants_annotations(like);
    if (!like || like->has_at)
        add_time(&out, told->at_ms);
    if (!like || like->receiver.len)
        add_word(&out, "receiver", told->receiver);
    if (like ? like->integration.len > 0 : told->integrations.len > 0)
        add_word(&out, "integration", told->integrations);
    if (!like || like->status.len)
        add_word(&out, "status", told->firing ? S("firing") : S("resolved"));
    if (!like || like->reason.len)
        add_word(&out, "reason", str_from_c(told->reason));
    if (!like || like->has_group_labels)
        add_labels(&out, "group: ", told->group_labels);
    for (size_t i = 0; (!like || like->has_alerts) && i < told->alert_count; i++)
        add_alert(&out, told->alerts[i].resolved, told->alerts[i].labels,
                  annotations ? &told->alerts[i].annotations : NULL);
    for (size_t i = 0; like && i < like->texts.count; i++)
        add_word(&out, "text",
                 text_of(told, ((const AlertTestText *)like->texts.items)[i].template));
    return arena_str(arena, buf_str(&out));
}

static void add_indented(Buf *out, Str text)
{
    Str line;
    while (text.len && str_split_next(&text, '\n', &line))
        buf_printf(out, "            " STR_FMT "\n", STR_ARG(line));
}

// ---- one window ----

typedef struct Look {
    AlertTest *test;
    const AlertTestWindow *window;
    const AlertTestNotification **missing;
    size_t missing_count;
    Buf text;
} Look;

static Told *find_like(const Look *look, const AlertTestNotification *want)
{
    Told *best = NULL;
    int most = 2;
    for (size_t i = 0; i < look->test->told_count; i++) {
        Told *told = &look->test->told[i];
        if (told->is_matched || !window_has(look->window, told->at_ms, told->receiver))
            continue;
        int alike = likeness(want, told, look->test->arena);
        if (alike > most) {
            most = alike;
            best = told;
        }
    }
    return best;
}

static void match_all(Look *look)
{
    AlertTest *test = look->test;
    const AlertTestNotification *wants = look->window->expected.items;
    size_t count = look->window->expected.count;
    look->missing = ARENA_ARRAY(test->arena, const AlertTestNotification *, count + 1);
    for (size_t i = 0; i < test->told_count; i++)
        test->told[i].is_matched = false;
    for (size_t w = 0; w < count; w++) {
        size_t i = 0;
        while (i < test->told_count &&
               (test->told[i].is_matched ||
                !window_has(look->window, test->told[i].at_ms, test->told[i].receiver) ||
                !fits(&wants[w], &test->told[i], test->arena)))
            i++;
        if (i < test->told_count)
            test->told[i].is_matched = true;
        else
            look->missing[look->missing_count++] = &wants[w];
    }
}

static void tell_missing(Look *look, const AlertTestNotification *want)
{
    Arena *arena = look->test->arena;
    Told *like = find_like(look, want);
    Str wanted = show_wanted(want, arena);
    if (!like) {
        buf_add_c(&look->text, "        expected, but not sent:\n");
        add_indented(&look->text, wanted);
        return;
    }
    CLEANUP(buf_deinit) Buf diff = {0};
    like->is_matched = true;
    rule_test_diff(wanted, show_told(like, want, arena), arena, &diff);
    buf_add_c(&look->text, "        sent at ");
    buf_add_duration(&look->text, like->at_ms);
    buf_add_c(&look->text, ", but not as expected (- expected, + sent):\n");
    add_indented(&look->text, buf_str(&diff));
}

static void check_window(AlertTest *test, const AlertTestWindow *window)
{
    Look look = {.test = test, .window = window};
    match_all(&look);
    for (size_t i = 0; i < look.missing_count; i++)
        tell_missing(&look, look.missing[i]);
    for (size_t i = 0; i < test->told_count; i++) {
        const Told *told = &test->told[i];
        if (told->is_matched || !window_has(window, told->at_ms, told->receiver))
            continue;
        buf_add_c(&look.text, "        sent, but not expected:\n");
        add_indented(&look.text, show_told(told, NULL, test->arena));
    }
    if (look.text.len) {
        CLEANUP(buf_deinit) Buf head = {0};
        buf_add_c(&head, "    ");
        if (test->test->name.len)
            buf_printf(&head, "name: " STR_FMT ", ", STR_ARG(test->test->name));
        buf_add_c(&head, "notifications from ");
        buf_add_duration(&head, window->from_ms);
        buf_add_c(&head, " until ");
        buf_add_duration(&head, window->until_ms);
        buf_printf(&head, ":\n" STR_FMT, STR_ARG(buf_str(&look.text)));
        test->failures.items[test->failures.count++] = arena_str(test->arena, buf_str(&head));
    }
    buf_deinit(&look.text);
}

StrList alert_test_check(AlertTest *test, int64_t t_ms)
{
    size_t count = test->test->notifications.count;
    am_simulation_advance(test->simulation, t_ms);
    test->failures = (StrList){ARENA_ARRAY(test->arena, Str, count + 1), 0};
    for (size_t i = 0; i < count; i++)
        check_window(test, (const AlertTestWindow *)test->test->notifications.items + i);
    if (test->is_full)
        test->failures.items[test->failures.count++] =
            arena_printf(test->arena, "    more than %d notifications", NOTIFICATIONS_MAX);
    return test->failures;
}
