// SPDX-License-Identifier: Apache-2.0
// What a rule costs besides its query: the CPU of an evaluation, of which the engine's is told apart.
#include <time.h>

#include "rules/rules_fake.h"

#define SERIES 1000
#define ROUNDS 40

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t query_ns(Lab *lab, int64_t t_ms)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    QueryRequest request = {.query = STR("m"), .start_ms = t_ms};
    QueryResult result;
    Error err;
    int64_t began_ns = cpu_ns();
    bool ok = engine_query(lab->engine, &lab->store->source, &request, &arena, &result, &err);
    ASSERT(ok && result.count == SERIES);
    return cpu_ns() - began_ns;
}

static void measure(const char *name, const char *yaml)
{
    Lab *lab = lab_new();
    int64_t rule_ns = 0;
    int64_t engine_ns = 0;
    Error err;
    lab_apply(lab, yaml);
    for (int t = 0; t < ROUNDS; t++) {
        int64_t t_ms = t * INT64_C(60000);
        for (int i = 0; i < SERIES; i++) {
            char series[100];
            snprintf(series, sizeof series, "m{instance=\"10.0.%d.%d:9100\",job=\"node\"}", i / 250,
                     i % 250);
            fake_put(lab->store, series, t_ms, t + i + 1);
        }
        engine_ns += t ? query_ns(lab, t_ms) : 0;
        int64_t began_ns = cpu_ns();
        bool ok = lab_evaluate(lab, t_ms, &err);
        ASSERT(ok);
        rule_ns += t ? cpu_ns() - began_ns : 0; // the first finds its series
    }
    double results = (double)SERIES * (ROUNDS - 1);
    printf("%s: %.0f ns of CPU a result, of which the engine %.0f\n", name,
           (double)rule_ns / results, (double)engine_ns / results);
    lab_free(lab);
}

int main(void)
{
    measure("recording", "groups:\n- name: g\n  rules:\n  - record: r\n    expr: m\n");
    measure("alerts", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: m > 0\n"
                      "    labels: {severity: page}\n"
                      "    annotations: {summary: '{{ $labels.instance }} has {{ $value }}'}\n");
    return 0;
}
