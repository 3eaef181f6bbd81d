// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_collectors.h"

static const struct {
    const char *key;
    const char *name;
    NodeType type;
    const char *help;
} lines[] = {
    {"intr", "node_intr_total", NODE_COUNTER, "Total number of interrupts serviced."},
    {"ctxt", "node_context_switches_total", NODE_COUNTER, "Total number of context switches."},
    {"processes", "node_forks_total", NODE_COUNTER, "Total number of forks."},
    {"btime", "node_boot_time_seconds", NODE_GAUGE,
     "When the machine booted, in seconds since the epoch."},
    {"procs_running", "node_procs_running", NODE_GAUGE,
     "Number of processes that run or could run."},
    {"procs_blocked", "node_procs_blocked", NODE_GAUGE,
     "Number of processes that wait for I/O to complete."},
};

// The columns of the line "softirq" behind its sum.
static const char *const vectors[] = {"hi",           "timer",   "net_tx", "net_rx",  "block",
                                      "block_iopoll", "tasklet", "sched",  "hrtimer", "rcu"};

typedef struct Stat {
    NodeFamily *families[COUNT_OF(lines)];
    NodeFamily *softirqs; // NULL: not asked for
} Stat;

static bool stat_open(void *state, NodeScrape *scrape, Error *err)
{
    (void)err;
    Stat *self = state;
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        self->families[i] = node_sink_family(scrape->sink, str_from_c(lines[i].name), lines[i].type,
                                             str_from_c(lines[i].help));
    if (scrape->options->stat_softirq)
        self->softirqs = node_counter(scrape->sink, "node_softirqs_total",
                                      "Number of softirq calls, by vector.");
    return true;
}

static void write_softirqs(Stat *self, NodeSink *sink, Str line)
{
    uint64_t value;
    if (!scan_u64(&line, &value)) // the sum
        return;
    for (size_t i = 0; i < COUNT_OF(vectors) && scan_u64(&line, &value); i++)
        node_sample(self->softirqs, NODE_LABELS(sink, {"vector", str_from_c(vectors[i])}),
                    (double)value);
}

static bool stat_write(void *state, NodeScrape *scrape, Error *err)
{
    Stat *self = state;
    Str text;
    Str line;
    if (!node_scrape_stat(scrape, &text, err))
        return false;
    while (scan_line(&text, &line)) {
        if (str_starts_with(line, S("cpu")))
            continue;
        Str key = scan_word(&line);
        for (size_t i = 0; i < COUNT_OF(lines); i++) {
            uint64_t value;
            if (!str_is(key, lines[i].key))
                continue;
            if (!scan_u64(&line, &value))
                return error_set(err, ERR_CORRUPT, "%s: no number behind \"%s\"",
                                 scrape->proc_stat.path, lines[i].key);
            node_sample(self->families[i], NODE_NO_LABELS, (double)value);
        }
        if (self->softirqs && str_is(key, "softirq"))
            write_softirqs(self, scrape->sink, line);
    }
    return true;
}

const NodeCollector node_stat = {"stat", true, sizeof(Stat), stat_open, stat_write, NULL};
