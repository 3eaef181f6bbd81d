// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "base/fs.h"
#include "base/test.h"
#include "exporter/exporter.h"

// tests/corpus/node, wherever the test is started from.
static Str corpus(Arena *arena)
{
    static const char file[] = __FILE__;
    Str here = str_sub(str_from_c(file), 0, str_rfind_char(str_from_c(file), '/'));
    Str places[2] = {fs_join(arena, here, S("../../tests/corpus/node")), S("tests/corpus/node")};
    for (size_t i = 0; i < 2; i++)
        if (fs_exists(&fs_system, places[i]))
            return places[i];
    CHECK_FAIL_("no folder tests/corpus/node");
    return STR_NONE;
}

// Options that look at a tree of files instead of the machine.
static void tree_options(NodeExporterOptions *ret_options, Str root, Arena *arena)
{
    node_exporter_options_default(ret_options);
    ret_options->path_procfs = fs_join(arena, root, S("proc"));
    ret_options->path_sysfs = fs_join(arena, root, S("sys"));
    ret_options->path_udev_data = fs_join(arena, root, S("udev"));
    ret_options->netdev_netlink = false;
}

static void scrape(const NodeExporterOptions *options, Buf *out)
{
    NodeExporter *exporter;
    Error err = {0};
    CHECK_OK(node_exporter_new(options, &exporter, &err), err);
    node_exporter_write(exporter, out);
    size_t first = out->len;
    // The second scrape, of files that stay open and fields that are known, must say the same; its durations may differ.
    node_exporter_write(exporter, out);
    CHECK(out->len > first && out->len < 2 * first + 1000);
    memmove(out->ptr, out->ptr + first, out->len - first);
    out->len -= first;
    node_exporter_free(exporter);
}

// True for lines that are the same on every machine.
static bool is_constant(Str line)
{
    static const char *const changing[] = {
        "node_exporter_build_info{", "node_scrape_collector_duration_seconds{",
        "node_time_seconds ",        "node_time_zone_offset_seconds{",
        "node_uname_info{",          "# HELP "};
    for (size_t i = 0; i < COUNT_OF(changing); i++)
        if (str_starts_with(line, str_from_c(changing[i])))
            return false;
    return true;
}

TEST(node_exporter, tells_of_a_machine_what_the_original_tells)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf page = {0};
    Str root = corpus(&arena);
    NodeExporterOptions options;
    Str want;
    Str want_line;
    Error err = {0};
    tree_options(&options, root, &arena);
    options.cpu_info = true;
    options.cpu_flags_include = S("^(aes|avx.?)$");
    options.cpu_bugs_include = S(".*");
    options.stat_softirq = true;
    CHECK_OK(fs_read_file(&fs_system, fs_join(&arena, root, S("expected.txt")), &arena, 1 << 20,
                          &want, &err),
             err);

    scrape(&options, &page);

    Str got = buf_str(&page);
    Str got_line;
    size_t number = 0;
    while (str_split_next(&got, '\n', &got_line)) {
        if (!is_constant(got_line) || (got_line.len == 0 && got.len == 0))
            continue;
        number++;
        CHECK(str_split_next(&want, '\n', &want_line));
        CHECK_STR(got_line, want_line);
    }
    CHECK_EQ(want.len, 0);
    CHECK(number > 400);
}

// A folder of our own below the temporary folder, for trees that change.
typedef struct Tree {
    Arena arena;
    Str root;
} Tree;

static void tree_make(Tree *tree)
{
    const char *tmp = getenv("TMPDIR");
    *tree = (Tree){0};
    char *path = str_to_c(&tree->arena,
                          arena_printf(&tree->arena, "%s/narthex-node-XXXXXX", tmp ? tmp : "/tmp"));
    CHECK(mkdtemp(path) != NULL);
    tree->root = str_from_c(path);
}

static void tree_write(Tree *tree, const char *name, Str text)
{
    Error err = {0};
    Str path = fs_join(&tree->arena, tree->root, str_from_c(name));
    Str folder = str_sub(path, 0, str_rfind_char(path, '/'));
    File file = FILE_NONE;
    CHECK_OK(fs_make_dirs(&fs_system, folder, &err), err);
    // The same file, written anew: readers keep it open.
    CHECK_OK(fs_open(&fs_system, path, FS_CREATE, &file, &err) && file_write(&file, text, &err) &&
                 file_finish(&file, &err),
             err);
}

static void tree_remove(Tree *tree)
{
    Error err = {0};
    CHECK_OK(fs_remove_tree(&fs_system, tree->root, &err), err);
    arena_deinit(&tree->arena);
}

// Only the named collector, on this tree.
static void only(NodeExporterOptions *options, const char *collector)
{
    NodeExporter *all;
    Error err = {0};
    CHECK_OK(node_exporter_new(options, &all, &err), err);
    const char *name;
    bool found = false;
    for (size_t i = 0; (name = node_exporter_collector(all, i)); i++) {
        options->enabled[i] = strcmp(name, collector) == 0;
        found |= options->enabled[i];
    }
    node_exporter_free(all);
    CHECK(found);
}

TEST(node_exporter, a_file_that_is_broken_fails_its_collector_alone)
{
    static const struct {
        const char *name;
        const char *collector;
        const char *file;
        Str text;
    } cases[] = {
        {"stat without a number", "stat", "proc/stat", STR("cpu0 1 2 3 4\nintr x\n")},
        {"stat of an old kernel's half", "cpu", "proc/stat", STR("cpu0 1 2 3\n")},
        {"cpu id too long", "cpu", "proc/stat", STR("cpu12345678 1 2 3 4 5 6 7 8 9 10\n")},
        {"cpu time too large", "cpu", "proc/stat", STR("cpu0 1 2 3 18446744073709551616\n")},
        {"meminfo without a colon", "meminfo", "proc/meminfo", STR("MemTotal 12 kB\n")},
        {"meminfo without a number", "meminfo", "proc/meminfo", STR("MemTotal: twelve kB\n")},
        {"loadavg of two", "loadavg", "proc/loadavg", STR("0.1 0.2")},
        {"file-nr of two", "filefd", "proc/sys/fs/file-nr", STR("1 2\n")},
        {"empty file-nr", "filefd", "proc/sys/fs/file-nr", STR("")},
        {"disk without counters", "diskstats", "proc/diskstats", STR("8 0 sda\n")},
        {"disk with ten counters", "diskstats", "proc/diskstats",
         STR("8 0 sda 1 2 3 4 5 6 7 8 9 10\n")},
        {"network device without counters", "netdev", "proc/net/dev", STR("a\nb\n eth0: 1 2 3\n")},
        {"network line without a device", "netdev", "proc/net/dev", STR("a\nb\n 1 2 3\n")},
        {"values of another protocol", "netstat", "proc/net/netstat",
         STR("TcpExt: ListenDrops\nIpExt: 1\n")},
        {"names without values", "netstat", "proc/net/netstat", STR("TcpExt: ListenDrops\n")},
        {"value that is none", "netstat", "proc/net/netstat",
         STR("TcpExt: ListenDrops\nTcpExt: x\n")},
        {"values too few", "netstat", "proc/net/netstat",
         STR("TcpExt: SyncookiesSent ListenDrops\nTcpExt: 1\n")},
        {"sockstat without a protocol", "sockstat", "proc/net/sockstat", STR("inuse 4\n")},
        {"sockstat key without value", "sockstat", "proc/net/sockstat", STR("TCP: inuse\n")},
        {"vmstat without a number", "vmstat", "proc/vmstat", STR("pgfault -\n")},
        {"pressure without a total", "pressure", "proc/pressure/cpu", STR("some avg10=0.00\n")},
        {"mountinfo cut short", "filesystem", "proc/self/mountinfo",
         STR("27 1 259:3 / / rw,relatime shared:1\n")},
        {"mountinfo with a bad device", "filesystem", "proc/self/mountinfo",
         STR("27 1 259 / / rw - \n")},
        {"no file at all", "meminfo", "proc/none", STR("")},
    };

    EACH_CASE(c, cases) {
        Tree tree;
        CLEANUP(buf_deinit) Buf page = {0};
        NodeExporterOptions options;
        tree_make(&tree);
        tree_write(&tree, c->file, c->text);
        tree_options(&options, tree.root, &tree.arena);
        only(&options, c->collector);

        scrape(&options, &page);
        buf_add_char(&page, 0);

        char want[100];
        snprintf(want, sizeof want, "node_scrape_collector_success{collector=\"%s\"} 0\n",
                 c->collector);
        CHECK_HAS(page.ptr, want);
        CHECK_HAS(page.ptr, "\nnode_exporter_build_info{");
        tree_remove(&tree);
    }
}

TEST(node_exporter, cpu_times_never_fall_but_after_a_hot_plug)
{
    static const struct {
        const char *name;
        Str stat;
        const char *want;
        const char *lacks;
    } cases[] = {
        {"start", STR("cpu0 100 0 0 1000 50 0 0 0 0 0\ncpu1 1 0 0 7 0 0 0 0 0 0\n"),
         "{cpu=\"0\",mode=\"idle\"} 10\n", NULL},
        {"iowait falls a little: the old stays",
         STR("cpu0 101 0 0 1001 49 0 0 0 0 0\ncpu1 1 0 0 7 0 0 0 0 0 0\n"),
         "{cpu=\"0\",mode=\"iowait\"} 0.5\n", NULL},
        {"idle falls by less than 3 s",
         STR("cpu0 102 0 0 702 51 0 0 0 0 0\ncpu1 1 0 0 7 0 0 0 0 0 0\n"),
         "{cpu=\"0\",mode=\"idle\"} 10.01\n", NULL},
        {"idle falls by 3 s: all is taken anew",
         STR("cpu0 3 0 0 701 2 0 0 0 0 0\ncpu1 1 0 0 7 0 0 0 0 0 0\n"),
         "{cpu=\"0\",mode=\"user\"} 0.03\n", NULL},
        {"a CPU goes offline", STR("cpu0 4 0 0 702 2 0 0 0 0 0\n"),
         "{cpu=\"0\",mode=\"user\"} 0.04\n", "cpu=\"1\""},
        {"and comes back with less", STR("cpu0 4 0 0 702 2 0 0 0 0 0\ncpu1 0 0 0 6 0 0 0 0 0 0\n"),
         "{cpu=\"1\",mode=\"idle\"} 0.06\n", NULL},
    };
    Tree tree;
    NodeExporter *exporter = NULL;
    NodeExporterOptions options;
    Error err = {0};
    tree_make(&tree);
    tree_options(&options, tree.root, &tree.arena);
    only(&options, "cpu");
    CHECK_EQ(sysconf(_SC_CLK_TCK), 100);

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf page = {0};
        tree_write(&tree, "proc/stat", c->stat);
        if (!exporter)
            CHECK_OK(node_exporter_new(&options, &exporter, &err), err);

        node_exporter_write(exporter, &page);
        buf_add_char(&page, 0);

        CHECK_HAS(page.ptr, c->want);
        CHECK(!c->lacks || !strstr(page.ptr, c->lacks));
    }
    node_exporter_free(exporter);
    tree_remove(&tree);
}

TEST(node_exporter, follows_files_whose_fields_change)
{
    Tree tree;
    NodeExporter *exporter;
    NodeExporterOptions options;
    Error err = {0};
    CLEANUP(buf_deinit) Buf page = {0};
    tree_make(&tree);
    tree_options(&options, tree.root, &tree.arena);
    only(&options, "sockstat");
    tree_write(&tree, "proc/net/sockstat",
               S("sockets: used 9\nUDP: inuse 1 mem 2\nRAW: inuse 3\n"));
    CHECK_OK(node_exporter_new(&options, &exporter, &err), err);
    node_exporter_write(exporter, &page);
    buf_reset(&page);

    tree_write(&tree, "proc/net/sockstat",
               S("sockets: used 9\nTCP: inuse 5\nUDP: inuse 1\nRAW: inuse 3\n"));
    node_exporter_write(exporter, &page);
    buf_add_char(&page, 0);

    CHECK_HAS(page.ptr, "\nnode_sockstat_TCP_inuse 5\n");
    CHECK_HAS(page.ptr, "\nnode_sockstat_UDP_inuse 1\n");
    CHECK_HAS(page.ptr, "\nnode_sockstat_RAW_inuse 3\n");
    CHECK(!strstr(page.ptr, "node_sockstat_UDP_mem"));
    node_exporter_free(exporter);
    tree_remove(&tree);
}

TEST(node_exporter, this_machine_is_told_by_netlink)
{
    CLEANUP(buf_deinit) Buf page = {0};
    NodeExporterOptions options;
    node_exporter_options_default(&options);
    options.netdev_address_info = true;
    only(&options, "netdev");

    scrape(&options, &page);
    buf_add_char(&page, 0);

    CHECK_HAS(page.ptr, "node_scrape_collector_success{collector=\"netdev\"} 1\n");
    CHECK_HAS(page.ptr, "node_network_receive_bytes_total{device=\"lo\"} ");
    CHECK_HAS(page.ptr, "node_network_receive_nohandler_total{device=\"lo\"} ");
}

// Parses arguments as the command does.
static bool parse_flags(const char *arguments, NodeExporterOptions *options, Arena *arena,
                        Error *err)
{
    size_t count;
    *options = (NodeExporterOptions){0};
    const FlagSpec *flags = node_exporter_flags(arena, 0, &count);
    FlagTable table = {"test", "Tests.", NULL, flags, count};
    FlagResult result = {0};
    char *argv[8];
    int argc = 0;
    Str rest = str_from_c(arguments);
    Str word;
    while (str_split_next(&rest, ' ', &word))
        argv[argc++] = str_to_c(arena, word);
    if (!flags_parse(&table, argc, argv, arena, options, &result, err))
        return false;
    node_exporter_flags_given(options, result.given);
    return true;
}

TEST(node_exporter, flags_choose_collectors)
{
    static const struct {
        const char *name;
        const char *arguments;
        const char *first;
        const char *second;
        const char *error;
    } cases[] = {
        {"defaults", "", "cpu", "diskstats", NULL},
        {"one off", "--no-collector.cpu", "diskstats", "filefd", NULL},
        {"none but one", "--collector.disable-defaults --collector.time", "time", NULL, NULL},
        {"none but two", "--collector.cpu --collector.disable-defaults --collector.stat", "cpu",
         "stat", NULL},
        {"none", "--collector.disable-defaults", NULL, NULL, NULL},
        {"one that is not there, off", "--no-collector.wifi --no-collector.hwmon", "cpu",
         "diskstats", NULL},
        {"one that is not there, on", "--collector.wifi", NULL, NULL,
         "flag --collector.wifi: narthex lacks this collector"},
        {"an include drops the default exclude", "--collector.diskstats.device-include=^sd", "cpu",
         "diskstats", NULL},
        {"an include beside an exclude",
         "--collector.netdev.device-include=a --collector.netdev.device-exclude=b", NULL, NULL,
         "mutually exclusive"},
        {"old names",
         "--collector.filesystem.ignored-mount-points=^/x --collector.netdev.device-blacklist=lo",
         "cpu", "diskstats", NULL},
        {"a bad pattern", "--collector.vmstat.fields=(", NULL, NULL,
         "collector vmstat: flag --collector.vmstat.fields"},
        {"too many workers", "--collector.filesystem.stat-workers=65", NULL, NULL,
         "--collector.filesystem.stat-workers"},
        {"no time at all", "--collector.filesystem.mount-timeout=0s", NULL, NULL,
         "--collector.filesystem.mount-timeout"},
        {"unknown", "--collector.cpus", NULL, NULL, "did you mean '--collector.cpu'"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        NodeExporterOptions options;
        NodeExporter *exporter = NULL;
        Error err = {0};

        bool ok = parse_flags(c->arguments, &options, &arena, &err) &&
                  node_exporter_new(&options, &exporter, &err);

        CHECK_EQ(ok, c->error == NULL);
        if (c->error) {
            CHECK_HAS(err.text, c->error);
            continue;
        }
        CHECK_STR(str_from_c(node_exporter_collector(exporter, 0)), str_from_c(c->first));
        if (c->first)
            CHECK_STR(str_from_c(node_exporter_collector(exporter, 1)), str_from_c(c->second));
        node_exporter_free(exporter);
    }
}

TEST(node_exporter, flags_and_defaults_agree)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    NodeExporterOptions from_flags;
    NodeExporterOptions defaults;
    Error err = {0};
    size_t count;
    const FlagSpec *flags = node_exporter_flags(&arena, 0, &count);

    CHECK_OK(parse_flags("", &from_flags, &arena, &err), err);
    node_exporter_options_default(&defaults);

    for (size_t i = 0; i < count; i++) {
        CLEANUP(buf_deinit) Buf a = {0};
        CLEANUP(buf_deinit) Buf b = {0};
        flag_print(&flags[i], &from_flags, &a);
        flag_print(&flags[i], &defaults, &b);
        test_case_name = flags[i].name;
        CHECK_STR(buf_str(&a), buf_str(&b));
    }
}

TEST(node_exporter, requests_select_collectors)
{
    static const struct {
        const char *name;
        const char *collect;
        const char *exclude;
        const char *has;
        const char *lacks;
        const char *error;
    } cases[] = {
        {"no filter", NULL, NULL, "\"stat\"} 1", NULL, NULL},
        {"one", "loadavg", NULL, "\"loadavg\"} 1", "\"stat\"", NULL},
        {"all but one", NULL, "loadavg", "\"stat\"} 1", "\"loadavg\"", NULL},
        {"unknown names are excluded in vain", NULL, "nonsense", "\"stat\"} 1", NULL, NULL},
        {"off", "uname", NULL, NULL, NULL, "couldn't create collector: disabled collector: uname"},
        {"unknown", "nonsense", NULL, NULL, NULL,
         "couldn't create collector: missing collector: nonsense"},
        {"both", "stat", "loadavg", NULL, NULL,
         "Combined collect and exclude queries are not allowed."},
    };
    CLEANUP(arena_deinit) Arena arena = {0};
    NodeExporter *exporter;
    NodeExporterOptions options;
    Error err = {0};
    CHECK_OK(parse_flags("--collector.disable-defaults --collector.stat --collector.loadavg",
                         &options, &arena, &err),
             err);
    CHECK_OK(node_exporter_new(&options, &exporter, &err), err);

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf page = {0};
        Str collect = str_from_c(c->collect);
        Str exclude = str_from_c(c->exclude);
        NodeSelection selection;

        bool ok = node_exporter_select(exporter, &collect, c->collect != NULL, &exclude,
                                       c->exclude != NULL, &selection, &err);

        CHECK_EQ(ok, c->error == NULL);
        if (c->error) {
            CHECK_STR(str_from_c(err.text), str_from_c(c->error));
            continue;
        }
        node_exporter_write_selected(exporter, selection, &page);
        buf_add_char(&page, 0);
        CHECK_HAS(page.ptr, c->has);
        CHECK(!c->lacks || !strstr(page.ptr, c->lacks));
    }
    Str both[2] = {S("stat"), S("loadavg")};
    NodeSelection selection;
    CHECK_OK(node_exporter_select(exporter, NULL, 0, both, 2, &selection, &err), err);
    CHECK_EQ(selection, 3); // leaving out everything is no filter
    node_exporter_free(exporter);
}

TEST_MAIN(node_exporter, TEST_ROW(node_exporter, tells_of_a_machine_what_the_original_tells),
          TEST_ROW(node_exporter, a_file_that_is_broken_fails_its_collector_alone),
          TEST_ROW(node_exporter, cpu_times_never_fall_but_after_a_hot_plug),
          TEST_ROW(node_exporter, follows_files_whose_fields_change),
          TEST_ROW(node_exporter, this_machine_is_told_by_netlink),
          TEST_ROW(node_exporter, flags_choose_collectors),
          TEST_ROW(node_exporter, flags_and_defaults_agree),
          TEST_ROW(node_exporter, requests_select_collectors))
