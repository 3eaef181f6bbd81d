// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_cpuinfo.h"

#include <stdlib.h>

#include "base/number.h"
#include "exporter/node/node_filter.h"

#define MEGAHERTZ 1e6

// The keys of /proc/cpuinfo, in the order of the labels they become.
enum {
    CACHE_SIZE,
    CORE,
    CPU,
    FAMILY,
    MICROCODE,
    MODEL,
    MODEL_NAME,
    PACKAGE,
    STEPPING,
    VENDOR,
    INFO_LABELS,
    MHZ = INFO_LABELS,
    FLAGS,
    BUGS,
    KEYS
};
static const struct {
    const char *key;
    const char *label;
} keys[KEYS] = {
    [CACHE_SIZE] = {"cache size", "cachesize"},
    [CORE] = {"core id", "core"},
    [CPU] = {"processor", "cpu"},
    [FAMILY] = {"cpu family", "family"},
    [MICROCODE] = {"microcode", "microcode"},
    [MODEL] = {"model", "model"},
    [MODEL_NAME] = {"model name", "model_name"},
    [PACKAGE] = {"physical id", "package"},
    [STEPPING] = {"stepping", "stepping"},
    [VENDOR] = {"vendor_id", "vendor"},
    [MHZ] = {"cpu MHz", NULL},
    [FLAGS] = {"flags", NULL},
    [BUGS] = {"bugs", NULL},
};

struct NodeCpuinfo {
    NodeFile file;
    NodeFilter flags;
    NodeFilter bugs;
    NodeFamily *info;
    NodeFamily *frequency;
    NodeFamily *flag_info; // NULL: not asked for
    NodeFamily *bug_info;
};

bool node_cpuinfo_new(NodeScrape *scrape, NodeCpuinfo **ret_info, Error *err)
{
    const NodeExporterOptions *options = scrape->options;
    NodeCpuinfo *info = X_NEW(NodeCpuinfo);
    node_file_init(&info->file, options->path_procfs, "cpuinfo");
    info->info =
        node_gauge(scrape->sink, "node_cpu_info", "What /proc/cpuinfo tells of a CPU; always 1.");
    info->frequency = node_gauge(scrape->sink, "node_cpu_frequency_hertz",
                                 "How fast a CPU runs now, from /proc/cpuinfo.");
    if (options->cpu_flags_include.len)
        info->flag_info =
            node_gauge(scrape->sink, "node_cpu_flag_info", "Flags of the first CPU; always 1.");
    if (options->cpu_bugs_include.len)
        info->bug_info = node_gauge(scrape->sink, "node_cpu_bug_info",
                                    "Known faults of the first CPU; always 1.");
    if (!node_filter_init(&info->flags, "collector.cpu.info.flags-include",
                          options->cpu_flags_include, "", STR_NONE, err) ||
        !node_filter_init(&info->bugs, "collector.cpu.info.bugs-include", options->cpu_bugs_include,
                          "", STR_NONE, err)) {
        node_cpuinfo_free(info);
        return false;
    }
    *ret_info = info;
    return true;
}

void node_cpuinfo_free(NodeCpuinfo *info)
{
    if (!info)
        return;
    node_file_deinit(&info->file);
    node_filter_deinit(&info->flags);
    node_filter_deinit(&info->bugs);
    free(info);
}

static void write_words(NodeFamily *family, NodeFilter *filter, const char *label, Str words,
                        NodeSink *sink)
{
    if (!family)
        return;
    for (Str word; (word = scan_word(&words)).len;)
        if (node_filter_takes(filter, word))
            node_sample(family, NODE_LABELS(sink, {label, word}), 1);
}

static void write_cpu(NodeCpuinfo *info, const Str *values, NodeSink *sink)
{
    NodeLabel labels[INFO_LABELS];
    for (size_t i = 0; i < INFO_LABELS; i++)
        labels[i] = (NodeLabel){keys[i].label, values[i]};
    node_sample(info->info, node_labels(sink, labels, INFO_LABELS), 1);
    double megahertz;
    if (number_parse_double(values[MHZ], &megahertz))
        node_sample(info->frequency,
                    NODE_LABELS(sink, {"core", values[CORE]}, {"cpu", values[CPU]},
                                {"package", values[PACKAGE]}),
                    megahertz * MEGAHERTZ);
}

static void take_line(Str line, Str *values)
{
    size_t colon = str_find_char(line, ':');
    if (colon == STR_NOT_FOUND)
        return;
    Str key = str_trim(str_sub(line, 0, colon));
    for (size_t i = 0; i < KEYS; i++)
        if (str_is(key, keys[i].key))
            values[i] = str_trim(str_skip(line, colon + 1));
}

bool node_cpuinfo_write(NodeCpuinfo *info, NodeScrape *scrape, Error *err)
{
    Str text;
    Str line;
    if (!node_file_read(&info->file, &scrape->text, &text, err))
        return false;
    Str values[KEYS] = {0};
    bool is_first = true;
    // A block of lines for each CPU; an empty line ends it, and the end of the text the last.
    for (bool more = true; more;) {
        more = scan_line(&text, &line);
        if (more && line.len) {
            take_line(line, values);
            continue;
        }
        if (!values[CPU].len)
            continue;
        write_cpu(info, values, scrape->sink);
        if (is_first) {
            write_words(info->flag_info, &info->flags, "flag", values[FLAGS], scrape->sink);
            write_words(info->bug_info, &info->bugs, "bug", values[BUGS], scrape->sink);
        }
        is_first = false;
        memset(values, 0, sizeof values);
    }
    return true;
}
