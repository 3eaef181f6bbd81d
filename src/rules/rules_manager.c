// SPDX-License-Identifier: Apache-2.0
// The timetable: a heap of groups by when they are due, one thread that hands them to workers.
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "rules/rules_internal.h"

#define NS_PER_MS INT64_C(1000000)

// Heap -----------------------------------------------------------------------------------------------------------------------------------

static void heap_put(RulesManager *manager, size_t at, RuleGroup *group)
{
    manager->heap[at] = group;
    group->heap_at = at + 1;
}

static void heap_settle(RulesManager *manager, size_t at)
{
    RuleGroup *group = manager->heap[at];
    while (at > 0 && manager->heap[(at - 1) / 2]->due_ns > group->due_ns) {
        heap_put(manager, at, manager->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < manager->heap_count &&
            manager->heap[child + 1]->due_ns < manager->heap[child]->due_ns)
            child++;
        if (child >= manager->heap_count || manager->heap[child]->due_ns >= group->due_ns)
            break;
        heap_put(manager, at, manager->heap[child]);
        at = child;
    }
    heap_put(manager, at, group);
}

// Takes over a reference.
static void heap_add(RulesManager *manager, RuleGroup *group)
{
    if (manager->heap_count == manager->heap_cap) {
        manager->heap_cap = manager->heap_cap ? manager->heap_cap * 2 : 16;
        manager->heap = x_realloc(manager->heap, manager->heap_cap * sizeof(RuleGroup *));
    }
    heap_put(manager, manager->heap_count++, group);
    heap_settle(manager, group->heap_at - 1);
}

// Gives the reference back to the caller.
static void heap_remove(RulesManager *manager, RuleGroup *group)
{
    size_t at = group->heap_at - 1;
    group->heap_at = 0;
    RuleGroup *last = manager->heap[--manager->heap_count];
    if (last == group)
        return;
    heap_put(manager, at, last);
    heap_settle(manager, at);
}

// Times ----------------------------------------------------------------------------------------------------------------------------------

void rule_group_schedule_first(RuleGroup *group, int64_t now_ms, int64_t now_mono_ns)
{
    int64_t now_ns = now_ms * NS_PER_MS;
    group->slot_ns = rule_group_slot(group, now_ns) + group->interval_ms * NS_PER_MS;
    group->due_ns = now_mono_ns + (group->slot_ns - now_ns);
}

void rule_group_schedule_next(RuleGroup *group, int64_t now_mono_ns)
{
    int64_t interval_ns = group->interval_ms * NS_PER_MS;
    int64_t since_ns = now_mono_ns - group->due_ns;
    // Of the ticks that passed meanwhile one still counts, at once, as with a ticker of Go.
    group->due_ns += since_ns < interval_ns ? interval_ns : since_ns - since_ns % interval_ns;
}

int64_t rule_group_advance(RuleGroup *group, int64_t now_ms)
{
    int64_t interval_ns = group->interval_ms * NS_PER_MS;
    // The clock tells whole milliseconds: a tick may seem to come a little early.
    int64_t since_ns = now_ms * NS_PER_MS - group->slot_ns + interval_ns / 10;
    int64_t steps = since_ns / interval_ns;
    group->slot_ns += steps * interval_ns;
    return steps;
}

// Running --------------------------------------------------------------------------------------------------------------------------------

static int64_t to_ms(int64_t ns)
{
    return ns >= 0 ? ns / NS_PER_MS : -((NS_PER_MS - 1 - ns) / NS_PER_MS);
}

static void restore_when_due(RuleGroup *group)
{
    if (!group->wants_restore || ++group->starts < RULE_STARTS_BEFORE_RESTORE)
        return;
    rule_group_restore(group, clock_now_ms(group->manager->options.clock));
}

static void evaluate_slot(RuleGroup *group, bool is_first)
{
    RulesManager *manager = group->manager;
    int64_t steps = 1;
    if (!is_first)
        steps = rule_group_advance(group, clock_now_ms(manager->options.clock));
    if (steps == 0) // the clock was set back: this slot has been
        return;
    Error err;
    rules_metrics_iteration(group, MAX(steps - 1, 0));
    (void)rule_group_evaluate(group, to_ms(group->slot_ns), &err); // told rule by rule
    restore_when_due(group);
}

// On a worker; has a reference.
static void run_group(void *arg)
{
    RuleGroup *group = arg;
    RulesManager *manager = group->manager;
    bool again = false;
    if (!manager->stopping && group->retired)
        rule_group_mark_stale(group, to_ms(group->slot_ns));
    else if (!manager->stopping)
        evaluate_slot(group, !group->begun);
    lock_take(&manager->lock);
    group->begun = true;
    group->running = false;
    again = !group->stopped && !group->retired && !manager->stopping;
    if (again) {
        rule_group_schedule_next(group, clock_mono_ns(manager->options.clock));
        heap_add(manager, group);
    }
    condition_broadcast(&manager->changed);
    lock_give(&manager->lock);
    if (!again)
        rule_group_unref(group);
}

static void schedule(void *arg)
{
    RulesManager *manager = arg;
    lock_take(&manager->lock);
    while (!manager->stopping) {
        int64_t now_ns = clock_mono_ns(manager->options.clock);
        if (manager->heap_count == 0) {
            condition_wait(&manager->changed, &manager->lock);
        } else if (manager->heap[0]->due_ns > now_ns) {
            int64_t wait_ns = manager->heap[0]->due_ns - now_ns;
            (void)condition_wait_ms(&manager->changed, &manager->lock,
                                    (wait_ns + NS_PER_MS - 1) / NS_PER_MS);
        } else {
            RuleGroup *group = manager->heap[0];
            heap_remove(manager, group);
            group->running = true;
            thread_pool_add(manager->workers, run_group, group);
        }
    }
    lock_give(&manager->lock);
}

// Life -----------------------------------------------------------------------------------------------------------------------------------

RulesManager *rules_manager_new(const RulesOptions *options)
{
    RulesManager *manager = X_NEW(RulesManager);
    manager->options = *options;
    manager->metrics = rules_metrics_new(options->registry);
    lock_init(&manager->lock, "rules", RANK_RULES);
    condition_init(&manager->changed);
    return manager;
}

// Threads come with the first group: a server without rules has none.
static void start_threads(RulesManager *manager)
{
    const RulesOptions *options = &manager->options;
    Error err;
    if (manager->workers || options->threads == 0)
        return;
    if (options->concurrency_max > 0)
        manager->helpers = thread_pool_new("rules-beside", options->concurrency_max);
    manager->workers = thread_pool_new("rules", options->threads);
    if (!thread_start(&manager->scheduler, "rules-timer", schedule, manager, &err))
        log_error("no rules are evaluated: their thread cannot be started", KV("err", &err));
}

void rules_manager_free(RulesManager *manager)
{
    if (!manager)
        return;
    lock_take(&manager->lock);
    manager->stopping = true;
    condition_broadcast(&manager->changed);
    lock_give(&manager->lock);
    thread_join(&manager->scheduler);
    thread_pool_free(manager->workers);
    thread_pool_free(manager->helpers);
    for (size_t i = 0; i < manager->heap_count; i++)
        rule_group_unref(manager->heap[i]);
    for (size_t i = 0; i < manager->group_count; i++)
        rule_group_unref(manager->groups[i]);
    free(manager->heap);
    free(manager->groups);
    rules_metrics_free(manager->metrics);
    condition_deinit(&manager->changed);
    lock_deinit(&manager->lock);
    free(manager);
}

// Applying -------------------------------------------------------------------------------------------------------------------------------

// Waits for the end of a running evaluation; none begins any more.
static void stop_group(RulesManager *manager, RuleGroup *group)
{
    bool was_waiting;
    lock_take(&manager->lock);
    group->stopped = true;
    was_waiting = group->heap_at > 0;
    if (was_waiting)
        heap_remove(manager, group);
    while (group->running)
        condition_wait(&manager->changed, &manager->lock);
    lock_give(&manager->lock);
    if (was_waiting)
        rule_group_unref(group);
}

// Its series get their markers two intervals from now, so that a group that took its place may go on with them first.
static void retire_group(RulesManager *manager, RuleGroup *group)
{
    Clock *clock = manager->options.clock;
    rule_group_give_up_series(group);
    rules_metrics_forget(manager->metrics, group);
    free(group->metrics);
    group->metrics = NULL;
    if (manager->options.threads == 0 || group->stale_count == 0)
        return;
    lock_take(&manager->lock);
    group->retired = true;
    group->slot_ns = clock_now_ms(clock) * NS_PER_MS;
    group->due_ns = clock_mono_ns(clock) + 2 * group->interval_ms * NS_PER_MS;
    heap_add(manager, rule_group_ref(group));
    condition_broadcast(&manager->changed);
    lock_give(&manager->lock);
}

static int compare_keys(const RuleGroup *a, const RuleGroup *b)
{
    int order = str_compare(a->file, b->file);
    return order ? order : str_compare(a->name, b->name);
}

// Makes a group of the set ready to run. `old` is the group of that name before, or NULL.
static void begin_group(RulesManager *manager, RuleGroup *group, RuleGroup *old)
{
    group->manager = manager;
    if (!manager->has_restored && manager->options.restores)
        rule_group_begin_restore(group, clock_now_ms(manager->options.clock));
    if (old) {
        stop_group(manager, old);
        rule_group_take_over(group, old);
        free(old->metrics);
        old->metrics = NULL;
    }
    group->metrics = rules_metrics_group(manager->metrics, group);
}

static void start_group(RulesManager *manager, RuleGroup *group)
{
    Clock *clock = manager->options.clock;
    if (manager->options.threads == 0)
        return;
    rule_group_schedule_first(group, clock_now_ms(clock), clock_mono_ns(clock));
    heap_add(manager, rule_group_ref(group));
}

void rules_manager_apply(RulesManager *manager, RuleSet *set)
{
    // Only this function changes the list, and reloads come one by one: it may be read without the lock here.
    RuleGroup **old = manager->groups;
    size_t old_count = manager->group_count;
    bool *fresh = X_ARRAY(bool, set->count + 1);
    bool *has_heir = X_ARRAY(bool, old_count + 1); // itself, or a group of its name
    size_t o = 0;
    for (size_t i = 0; i < set->count; i++) {
        RuleGroup *group = set->groups[i];
        while (o < old_count && compare_keys(old[o], group) < 0)
            o++;
        RuleGroup *before = o < old_count && compare_keys(old[o], group) == 0 ? old[o] : NULL;
        if (before)
            has_heir[o] = true;
        fresh[i] = !before || !str_equal(before->fingerprint, group->fingerprint);
        if (!fresh[i]) {
            rule_group_move(before, group);
            rule_group_unref(group);
            set->groups[i] = before;
        } else {
            begin_group(manager, group, before);
        }
    }
    for (o = 0; o < old_count; o++)
        if (!has_heir[o])
            stop_group(manager, old[o]);

    lock_take(&manager->lock);
    manager->groups = set->groups;
    manager->group_count = set->count;
    for (size_t i = 0; i < set->count; i++)
        if (fresh[i])
            start_group(manager, set->groups[i]);
    condition_broadcast(&manager->changed);
    lock_give(&manager->lock);

    for (o = 0; o < old_count; o++) {
        if (!has_heir[o])
            retire_group(manager, old[o]);
        if (old[o]->stopped) // else it goes on
            rule_group_unref(old[o]);
    }
    if (manager->group_count)
        start_threads(manager);
    manager->has_restored = true;
    free(fresh);
    free(has_heir);
    free(old);
    free(set);
}

bool rules_manager_evaluate(RulesManager *manager, Str file, Str group, int64_t t_ms, Error *err)
{
    ASSERT(manager->options.threads == 0);
    for (size_t i = 0; i < manager->group_count; i++)
        if (str_equal(manager->groups[i]->file, file) && str_equal(manager->groups[i]->name, group))
            return rule_group_evaluate(manager->groups[i], t_ms, err);
    return error_set(err, ERR_NOT_FOUND, "no group \"" STR_FMT "\" in " STR_FMT, STR_ARG(group),
                     STR_ARG(file));
}
