// SPDX-License-Identifier: Apache-2.0
// Wiring. The order of birth is the order of need, death is the reverse: storage, engine, scraping; HTTP stands from the start, so that
// /-/healthy and the reason for not being ready can be asked for during replay.
#include "main/server_run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/footprint.h"
#include "main/server_features.h"
#include "main/server_run_internal.h"
#include "main/server_watch.h"

#define EXIT_FAILED 1
#define EXIT_BAD_START 2
#define EXIT_OTHER_MODE 3
#define RANK_SERVER_RUN 100

// Flags ------------------------------------------------------------------------------------------------------------------------------

static int fail(const char *what, const Error *err)
{
    log_error(what, KV("err", err));
    return EXIT_FAILED;
}

static void set_scrape_features(const Run *run)
{
    const ServerFlags *flags = &run->flags;
    scrape_config_set_features(server_feature(flags, "st-storage") ||
                                   server_feature(flags, "created-timestamp-zero-ingestion"),
                               server_feature(flags, "extra-scrape-metrics"));
}

Str server_run_port(Str address)
{
    size_t colon = str_rfind_char(address, ':');
    return colon == STR_NOT_FOUND ? STR_NONE : str_skip(address, colon + 1);
}

// The external URL with scheme and without a slash at its end; the route prefix is its path unless a flag says otherwise.
static bool work_out_urls(Run *run, Error *err)
{
    Str url = run->flags.web_external_url;
    if (url.len == 0)
        url = arena_printf(&run->arena, "http://" STR_FMT ":" STR_FMT "/", STR_ARG(run->hostname),
                           STR_ARG(server_run_port(run->flags.web_listen_address.items[0])));
    size_t scheme = str_find(url, S("://"));
    if (scheme == STR_NOT_FOUND ||
        !(str_starts_with(url, S("http://")) || str_starts_with(url, S("https://"))))
        return error_set(err, ERR_INVALID,
                         "--web.external-url: \"" STR_FMT "\" is no http or https URL",
                         STR_ARG(str_sub(url, 0, 200)));
    while (url.len && url.ptr[url.len - 1] == '/')
        url.len--;
    Str rest = str_skip(url, scheme + 3);
    size_t slash = str_find_char(rest, '/');
    Str prefix = slash == STR_NOT_FOUND ? STR_NONE : str_skip(rest, slash);
    if (run->flags.web_route_prefix.len)
        prefix = run->flags.web_route_prefix;
    while (prefix.len && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    while (prefix.len && prefix.ptr[0] == '/')
        prefix = str_skip(prefix, 1);
    run->external_url = url;
    run->route_prefix =
        prefix.len ? arena_printf(&run->arena, "/" STR_FMT, STR_ARG(prefix)) : STR_NONE;
    return true;
}

// Life -------------------------------------------------------------------------------------------------------------------------------

static uint64_t look_at_files(Run *run)
{
    lock_take(&run->lock);
    ServerConfig *config = run->config;
    server_config_ref(config);
    lock_give(&run->lock);
    uint64_t seen = server_watch_look(run->flags.config_file, config);
    server_config_unref(config);
    return seen;
}

static bool watches_files(const Run *run)
{
    return (run->flags.config_auto_reload || server_feature(&run->flags, "auto-reload-config")) &&
           !run->stack;
}

// What the start alone has read goes back when those who waited for it have their answers: to look for it takes as long as some of them.
#define FORGET_START_MS 2000

static void serve(Run *run, const sigset_t *signals)
{
    bool watch = watches_files(run);
    bool forgotten = false;
    for (;;) {
        int64_t wait_ms = watch ? run->flags.config_auto_reload_interval_ms : 3600 * 1000;
        wait_ms = forgotten ? wait_ms : MIN(wait_ms, FORGET_START_MS);
        struct timespec timeout = {wait_ms / 1000, (wait_ms % 1000) * 1000000};
        int signal_number = sigtimedwait(signals, NULL, &timeout);
        Error err = {0};
        if (!forgotten && signal_number < 0) {
            footprint_forget_start();
            forgotten = true;
        }
        if (signal_number == SIGHUP) {
            (void)server_reload(run, &err); // told in the log
        } else if (signal_number == SIGTERM || signal_number == SIGINT) {
            log_info("received a signal, exiting gracefully",
                     KV("signal", signal_number == SIGINT ? "interrupt" : "terminated"));
            return;
        }
        if (watch && look_at_files(run) != run->files_seen) {
            run->files_seen = look_at_files(run);
            (void)server_reload(run, &err);
        }
    }
}

// Accepts a run at any stage of its birth.
static void shut_down(Run *run)
{
    server_api_set_phase(run, API_STOPPING);
    sink_gate_close(&run->sink_gate);
    for (size_t i = 0; i < run->listener_count; i++)
        http_server_stop(run->listeners[i]);
    web_gate_close(run->gate);
    // Nobody asks for /metrics any more: what collects from the parts may go with them.
    server_remote_set_scrapes(&run->remote, NULL);
    scrape_manager_free(run->scrapes);
    server_rules_deinit(&run->rules, run->flags.alertmanager_drain_queue);
    rule_set_free(run->first_rules);
    server_remote_stop(&run->remote);
    engine_free(run->engine);
    thread_pool_free(run->query_pool);
    server_remote_deinit(&run->remote);
    if (run->tsdb)
        tsdb_close(run->tsdb);
    agent_store_close(run->agent);
    api_deinit(&run->api);
    node_exporter_free(run->node);
    server_traces_deinit(&run->traces);
    server_config_unref(run->config);
    registry_free(run->registry);
}

static bool open_node(Run *run, Error *err)
{
    NodeExporterOptions options;
    node_exporter_options_default(&options);
    return node_exporter_new(&options, &run->node, err);
}

static int live(Run *run, const FlagTable *table, const sigset_t *signals)
{
    Error err = {0};
    log_info("starting narthex", KV("version", NARTHEX_VERSION),
             KV("mode", run->stack                     ? "stack"
                        : server_is_agent(&run->flags) ? "agent"
                                                       : "server"));
    if (run->stack && !open_node(run, &err))
        return fail("cannot look at this machine", &err);
    server_api_fill(run, table);
    if (!api_init(&run->api, &err))
        return fail("cannot set up the API", &err);
    if (!server_api_listen(run, &err))
        return fail("cannot listen", &err);
    if (!server_start_machines(run, run->config, &err))
        return fail("cannot start", &err);
    server_reload_note(run, true);
    server_api_set_phase(run, API_READY);
    // Behind it: whole pages wait there, and those who put them in would take the cores first.
    sink_gate_open(&run->sink_gate, run->api.sink);
    log_info("server is ready to receive web requests", KV("url", run->external_url));
    serve(run, signals);
    return 0;
}

// Signals of the whole process are taken by the main thread, one by one.
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static int print_help(const FlagTable *table)
{
    Buf help = {0};
    flags_help(table, &help);
    fwrite(help.ptr, 1, help.len, stdout);
    buf_deinit(&help);
    return 0;
}

static Str host_name(Arena *arena)
{
    char name[256] = "localhost";
    gethostname(name, sizeof name - 1);
    return arena_str(arena, str_from_c(name));
}

static int bad_start(const FlagTable *table, const Error *err)
{
    fprintf(stderr, "%s: error: %s\n", table->program, err->text);
    return EXIT_BAD_START;
}

// From the first flag to the last breath, all but giving the arena back.
static int run_server(Run *run, const FlagTable *table, int argc, char **argv, bool stack)
{
    FlagResult given;
    Error err = {0};
    sigset_t signals;
    if (!flags_parse(table, argc - 1, argv + 1, &run->arena, &run->flags, &given, &err))
        return bad_start(table, &err);
    if (given.help)
        return print_help(table);
    if (given.version) {
        printf("narthex, version %s\n", NARTHEX_VERSION);
        return 0;
    }
    log_setup((LogLevel)run->flags.log_level, (LogFormat)run->flags.log_format);
    // The first flag of the table is config.file.
    run->stack = stack && !given.given[0];
    run->hostname = host_name(&run->arena);
    lock_init(&run->reload_lock, "reload", RANK_SERVER_RUN);
    lock_init(&run->lock, "server_run", RANK_SERVER_RUN + 1);
    sink_gate_init(&run->sink_gate);
    if (!server_agent_check_flags(&run->flags, table, &given, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_OTHER_MODE;
    }
    if (!work_out_urls(run, &err))
        return bad_start(table, &err);
    if (!server_features_check(&run->flags, &err))
        return bad_start(table, &err);
    if (!server_flags_check(&run->flags, &err))
        return fail("the storage cannot be as the flags say", &err);
    set_scrape_features(run);
    if (!server_reload_load(run, &run->config, &err) ||
        !server_rules_load(&run->flags, run->config, run->external_url, &run->first_rules, &err)) {
        log_error("error loading the configuration", KV("file", run->flags.config_file),
                  KV("err", &err));
        server_config_unref(run->config);
        return EXIT_BAD_START;
    }
    server_reload_tell_warnings(run->config);
    // What changes while we start is seen as soon as we serve.
    if (watches_files(run))
        run->files_seen = look_at_files(run);
    block_signals(&signals);
    server_start_registry(run);

    int status = live(run, table, &signals);
    shut_down(run);
    log_info("see you next time!");
    return status;
}

int server_run(const FlagTable *table, int argc, char **argv, bool stack)
{
    Run *run = X_NEW(Run);
    int status = run_server(run, table, argc, argv, stack);
    arena_deinit(&run->arena);
    free(run);
    return status;
}
