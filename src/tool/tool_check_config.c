// SPDX-License-Identifier: Apache-2.0
// check config: reads prometheus.yml as the server would, then looks at what it names: files, targets, rules.
#include <glob.h>

#include "base/fs.h"
#include "base/timefmt.h"
#include "server/server.h"
#include "tool/tool_rules.h"

typedef struct ConfigOptions {
    bool syntax_only;
    Str lint;
    bool lint_fatal;
    bool ignore_unknown_fields;
    bool agent;
} ConfigOptions;

#define FLAG(flag, type, member, text, about)                                                      \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(ConfigOptions, member),                     \
        .default_text = text, .help = about                                                        \
    }
static const FlagSpec flags[] = {
    FLAG("syntax-only", FLAG_BOOL, syntax_only, NULL,
         "Only check the config file syntax, ignoring file and content validation referenced in "
         "the config."),
    FLAG("lint", FLAG_STR, lint, "duplicate-rules",
         "Linting checks to apply to the rules and scrape configs specified in the config, with "
         "commas: all, duplicate-rules, too-long-scrape-interval, none."),
    FLAG("lint-fatal", FLAG_BOOL, lint_fatal, NULL, "Make lint errors exit with exit code 3."),
    FLAG("ignore-unknown-fields", FLAG_BOOL, ignore_unknown_fields, NULL,
         "Ignore unknown fields in the rule groups read by the config files."),
    FLAG("agent", FLAG_BOOL, agent, NULL, "Check config file for Prometheus in Agent mode."),
};

typedef struct Lint {
    ToolRuleLint rules;
    int64_t interval_ms; // scrape intervals from here on are too long; 0: not looked at
} Lint;

typedef struct Check {
    const ToolCall *call;
    const ConfigOptions *options;
    Lint lint;
    ServerConfig *config;
    Str *rule_files; // in the call's arena
    size_t rule_file_count;
} Check;

// --lint ------------------------------------------------------------------------------------------------------------------------------

static Lint read_lint(const ToolCall *call)
{
    const ConfigOptions *options = call->options;
    Lint lint = {.rules.ignore_unknown_fields = options->ignore_unknown_fields};
    bool none = false;
    Str rest = options->lint;
    Str name;
    while (str_split_next(&rest, ',', &name)) {
        bool all = str_is(name, "all");
        none |= str_is(name, "none");
        if (all || str_is(name, "too-long-scrape-interval"))
            lint.interval_ms = call->globals->lookback_delta_ms;
        if (all || str_is(name, "duplicate-rules"))
            lint.rules.duplicates = true;
        else if (!str_is(name, "none") && !str_is(name, "too-long-scrape-interval"))
            printf("WARNING: unknown lint option: \"" STR_FMT "\"\n",
                   STR_ARG(str_sub(name, 0, 100)));
    }
    if (none) {
        lint.interval_ms = 0;
        lint.rules.duplicates = false;
    }
    return lint;
}

// The first job that is scraped too seldom, so that its samples would look stale between scrapes.
static ToolFindings lint_intervals(const Check *check)
{
    for (size_t i = 0; i < check->config->job_count; i++) {
        const ScrapeConfig *job = check->config->jobs[i];
        if (check->lint.interval_ms <= 0 || job->interval_ms < check->lint.interval_ms)
            continue;
        CLEANUP(buf_deinit) Buf interval = {0};
        buf_add_duration(&interval, job->interval_ms);
        fprintf(stderr,
                "  FAILED: too long scrape interval found, data point will be marked as stale - "
                "job: " STR_FMT ", interval: " STR_FMT "\n",
                STR_ARG(job->job_name), STR_ARG(buf_str(&interval)));
        return (ToolFindings){.failed = true};
    }
    return (ToolFindings){0};
}

// Rule files --------------------------------------------------------------------------------------------------------------------------

static void add_rule_file(Check *check, Str path)
{
    Arena *arena = check->call->arena;
    check->rule_files = arena_grow(arena, check->rule_files, check->rule_file_count * sizeof(Str),
                                   (check->rule_file_count + 1) * sizeof(Str));
    check->rule_files[check->rule_file_count++] = arena_str(arena, path);
}

static bool find_rule_files(Check *check, Error *err)
{
    const ServerConfig *config = check->config;
    for (size_t i = 0; i < config->rule_pattern_count; i++) {
        Str pattern = config->rule_patterns[i];
        glob_t found = {0};
        // What is missing is seen below.
        (void)glob(str_to_c(check->call->arena, pattern), 0, NULL, &found);
        for (size_t f = 0; f < found.gl_pathc; f++)
            add_rule_file(check, str_from_c(found.gl_pathv[f]));
        bool is_missing = found.gl_pathc == 0 && str_find_char(pattern, '*') == STR_NOT_FOUND;
        globfree(&found);
        if (is_missing)
            return error_set(err, ERR_NOT_FOUND,
                             "\"" STR_FMT "\" does not point to an existing file",
                             STR_ARG(str_sub(pattern, 0, 300)));
    }
    return true;
}

// Jobs --------------------------------------------------------------------------------------------------------------------------------

// Files that a job's HTTP client reads. The original looks at those that are fatal here and leaves the others to the first scrape.
static bool check_http_files(const ScrapeConfig *job, Error *err)
{
    const HttpClientConfig *http = &job->http;
    const struct {
        const char *what;
        Str path;
        bool is_fatal;
    } files[] = {
        {"authorization credentials or bearer token file",
         http->authorization ? http->authorization->credentials_file : STR_NONE, true},
        {"client cert file", http->tls_config.cert_file, true},
        {"client key file", http->tls_config.key_file, true},
        {"CA file", http->tls_config.ca_file, false},
        {"username file", http->basic_auth ? http->basic_auth->username_file : STR_NONE, false},
        {"password file", http->basic_auth ? http->basic_auth->password_file : STR_NONE, false},
    };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        if (files[i].path.len == 0 || fs_exists(&fs_system, files[i].path))
            continue;
        if (files[i].is_fatal)
            return error_set(err, ERR_NOT_FOUND,
                             "error checking %s \"" STR_FMT "\" of job \"" STR_FMT
                             "\": no such file or directory",
                             files[i].what, STR_ARG(str_sub(files[i].path, 0, 200)),
                             STR_ARG(str_sub(job->job_name, 0, 100)));
        printf("  WARNING: %s \"" STR_FMT "\" of scrape job \"" STR_FMT "\" does not exist\n",
               files[i].what, STR_ARG(files[i].path), STR_ARG(job->job_name));
    }
    return true;
}

static bool check_targets(const ScrapeConfig *job, const DiscoveryAtRest *rest, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    for (size_t g = 0; g < rest->groups->count; g++) {
        const TargetGroup *group = &rest->groups->groups[g];
        for (size_t i = 0; i < group->target_count; i++) {
            ScrapeTrial trial;
            arena_reset(&arena);
            if (!scrape_config_try(job, group->labels, group->targets[i], &arena, &trial, err))
                return error_context(err, "job \"" STR_FMT "\": instance %zu in group " STR_FMT,
                                     STR_ARG(str_sub(job->job_name, 0, 100)), i,
                                     STR_ARG(str_sub(group->source, 0, 100)));
        }
    }
    return true;
}

static void warn_missing(const DiscoveryAtRest *rest, const char *where)
{
    for (size_t i = 0; i < rest->missing.count; i++)
        printf("  WARNING: file \"" STR_FMT "\" for file_sd in %s does not exist\n",
               STR_ARG(rest->missing.items[i]), where);
}

static bool check_job(const Check *check, const ScrapeConfig *job, Error *err)
{
    DiscoveryAtRest rest;
    if (!check_http_files(job, err) || !discovery_at_rest(&job->discovery, &rest, err))
        return false;
    Str where =
        arena_printf(check->call->arena, "scrape job \"" STR_FMT "\"", STR_ARG(job->job_name));
    warn_missing(&rest, where.ptr);
    bool ok = check_targets(job, &rest, err);
    group_snapshot_unref(rest.groups);
    return ok;
}

// Files of targets, that they can be read; where Alertmanagers are is not looked at further.
static bool check_alertmanagers(const ServerConfig *config, Error *err)
{
    const ConfigList *list = &config->file.alerting.alertmanagers;
    for (size_t i = 0; i < list->count; i++) {
        const AlertmanagerConfig *alertmanager = (const AlertmanagerConfig *)list->items + i;
        DiscoveryAtRest rest;
        if (!discovery_at_rest(&alertmanager->discovery, &rest, err))
            return false;
        warn_missing(&rest, "alertmanager config");
        group_snapshot_unref(rest.groups);
    }
    return true;
}

// Files -------------------------------------------------------------------------------------------------------------------------------

static bool check_agent_keys(const YamlNode *root, Str path, Error *err)
{
    static const char *const refused[] = {"alerting", "rule_files", "remote_read"};
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        for (size_t k = 0; root->kind == YAML_MAPPING && k < root->count; k++)
            if (str_is(root->keys[k]->scalar, refused[i]))
                return error_set(
                    err, ERR_INVALID, STR_FMT ":%d:%d: field %s is not allowed in agent mode",
                    STR_ARG(path), root->keys[k]->line, root->keys[k]->column, refused[i]);
    return true;
}

static bool load(Check *check, Str path, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str text;
    YamlNode *root;
    if (!fs_read_file(&fs_system, path, &arena, SERVER_CONFIG_BYTES_MAX, &text, err))
        return false;
    if (check->options->agent &&
        (!config_yaml(text, path, &arena, &root, err) || !check_agent_keys(root, path, err)))
        return false;
    return server_config_parse(text, path, &check->config, err);
}

static bool check_contents(Check *check, Error *err)
{
    if (!find_rule_files(check, err))
        return false;
    for (size_t i = 0; i < check->config->job_count; i++)
        if (!check_job(check, check->config->jobs[i], err))
            return false;
    return check_alertmanagers(check->config, err);
}

static ToolFindings check_file(Check *check, Str path)
{
    ToolFindings findings = {0};
    Error err = {0};
    printf("Checking " STR_FMT "\n", STR_ARG(path));
    fflush(stdout);
    bool ok =
        load(check, path, &err) && (check->options->syntax_only || check_contents(check, &err));
    for (size_t i = 0; check->config && i < check->config->warning_count; i++)
        fprintf(stderr, "  WARNING: " STR_FMT "\n", STR_ARG(check->config->warnings[i]));
    if (ok) {
        if (check->rule_file_count)
            printf("  SUCCESS: %zu rule files found\n", check->rule_file_count);
        printf(" SUCCESS: " STR_FMT " is valid prometheus config file syntax\n", STR_ARG(path));
    } else {
        fprintf(stderr, "  FAILED: %s\n", err.text);
        findings = (ToolFindings){true, true};
    }
    printf("\n");
    fflush(stdout);
    if (ok && !check->options->syntax_only) {
        tool_findings_add(&findings, lint_intervals(check));
        tool_findings_add(&findings, tool_rules_check(check->call, check->rule_files,
                                                      check->rule_file_count, &check->lint.rules));
    }
    server_config_unref(check->config);
    return findings;
}

static int run(ToolCall *call)
{
    const ConfigOptions *options = call->options;
    Lint lint = read_lint(call);
    ToolFindings all = {0};
    for (size_t i = 0; i < call->arg_count; i++) {
        Check check = {.call = call, .options = options, .lint = lint};
        tool_findings_add(&all, check_file(&check, call->args[i]));
    }
    return tool_findings_status(all, options->lint_fatal);
}

static const ToolArg args[] = {
    {"config-files", "The config files to check.", .is_many = true, .is_file = true},
    {0},
};

const ToolVerb tool_check_config = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(ConfigOptions),
    .args = args,
    .run = run,
};
