// SPDX-License-Identifier: Apache-2.0
// The timetable with its threads: evaluations, reloads and snapshots at the same time. Worth its while under ThreadSanitizer.
#include <stdatomic.h>
#include <unistd.h>

#include "base/test.h"
#include "rules/rules_fake.h"

#define ROUNDS 40

static const char *const files[] = {
    "groups:\n"
    "- name: a\n  interval: 3ms\n  rules:\n"
    "  - record: r1\n    expr: vector(1)\n  - record: r2\n    expr: r1 + 1\n"
    "  - alert: A\n    expr: r2 > 0\n    annotations: {v: '{{ $value }}'}\n"
    "- name: b\n  interval: 5ms\n  rules:\n  - record: s\n    expr: vector(2)\n",
    "groups:\n"
    "- name: a\n  interval: 4ms\n  rules:\n"
    "  - record: r2\n    expr: vector(3)\n"
    "  - alert: A\n    expr: r2 > 0\n    for: 1ms\n    annotations: {v: '{{ $value }}'}\n"
    "- name: c\n  interval: 2ms\n  rules:\n  - record: t\n    expr: vector(4)\n"
    "  - record: u\n    expr: vector(5)\n  - record: v\n    expr: t + u\n",
};

static _Atomic size_t sent;

static void count_sent(void *arg, const NotifierAlert *alerts, size_t count)
{
    (void)arg;
    for (size_t i = 0; i < count; i++)
        ASSERT(labels_get(alerts[i].labels, S("alertname")).len > 0);
    atomic_fetch_add(&sent, count);
}

static size_t samples_of(FakeStore *store, const char *name)
{
    size_t count = 0;
    lock_take(&store->lock);
    for (size_t i = 0; i < store->count; i++)
        if (str_is(labels_get(store->series[i].labels, LABEL_METRIC_NAME), name))
            count += store->series[i].count;
    lock_give(&store->lock);
    return count;
}

static void look(RulesManager *manager)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    RulesSnapshot shown;
    rules_manager_snapshot(manager, true, &arena, &shown);
    for (size_t g = 0; g < shown.count; g++)
        for (size_t r = 0; r < shown.groups[g].rule_count; r++)
            for (size_t a = 0; a < shown.groups[g].rules[r].alert_count; a++)
                CHECK(labels_get(shown.groups[g].rules[r].alerts[a].labels, S("alertname")).len);
    rules_snapshot_free(&shown);
}

TEST(rules_threads, groups_run_while_all_else_goes_on)
{
    Lab *lab = lab_new();
    RulesOptions options;
    Registry *registry = registry_new();
    rules_manager_free(lab->manager);
    lab_options(lab, &options);
    options.clock = &clock_system;
    options.threads = 3;
    options.concurrency_max = 2;
    options.restores = true;
    options.registry = registry;
    options.send = count_sent;
    lab->manager = rules_manager_new(&options);

    for (int i = 0; i < ROUNDS; i++) {
        lab_apply(lab, files[i % 2]);
        look(lab->manager);
        usleep(3000);
        look(lab->manager);
    }
    // Until each kind of group has run under the last file.
    for (int i = 0; i < 12000 && (samples_of(lab->store, "v") < 5 || sent == 0); i++)
        usleep(5000);

    CHECK(samples_of(lab->store, "v") >= 5);
    CHECK(samples_of(lab->store, "r2") > 0);
    CHECK(samples_of(lab->store, "s") > 0);
    CHECK(sent > 0);
    lab_free(lab);
    registry_free(registry);
}

TEST_MAIN(rules_threads, TEST_ROW(rules_threads, groups_run_while_all_else_goes_on))
