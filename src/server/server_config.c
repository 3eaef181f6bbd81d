// SPDX-License-Identifier: Apache-2.0
#include <glob.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/number.h"
#include "server/server.h"

#define GOGC_DEFAULT 75

// Tables -----------------------------------------------------------------------------------------------------------------------------

static bool finish_retention(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const StorageRetention *retention = object;
    if (retention->percentage < 0 || retention->percentage > 100)
        return config_error(
            reader, node, err,
            "'storage.tsdb.retention.percentage' must be in the range [0, 100], got %g",
            retention->percentage);
    return true;
}

static const ConfigField retention_fields[] = {
    {.key = "time",
     .kind = CONFIG_DURATION,
     .offset = offsetof(StorageRetention, time_ms),
     .help = "How long to keep samples."},
    {.key = "size",
     .kind = CONFIG_SIZE,
     .offset = offsetof(StorageRetention, bytes),
     .help = "Most bytes to keep."},
    {.key = "percentage",
     .kind = CONFIG_DOUBLE,
     .offset = offsetof(StorageRetention, percentage),
     .help = "Largest share of the file system."},
};
static const ConfigTable retention_table =
    CONFIG_TABLE(StorageRetention, "retention", retention_fields, finish_retention);

static bool finish_chunk_encoding(ConfigReader *reader, const YamlNode *node, void *object,
                                  Error *err)
{
    Str floats = ((const StorageChunkEncoding *)object)->floats;
    if (floats.len && !str_is(floats, "xor") && !str_is(floats, "xor2"))
        return config_error(
            reader, node, err,
            "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be "
            "omitted entirely, got \"" STR_FMT "\"",
            STR_ARG(str_sub(floats, 0, 50)));
    return true;
}

static const ConfigField chunk_encoding_fields[] = {
    {.key = "floats",
     .kind = CONFIG_STR,
     .offset = offsetof(StorageChunkEncoding, floats),
     .help = "xor or xor2."},
};
static const ConfigTable chunk_encoding_table = CONFIG_TABLE(
    StorageChunkEncoding, "chunk_encoding", chunk_encoding_fields, finish_chunk_encoding);

static const ConfigField tsdb_fields[] = {
    {.key = "out_of_order_time_window",
     .kind = CONFIG_DURATION,
     .offset = offsetof(StorageTsdb, out_of_order_time_window_ms),
     .help = "How far behind the newest sample of the store a sample may come."},
    {.key = "stale_series_compaction_threshold",
     .kind = CONFIG_DOUBLE,
     .offset = offsetof(StorageTsdb, stale_series_compaction_threshold),
     .present_offset = offsetof(StorageTsdb, has_stale_series_compaction_threshold),
     .help = "Share of stale series that starts an early compaction; 0: never. Without it 0.3, if "
             "there are 10000 of them."},
    {.key = "chunk_encoding",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(StorageTsdb, chunk_encoding),
     .table = &chunk_encoding_table,
     .help = "How samples are packed."},
    {.key = "retention",
     .kind = CONFIG_STRUCT_PTR,
     .offset = offsetof(StorageTsdb, retention),
     .table = &retention_table,
     .help = "What is deleted when, instead of what the flags say."},
};
static const ConfigTable tsdb_table = CONFIG_TABLE(StorageTsdb, "tsdb", tsdb_fields, NULL);

static const ConfigField exemplars_fields[] = {
    {.key = "max_exemplars",
     .kind = CONFIG_I64,
     .offset = offsetof(StorageExemplars, max_exemplars),
     .default_text = "100000",
     .always_print = true,
     .help = "Exemplars kept; with feature exemplar-storage."},
};
static const ConfigTable exemplars_table =
    CONFIG_TABLE(StorageExemplars, "exemplars", exemplars_fields, NULL);

static const ConfigField storage_fields[] = {
    {.key = "tsdb",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerStorage, tsdb),
     .table = &tsdb_table,
     .help = "Samples."},
    {.key = "exemplars",
     .kind = CONFIG_STRUCT_PTR,
     .offset = offsetof(ServerStorage, exemplars),
     .table = &exemplars_table,
     .help = "Exemplars."},
};
static const ConfigTable storage_table =
    CONFIG_TABLE(ServerStorage, "storage", storage_fields, NULL);

static bool finish_runtime(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    (void)reader;
    (void)err;
    ServerRuntime *runtime = object;
    const char *asked = getenv("GOGC");
    if (!asked || yaml_get(node, S("gogc")))
        return true;
    if (strcmp(asked, "off") == 0)
        runtime->gogc = -1;
    else if (!number_parse_i64(str_from_c(asked), &runtime->gogc))
        runtime->gogc = GOGC_DEFAULT;
    return true;
}

static const ConfigField runtime_fields[] = {
    {.key = "gogc",
     .kind = CONFIG_I64,
     .offset = offsetof(ServerRuntime, gogc),
     .default_text = "75",
     .always_print = true,
     .help = "How the original collects garbage; here it is only shown."},
};
static const ConfigTable runtime_table =
    CONFIG_TABLE(ServerRuntime, "runtime", runtime_fields, finish_runtime);

static const ConfigField server_fields[] = {
    {.key = "global",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerFile, global),
     .table = &scrape_global_table,
     .always_print = true,
     .help = "Defaults of all jobs."},
    {.key = "runtime",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerFile, runtime),
     .table = &runtime_table,
     .help = "Settings of the original's run time."},
    {.key = "alerting",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerFile, alerting),
     .table = &alerting_config_table,
     .help = "Alertmanagers."},
    {.key = "rule_files",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(ServerFile, rule_files),
     .help = "Files of rules, as globs."},
    {.key = "scrape_config_files",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(ServerFile, scrape_config_files),
     .help = "Files with more scrape_configs, as globs."},
    {.key = "scrape_configs",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(ServerFile, scrape_configs),
     .table = &scrape_config_table,
     .null_text = "empty or null scrape config section",
     .help = "What is scraped."},
    {.key = "storage",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerFile, storage),
     .table = &storage_table,
     .help = "The storage."},
    {.key = "tracing",
     .kind = CONFIG_STRUCT_PTR,
     .offset = offsetof(ServerFile, tracing),
     .table = &trace_config_table,
     .help = "Traces of the server itself."},
    {.key = "remote_write",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(ServerFile, remote_write),
     .table = &remote_write_config_table,
     .null_text = "empty or null remote write config section",
     .help = "Where samples are sent."},
    {.key = "remote_read",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(ServerFile, remote_read),
     .table = &remote_read_config_table,
     .null_text = "empty or null remote read config section",
     .help = "Where samples are read from."},
    {.key = "otlp",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerFile, otlp),
     .table = &otlp_config_table,
     .help = "OTLP receiver."},
};
static const ConfigTable server_table =
    CONFIG_TABLE(ServerFile, "prometheus.yml", server_fields, NULL);

// A file of scrape_config_files: one key.
typedef struct ScrapeConfigFile {
    ConfigList scrape_configs;
} ScrapeConfigFile;

static const ConfigField scrape_file_fields[] = {
    {.key = "scrape_configs",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(ScrapeConfigFile, scrape_configs),
     .table = &scrape_config_table,
     .null_text = "empty or null scrape config section",
     .help = "What is scraped."},
};
static const ConfigTable scrape_file_table =
    CONFIG_TABLE(ScrapeConfigFile, "scrape_config_file", scrape_file_fields, NULL);

// Checks across the parts --------------------------------------------------------------------------------------------------------------

// At most one "*", in the last path element: ^[^*]*(\*[^/]*)?$ of the original.
static bool is_glob(Str pattern)
{
    size_t star = str_find_char(pattern, '*');
    return star == STR_NOT_FOUND || str_find_char(str_skip(pattern, star), '/') == STR_NOT_FOUND;
}

// Every '[' is closed and no '\\' is the last.
static bool is_whole_glob(Str pattern)
{
    bool open = false;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];
        if (c == '\\' && ++i == pattern.len)
            return false;
        if (c == '[' || c == ']')
            open = c == '[';
    }
    return !open;
}

static bool check_globs(ServerConfig *config, const YamlNode *root, const char *key,
                        ConfigStrList *patterns, const char *what, Error *err)
{
    const YamlNode *node = yaml_get(root, str_from_c(key));
    for (size_t i = 0; i < patterns->count; i++) {
        Str pattern = patterns->items[i];
        if (!is_glob(pattern))
            return config_error(&config->reader, node->items[i], err,
                                "invalid %s path \"" STR_FMT "\"", what,
                                STR_ARG(str_sub(pattern, 0, 200)));
        if (!is_whole_glob(pattern))
            return config_error(&config->reader, node->items[i], err,
                                "%s path \"" STR_FMT "\": syntax error in pattern", what,
                                STR_ARG(str_sub(pattern, 0, 200)));
    }
    return true;
}

static Str folder_of(Str path)
{
    size_t slash = str_rfind_char(path, '/');
    return slash == STR_NOT_FOUND ? S(".") : str_sub(path, 0, slash ? slash : 1);
}

// Relative to the folder of the file that it stands in. As the original, without a "./" in front.
static Str joined(ServerConfig *config, Str path)
{
    bool stays = (path.len && path.ptr[0] == '/') || str_is(config->reader.folder, ".");
    return stays ? path : fs_join(&config->arena, config->reader.folder, path);
}

static const ScrapeConfig *find_job(const ServerConfig *config, Str name)
{
    for (size_t i = 0; i < config->job_count; i++)
        if (str_equal(config->jobs[i]->job_name, name))
            return config->jobs[i];
    return NULL;
}

// Completes the jobs of one file and takes them up.
static bool add_jobs(ServerConfig *config, ConfigReader *reader, const YamlNode *root,
                     ConfigList *list, Error *err)
{
    const YamlNode *nodes = yaml_get(root, S("scrape_configs"));
    config->jobs =
        arena_grow(&config->arena, config->jobs, config->job_count * sizeof *config->jobs,
                   (config->job_count + list->count) * sizeof *config->jobs);
    for (size_t i = 0; i < list->count; i++) {
        ScrapeConfig *job = (ScrapeConfig *)list->items + i;
        const YamlNode *node = nodes->items[i];
        if (!scrape_config_complete(reader, node, &config->file.global, job, err))
            return false;
        if (find_job(config, job->job_name))
            return config_error(reader, node, err,
                                "found multiple scrape configs with job name \"" STR_FMT "\"",
                                STR_ARG(str_sub(job->job_name, 0, 200)));
        for (size_t w = 0; w < job->discovery.ignored.count; w++) {
            config->warnings =
                arena_grow(&config->arena, config->warnings, config->warning_count * sizeof(Str),
                           (config->warning_count + 1) * sizeof(Str));
            config->warnings[config->warning_count++] = job->discovery.ignored.items[w];
        }
        config->jobs[config->job_count++] = job;
    }
    return true;
}

static bool add_scrape_file(ServerConfig *config, Str path, Error *err)
{
    ConfigReader *reader = ARENA_NEW(&config->arena, ConfigReader);
    ScrapeConfigFile *file = ARENA_NEW(&config->arena, ScrapeConfigFile);
    Str text;
    YamlNode *root;
    if (!fs_read_file(&fs_system, path, &config->arena, SERVER_CONFIG_BYTES_MAX, &text, err) ||
        !config_yaml(text, path, &config->arena, &root, err))
        return false;
    *reader = (ConfigReader){.arena = &config->arena,
                             .file_name = path,
                             .folder = folder_of(path),
                             .releases = config->reader.releases};
    bool ok = config_decode(reader, &scrape_file_table, root, file, err) &&
              add_jobs(config, reader, root, &file->scrape_configs, err);
    config->reader.releases = reader->releases;
    return ok;
}

static Str *joined_all(ServerConfig *config, const ConfigStrList *patterns)
{
    Str *all = ARENA_ARRAY(&config->arena, Str, patterns->count + 1);
    for (size_t i = 0; i < patterns->count; i++)
        all[i] = joined(config, patterns->items[i]);
    return all;
}

static void join_patterns(ServerConfig *config)
{
    config->rule_patterns = joined_all(config, &config->file.rule_files);
    config->rule_pattern_count = config->file.rule_files.count;
    config->scrape_patterns = joined_all(config, &config->file.scrape_config_files);
    config->scrape_pattern_count = config->file.scrape_config_files.count;
}

static bool add_scrape_files(ServerConfig *config, Error *err)
{
    for (size_t i = 0; i < config->scrape_pattern_count; i++) {
        glob_t found = {0};
        bool ok = true;
        if (glob(str_to_c(&config->arena, config->scrape_patterns[i]), 0, NULL, &found) == 0)
            for (size_t f = 0; f < found.gl_pathc && ok; f++)
                ok = add_scrape_file(config,
                                     arena_str(&config->arena, str_from_c(found.gl_pathv[f])), err);
        globfree(&found);
        if (!ok)
            return false;
    }
    return true;
}

// A struct whose key does not stand in the file has its defaults, and what follows from them.
static bool finish_absent(ServerConfig *config, const YamlNode *root, Error *err)
{
    const YamlNode none = {.kind = YAML_NULL, .line = 1, .column = 1};
    if (!yaml_get(root, S("global")) &&
        !config_decode(&config->reader, &scrape_global_table, &none, &config->file.global, err))
        return false;
    return yaml_get(root, S("runtime")) ||
           config_decode(&config->reader, &runtime_table, &none, &config->file.runtime, err);
}

static bool check_strategy(ServerConfig *config, const YamlNode *root, Error *err)
{
    static const char *const names[] = {[OTLP_UTF8_WITH_SUFFIXES] = "NoUTF8EscapingWithSuffixes",
                                        [OTLP_NO_TRANSLATION] = "NoTranslation"};
    int strategy = config->file.otlp.translation_strategy;
    if (config->file.global.validation != NAMES_LEGACY || !names[strategy])
        return true;
    return config_error(&config->reader, yaml_get(root, S("otlp")), err,
                        "OTLP translation strategy \"%s\" is not allowed when UTF8 is disabled",
                        names[strategy]);
}

static bool fill(ServerConfig *config, Str text, Error *err)
{
    YamlNode *root;
    if (!config_yaml(text, config->path, &config->arena, &root, err) ||
        !config_decode(&config->reader, &server_table, root, &config->file, err) ||
        !finish_absent(config, root, err) || !check_strategy(config, root, err) ||
        !check_globs(config, root, "rule_files", &config->file.rule_files, "rule file", err) ||
        !check_globs(config, root, "scrape_config_files", &config->file.scrape_config_files,
                     "scrape config file", err) ||
        !add_jobs(config, &config->reader, root, &config->file.scrape_configs, err) ||
        !remote_write_configs_check(&config->reader, yaml_get(root, S("remote_write")),
                                    &config->file.remote_write, err) ||
        !remote_read_configs_check(&config->reader, yaml_get(root, S("remote_read")),
                                   &config->file.remote_read, err))
        return false;
    join_patterns(config);
    if (!add_scrape_files(config, err))
        return false;
    return true;
}

bool server_config_parse(Str text, Str path, ServerConfig **ret_config, Error *err)
{
    ServerConfig *config = X_NEW(ServerConfig);
    config->refs = 1;
    config->path = arena_str(&config->arena, path);
    config->reader = (ConfigReader){
        .arena = &config->arena, .file_name = config->path, .folder = folder_of(config->path)};
    if (!fill(config, text, err)) {
        server_config_unref(config);
        return false;
    }
    *ret_config = config;
    return true;
}

bool server_config_load(Str path, ServerConfig **ret_config, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str text;
    return fs_read_file(&fs_system, path, &arena, SERVER_CONFIG_BYTES_MAX, &text, err) &&
           server_config_parse(text, path, ret_config, err);
}

void server_config_ref(ServerConfig *config)
{
    config->refs++;
}

void server_config_unref(ServerConfig *config)
{
    if (!config || --config->refs > 0)
        return;
    config_release(&config->reader);
    arena_deinit(&config->arena);
    free(config);
}

void server_config_print(const ServerConfig *config, Buf *out)
{
    config_print(out, 0, &server_table, &config->file);
}
