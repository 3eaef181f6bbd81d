// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "exporter/node/node_collectors.h"

#define RANK_NODE_EXPORTER 500

#if defined(__x86_64__)
#define GO_ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define GO_ARCHITECTURE "arm64"
#elif defined(__riscv)
#define GO_ARCHITECTURE "riscv64"
#else
#define GO_ARCHITECTURE "unknown"
#endif

typedef struct Running {
    const NodeCollector *kind;
    void *state;
    bool is_open;
    NodeLabels labels; // {collector="..."} of this scrape
    bool succeeded;
    double duration_s;
    char last_failure[sizeof(((Error *)0)->text)]; // logged when it changes
} Running;

struct NodeExporter {
    Lock lock; // guards all below during a scrape
    Arena arena;
    NodeExporterOptions options;
    NodeScrape scrape;
    Running running[NODE_COLLECTORS_MAX]; // those that are on
    size_t count;
    NodeFamily *build_info;
    NodeFamily *duration;
    NodeFamily *success;
};

static void copy_strings(NodeExporterOptions *options, Arena *arena)
{
    Str *strings[] = {
        &options->path_procfs,
        &options->path_sysfs,
        &options->path_rootfs,
        &options->path_udev_data,
        &options->cpu_flags_include,
        &options->cpu_bugs_include,
        &options->disk_devices_exclude,
        &options->disk_devices_include,
        &options->filesystem_mounts_exclude,
        &options->filesystem_mounts_include,
        &options->filesystem_types_exclude,
        &options->filesystem_types_include,
        &options->netdev_devices_exclude,
        &options->netdev_devices_include,
        &options->netstat_fields,
        &options->vmstat_fields,
    };
    for (size_t i = 0; i < COUNT_OF(strings); i++)
        *strings[i] = arena_str(arena, *strings[i]);
    options->absent_value = STR_NONE;
}

static bool is_on(const NodeExporterOptions *options, size_t i)
{
    return options->enabled[i] && (options->chosen[i] || !options->disable_defaults);
}

static bool open_collectors(NodeExporter *exporter, Error *err)
{
    const NodeExporterOptions *options = &exporter->options;
    for (size_t i = 0; i < node_absent_count; i++)
        if (options->absent[i])
            return error_set(err, ERR_INVALID, "flag --collector.%s: narthex lacks this collector",
                             node_absent_collectors[i]);
    for (size_t i = 0; i < node_collector_count; i++) {
        if (!is_on(options, i))
            continue;
        Running *one = &exporter->running[exporter->count++];
        one->kind = node_collectors[i];
        one->state = x_calloc(1, MAX((size_t)1, one->kind->state_bytes));
        one->is_open = true;
        if (!one->kind->open(one->state, &exporter->scrape, err))
            return error_context(err, "collector %s", one->kind->name);
    }
    return true;
}

bool node_exporter_new(const NodeExporterOptions *options, NodeExporter **ret_exporter, Error *err)
{
    NodeExporter *exporter = X_NEW(NodeExporter);
    lock_init(&exporter->lock, "node_exporter", RANK_NODE_EXPORTER);
    exporter->options = *options;
    copy_strings(&exporter->options, &exporter->arena);
    NodeScrape *scrape = &exporter->scrape;
    scrape->options = &exporter->options;
    scrape->sink = node_sink_new();
    node_file_init(&scrape->proc_stat, exporter->options.path_procfs, "stat");
    exporter->build_info =
        node_gauge(scrape->sink, "node_exporter_build_info",
                   "Always 1; the labels tell the version and the toolchain it was built with.");
    exporter->duration = node_gauge(scrape->sink, "node_scrape_collector_duration_seconds",
                                    "How long a collector took.");
    exporter->success = node_gauge(scrape->sink, "node_scrape_collector_success",
                                   "Whether a collector succeeded: 1 or 0.");
    if (!open_collectors(exporter, err)) {
        node_exporter_free(exporter);
        return false;
    }
    *ret_exporter = exporter;
    return true;
}

void node_exporter_free(NodeExporter *exporter)
{
    if (!exporter)
        return;
    for (size_t i = 0; i < exporter->count; i++) {
        Running *one = &exporter->running[i];
        if (one->is_open && one->kind->close)
            one->kind->close(one->state);
        free(one->state);
    }
    node_sink_free(exporter->scrape.sink);
    buf_deinit(&exporter->scrape.text);
    buf_deinit(&exporter->scrape.proc_stat_text);
    node_file_deinit(&exporter->scrape.proc_stat);
    arena_deinit(&exporter->arena);
    lock_deinit(&exporter->lock);
    free(exporter);
}

// A failure is logged when it begins and when it changes, not at each scrape.
static void note_failure(Running *one, const Error *err)
{
    if (strcmp(one->last_failure, err->text) == 0)
        return;
    memcpy(one->last_failure, err->text, sizeof one->last_failure);
    if (err->code == ERR_NOT_FOUND)
        log_debug("collector has nothing to tell", KV("collector", one->kind->name),
                  KV("err", err));
    else
        log_error("collector failed, trying again at the next scrape",
                  KV("collector", one->kind->name), KV("err", err));
}

static void run_collector(Running *one, NodeScrape *scrape)
{
    Error err = {0};
    int64_t start_mono_ns = clock_mono_ns(&clock_system);
    one->succeeded = one->kind->write(one->state, scrape, &err);
    one->duration_s = (double)(clock_mono_ns(&clock_system) - start_mono_ns) / 1e9;
    if (one->succeeded)
        one->last_failure[0] = 0;
    else
        note_failure(one, &err);
}

static void add_own_samples(NodeExporter *exporter, NodeSelection selection)
{
    NodeSink *sink = exporter->scrape.sink;
    for (size_t i = 0; i < exporter->count; i++) {
        if (!(selection >> i & 1))
            continue;
        const Running *one = &exporter->running[i];
        NodeLabels labels = NODE_LABELS(sink, {"collector", str_from_c(one->kind->name)});
        node_sample(exporter->duration, labels, one->duration_s);
        node_sample(exporter->success, labels, one->succeeded);
    }
    NodeLabels labels =
        NODE_LABELS(sink, {"branch", STR("")}, {"goarch", STR(GO_ARCHITECTURE)},
                    {"goos", STR("linux")}, {"goversion", STR("C " __VERSION__)},
                    {"revision", STR("")}, {"tags", STR("")}, {"version", STR(NARTHEX_VERSION)});
    node_sample(exporter->build_info, labels, 1);
}

void node_exporter_write_selected(NodeExporter *exporter, NodeSelection selection, Buf *out)
{
    NodeScrape *scrape = &exporter->scrape;
    lock_take(&exporter->lock);
    node_sink_reset(scrape->sink);
    scrape->has_proc_stat = false;
    for (size_t i = 0; i < exporter->count; i++)
        if (selection >> i & 1)
            run_collector(&exporter->running[i], scrape);
    add_own_samples(exporter, selection);
    node_sink_write(scrape->sink, out);
    lock_give(&exporter->lock);
}

void node_exporter_write(NodeExporter *exporter, Buf *out)
{
    node_exporter_write_selected(exporter, ~(NodeSelection)0, out);
}

// The bit of an enabled collector; 0 if there is none of that name.
static NodeSelection bit_of(const NodeExporter *exporter, Str name)
{
    for (size_t i = 0; i < exporter->count; i++)
        if (str_is(name, exporter->running[i].kind->name))
            return (NodeSelection)1 << i;
    return 0;
}

static bool fail_not_enabled(Str name, Error *err)
{
    bool known = false;
    for (size_t i = 0; i < node_collector_count; i++)
        known |= str_is(name, node_collectors[i]->name);
    return error_set(err, ERR_INVALID, "couldn't create collector: %s collector: " STR_FMT,
                     known ? "disabled" : "missing", STR_ARG(str_sub(name, 0, 100)));
}

bool node_exporter_select(const NodeExporter *exporter, const Str *collect, size_t collect_count,
                          const Str *exclude, size_t exclude_count, NodeSelection *ret_selection,
                          Error *err)
{
    if (collect_count && exclude_count)
        return error_set(err, ERR_INVALID, "Combined collect and exclude queries are not allowed.");
    NodeSelection all = exporter->count == NODE_COLLECTORS_MAX
                            ? ~(NodeSelection)0
                            : ((NodeSelection)1 << exporter->count) - 1;
    NodeSelection chosen = 0;
    for (size_t i = 0; i < collect_count; i++) {
        NodeSelection bit = bit_of(exporter, collect[i]);
        if (!bit)
            return fail_not_enabled(collect[i], err);
        chosen |= bit;
    }
    NodeSelection left_out = 0;
    for (size_t i = 0; i < exclude_count; i++)
        left_out |= bit_of(exporter, exclude[i]);
    if (!collect_count)
        chosen = all & ~left_out;
    *ret_selection = chosen ? chosen : all; // nothing left means no filter, as in the original
    return true;
}

const char *node_exporter_collector(const NodeExporter *exporter, size_t index)
{
    return index < exporter->count ? exporter->running[index].kind->name : NULL;
}
