// SPDX-License-Identifier: Apache-2.0
// file_sd_configs: target groups in YAML and JSON files. The folders are watched; besides, everything is read again each
// refresh_interval. A file that cannot be read keeps what it had. Facts: prometheus.md section 9.1.
#include <glob.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "discovery/discovery_kind.h"

#define FILE_BYTES_MAX (64u << 20)
#define FILES_MAX 10000 // that one block's patterns may match
#define SETTLE_MS 50 // between a change in a folder and reading: files are written in several steps
#define WATCH_EVENTS                                                                               \
    (IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |            \
     IN_DELETE_SELF)

typedef struct FileConfig {
    ConfigStrList files; // patterns, joined to the folder of the configuration
    int64_t refresh_interval_ms;
} FileConfig;

static bool has_known_end(Str path)
{
    static const char *const ends[] = {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"};
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (str_ends_with(path, str_from_c(ends[i])))
            return true;
    return false;
}

// ^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$
static bool is_pattern(Str path)
{
    size_t star = str_find_char(path, '*');
    return has_known_end(path) &&
           (star == STR_NOT_FOUND || str_find_char(str_skip(path, star), '/') == STR_NOT_FOUND);
}

static bool finish_file(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    FileConfig *config = object;
    if (config->files.count == 0)
        return config_error(reader, node, err,
                            "file service discovery config must contain at least one path name");
    for (size_t i = 0; i < config->files.count; i++) {
        Str path = config->files.items[i];
        if (!is_pattern(path))
            return config_error(reader, node, err,
                                "path name \"" STR_FMT "\" is not valid for file discovery",
                                STR_ARG(path));
        if (path.ptr[0] != '/' && reader->folder.len && !str_is(reader->folder, "."))
            config->files.items[i] = fs_join(reader->arena, reader->folder, path);
    }
    return true;
}

static const ConfigField file_fields[] = {
    {.key = "files",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(FileConfig, files),
     .help = "paths, with one * in the last part"},
    {.key = "refresh_interval",
     .kind = CONFIG_DURATION,
     .offset = offsetof(FileConfig, refresh_interval_ms),
     .default_text = "5m",
     .min = 1,
     .max = INT64_MAX / 1000000,
     .help = "how often all files are read again even when nothing was seen to change"},
};

extern const ConfigTable discovery_file_table;
const ConfigTable discovery_file_table =
    CONFIG_TABLE(FileConfig, "file_sd_config", file_fields, finish_file);

// What one file gave when it was last read well.
typedef struct FileResult {
    Arena arena;
    Str path;
    StaticGroup *groups;
    size_t count;
    bool seen; // in the current round
    struct FileResult *next;
} FileResult;

typedef struct FileProvider {
    DiscoveryHost *host;
    const FileConfig *config;
    FileResult *results;
    LoopTimer *refresh;
    LoopTimer *settle;
    LoopWatch *watch;
    int inotify_fd;
    bool settling; // a change was seen and waits to be read
} FileProvider;

static bool is_json(Str path)
{
    return str_ends_with(path, S(".json")) || str_ends_with(path, S(".JSON"));
}

static bool read_groups(FileResult *result, Error *err)
{
    Str text;
    YamlNode *root;
    Arena *arena = &result->arena;
    if (!fs_read_file(&fs_system, result->path, arena, FILE_BYTES_MAX, &text, err))
        return false;
    if (is_json(result->path))
        return static_groups_of_json(text, result->path, arena, &result->groups, &result->count,
                                     err);
    return config_yaml(text, result->path, arena, &root, err) &&
           static_groups_of_tree(root, result->path, arena, &result->groups, &result->count, err);
}

static void tell_mtime(const FileProvider *provider, Str path)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    const DiscoveryCounters *counters = discovery_host_counters(provider->host);
    struct stat info;
    if (counters->file_mtime && stat(str_to_c(&arena, path), &info) == 0)
        gauge_set(gauge_of(counters->file_mtime, &path),
                  (double)info.st_mtim.tv_sec + (double)info.st_mtim.tv_nsec / 1e9);
}

static void forget_mtime(const FileProvider *provider, Str path)
{
    const DiscoveryCounters *counters = discovery_host_counters(provider->host);
    if (counters->file_mtime)
        family_remove(counters->file_mtime, &path);
}

static void result_free(FileResult *result)
{
    arena_deinit(&result->arena);
    free(result);
}

static FileResult **find_result(FileProvider *provider, Str path)
{
    FileResult **at = &provider->results;
    while (*at && !str_equal((*at)->path, path))
        at = &(*at)->next;
    return at;
}

// Reads one file; on failure what it gave before stays.
static void read_file(FileProvider *provider, Str path)
{
    FileResult *fresh = X_NEW(FileResult);
    fresh->path = arena_str(&fresh->arena, path);
    fresh->seen = true;
    FileResult **at = find_result(provider, path);
    Error err = {0};
    if (!read_groups(fresh, &err)) {
        discovery_host_count(provider->host, 0);
        log_error("reading a file of targets failed, keeping what it had", KV("file", path),
                  KV("err", &err));
        result_free(fresh);
        if (*at)
            (*at)->seen = true;
        return;
    }
    if (*at) {
        FileResult *old = *at;
        fresh->next = old->next;
        result_free(old);
    }
    *at = fresh;
    tell_mtime(provider, path);
}

static void read_pattern(FileProvider *provider, Str pattern, size_t *left)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    glob_t found = {0};
    if (glob(str_to_c(&arena, pattern), 0, NULL, &found) == 0) {
        for (size_t i = 0; i<found.gl_pathc && * left> 0; i++, --*left)
            read_file(provider, str_from_c(found.gl_pathv[i]));
        if (*left == 0)
            log_error("too many files of targets, ignoring the rest", KV("pattern", pattern),
                      KV("max", FILES_MAX));
    }
    globfree(&found);
}

static void add_groups(GroupSnapshot *snapshot, const FileResult *result)
{
    Label path = {S("__meta_filepath"), result->path};
    TargetGroup *groups = group_snapshot_more(snapshot, result->count);
    for (size_t i = 0; i < result->count; i++) {
        Str source = arena_printf(&snapshot->arena, STR_FMT ":%zu", STR_ARG(result->path), i);
        static_group_copy(snapshot, &result->groups[i], source, (Labels){&path, 1}, &groups[i]);
    }
    snapshot->count += result->count;
}

static void publish(FileProvider *provider)
{
    GroupSnapshot *snapshot = group_snapshot_new();
    for (const FileResult *result = provider->results; result; result = result->next)
        add_groups(snapshot, result);
    discovery_host_publish(provider->host, snapshot);
}

static void watch_folders(FileProvider *provider)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    for (size_t i = 0; i < provider->config->files.count; i++) {
        Str path = provider->config->files.items[i];
        size_t slash = str_rfind_char(path, '/');
        Str folder = slash == STR_NOT_FOUND ? S(".")
                     : slash == 0           ? S("/")
                                            : str_sub(path, 0, slash);
        // Adding a folder again changes nothing; one that is not there yet is tried again at the next refresh.
        (void)inotify_add_watch(provider->inotify_fd, str_to_c(&arena, folder), WATCH_EVENTS);
    }
}

static void read_all(void *arg)
{
    FileProvider *provider = arg;
    size_t left = FILES_MAX;
    int64_t began_ns = clock_mono_ns(&clock_system);
    const DiscoveryCounters *counters = discovery_host_counters(provider->host);
    for (FileResult *result = provider->results; result; result = result->next)
        result->seen = false;
    for (size_t i = 0; i < provider->config->files.count; i++)
        read_pattern(provider, provider->config->files.items[i], &left);
    for (FileResult **at = &provider->results; *at;) {
        FileResult *result = *at;
        if (result->seen) {
            at = &result->next;
            continue;
        }
        *at = result->next;
        forget_mtime(provider, result->path);
        result_free(result);
    }
    publish(provider);
    if (counters->file_scan)
        summary_observe(counters->file_scan,
                        (double)(clock_mono_ns(&clock_system) - began_ns) / 1e9);
    if (provider->inotify_fd >= 0)
        watch_folders(provider);
    int64_t now_ns = loop_now_ns(discovery_host_loop(provider->host));
    loop_timer_set(provider->refresh, now_ns + provider->config->refresh_interval_ms * 1000000);
}

static void on_settled(void *arg)
{
    FileProvider *provider = arg;
    provider->settling = false;
    read_all(provider);
}

// Whether one of the events is about a file that may be ours; a folder may hold others that change all the time.
static bool concerns_us(const char *events, size_t bytes)
{
    for (size_t at = 0; at + sizeof(struct inotify_event) <= bytes;) {
        struct inotify_event event;
        memcpy(&event, events + at, sizeof event);
        at += sizeof event;
        if (event.len == 0 || (event.mask & IN_Q_OVERFLOW) ||
            has_known_end(str_from_c(events + at)))
            return true;
        // A mounted ConfigMap changes by renaming the link ..data.
        if (str_starts_with(str_from_c(events + at), S("..data")))
            return true;
        at += event.len;
    }
    return false;
}

static void on_change(void *arg, int fd, int ready)
{
    (void)ready;
    FileProvider *provider = arg;
    bool ours = false;
    char events[4096];
    for (ssize_t bytes; (bytes = read(fd, events, sizeof events)) > 0;)
        ours |= concerns_us(events, (size_t)bytes);
    if (!ours || provider->settling)
        return;
    int64_t now_ns = loop_now_ns(discovery_host_loop(provider->host));
    provider->settling = true;
    loop_timer_set(provider->settle, now_ns + SETTLE_MS * 1000000LL);
}

static void *start_file(DiscoveryHost *host, const void *config)
{
    FileProvider *provider = X_NEW(FileProvider);
    Loop *loop = discovery_host_loop(host);
    provider->host = host;
    provider->config = config;
    provider->refresh = loop_timer_new(loop, read_all, provider);
    provider->settle = loop_timer_new(loop, on_settled, provider);
    provider->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (provider->inotify_fd >= 0)
        provider->watch =
            loop_watch_new(loop, provider->inotify_fd, LOOP_READ, on_change, provider);
    else if (discovery_host_counters(host)->file_watch_errors)
        counter_inc(discovery_host_counters(host)->file_watch_errors);
    if (provider->inotify_fd < 0)
        log_warn("no inotify, polling files of targets only",
                 KV("interval_ms", provider->config->refresh_interval_ms));
    read_all(provider);
    return provider;
}

static void stop_file(void *arg)
{
    FileProvider *provider = arg;
    loop_timer_free(provider->refresh);
    loop_timer_free(provider->settle);
    if (provider->watch)
        loop_watch_free(provider->watch);
    if (provider->inotify_fd >= 0)
        close(provider->inotify_fd);
    while (provider->results) {
        FileResult *next = provider->results->next;
        forget_mtime(provider, provider->results->path);
        result_free(provider->results);
        provider->results = next;
    }
    free(provider);
}

static bool pattern_at_rest(Str pattern, DiscoveryAtRest *rest, Error *err)
{
    Arena *arena = &rest->groups->arena;
    glob_t found = {0};
    bool ok = true;
    (void)glob(str_to_c(arena, pattern), 0, NULL, &found); // nothing found is seen by the count
    if (found.gl_pathc == 0) {
        rest->missing.items =
            arena_grow(arena, rest->missing.items, rest->missing.count * sizeof(Str),
                       (rest->missing.count + 1) * sizeof(Str));
        rest->missing.items[rest->missing.count++] = arena_str(arena, pattern);
    }
    if (found.gl_pathc > FILES_MAX)
        ok = error_set(err, ERR_LIMIT, "more than %d files match", FILES_MAX);
    for (size_t i = 0; i < found.gl_pathc && ok; i++) {
        FileResult result = {.path = str_from_c(found.gl_pathv[i])};
        ok = read_groups(&result, err);
        if (ok)
            add_groups(rest->groups, &result);
        arena_deinit(&result.arena);
    }
    globfree(&found);
    return ok || error_context(err, "checking SD file \"" STR_FMT "\"", STR_ARG(pattern));
}

static bool file_at_rest(const void *config, DiscoveryAtRest *rest, Error *err)
{
    const FileConfig *file = config;
    for (size_t i = 0; i < file->files.count; i++)
        if (!pattern_at_rest(file->files.items[i], rest, err))
            return false;
    return true;
}

const DiscoveryKind discovery_file = {
    .name = "file",
    .config_key = "file_sd_configs",
    .table = &discovery_file_table,
    .counters = {{"prometheus_sd_file_read_errors_total", "The number of File-SD read errors."}},
    .start = start_file,
    .stop = stop_file,
    .at_rest = file_at_rest,
};
