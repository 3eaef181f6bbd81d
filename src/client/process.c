// SPDX-License-Identifier: Apache-2.0
// process.c: what the kernel knows about this process, under the names of the Prometheus client libraries.
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/number.h"
#include "client/registry.h"

#define PROC_FILE_BYTES_MAX (1u << 20)

static void add_one(Collection *collection, const char *name, FamilyKind kind, const char *help,
                    double value)
{
    collection_family(collection, name, kind, help);
    collection_add(collection, NULL, 0, value);
}

// The fields of /proc/self/stat behind the command's name, which may hold blanks; proc(5) numbers them from 3.
static bool read_stat(Arena *arena, double *fields, size_t count)
{
    Error err;
    Str text;
    if (!fs_read_file(&fs_system, S("/proc/self/stat"), arena, PROC_FILE_BYTES_MAX, &text, &err))
        return false;
    size_t end = str_rfind_char(text, ')');
    if (end == STR_NOT_FOUND)
        return false;
    Str rest = str_trim(str_skip(text, end + 1));
    Str word;
    for (size_t i = 0; i < count; i++) {
        if (!str_split_next(&rest, ' ', &word))
            return false;
        if (i > 0 && !number_parse_double(word, &fields[i])) // the first is a letter
            return false;
    }
    return true;
}

static double boot_time_s(Arena *arena)
{
    Error err;
    Str text;
    Str line;
    double s = 0;
    if (fs_read_file(&fs_system, S("/proc/stat"), arena, PROC_FILE_BYTES_MAX, &text, &err))
        while (str_split_next(&text, '\n', &line))
            if (str_starts_with(line, S("btime ")) &&
                number_parse_double(str_trim(str_skip(line, 6)), &s))
                return s;
    return 0;
}

// Open descriptors, without the one that counts them.
static double count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    double count = -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static double limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return 0;
    return limit.rlim_cur == RLIM_INFINITY ? 18446744073709551615.0 : (double)limit.rlim_cur;
}

enum {
    STAT_UTIME = 14 - 3,
    STAT_STIME = 15 - 3,
    STAT_START = 22 - 3,
    STAT_VSIZE = 23 - 3,
    STAT_RSS = 24 - 3,
    STAT_COUNT
};

// Bytes of this network namespace, whose counters "IpExt:" of netstat tells by the names in the line before.
static bool read_octets(Arena *arena, double *ret_in, double *ret_out)
{
    Str text, line, names = STR_NONE;
    Error ignored;
    if (!fs_read_file(&fs_system, S("/proc/self/net/netstat"), arena, 1 << 20, &text, &ignored))
        return false;
    while (str_split_next(&text, '\n', &line)) {
        if (!str_starts_with(line, S("IpExt:")))
            continue;
        if (names.len == 0) {
            names = line;
            continue;
        }
        Str name, value;
        int found = 0;
        while (str_split_next(&names, ' ', &name) && str_split_next(&line, ' ', &value)) {
            bool in = str_is(name, "InOctets");
            if (in || str_is(name, "OutOctets"))
                found += number_parse_double(value, in ? ret_in : ret_out);
        }
        return found == 2;
    }
    return false;
}

static void collect_network(Arena *arena, Collection *collection)
{
    double in, out;
    if (!read_octets(arena, &in, &out))
        return;
    add_one(collection, "process_network_receive_bytes_total", FAMILY_COUNTER,
            "Number of bytes received by the process over the network.", in);
    add_one(collection, "process_network_transmit_bytes_total", FAMILY_COUNTER,
            "Number of bytes sent by the process over the network.", out);
}

static void collect_process(void *arg, Collection *collection)
{
    (void)arg;
    CLEANUP(arena_deinit) Arena arena = {0};
    add_one(collection, "process_open_fds", FAMILY_GAUGE, "Number of open file descriptors.",
            count_fds());
    add_one(collection, "process_max_fds", FAMILY_GAUGE, "Maximum number of open file descriptors.",
            limit_of(RLIMIT_NOFILE));
    add_one(collection, "process_virtual_memory_max_bytes", FAMILY_GAUGE,
            "Maximum amount of virtual memory available in bytes.", limit_of(RLIMIT_AS));
    collect_network(&arena, collection);
    double stat[STAT_COUNT];
    if (!read_stat(&arena, stat, STAT_COUNT))
        return;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    add_one(collection, "process_cpu_seconds_total", FAMILY_COUNTER,
            "Total user and system CPU time spent in seconds.",
            (stat[STAT_UTIME] + stat[STAT_STIME]) / ticks);
    add_one(collection, "process_virtual_memory_bytes", FAMILY_GAUGE,
            "Virtual memory size in bytes.", stat[STAT_VSIZE]);
    add_one(collection, "process_resident_memory_bytes", FAMILY_GAUGE,
            "Resident memory size in bytes.", stat[STAT_RSS] * (double)sysconf(_SC_PAGESIZE));
    add_one(collection, "process_start_time_seconds", FAMILY_GAUGE,
            "Start time of the process since unix epoch in seconds.",
            boot_time_s(&arena) + stat[STAT_START] / ticks);
}

void registry_process_metrics(Registry *registry)
{
    registry_collector(registry, collect_process, NULL);
}

void registry_build_info(Registry *registry, const char *name, const char *version)
{
    static const char *const labels[] = {"version", NULL};
    Family *family = registry_gauge(
        registry, name,
        "A metric with a constant '1' value labeled by the version it was built from.", labels);
    Str value = str_from_c(version);
    gauge_set(gauge_of(family, &value), 1);
}
