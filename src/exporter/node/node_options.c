// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "exporter/node/node_collectors.h"

#define DISK_EXCLUDE "^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$"
#define MOUNTS_EXCLUDE                                                                             \
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
#define TYPES_EXCLUDE                                                                              \
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|"        \
    "iso9660|mqueue|nsfs|overlay|proc|"                                                            \
    "procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
#define NETSTAT_FIELDS                                                                             \
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|" \
    "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"            \
    "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"                 \
    "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
#define VMSTAT_FIELDS "^(oom_kill|pgpg|pswp|pg.*fault).*"
#define STAT_WORKERS_MAX 64

#define TEXT(flag, member, text, about)                                                            \
    {                                                                                              \
        .name = flag, .kind = FLAG_STR, .offset = offsetof(NodeExporterOptions, member),           \
        .default_text = text, .help = about                                                        \
    }
#define SWITCH(flag, member, text, about)                                                          \
    {                                                                                              \
        .name = flag, .kind = FLAG_BOOL, .offset = offsetof(NodeExporterOptions, member),          \
        .default_text = text, .help = about                                                        \
    }
#define OLD_NAME(flag, member)                                                                     \
    {                                                                                              \
        .name = flag, .kind = FLAG_STR, .offset = offsetof(NodeExporterOptions, member),           \
        .hidden = true, .help = "Old name of a flag that ends in -include or -exclude."            \
    }
#define NO_EFFECT(flag)                                                                            \
    {                                                                                              \
        .name = flag, .kind = FLAG_STR, .offset = offsetof(NodeExporterOptions, absent_value),     \
        .hidden = true, .help = "Belongs to a collector that narthex lacks."                       \
    }

static const FlagSpec fixed_flags[] = {
    TEXT("path.procfs", path_procfs, "/proc", "Where procfs is mounted."),
    TEXT("path.sysfs", path_sysfs, "/sys", "Where sysfs is mounted."),
    TEXT("path.rootfs", path_rootfs, "/",
         "Where the root file system is mounted; taken off the front of reported mount points."),
    TEXT("path.udev.data", path_udev_data, "/run/udev/data", "Folder of udev's database."),
    SWITCH("collector.disable-defaults", disable_defaults, NULL, "Start with no collector on."),
    SWITCH("collector.cpu.guest", cpu_guest, "true", "Expose node_cpu_guest_seconds_total."),
    SWITCH("collector.cpu.info", cpu_info, NULL, "Expose node_cpu_info."),
    TEXT("collector.cpu.info.flags-include", cpu_flags_include, NULL,
         "CPU flags to expose (regular expression); turns cpu.info on."),
    TEXT("collector.cpu.info.bugs-include", cpu_bugs_include, NULL,
         "CPU bugs to expose (regular expression); turns cpu.info on."),
    TEXT("collector.diskstats.device-exclude", disk_devices_exclude, DISK_EXCLUDE,
         "Disks to leave out (regular expression)."),
    TEXT("collector.diskstats.device-include", disk_devices_include, NULL,
         "The only disks to show (regular expression)."),
    TEXT("collector.filesystem.mount-points-exclude", filesystem_mounts_exclude, MOUNTS_EXCLUDE,
         "Mount points to leave out (regular expression)."),
    TEXT("collector.filesystem.mount-points-include", filesystem_mounts_include, NULL,
         "The only mount points to show (regular expression)."),
    TEXT("collector.filesystem.fs-types-exclude", filesystem_types_exclude, TYPES_EXCLUDE,
         "File system types to leave out (regular expression)."),
    TEXT("collector.filesystem.fs-types-include", filesystem_types_include, NULL,
         "The only file system types to show (regular expression)."),
    {.name = "collector.filesystem.mount-timeout",
     .kind = FLAG_DURATION,
     .offset = offsetof(NodeExporterOptions, filesystem_timeout_ms),
     .default_text = "5s",
     .min = 1,
     .max = 600000,
     .help = "How long a mount may take to answer before it counts as stuck."},
    {.name = "collector.filesystem.stat-workers",
     .kind = FLAG_I64,
     .offset = offsetof(NodeExporterOptions, filesystem_workers),
     .default_text = "4",
     .min = 1,
     .max = STAT_WORKERS_MAX,
     .help = "How many mounts may be asked at the same time."},
    TEXT("collector.netdev.device-include", netdev_devices_include, NULL,
         "The only network devices to show (regular expression)."),
    TEXT("collector.netdev.device-exclude", netdev_devices_exclude, NULL,
         "Network devices to leave out (regular expression)."),
    SWITCH("collector.netdev.address-info", netdev_address_info, NULL,
           "Expose the addresses of every device."),
    SWITCH("collector.netdev.enable-detailed-metrics", netdev_detailed, NULL,
           "Expose the kernel's own counters instead of sums under older names."),
    SWITCH("collector.netdev.netlink", netdev_netlink, "true",
           "Ask by netlink instead of reading net/dev."),
    SWITCH("collector.netdev.label-ifalias", netdev_ifalias, NULL, "Add the label ifalias."),
    TEXT("collector.netstat.fields", netstat_fields, NETSTAT_FIELDS,
         "Fields to show (regular expression)."),
    SWITCH("collector.stat.softirq", stat_softirq, NULL, "Expose softirqs by vector."),
    TEXT("collector.vmstat.fields", vmstat_fields, VMSTAT_FIELDS,
         "Fields to show (regular expression)."),
    OLD_NAME("collector.filesystem.ignored-mount-points", filesystem_mounts_exclude),
    OLD_NAME("collector.filesystem.ignored-fs-types", filesystem_types_exclude),
    OLD_NAME("collector.diskstats.ignored-devices", disk_devices_exclude),
    OLD_NAME("collector.netdev.device-blacklist", netdev_devices_exclude),
    OLD_NAME("collector.netdev.device-whitelist", netdev_devices_include),
    NO_EFFECT("collector.netclass.ignored-devices"),
    NO_EFFECT("collector.textfile.directory"),
    NO_EFFECT("collector.powersupply.ignored-supplies"),
    NO_EFFECT("collector.arp.device-exclude"),
    NO_EFFECT("collector.arp.device-include"),
};

// An include given alone stands against the default of its exclude.
static const struct {
    size_t include;
    size_t exclude;
} pairs[] = {
    {offsetof(NodeExporterOptions, disk_devices_include),
     offsetof(NodeExporterOptions, disk_devices_exclude)},
    {offsetof(NodeExporterOptions, filesystem_mounts_include),
     offsetof(NodeExporterOptions, filesystem_mounts_exclude)},
    {offsetof(NodeExporterOptions, filesystem_types_include),
     offsetof(NodeExporterOptions, filesystem_types_exclude)},
};

void node_exporter_options_default(NodeExporterOptions *ret_options)
{
    *ret_options = (NodeExporterOptions){
        .path_procfs = STR("/proc"),
        .path_sysfs = STR("/sys"),
        .path_rootfs = STR("/"),
        .path_udev_data = STR("/run/udev/data"),
        .cpu_guest = true,
        .disk_devices_exclude = STR(DISK_EXCLUDE),
        .filesystem_mounts_exclude = STR(MOUNTS_EXCLUDE),
        .filesystem_types_exclude = STR(TYPES_EXCLUDE),
        .filesystem_timeout_ms = 5000,
        .filesystem_workers = 4,
        .netdev_netlink = true,
        .netstat_fields = STR(NETSTAT_FIELDS),
        .vmstat_fields = STR(VMSTAT_FIELDS),
    };
    for (size_t i = 0; i < node_collector_count; i++)
        ret_options->enabled[i] = node_collectors[i]->is_default;
}

const FlagSpec *node_exporter_flags(Arena *arena, size_t offset, size_t *ret_count)
{
    size_t count = COUNT_OF(fixed_flags) + node_collector_count + node_absent_count;
    FlagSpec *flags = ARENA_ARRAY(arena, FlagSpec, count);
    memcpy(flags, fixed_flags, sizeof fixed_flags);
    FlagSpec *next = flags + COUNT_OF(fixed_flags);
    for (size_t i = 0; i < node_collector_count; i++) {
        bool on = node_collectors[i]->is_default;
        *next++ = (FlagSpec){
            .name = arena_printf(arena, "collector.%s", node_collectors[i]->name).ptr,
            .kind = FLAG_BOOL,
            .offset = offsetof(NodeExporterOptions, enabled) + i * sizeof(bool),
            .default_text = on ? "true" : NULL,
            .help = arena_printf(arena, "Enable the %s collector (%s).", node_collectors[i]->name,
                                 on ? "on by default" : "off by default")
                        .ptr,
        };
    }
    for (size_t i = 0; i < node_absent_count; i++)
        *next++ = (FlagSpec){
            .name = arena_printf(arena, "collector.%s", node_absent_collectors[i]).ptr,
            .kind = FLAG_BOOL,
            .offset = offsetof(NodeExporterOptions, absent) + i * sizeof(bool),
            .help = "A collector that narthex lacks: only --no- has a meaning.",
            .hidden = true,
        };
    for (size_t i = 0; i < count; i++)
        flags[i].offset += offset;
    *ret_count = count;
    return flags;
}

static bool member_given(const bool *given, size_t offset)
{
    for (size_t i = 0; i < COUNT_OF(fixed_flags); i++)
        if (fixed_flags[i].offset == offset && given[i])
            return true;
    return false;
}

void node_exporter_flags_given(NodeExporterOptions *options, const bool *given)
{
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        if (member_given(given, pairs[i].include) && !member_given(given, pairs[i].exclude))
            *(Str *)(void *)((char *)options + pairs[i].exclude) = STR_NONE;
    for (size_t i = 0; i < node_collector_count; i++)
        options->chosen[i] = given[COUNT_OF(fixed_flags) + i];
    for (size_t i = 0; i < COUNT_OF(fixed_flags); i++)
        if (given[i] && fixed_flags[i].offset == offsetof(NodeExporterOptions, absent_value))
            log_warn("flag of a collector that narthex lacks, ignoring",
                     KV("flag", fixed_flags[i].name));
}
