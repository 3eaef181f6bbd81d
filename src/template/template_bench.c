// SPDX-License-Identifier: Apache-2.0
// An alert's annotation of the usual kind: how often a second it is executed, and how often it is parsed.
#include "template/template.h"

#include <stdio.h>

#include "base/clock.h"

#define ROUNDS 200000

static const char annotation[] = TEMPLATE_ALERT_PREFIX
    "{{ $labels.instance | stripPort }} of {{ $labels.job }} is at "
    "{{ $value | humanizePercentage }}{{ if gt $value 0.9 }} (critical){{ end }}: "
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }} {{ end }}";

static double per_second(int64_t since_ns)
{
    return ROUNDS / ((double)(clock_mono_ns(&clock_system) - since_ns) / 1e9);
}

int main(void)
{
    static const Label pairs[] = {{STR("alertname"), STR("DiskFull")},
                                  {STR("instance"), STR("db1:9100")},
                                  {STR("job"), STR("node")},
                                  {STR("severity"), STR("page")}};
    static const TemplateOptions options = {.tables = template_prometheus_tables,
                                            .missing_key = TEMPLATE_MISSING_ZERO};
    TemplateAlertData data = {.labels = {pairs, COUNT_OF(pairs)}, .value = template_float(0.934)};
    Arena arena = {0};
    Buf out = {0};
    Error err = {0};
    TemplateSet *set = template_set_new(&options);
    TemplateExecution execution = {.dot = template_alert_data(&data), .arena = &arena};
    bool ok = template_set_parse(set, S("x"), str_from_c(annotation), &err);

    int64_t at_ns = clock_mono_ns(&clock_system);
    for (int i = 0; i < ROUNDS && ok; i++) {
        arena_reset(&arena);
        buf_reset(&out);
        ok = template_execute(set, S("x"), &execution, &out, &err);
    }
    printf("execute: %.0f annotations/s: " STR_FMT "\n", per_second(at_ns), STR_ARG(buf_str(&out)));
    template_set_free(set);

    at_ns = clock_mono_ns(&clock_system);
    for (int i = 0; i < ROUNDS && ok; i++) {
        set = template_set_new(&options);
        ok = template_set_parse(set, S("x"), str_from_c(annotation), &err);
        template_set_free(set);
    }
    printf("parse: %.0f annotations/s\n", per_second(at_ns));
    if (!ok)
        printf("failed: %s\n", err.text);
    buf_deinit(&out);
    arena_deinit(&arena);
    return ok ? 0 : 1;
}
