// SPDX-License-Identifier: Apache-2.0
// head_bench.h: what the benchmarks of the head share.
//
// Series look like those of a node exporter in Kubernetes: 12 labels, about 0.05 new pairs for each.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "metric/labels.h"

#define PER_TARGET 1000
#define STEP_MS 15000

// CPU time of the process.
static inline double bench_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

static inline uint64_t bench_resident_bytes(void)
{
    unsigned long size = 0;
    unsigned long resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static inline void bench_die(const char *what, const Error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static inline Labels bench_labels(size_t i, Label pairs[12], char text[12][80])
{
    static const char *const names[12] = {"__name__",  "cluster",  "container", "cpu",
                                          "endpoint",  "instance", "job",       "mode",
                                          "namespace", "node",     "pod",       "service"};
    size_t target = i / PER_TARGET;
    size_t metric = i % PER_TARGET;
    snprintf(text[0], 80, "node_some_metric_%zu_seconds_total", metric / 8 % 25 + target % 5 * 25);
    snprintf(text[1], 80, "production-europe-west-1");
    snprintf(text[2], 80, "container-%zu", i / 25); // the new pairs, with three for each target
    snprintf(text[3], 80, "%zu", metric % 4);
    snprintf(text[4], 80, "http-metrics");
    snprintf(text[5], 80, "10.%zu.%zu.%zu:9100", target / 65536, target / 256 % 256, target % 256);
    snprintf(text[6], 80, "node-exporter");
    snprintf(text[7], 80, metric / 4 % 2 ? "user" : "system");
    snprintf(text[8], 80, "monitoring");
    snprintf(text[9], 80, "node-%zu.example.internal", target);
    snprintf(text[10], 80, "node-exporter-%zu-abcde", target);
    snprintf(text[11], 80, "prometheus-node-exporter");
    for (size_t k = 0; k < 12; k++)
        pairs[k] = (Label){str_from_c(names[k]), str_from_c(text[k])};
    return (Labels){pairs, 12};
}
