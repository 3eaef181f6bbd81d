// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/test.h"
#include "net/http_server.h"
#include "scrape/sink_fake.h"

#define WAIT_MS 60000

// A manager with a fake sink, and a configuration of jobs.
typedef struct Rig {
    Arena arena;
    SinkFake *sink;
    Registry *registry;
    ScrapeManager *manager;
    ConfigReader reader;
} Rig;

static void rig_init_after(Rig *rig, int64_t last_work_ms)
{
    *rig = (Rig){0};
    Error err = {0};
    log_setup(LOG_ERROR, LOG_LOGFMT);
    rig->sink = sink_fake_new();
    rig->registry = registry_new();
    rig->reader = (ConfigReader){.arena = &rig->arena, .file_name = S("jobs.yml")};
    ScrapeManagerOptions options = {.sink = &rig->sink->sink,
                                    .clock = &clock_system,
                                    .registry = rig->registry,
                                    .threads = 2,
                                    .last_work_ms = last_work_ms};
    CHECK_OK(scrape_manager_new(&options, &rig->manager, &err), err);
}

static void rig_init(Rig *rig)
{
    rig_init_after(rig, 0);
}

static void rig_deinit(Rig *rig)
{
    scrape_manager_free(rig->manager);
    registry_free(rig->registry);
    sink_fake_free(rig->sink);
    config_release(&rig->reader);
    arena_deinit(&rig->arena);
}

// Applies a list of jobs in YAML; `write` makes them local.
static void apply(Rig *rig, Str yaml, void (*write)(void *arg, Buf *out), void *arg)
{
    Error err = {0};
    YamlNode *root;
    ScrapeGlobal global;
    YamlNode none = {.kind = YAML_NULL, .line = 1, .column = 1};
    CHECK_OK(config_decode(&rig->reader, &scrape_global_table, &none, &global, &err), err);
    CHECK_OK(yaml_parse(yaml, S("jobs.yml"), &rig->arena, &root, &err), err);
    ScrapeConfig *configs = ARENA_ARRAY(&rig->arena, ScrapeConfig, root->count);
    ScrapeJob *jobs = ARENA_ARRAY(&rig->arena, ScrapeJob, root->count);
    for (size_t i = 0; i < root->count; i++) {
        CHECK_OK(
            config_decode(&rig->reader, &scrape_config_table, root->items[i], &configs[i], &err),
            err);
        CHECK_OK(scrape_config_complete(&rig->reader, root->items[i], &global, &configs[i], &err),
                 err);
        jobs[i] = (ScrapeJob){&configs[i], write, arg};
    }
    scrape_manager_apply(rig->manager, &(ScrapeJobs){.jobs = jobs, .count = root->count});
}

// Waits until the committed lines hold `fragment`.
static bool wait_for(Rig *rig, const char *fragment)
{
    bool found = false;
    lock_take(&rig->sink->lock);
    for (bool in_time = true; in_time && !found;) {
        found = str_find(buf_str(&rig->sink->lines), str_from_c(fragment)) != STR_NOT_FOUND;
        if (!found)
            in_time = condition_wait_ms(&rig->sink->committed, &rig->sink->lock, WAIT_MS);
    }
    if (!found)
        print_error("no \"%s\" in:\n" STR_FMT "\n", fragment, STR_ARG(buf_str(&rig->sink->lines)));
    lock_give(&rig->sink->lock);
    return found;
}

static void write_page(void *arg, Buf *out)
{
    _Atomic int *calls = arg;
    int call = atomic_fetch_add(calls, 1);
    buf_printf(out, "# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total %d\n",
               call);
}

#define FAST "  scrape_interval: 100ms\n  scrape_timeout: 100ms\n"

TEST(scrape, local_targets_are_visited_on_time)
{
    Rig rig;
    _Atomic int calls = 0;
    rig_init(&rig);

    apply(&rig,
          S("- job_name: self\n" FAST
            "  static_configs: [{targets: ['here:1'], labels: {env: x}}]\n"),
          write_page, &calls);

    CHECK(wait_for(&rig, "calls_total{env=\"x\", instance=\"here:1\", job=\"self\"} 3 @"));
    CHECK(wait_for(&rig, "up{env=\"x\", instance=\"here:1\", job=\"self\"} 1 @"));
    TargetsSnapshot targets;
    scrape_manager_targets(rig.manager, STR_NONE, true, true, &rig.arena, &targets);
    CHECK_EQ(targets.active_count, 1);
    CHECK_EQ(targets.pool_count, 1);
    CHECK_STR(targets.active[0].pool, S("self"));
    CHECK_STR(targets.active[0].url, S("http://here:1/metrics"));
    CHECK_STR(labels_get(targets.active[0].discovered, S("__address__")), S("here:1"));
    CHECK_EQ(targets.active[0].health, TARGET_UP);
    CHECK_EQ(targets.active[0].interval_ms, 100);
    CHECK(targets.active[0].last_scrape_ms > 0);

    TargetMetadata *metadata;
    size_t count;
    scrape_manager_metadata(rig.manager, STR_NONE, &rig.arena, &metadata, &count);
    CHECK_EQ(count, 1);
    CHECK_STR(metadata[0].metric, S("calls_total"));
    CHECK_STR(metadata[0].metadata.help, S("Calls."));
    scrape_manager_target_metadata(rig.manager, NULL, 0, S("calls_total"), 0, &rig.arena, &metadata,
                                   &count);
    CHECK_EQ(count, 1);
    CHECK_STR(labels_get(metadata[0].target, S("instance")), S("here:1"));
    scrape_manager_target_metadata(rig.manager, NULL, 0, S("other"), 0, &rig.arena, &metadata,
                                   &count);
    CHECK_EQ(count, 0);

    CLEANUP(buf_deinit) Buf text = {0};
    registry_write(rig.registry, REGISTRY_TEXT, &text);
    buf_add_char(&text, 0);
    CHECK_HAS(text.ptr, "prometheus_target_scrape_pool_targets{scrape_job=\"self\"} 1\n");
    CHECK_HAS(text.ptr, "prometheus_target_metadata_cache_entries{scrape_job=\"self\"} 1\n");
    CHECK_HAS(text.ptr, "prometheus_target_interval_length_seconds_count{interval=\"100ms\"} ");
    rig_deinit(&rig);
}

// Of the targets t0, t1, ...: has one been scraped twice within less than the interval?
static bool any_came_between(Str lines, int targets, int64_t less_ms)
{
    for (int i = 0; i < targets; i++) {
        char key[80];
        snprintf(key, sizeof key, "up{instance=\"t%d:1\", job=\"self\"} 1 @", i);
        size_t at = str_find(lines, str_from_c(key));
        if (at == STR_NOT_FOUND)
            continue;
        Str rest = str_skip(lines, at + strlen(key));
        size_t again = str_find(rest, str_from_c(key));
        if (again != STR_NOT_FOUND && strtoll(str_skip(rest, again + strlen(key)).ptr, NULL, 10) -
                                              strtoll(rest.ptr, NULL, 10) <
                                          less_ms)
            return true;
    }
    return false;
}

TEST(scrape, what_a_process_missed_that_was_killed_just_now_is_made_up_for)
{
    enum { TARGETS = 40 };
    Rig rig;
    _Atomic int calls = 0;
    char yaml[2000] = "- job_name: self\n  scrape_interval: 1s\n  scrape_timeout: 1s\n"
                      "  static_configs: [{targets: [";
    size_t len = strlen(yaml);
    bool found = false;
    rig_init_after(&rig, clock_now_ms(&clock_system) - 100);
    for (int i = 0; i < TARGETS; i++)
        len += (size_t)snprintf(yaml + len, sizeof yaml - len, "'t%d:1', ", i);
    snprintf(yaml + len, sizeof yaml - len, "]}]\n");

    apply(&rig, str_from_c(yaml), write_page, &calls);

    // Those whose turn was in the half second before now; the next one comes in less than the interval.
    lock_take(&rig.sink->lock);
    for (bool in_time = true; in_time && !found;) {
        found = any_came_between(buf_str(&rig.sink->lines), TARGETS, 800);
        if (!found)
            in_time = atomic_load(&calls) < 4 * TARGETS &&
                      condition_wait_ms(&rig.sink->committed, &rig.sink->lock, WAIT_MS);
    }
    lock_give(&rig.sink->lock);
    CHECK(found);
    rig_deinit(&rig);
}

TEST(scrape, an_unchanged_job_goes_on_and_a_removed_one_goes_stale)
{
    Rig rig;
    _Atomic int calls = 0;
    rig_init(&rig);
    Str both = S("- job_name: a\n" FAST "  static_configs: [{targets: ['a:1']}]\n"
                 "- job_name: b\n" FAST "  static_configs: [{targets: ['b:1']}]\n");
    Str only_b = S("- job_name: b\n" FAST "  static_configs: [{targets: ['b:1']}]\n");
    apply(&rig, both, write_page, &calls);
    CHECK(wait_for(&rig, "up{instance=\"a:1\", job=\"a\"} 1 @"));
    CHECK(wait_for(&rig, "up{instance=\"b:1\", job=\"b\"} 1 @"));

    apply(&rig, only_b, write_page, &calls);

    CHECK(wait_for(&rig, "calls_total{instance=\"a:1\", job=\"a\"} stale @"));
    CHECK(wait_for(&rig, "up{instance=\"a:1\", job=\"a\"} stale @"));
    lock_take(&rig.sink->lock);
    CHECK(str_find(buf_str(&rig.sink->lines), S("up{instance=\"b:1\", job=\"b\"} stale")) ==
          STR_NOT_FOUND);
    lock_give(&rig.sink->lock);
    TargetsSnapshot targets;
    scrape_manager_targets(rig.manager, STR_NONE, true, true, &rig.arena, &targets);
    CHECK_EQ(targets.active_count, 1);
    CHECK_EQ(targets.pool_count, 1);
    rig_deinit(&rig);
}

TEST(scrape, dropped_and_bad_targets_are_told_apart)
{
    Rig rig;
    _Atomic int calls = 0;
    rig_init(&rig);
    log_set_fd(-1);

    apply(&rig,
          S("- job_name: j\n" FAST "  keep_dropped_targets: 1\n"
            "  static_configs: [{targets: ['a:1', 'b:1', 'c:1', 'a:1', 'd/x']}]\n"
            "  relabel_configs: [{source_labels: [__address__], regex: '[bc]:1', action: drop}]\n"),
          write_page, &calls);

    log_set_fd(2);
    TargetsSnapshot targets;
    scrape_manager_targets(rig.manager, S("j"), true, true, &rig.arena, &targets);
    CHECK_EQ(targets.active_count, 1);
    CHECK_EQ(targets.dropped_count, 1);
    CHECK_EQ(targets.pools[0].dropped, 2);
    scrape_manager_targets(rig.manager, S("none"), true, true, &rig.arena, &targets);
    CHECK_EQ(targets.pool_count, 0);

    RelabelStep *steps;
    size_t count;
    Error err = {0};
    Label address = {S("__address__"), S("b:1")};
    CHECK_OK(scrape_manager_relabel_steps(rig.manager, S("j"), (Labels){&address, 1}, &rig.arena,
                                          &steps, &count, &err),
             err);
    CHECK_EQ(count, 1);
    CHECK(!steps[0].keep);
    CHECK(!scrape_manager_relabel_steps(rig.manager, S("none"), LABELS_NONE, &rig.arena, &steps,
                                        &count, &err));
    CHECK_EQ(err.code, ERR_NOT_FOUND);
    rig_deinit(&rig);
}

static void write_targets(Arena *arena, Str folder, const char *file, const char *targets)
{
    Error err = {0};
    CHECK_OK(fs_write_atomic(&fs_system, fs_join(arena, folder, str_from_c(file)),
                             arena_printf(arena, "[{\"targets\": [%s]}]", targets), &err),
             err);
}

// Waits until the job has so many targets; `dropped` are counted with them.
static bool wait_for_targets(Rig *rig, size_t active, size_t dropped)
{
    TargetsSnapshot targets = {0};
    for (int tries = 0; tries < WAIT_MS / 10; tries++) {
        scrape_manager_targets(rig->manager, S("j"), true, true, &rig->arena, &targets);
        if (targets.active_count == active && targets.dropped_count == dropped &&
            targets.pools[0].dropped == dropped)
            return true;
        usleep(10000);
    }
    print_error("%zu targets and %zu dropped\n", targets.active_count, targets.dropped_count);
    return false;
}

TEST(scrape, groups_that_did_not_change_keep_what_they_became)
{
    Rig rig;
    char folder[] = "/tmp/narthex_scrape_test_XXXXXX";
    Error err = {0};
    CHECK(mkdtemp(folder) != NULL);
    Str path = str_from_c(folder);
    rig_init(&rig);
    write_targets(&rig.arena, path, "1.json", "\"127.0.0.1:1\", \"127.0.0.1:2\", \"b:1\"");
    write_targets(&rig.arena, path, "2.json", "\"127.0.0.1:2\", \"127.0.0.1:3\", \"b:2\"");

    apply(&rig,
          arena_printf(&rig.arena,
                       "- job_name: j\n" FAST "  file_sd_configs: [{files: ['%s/*.json']}]\n"
                       "  relabel_configs:\n"
                       "  - {source_labels: [__address__], regex: 'b:.*', action: drop}\n"
                       "  - {regex: __meta_filepath, action: labeldrop}\n",
                       folder),
          NULL, NULL);

    CHECK(wait_for_targets(&rig, 3, 2));
    // The target that both have stays with the other one.
    write_targets(&rig.arena, path, "1.json", "\"127.0.0.1:4\"");
    CHECK(wait_for_targets(&rig, 3, 1));
    write_targets(&rig.arena, path, "1.json", "\"127.0.0.1:2\", \"b:3\"");
    CHECK(wait_for_targets(&rig, 2, 2));
    write_targets(&rig.arena, path, "2.json", "\"b:4\"");
    CHECK(wait_for_targets(&rig, 1, 2));
    rig_deinit(&rig);
    CHECK_OK(fs_remove_tree(&fs_system, path, &err), err);
}

TEST(scrape, too_many_targets_fail_them_all)
{
    Rig rig;
    _Atomic int calls = 0;
    rig_init(&rig);

    apply(&rig,
          S("- job_name: j\n" FAST
            "  target_limit: 1\n  static_configs: [{targets: ['a:1', 'b:1']}]\n"),
          write_page, &calls);

    CHECK(wait_for(&rig, "up{instance=\"a:1\", job=\"j\"} 0 @"));
    CHECK(wait_for(&rig, "up{instance=\"b:1\", job=\"j\"} 0 @"));
    TargetsSnapshot targets;
    scrape_manager_targets(rig.manager, STR_NONE, true, false, &rig.arena, &targets);
    CHECK_STR(targets.active[0].last_error,
              S("target_limit exceeded (number of targets: 2, limit: 1)"));
    rig_deinit(&rig);
}

// A little web server: /metrics works, the others do not.
static void handle(void *arg, HttpRequest *request)
{
    _Atomic int *scrapes = arg;
    if (str_is(request->path, "/metrics")) {
        bool asked_well =
            str_starts_with(http_header(request, S("Accept")), S("application/openmetrics-text")) &&
            str_is(http_header(request, S("X-Prometheus-Scrape-Timeout-Seconds")), "0.2");
        http_reply_compress(request);
        http_reply(request, 200, S("application/openmetrics-text; version=1.0.0; charset=utf-8"),
                   asked_well ? S("asked_well 1\n# EOF\n") : S("asked_well 0\n# EOF\n"));
        atomic_fetch_add(scrapes, 1);
    } else if (str_is(request->path, "/type")) {
        http_reply(request, 200, S("text/html"), S("a 1\n"));
    } else if (str_is(request->path, "/empty")) {
        http_reply(request, 200, S("application/openmetrics-text; version=1.0.0"), S(""));
    } else if (str_is(request->path, "/large")) {
        http_reply(request, 200, S("text/plain"), S("a_long_name_of_a_metric 1\n"));
    } else {
        http_reply(request, 503, S("text/plain"), S("no"));
    }
}

// Waits until the target says so: on a busy machine a visit may be too late, which is an error of another kind.
static void wait_for_error(Rig *rig, size_t index, const char *pool, const char *begin)
{
    TargetsSnapshot targets = {0};
    for (int tries = 0; tries < WAIT_MS / 10; tries++) {
        scrape_manager_targets(rig->manager, STR_NONE, true, false, &rig->arena, &targets);
        if (str_starts_with(targets.active[index].last_error, str_from_c(begin)))
            break;
        usleep(10000);
    }
    CHECK_EQ(targets.active_count, 6);
    CHECK_STR(targets.active[index].pool, str_from_c(pool));
    CHECK_STR(str_sub(targets.active[index].last_error, 0, strlen(begin)), str_from_c(begin));
}

TEST(scrape, answers_over_http_are_judged)
{
    Rig rig;
    _Atomic int scrapes = 0;
    Error err = {0};
    HttpServer *server;
    HttpServerOptions options;
    int port;
    rig_init(&rig);
    http_server_options_default(&options);
    options.listen_address = S("127.0.0.1:0");
    options.workers = 2;
    options.handle = handle;
    options.arg = &scrapes;
    CHECK_OK(http_server_start(&options, &server, &port, &err), err);

    Str timing = S("  scrape_interval: 200ms\n  scrape_timeout: 200ms\n");
    Str yaml = arena_printf(
        &rig.arena,
        "- job_name: good\n" STR_FMT "  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
        "- job_name: status\n  metrics_path: /status\n" STR_FMT
        "  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
        "- job_name: type\n  metrics_path: /type\n" STR_FMT
        "  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
        "- job_name: fallback\n  metrics_path: /type\n  fallback_scrape_protocol: "
        "PrometheusText0.0.4\n" STR_FMT "  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
        "- job_name: large\n  metrics_path: /large\n  body_size_limit: 20B\n" STR_FMT
        "  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
        "- job_name: empty\n  metrics_path: /empty\n" STR_FMT
        "  static_configs: [{targets: ['127.0.0.1:%d']}]\n",
        STR_ARG(timing), port, STR_ARG(timing), port, STR_ARG(timing), port, STR_ARG(timing), port,
        STR_ARG(timing), port, STR_ARG(timing), port);
    apply(&rig, yaml, NULL, NULL);

    char line[200];
    snprintf(line, sizeof line, "asked_well{instance=\"127.0.0.1:%d\", job=\"good\"} 1 @", port);
    CHECK(wait_for(&rig, line));
    snprintf(line, sizeof line, "a{instance=\"127.0.0.1:%d\", job=\"fallback\"} 1 @", port);
    CHECK(wait_for(&rig, line));
    snprintf(line, sizeof line, "up{instance=\"127.0.0.1:%d\", job=\"empty\"} 1 @", port);
    CHECK(wait_for(&rig, line));
    static const char *const bad[] = {"status", "type", "large"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(line, sizeof line, "up{instance=\"127.0.0.1:%d\", job=\"%s\"} 0 @", port, bad[i]);
        CHECK(wait_for(&rig, line));
    }
    wait_for_error(&rig, 3, "large", "body size limit exceeded");
    wait_for_error(&rig, 4, "status", "server returned HTTP status 503 Service Unavailable");
    wait_for_error(&rig, 5, "type", "received unsupported Content-Type \"text/html\"");

    http_server_stop(server);
    snprintf(line, sizeof line, "asked_well{instance=\"127.0.0.1:%d\", job=\"good\"} stale @",
             port);
    CHECK(wait_for(&rig, line));
    rig_deinit(&rig);
}

TEST(scrape, reloads_under_load_lose_nothing)
{
    Rig rig;
    _Atomic int calls = 0;
    rig_init(&rig);

    for (int i = 0; i < 30; i++) {
        Str yaml = arena_printf(
            &rig.arena,
            "- job_name: a\n  scrape_interval: 10ms\n  scrape_timeout: 10ms\n  sample_limit: %d\n"
            "  static_configs: [{targets: ['a:1', 'b:%d']}]\n"
            "- job_name: b%d\n  scrape_interval: 10ms\n  scrape_timeout: 10ms\n"
            "  static_configs: [{targets: ['c:1']}]\n",
            100 + i % 3, i % 5, i % 2);
        apply(&rig, yaml, write_page, &calls);
        TargetsSnapshot targets;
        scrape_manager_targets(rig.manager, STR_NONE, true, true, &rig.arena, &targets);
        CHECK_EQ(targets.active_count, 3);
    }

    CHECK(wait_for(&rig, "up{instance=\"b:4\", job=\"a\"} 1 @"));
    rig_deinit(&rig);
}

TEST_MAIN(scrape, TEST_ROW(scrape, local_targets_are_visited_on_time),
          TEST_ROW(scrape, what_a_process_missed_that_was_killed_just_now_is_made_up_for),
          TEST_ROW(scrape, an_unchanged_job_goes_on_and_a_removed_one_goes_stale),
          TEST_ROW(scrape, dropped_and_bad_targets_are_told_apart),
          TEST_ROW(scrape, groups_that_did_not_change_keep_what_they_became),
          TEST_ROW(scrape, too_many_targets_fail_them_all),
          TEST_ROW(scrape, answers_over_http_are_judged),
          TEST_ROW(scrape, reloads_under_load_lose_nothing))
