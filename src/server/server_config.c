// SPDX-License-Identifier: Apache-2.0
#include <glob.h>
#include <stdlib.h>

#include "base/fs.h"
#include "server/server.h"

// Blocks that are kept as written --------------------------------------------------------------------------------------------------

static bool decode_opaque(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    (void)reader;
    (void)err;
    ((ServerOpaque *)member)->node = node->kind == YAML_NULL ? NULL : node;
    return true;
}

// Keys whose values never leave the process.
static bool is_secret_key(Str key)
{
    static const char *const secrets[] = {
        "password",
        "credentials",
        "client_secret",
        "secret_key",
        "secret_access_key",
        "bearer_token",
        "secrets",
        "key",
        "access_key",
        "token",
        "client_certificate_key",
        "secret",
        "api_key",
        "application_credential_secret",
    };
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        if (str_is(key, secrets[i]))
            return true;
    return false;
}

static void print_node(Buf *buf, int indent, const YamlNode *node, bool secret);

static void print_mapping(Buf *buf, int indent, const YamlNode *node, bool first_inline,
                          bool secret)
{
    for (size_t i = 0; i < node->count; i++) {
        if (i || !first_inline)
            buf_printf(buf, "%*s", indent, "");
        yaml_write_scalar(buf, node->keys[i]->scalar);
        buf_add_char(buf, ':');
        print_node(buf, indent, node->items[i], secret || is_secret_key(node->keys[i]->scalar));
    }
}

static void print_node(Buf *buf, int indent, const YamlNode *node, bool secret)
{
    switch (node->kind) {
    case YAML_NULL:
        buf_add_c(buf, " null\n");
        return;
    case YAML_SCALAR:
        buf_add_char(buf, ' ');
        if (secret)
            buf_add_c(buf, "<secret>");
        else
            yaml_write_scalar(buf, node->scalar);
        buf_add_char(buf, '\n');
        return;
    case YAML_SEQUENCE:
        buf_add_c(buf, node->count ? "\n" : " []\n");
        for (size_t i = 0; i < node->count; i++) {
            buf_printf(buf, "%*s-", indent, "");
            if (node->items[i]->kind == YAML_MAPPING && node->items[i]->count) {
                buf_add_char(buf, ' ');
                print_mapping(buf, indent + 2, node->items[i], true, secret);
            } else {
                print_node(buf, indent + 2, node->items[i], secret);
            }
        }
        return;
    case YAML_MAPPING:
        buf_add_c(buf, node->count ? "\n" : " {}\n");
        print_mapping(buf, indent + 2, node, false, secret);
        return;
    }
}

static void print_opaque(Buf *buf, int indent, const char *key, const void *member)
{
    const ServerOpaque *opaque = member;
    if (!opaque->node)
        return;
    buf_printf(buf, "%*s%s:", indent, "", key);
    print_node(buf, indent, opaque->node, false);
}

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
     .present_offset = offsetof(StorageRetention, has_time),
     .help = "How long to keep samples."},
    {.key = "size",
     .kind = CONFIG_SIZE,
     .offset = offsetof(StorageRetention, bytes),
     .present_offset = offsetof(StorageRetention, has_size),
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
    if (!str_is(floats, "xor") && !str_is(floats, "xor2"))
        return config_error(
            reader, node, err,
            "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', got '" STR_FMT "'",
            STR_ARG(str_sub(floats, 0, 50)));
    return true;
}

static const ConfigField chunk_encoding_fields[] = {
    {.key = "floats",
     .kind = CONFIG_STR,
     .offset = offsetof(StorageChunkEncoding, floats),
     .default_text = "xor",
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
     .help = "Share of stale series that starts an early compaction."},
    {.key = "chunk_encoding",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(StorageTsdb, chunk_encoding),
     .table = &chunk_encoding_table,
     .help = "How samples are packed."},
    {.key = "retention",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(StorageTsdb, retention),
     .table = &retention_table,
     .help = "What is deleted when; wins over the flags."},
};
static const ConfigTable tsdb_table = CONFIG_TABLE(StorageTsdb, "tsdb", tsdb_fields, NULL);

static const ConfigField exemplars_fields[] = {
    {.key = "max_exemplars",
     .kind = CONFIG_I64,
     .offset = offsetof(StorageExemplars, max_exemplars),
     .default_text = "100000",
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
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerStorage, exemplars),
     .table = &exemplars_table,
     .help = "Exemplars."},
};
static const ConfigTable storage_table =
    CONFIG_TABLE(ServerStorage, "storage", storage_fields, NULL);

#define OPAQUE(name, what)                                                                         \
    {                                                                                              \
        .key = #name, .kind = CONFIG_CUSTOM, .offset = offsetof(ServerFile, name),                 \
        .decode = decode_opaque, .print = print_opaque, .help = what                               \
    }

static const ConfigField server_fields[] = {
    {.key = "global",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerFile, global),
     .table = &scrape_global_table,
     .always_print = true,
     .help = "Defaults of all jobs."},
    OPAQUE(runtime, "Settings of the original's run time."),
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
     .help = "What is scraped."},
    {.key = "storage",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(ServerFile, storage),
     .table = &storage_table,
     .help = "The storage."},
    OPAQUE(tracing, "Traces of the server itself."),
    {.key = "remote_write",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(ServerFile, remote_write),
     .table = &remote_write_config_table,
     .help = "Where samples are sent."},
    {.key = "remote_read",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(ServerFile, remote_read),
     .table = &remote_read_config_table,
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
     .help = "What is scraped."},
};
static const ConfigTable scrape_file_table =
    CONFIG_TABLE(ScrapeConfigFile, "scrape_config_file", scrape_file_fields, NULL);

// Checks across the parts --------------------------------------------------------------------------------------------------------------

static void warn(ServerConfig *config, const YamlNode *node, const char *what)
{
    config->warnings =
        arena_grow(&config->arena, config->warnings, config->warning_count * sizeof(Str),
                   (config->warning_count + 1) * sizeof(Str));
    config->warnings[config->warning_count++] =
        arena_printf(&config->arena, STR_FMT ":%d:%d: %s", STR_ARG(config->reader.file_name),
                     node->line, node->column, what);
}

static void warn_about_opaque(ServerConfig *config)
{
    if (config->file.tracing.node)
        warn(config, config->file.tracing.node,
             "this version sends no traces: ignoring \"tracing\"");
}

// At most one "*", in the last path element: ^[^*]*(\*[^/]*)?$ of the original.
static bool is_glob(Str pattern)
{
    size_t star = str_find_char(pattern, '*');
    return star == STR_NOT_FOUND || str_find_char(str_skip(pattern, star), '/') == STR_NOT_FOUND;
}

static bool check_globs(ServerConfig *config, const YamlNode *root, const char *key,
                        ConfigStrList *patterns, const char *what, Error *err)
{
    const YamlNode *node = yaml_get(root, str_from_c(key));
    for (size_t i = 0; i < patterns->count; i++)
        if (!is_glob(patterns->items[i]))
            return config_error(&config->reader, node->items[i], err,
                                "invalid %s path \"" STR_FMT "\"", what,
                                STR_ARG(str_sub(patterns->items[i], 0, 200)));
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
        !yaml_parse(text, path, &config->arena, &root, err))
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

static bool fill(ServerConfig *config, Str text, Error *err)
{
    YamlNode *root;
    if (!yaml_parse(text, config->path, &config->arena, &root, err) ||
        !config_decode(&config->reader, &server_table, root, &config->file, err) ||
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
    warn_about_opaque(config);
    if (str_is(config->file.storage.tsdb.chunk_encoding.floats, "xor2"))
        warn(config, root,
             "this version writes xor chunks: ignoring storage.tsdb.chunk_encoding.floats");
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
