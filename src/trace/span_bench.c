// SPDX-License-Identifier: Apache-2.0
// What a span costs: without tracing, not sampled, recorded.
#include <stdio.h>

#include "base/clock.h"
#include "trace/trace.h"

static double ns_each(Tracer *tracer, int count)
{
    int64_t begin_ns = clock_mono_ns(&clock_system);
    for (int i = 0; i < count; i++) {
        Span span;
        span_begin(&span, tracer, NULL, SPAN_SERVER, S("GET /api/v1/query"));
        span_str(&span, "http.request.method", S("GET"));
        span_i64(&span, "http.response.status_code", 200);
        span_end(&span);
    }
    return (double)(clock_mono_ns(&clock_system) - begin_ns) / count;
}

int main(void)
{
    Tracer *tracer = tracer_new();
    printf("off          %6.1f ns\n", ns_each(tracer, 50000000));
    tracer_set(tracer, true, 0);
    printf("not sampled  %6.1f ns\n", ns_each(tracer, 10000000));
    tracer_set(tracer, true, 1);
    double ns = 0;
    for (int round = 0; round < 500; round++) {
        Buf out = {0};
        ns += ns_each(tracer, 2000) / 500;
        (void)tracer_take(tracer, 2048, &out, 2);
        buf_deinit(&out);
    }
    printf("recorded     %6.1f ns\n", ns);
    tracer_free(tracer);
    return 0;
}
