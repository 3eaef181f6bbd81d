// SPDX-License-Identifier: Apache-2.0
// check service-discovery: runs the discovery of one job for a while and shows its targets before and after relabelling.
#include <errno.h>
#include <time.h>

#include "base/map.h"
#include "discovery/discovery.h"
#include "server/server.h"
#include "tool/tool_command.h"

typedef struct SdOptions {
    int64_t timeout_ms;
} SdOptions;

static const FlagSpec flags[] = {
    {.name = "timeout",
     .kind = FLAG_GO_DURATION,
     .offset = offsetof(SdOptions, timeout_ms),
     .default_text = "30s",
     .min = 0,
     .max = 24 * 3600 * 1000,
     .help = "The time to wait for discovery results."},
};

// Keeps the newest groups. On the discovery's thread alone until discovery_free has joined it.
static void on_changed(void *arg, Str job, GroupSnapshot *groups)
{
    GroupSnapshot **newest = arg;
    (void)job;
    group_snapshot_unref(*newest);
    *newest = groups;
}

static void sleep_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

// The job's groups: at once where nothing has to be asked for, else what was found until the time is over.
static bool discover(const ScrapeConfig *job, int64_t timeout_ms, GroupSnapshot **ret_groups,
                     Error *err)
{
    DiscoveryAtRest rest;
    if (!discovery_at_rest(&job->discovery, &rest, err))
        return false;
    *ret_groups = rest.groups;
    if (rest.is_all)
        return true;
    group_snapshot_unref(rest.groups);

    GroupSnapshot *newest = NULL;
    Discovery *discovery;
    DiscoveryOptions options = {.name = S("scrape"), .changed = on_changed, .arg = &newest};
    if (!discovery_new(&options, &discovery, err))
        return false;
    DiscoveryJob one = {job->job_name, &job->discovery};
    discovery_apply(discovery, &one, 1);
    sleep_ms(timeout_ms);
    discovery_free(discovery);
    *ret_groups = newest ? newest : group_snapshot_new();
    return true;
}

// JSON with the original's indentation -------------------------------------------------------------------------------------------------

typedef struct SdPage {
    Buf out;
    JsonWriter json; // at depth 0: for strings alone
    Map seen;        // texts of results: each is shown once
    size_t count;
} SdPage;

static void add_labels(SdPage *page, const char *key, Labels labels)
{
    buf_printf(&page->out, "    \"%s\": {", key);
    for (size_t i = 0; i < labels.count; i++) {
        buf_add_c(&page->out, i ? ",\n      " : "\n      ");
        json_str(&page->json, labels.pairs[i].name);
        buf_add_c(&page->out, ": ");
        json_str(&page->json, labels.pairs[i].value);
    }
    buf_add_c(&page->out, labels.count ? "\n    }" : "}");
}

static void add_result(SdPage *page, const ScrapeConfig *job, Labels group, Labels own,
                       Arena *arena)
{
    ScrapeTrial trial;
    Error err = {0};
    bool ok = scrape_config_try(job, group, own, arena, &trial, &err);
    size_t begin = page->out.len;
    buf_add_c(&page->out, page->count ? ",\n  {\n" : "\n  {\n");
    size_t body = page->out.len;
    add_labels(page, "discoveredLabels", trial.discovered);
    buf_add_c(&page->out, ",\n");
    add_labels(page, "labels", trial.labels);
    if (!ok) {
        buf_add_c(&page->out, ",\n    \"error\": ");
        json_c(&page->json, err.text);
    }
    buf_add_c(&page->out, "\n  }");
    Str text = arena_str(arena, str_skip(buf_str(&page->out), body));
    if (map_get(&page->seen, text)) {
        page->out.len = begin;
        return;
    }
    map_put(&page->seen, text, page);
    page->count++;
}

static void print_groups(const ScrapeConfig *job, const GroupSnapshot *groups, Arena *arena)
{
    SdPage page = {0};
    json_writer_init(&page.json, &page.out);
    buf_add_char(&page.out, '[');
    for (size_t g = 0; g < groups->count; g++)
        for (size_t i = 0; i < groups->groups[g].target_count; i++)
            add_result(&page, job, groups->groups[g].labels, groups->groups[g].targets[i], arena);
    buf_add_c(&page.out, page.count ? "\n]" : "]");
    tool_write(buf_str(&page.out));
    map_deinit(&page.seen);
    buf_deinit(&page.out);
}

// Command -----------------------------------------------------------------------------------------------------------------------------

static const ScrapeConfig *find_job(const ServerConfig *config, Str name)
{
    for (size_t i = 0; i < config->job_count; i++)
        if (str_equal(config->jobs[i]->job_name, name))
            return config->jobs[i];
    fprintf(stderr, "Job " STR_FMT " not found. Select one of:\n", STR_ARG(name));
    for (size_t i = 0; i < config->job_count; i++)
        fprintf(stderr, "\t" STR_FMT "\n", STR_ARG(config->jobs[i]->job_name));
    return NULL;
}

static int run(ToolCall *call)
{
    const SdOptions *options = call->options;
    ServerConfig *config;
    GroupSnapshot *groups;
    Error err = {0};
    if (!server_config_load(call->args[0], &config, &err))
        return tool_fail("Cannot load config %s", err.text);
    const ScrapeConfig *job = find_job(config, call->args[1]);
    int status = job ? TOOL_OK : TOOL_FAILED;
    for (size_t i = 0; job && i < job->discovery.ignored.count; i++)
        fprintf(stderr, "WARNING: " STR_FMT "\n", STR_ARG(job->discovery.ignored.items[i]));
    if (job && !discover(job, options->timeout_ms, &groups, &err)) {
        status = tool_fail("%s", err.text);
    } else if (job) {
        print_groups(job, groups, call->arena);
        group_snapshot_unref(groups);
    }
    server_config_unref(config);
    return status;
}

static const ToolArg args[] = {
    {"config-file", "The prometheus config file.", .is_file = true},
    {"job", "The job to run service discovery for.", .is_file = false},
    {0},
};

const ToolVerb tool_check_sd = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(SdOptions),
    .args = args,
    .run = run,
};
