// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "exporter/node/node_collectors.h"
#include "exporter/node/node_cpuinfo.h"

#define HOTPLUG_JUMP_S 3 // idle time that falls by more: the CPU was away and counts anew
#define CPUS_MAX 65536

// Columns of a cpu line of /proc/stat.
enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, GUEST, GUEST_NICE, COLUMNS };

// The modes of node_cpu_seconds_total in the order in which their samples stand.
static const struct {
    const char *mode;
    int column;
} modes[] = {
    {"idle", IDLE},       {"iowait", IOWAIT}, {"irq", IRQ},       {"nice", NICE},
    {"softirq", SOFTIRQ}, {"steal", STEAL},   {"system", SYSTEM}, {"user", USER},
};

typedef struct Cpu {
    char id[8];
    uint64_t ticks[COLUMNS]; // never fall, but by a hot-plug
    bool seen;               // in this scrape
} Cpu;

// A throttle counter of a core or a package.
typedef struct Throttle {
    NodeFile file;
    char core[12]; // empty: of the package
    char package[12];
} Throttle;

typedef struct CpuCollector {
    NodeFamily *seconds;
    NodeFamily *guest; // NULL: not asked for
    NodeFamily *core_throttles;
    NodeFamily *package_throttles;
    NodeFamily *isolated;
    NodeFamily *online;
    Cpu *cpus; // by id, as text
    size_t count;
    size_t room;
    double ticks_per_s;
    Throttle *throttles;
    size_t throttle_count;
    NodeFile online_list;
    char (*switchable)[8]; // ids of CPUs that can be taken offline, by id as text
    size_t switchable_count;
    char *isolated_list; // as the kernel was told at boot; NULL: none
    NodeCpuinfo *info;   // NULL: not asked for
} CpuCollector;

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

// Ids of the folders cpu0, cpu1, ... that have the file `name`, by id as text.
static char (*list_cpus(Str sysfs, const char *name, size_t *ret_count))[8]
{
    char(*ids)[8] = NULL;
    size_t count = 0;
    char *folder = node_path(sysfs, "devices/system/cpu");
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        unsigned id;
        int used = 0;
        if (sscanf(entry->d_name, "cpu%5u%n", &id, &used) != 1 || entry->d_name[used] != 0 ||
            count == CPUS_MAX)
            continue;
        char path[64];
        snprintf(path, sizeof path, "devices/system/cpu/cpu%u/%s", id, name);
        char *full = node_path(sysfs, path);
        if (access(full, R_OK) == 0) {
            ids = x_realloc(ids, (count + 1) * sizeof *ids);
            snprintf(ids[count++], sizeof *ids, "%u", id);
        }
        free(full);
    }
    if (dir)
        closedir(dir);
    free(folder);
    if (count)
        qsort(ids, count, sizeof *ids, compare_ids);
    *ret_count = count;
    return ids;
}

static bool peek_cpu(Str sysfs, const char *id, const char *name, char *out, size_t out_bytes)
{
    char path[96];
    char line[64];
    Str text = STR_NONE;
    snprintf(path, sizeof path, "devices/system/cpu/cpu%s/%s", id, name);
    char *full = node_path(sysfs, path);
    bool ok =
        node_file_peek(full, line, sizeof line, &text) && text.len > 0 && text.len < out_bytes;
    if (ok) {
        memcpy(out, text.ptr, text.len);
        out[text.len] = 0;
    }
    free(full);
    return ok;
}

static void add_throttle(CpuCollector *self, Str sysfs, const char *id, const char *name,
                         const char *core, const char *package)
{
    for (size_t i = 0; i < self->throttle_count; i++)
        if (strcmp(self->throttles[i].core, core) == 0 &&
            strcmp(self->throttles[i].package, package) == 0)
            return; // another thread of the same core
    char path[96];
    snprintf(path, sizeof path, "devices/system/cpu/cpu%s/thermal_throttle/%s", id, name);
    self->throttles = x_realloc(self->throttles, (self->throttle_count + 1) * sizeof(Throttle));
    Throttle *throttle = &self->throttles[self->throttle_count++];
    *throttle = (Throttle){0};
    node_file_init(&throttle->file, sysfs, path);
    snprintf(throttle->core, sizeof throttle->core, "%s", core);
    snprintf(throttle->package, sizeof throttle->package, "%s", package);
}

static void find_throttles(CpuCollector *self, Str sysfs)
{
    size_t count;
    char(*ids)[8] = list_cpus(sysfs, "thermal_throttle/core_throttle_count", &count);
    for (size_t i = 0; i < count; i++) {
        char core[12];
        char package[12];
        if (!peek_cpu(sysfs, ids[i], "topology/physical_package_id", package, sizeof package) ||
            !peek_cpu(sysfs, ids[i], "topology/core_id", core, sizeof core))
            continue;
        add_throttle(self, sysfs, ids[i], "core_throttle_count", core, package);
        add_throttle(self, sysfs, ids[i], "package_throttle_count", "", package);
    }
    free(ids);
}

static void find_isolated(CpuCollector *self, Str sysfs)
{
    char line[4096];
    Str text = STR_NONE;
    char *path = node_path(sysfs, "devices/system/cpu/isolated");
    if (node_file_peek(path, line, sizeof line, &text) && text.len) {
        self->isolated_list = x_calloc(1, text.len + 1);
        memcpy(self->isolated_list, text.ptr, text.len);
    }
    free(path);
}

static bool cpu_open(void *state, NodeScrape *scrape, Error *err)
{
    CpuCollector *self = state;
    const NodeExporterOptions *options = scrape->options;
    NodeSink *sink = scrape->sink;
    self->ticks_per_s = (double)sysconf(_SC_CLK_TCK);
    self->seconds =
        node_counter(sink, "node_cpu_seconds_total", "Seconds the CPUs spent in each mode.");
    if (options->cpu_guest)
        self->guest = node_counter(sink, "node_cpu_guest_seconds_total",
                                   "Seconds the CPUs spent in guests (VMs), in each mode.");
    self->core_throttles =
        node_counter(sink, "node_cpu_core_throttles_total", "How often this core was throttled.");
    self->package_throttles = node_counter(sink, "node_cpu_package_throttles_total",
                                           "How often this package was throttled.");
    self->isolated =
        node_gauge(sink, "node_cpu_isolated", "CPUs that the scheduler leaves alone; always 1.");
    self->online = node_gauge(sink, "node_cpu_online", "Whether a CPU is online: 1 or 0.");
    node_file_init(&self->online_list, options->path_sysfs, "devices/system/cpu/online");
    self->switchable = list_cpus(options->path_sysfs, "online", &self->switchable_count);
    find_throttles(self, options->path_sysfs);
    find_isolated(self, options->path_sysfs);
    if (options->cpu_info || options->cpu_flags_include.len || options->cpu_bugs_include.len)
        return node_cpuinfo_new(scrape, &self->info, err);
    return true;
}

// The CPU of this id, new if it is not known.
static Cpu *cpu_of(CpuCollector *self, Str id)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(str_from_c(self->cpus[middle].id), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < self->count && str_is(id, self->cpus[low].id))
        return &self->cpus[low];
    if (self->count == self->room) {
        self->room = MAX((size_t)8, self->room * 2);
        self->cpus = x_realloc(self->cpus, self->room * sizeof(Cpu));
    }
    memmove(self->cpus + low + 1, self->cpus + low, (self->count - low) * sizeof(Cpu));
    self->count++;
    Cpu *cpu = &self->cpus[low];
    *cpu = (Cpu){0};
    memcpy(cpu->id, id.ptr, id.len);
    return cpu;
}

static void update_cpu(Cpu *cpu, const uint64_t *ticks, double ticks_per_s)
{
    cpu->seen = true;
    bool was_away = (double)cpu->ticks[IDLE] - (double)ticks[IDLE] >= HOTPLUG_JUMP_S * ticks_per_s;
    for (size_t i = 0; i < COLUMNS; i++)
        if (was_away || ticks[i] > cpu->ticks[i])
            cpu->ticks[i] = ticks[i];
}

static bool update_cpus(CpuCollector *self, Str text, const char *path, Error *err)
{
    Str line;
    for (size_t i = 0; i < self->count; i++)
        self->cpus[i].seen = false;
    while (scan_line(&text, &line) && str_starts_with(line, S("cpu"))) {
        Str id = str_skip(scan_word(&line), 3);
        if (id.len == 0) // the sum of all
            continue;
        uint64_t ticks[COLUMNS] = {0};
        size_t columns = 0;
        while (columns < COLUMNS && scan_u64(&line, &ticks[columns]))
            columns++;
        // Old kernels lack columns at the end.
        if (columns <= IDLE || id.len >= sizeof self->cpus->id || self->count > CPUS_MAX)
            return error_set(err, ERR_CORRUPT, "%s: cpu" STR_FMT ": not a CPU with its times", path,
                             STR_ARG(str_sub(id, 0, 20)));
        update_cpu(cpu_of(self, id), ticks, self->ticks_per_s);
    }
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++)
        if (self->cpus[i].seen)
            self->cpus[kept++] = self->cpus[i];
    self->count = kept;
    return true;
}

static void write_times(CpuCollector *self, NodeSink *sink)
{
    for (size_t i = 0; i < self->count; i++) {
        const Cpu *cpu = &self->cpus[i];
        Str id = str_from_c(cpu->id);
        for (size_t m = 0; m < COUNT_OF(modes); m++)
            node_sample(self->seconds,
                        NODE_LABELS(sink, {"cpu", id}, {"mode", str_from_c(modes[m].mode)}),
                        (double)cpu->ticks[modes[m].column] / self->ticks_per_s);
        if (!self->guest)
            continue;
        node_sample(self->guest, NODE_LABELS(sink, {"cpu", id}, {"mode", STR("nice")}),
                    (double)cpu->ticks[GUEST_NICE] / self->ticks_per_s);
        node_sample(self->guest, NODE_LABELS(sink, {"cpu", id}, {"mode", STR("user")}),
                    (double)cpu->ticks[GUEST] / self->ticks_per_s);
    }
}

static void write_throttles(CpuCollector *self, NodeScrape *scrape)
{
    for (size_t i = 0; i < self->throttle_count; i++) {
        Throttle *throttle = &self->throttles[i];
        Str text;
        uint64_t value;
        Error offline; // its core is away: no sample
        if (!node_file_read(&throttle->file, &scrape->text, &text, &offline))
            continue;
        text = str_trim(text);
        if (!scan_u64(&text, &value))
            continue;
        Str package = str_from_c(throttle->package);
        if (throttle->core[0])
            node_sample(self->core_throttles,
                        NODE_LABELS(scrape->sink, {"core", str_from_c(throttle->core)},
                                    {"package", package}),
                        (double)value);
        else
            node_sample(self->package_throttles, NODE_LABELS(scrape->sink, {"package", package}),
                        (double)value);
    }
}

// Cuts the next range off a list such as "0-3,8,10-11". False at the end or at what is none.
static bool next_range(Str *list, uint64_t *ret_first, uint64_t *ret_last)
{
    Str item;
    Str first;
    if (!str_split_next(list, ',', &item) || !str_split_next(&item, '-', &first))
        return false;
    Str last = item.len ? item : first;
    return scan_u64(&first, ret_first) && scan_u64(&last, ret_last) && *ret_last >= *ret_first &&
           *ret_last < CPUS_MAX;
}

static bool list_has(Str list, uint64_t id)
{
    uint64_t first;
    uint64_t last;
    while (next_range(&list, &first, &last))
        if (id >= first && id <= last)
            return true;
    return false;
}

static void write_online(CpuCollector *self, NodeScrape *scrape)
{
    Str list;
    Error missing; // a machine without hot-plug says nothing
    if (self->switchable_count == 0 ||
        !node_file_read(&self->online_list, &scrape->text, &list, &missing))
        return;
    list = str_trim(list);
    for (size_t i = 0; i < self->switchable_count; i++) {
        Str id = str_from_c(self->switchable[i]);
        node_sample(self->online, NODE_LABELS(scrape->sink, {"cpu", id}),
                    list_has(list, strtoul(self->switchable[i], NULL, 10)));
    }
}

static void write_isolated(CpuCollector *self, NodeSink *sink)
{
    Str list = str_from_c(self->isolated_list);
    uint64_t first;
    uint64_t last;
    while (next_range(&list, &first, &last))
        for (uint64_t id = first; id <= last; id++) {
            char text[24];
            int len = snprintf(text, sizeof text, "%llu", (unsigned long long)id);
            node_sample(self->isolated, NODE_LABELS(sink, {"cpu", str_make(text, (size_t)len)}), 1);
        }
}

static bool cpu_write(void *state, NodeScrape *scrape, Error *err)
{
    CpuCollector *self = state;
    Str text;
    if (self->info && !node_cpuinfo_write(self->info, scrape, err))
        return false;
    if (!node_scrape_stat(scrape, &text, err) ||
        !update_cpus(self, text, scrape->proc_stat.path, err))
        return false;
    write_times(self, scrape->sink);
    write_throttles(self, scrape);
    write_online(self, scrape);
    write_isolated(self, scrape->sink);
    return true;
}

static void cpu_close(void *state)
{
    CpuCollector *self = state;
    for (size_t i = 0; i < self->throttle_count; i++)
        node_file_deinit(&self->throttles[i].file);
    free(self->throttles);
    free(self->cpus);
    free(self->switchable);
    free(self->isolated_list);
    node_file_deinit(&self->online_list);
    node_cpuinfo_free(self->info);
}

const NodeCollector node_cpu = {"cpu", true, sizeof(CpuCollector), cpu_open, cpu_write, cpu_close};
