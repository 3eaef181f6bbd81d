// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_dispatch.h"

#include <stdlib.h>

#include "alertmanager/am_events.h"
#include "alertmanager/am_trace.h"
#include "base/random.h"

// ---- the heap of due times ----

static void heap_place(AmDispatch *dispatch, size_t at, AmGroup *group)
{
    dispatch->heap[at] = group;
    group->heap_at = at;
}

static void heap_up(AmDispatch *dispatch, size_t at)
{
    AmGroup *group = dispatch->heap[at];
    while (at && dispatch->heap[(at - 1) / 2]->due_mono_ns > group->due_mono_ns) {
        heap_place(dispatch, at, dispatch->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(dispatch, at, group);
}

static void heap_down(AmDispatch *dispatch, size_t at)
{
    AmGroup *group = dispatch->heap[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child + 1 < dispatch->heap_count &&
            dispatch->heap[child + 1]->due_mono_ns < dispatch->heap[child]->due_mono_ns)
            child++;
        if (child >= dispatch->heap_count ||
            dispatch->heap[child]->due_mono_ns >= group->due_mono_ns)
            break;
        heap_place(dispatch, at, dispatch->heap[child]);
        at = child;
    }
    heap_place(dispatch, at, group);
}

static void heap_add(AmDispatch *dispatch, AmGroup *group)
{
    if (dispatch->heap_count == dispatch->heap_cap) {
        dispatch->heap_cap = dispatch->heap_cap ? dispatch->heap_cap * 2 : 64;
        dispatch->heap = x_realloc(dispatch->heap, dispatch->heap_cap * sizeof *dispatch->heap);
    }
    dispatch->heap[dispatch->heap_count] = group;
    heap_up(dispatch, dispatch->heap_count++);
}

static void heap_remove(AmDispatch *dispatch, AmGroup *group)
{
    AmGroup *last = dispatch->heap[--dispatch->heap_count];
    if (last == group)
        return;
    heap_place(dispatch, group->heap_at, last);
    heap_up(dispatch, last->heap_at);
    heap_down(dispatch, last->heap_at);
}

static void set_due(AmDispatch *dispatch, AmGroup *group, int64_t due_mono_ns)
{
    group->due_mono_ns = MAX(due_mono_ns, dispatch->start_mono_ns);
    heap_up(dispatch, group->heap_at);
    heap_down(dispatch, group->heap_at);
}

// ---- groups ----

// ---- faults ----

static AmGroupFault **find_fault(AmGroup *group, const char *kind, size_t index)
{
    AmGroupFault **at = &group->faults;
    while (*at && ((*at)->index != index || strcmp((*at)->kind, kind) != 0))
        at = &(*at)->next;
    return at;
}

void am_group_attempted(AmGroup *group, const char *kind, size_t index, Str fault, int attempts,
                        int64_t now_ns)
{
    AmGroupFault **at = find_fault(group, kind, index);
    AmGroupFault *old = *at;
    if (old) {
        *at = old->next;
        free(old);
    }
    if (!fault.len)
        return;
    AmGroupFault *new = x_malloc(sizeof *new + fault.len);
    char *text = (char *)(new + 1);
    memcpy(text, fault.ptr, fault.len);
    *new = (AmGroupFault){
        .next = group->faults,
        .kind = kind,
        .index = index,
        .at_ns = now_ns,
        .attempts = attempts,
        .text = {text, fault.len},
    };
    group->faults = new;
}

const AmGroupFault *am_group_fault(const AmGroup *group, const char *kind, size_t index)
{
    const AmGroupFault *fault = group->faults;
    while (fault && (fault->index != index || strcmp(fault->kind, kind) != 0))
        fault = fault->next;
    return fault;
}

static void free_group(AmGroup *group)
{
    for (AmGroupFault *fault = group->faults, *next; fault; fault = next) {
        next = fault->next;
        free(fault);
    }
    for (AmTableSlot *s = NULL; (s = am_table_next(&group->alerts, s));)
        am_alert_unref(s->value);
    am_table_deinit(&group->alerts);
    free(group);
}

void am_dispatch_init(AmDispatch *dispatch, const AmRoute *root, int64_t start_mono_ns)
{
    *dispatch = (AmDispatch){.root = root, .start_mono_ns = start_mono_ns};
}

void am_dispatch_deinit(AmDispatch *dispatch)
{
    for (size_t i = 0; i < dispatch->heap_count; i++)
        free_group(dispatch->heap[i]);
    map_deinit(&dispatch->groups);
    free(dispatch->heap);
    am_route_list_deinit(&dispatch->scratch);
    buf_deinit(&dispatch->scratch_id);
    arena_deinit(&dispatch->scratch_arena);
    arena_deinit(&dispatch->scratch_labels);
    *dispatch = (AmDispatch){0};
}

static Str put_text(char **at, Str text)
{
    Str copy = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

// One block: there are many groups, and most are small.
static AmGroup *new_group(AmDispatch *dispatch, const AmRoute *route, Labels labels, Str id)
{
    CLEANUP(buf_deinit) Buf key = {0};
    buf_printf(&key, STR_FMT ":", STR_ARG(route->key));
    am_labels_print(&key, labels);
    size_t text_bytes = id.len + key.len;
    for (size_t i = 0; i < labels.count; i++)
        text_bytes += labels.pairs[i].name.len + labels.pairs[i].value.len;
    AmGroup *group = x_calloc(1, sizeof *group + labels.count * sizeof(Label) + text_bytes);
    char *at = (char *)(group->pairs + labels.count);
    group->route = route;
    for (size_t i = 0; i < labels.count; i++)
        group->pairs[i] =
            (Label){put_text(&at, labels.pairs[i].name), put_text(&at, labels.pairs[i].value)};
    group->labels = (Labels){group->pairs, labels.count};
    group->id = put_text(&at, id);
    group->key = put_text(&at, buf_str(&key));
    if (dispatch->events)
        random_system(group->uuid, sizeof group->uuid);
    (void)map_put(&dispatch->groups, group->id, group);
    return group;
}

// The id of the group that an alert belongs to, in scratch_id, and the group's labels.
static Labels make_id(AmDispatch *dispatch, const AmRoute *route, Labels alert_labels)
{
    Buf *id = &dispatch->scratch_id;
    buf_reset(id);
    arena_reset(&dispatch->scratch_arena);
    Labels labels = am_route_group_labels(route, alert_labels, &dispatch->scratch_arena);
    buf_add(id, &route, sizeof route);
    for (size_t i = 0; i < labels.count; i++) {
        buf_add_str(id, labels.pairs[i].name);
        buf_add_char(id, (char)0xFE);
        buf_add_str(id, labels.pairs[i].value);
        buf_add_char(id, (char)0xFF);
    }
    return labels;
}

const AmGroup *am_dispatch_find(AmDispatch *dispatch, const AmRoute *route, Labels labels)
{
    (void)make_id(dispatch, route, labels);
    return map_get(&dispatch->groups, buf_str(&dispatch->scratch_id));
}

// An alert on its way to a route's group; the span of its routing, where there is one.
typedef struct Arrival {
    AmAlert *alert;
    Labels labels;
    int64_t now_ns, mono_ns;
    Span *span;
} Arrival;

static void tell_group(Span *span, const AmDispatch *dispatch, const AmGroup *group)
{
    const SpanAttribute about[] = {
        {"alerting.aggregation_group.key", group->key, 0},
        {"alerting.aggregation_group.count", STR_NONE, (int64_t)dispatch->heap_count}};
    span_event(span, S("new AggregationGroup created"), about, COUNT_OF(about));
    span_event(span, S("Starting Aggregation Group"), NULL, 0);
}

// As in the original, its span stands beside that of the group.
static void insert(AmDispatch *dispatch, AmGroup *group, const Arrival *arrival)
{
    AmAlert *alert = arrival->alert;
    CLEANUP(span_end) Span span = {0};
    if (span_is_recorded(arrival->span)) {
        span_child(&span, arrival->span, SPAN_INTERNAL, S("dispatch.AggregationGroup.insert"));
        am_trace_about(&span, arrival->labels, alert->fingerprint);
        span_str(&span, "alerting.aggregation_group.key", group->key);
    }
    AmAlert *known = am_table_put(&group->alerts, alert->fingerprint, am_alert_ref(alert));
    if (!known)
        am_event_grouped(dispatch->events, group, alert, arrival->now_ns);
    am_alert_unref(known);
}

static void group_alert(AmDispatch *dispatch, const AmRoute *route, const Arrival *arrival)
{
    Buf *id = &dispatch->scratch_id;
    Labels labels = make_id(dispatch, route, arrival->labels);
    int64_t wait_ns = route->group_wait_ms * AM_MS_NS;
    CLEANUP(span_end) Span span;
    if (am_trace_alert(&span, "dispatch.Dispatcher.groupAlert", arrival->labels,
                       arrival->alert->fingerprint))
        span_str(&span, "alerting.route.receiver.name", route->receiver);
    AmGroup *group = map_get(&dispatch->groups, buf_str(id));
    if (!group) {
        group = new_group(dispatch, route, labels, buf_str(id));
        group->due_mono_ns = MAX(arrival->mono_ns + wait_ns, dispatch->start_mono_ns);
        heap_add(dispatch, group);
        tell_group(&span, dispatch, group);
    }
    insert(dispatch, group, arrival);
    // An alert that has stood longer than the group would wait is told at once.
    if (!group->has_flushed && am_time_add(arrival->alert->starts_ns, wait_ns) < arrival->now_ns)
        set_due(dispatch, group, arrival->mono_ns);
}

void am_dispatch_alert(AmDispatch *dispatch, AmAlert *alert, int64_t now_ns, int64_t mono_ns)
{
    arena_reset(&dispatch->scratch_labels);
    Labels labels = am_alert_labels(alert, &dispatch->scratch_labels);
    CLEANUP(span_end) Span span;
    const Arrival arrival = {alert, labels, now_ns, mono_ns, &span};
    am_trace_alert(&span, "dispatch.Dispatcher.routeAlert", labels, alert->fingerprint);
    am_route_match(dispatch->root, labels, &dispatch->scratch);
    for (size_t i = 0; i < dispatch->scratch.count; i++) {
        const AmRoute *route = dispatch->scratch.items[i];
        const SpanAttribute receiver = {"alerting.route.receiver.name", route->receiver, 0};
        span_event(&span, S("dispatching alert to route"), &receiver, 1);
        group_alert(dispatch, route, &arrival);
    }
}

int64_t am_dispatch_due(const AmDispatch *dispatch)
{
    return dispatch->heap_count ? dispatch->heap[0]->due_mono_ns : INT64_MAX;
}

AmGroup *am_dispatch_take(AmDispatch *dispatch, int64_t mono_ns)
{
    while (dispatch->heap_count && dispatch->heap[0]->due_mono_ns <= mono_ns) {
        AmGroup *group = dispatch->heap[0];
        set_due(dispatch, group, mono_ns + group->route->group_interval_ms * AM_MS_NS);
        if (group->is_running) {
            group->is_late = true;
            continue;
        }
        group->is_running = true;
        group->flushes++;
        group->has_flushed = true;
        return group;
    }
    return NULL;
}

static int compare_notes(const void *a, const void *b)
{
    return am_alert_compare(((const AmNote *)a)->alert, ((const AmNote *)b)->alert);
}

AmNote *am_group_notes(const AmGroup *group, int64_t now_ns, Arena *arena, size_t *ret_count)
{
    AmNote *notes = ARENA_ARRAY(arena, AmNote, group->alerts.count + 1);
    size_t count = 0;
    for (AmTableSlot *s = NULL; (s = am_table_next(&group->alerts, s));) {
        AmAlert *alert = am_alert_ref(s->value);
        notes[count++] = (AmNote){.alert = alert, .resolved = am_alert_resolved_at(alert, now_ns)};
    }
    if (count > 1)
        qsort(notes, count, sizeof *notes, compare_notes);
    *ret_count = count;
    return notes;
}

size_t am_notes_firing(const AmNote *notes, size_t count, AmNote *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (!notes[i].resolved)
            out[found++] = notes[i];
    return found;
}

void am_group_note(AmGroup *group, const AmAlert *alert, AmGroupMark mark, bool is_set)
{
    const AmTableSlot *slot = am_table_find(&group->alerts, alert->fingerprint);
    if (!slot)
        return;
    uint8_t *marks = am_table_mark(&group->alerts, slot);
    *marks = (uint8_t)(AM_GROUP_SEEN | (is_set ? *marks | mark : *marks & ~mark));
}

void am_dispatch_finish(AmDispatch *dispatch, AmGroup *group, const AmNote *notes, size_t count,
                        bool ok, int64_t mono_ns)
{
    group->is_running = false;
    for (size_t i = 0; ok && i < count; i++) {
        AmAlert *alert = notes[i].alert;
        if (!notes[i].resolved || am_table_get(&group->alerts, alert->fingerprint) != alert)
            continue;
        am_event_resolved(dispatch->events, group, alert, am_now_ns(&clock_system));
        am_alert_unref(am_table_remove(&group->alerts, alert->fingerprint));
    }
    if (group->alerts.count == 0) {
        heap_remove(dispatch, group);
        (void)map_remove(&dispatch->groups, group->id);
        free_group(group);
        return;
    }
    if (group->is_late) {
        group->is_late = false;
        set_due(dispatch, group, mono_ns);
    }
}
