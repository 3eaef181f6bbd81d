// SPDX-License-Identifier: Apache-2.0
// What a scrape of this machine costs: CPU time, allocations, memory. The claim: at most 1 ms and no allocation.
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "exporter/exporter.h"

#define WARM_UP 20
#define SCRAPES 1000

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

#ifdef __GLIBC__
#include <stdatomic.h>
static atomic_ulong allocations;
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *malloc(size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, bytes);
}
void *realloc(void *old, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, bytes);
}
#endif

// Milliseconds of CPU for one scrape of `selection`.
static double measure_ms(NodeExporter *exporter, NodeSelection selection, Buf *out)
{
    for (int i = 0; i < WARM_UP; i++) {
        buf_reset(out);
        node_exporter_write_selected(exporter, selection, out);
    }
    double start_s = cpu_s();
    for (int i = 0; i < SCRAPES; i++) {
        buf_reset(out);
        node_exporter_write_selected(exporter, selection, out);
    }
    return (cpu_s() - start_s) * 1000 / SCRAPES;
}

int main(void)
{
    NodeExporterOptions options;
    NodeExporter *exporter;
    Error err = {0};
    Buf out = {0};
    node_exporter_options_default(&options);
    if (!node_exporter_new(&options, &exporter, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    double all_ms = measure_ms(exporter, ~(NodeSelection)0, &out);
    unsigned long before = atomic_load(&allocations);
    for (int i = 0; i < SCRAPES; i++) {
        buf_reset(&out);
        node_exporter_write(exporter, &out);
    }
    printf("node scrape: %.4f ms CPU, %zu bytes, %.3f allocations\n", all_ms, out.len,
           (double)(atomic_load(&allocations) - before) / SCRAPES);
    const char *name;
    for (size_t i = 0; (name = node_exporter_collector(exporter, i)); i++)
        printf("  %-12s %.4f ms\n", name, measure_ms(exporter, (NodeSelection)1 << i, &out));
    node_exporter_free(exporter);
    buf_deinit(&out);
    return 0;
}
