// SPDX-License-Identifier: Apache-2.0
#include "main/server_remote.h"

#include "base/log.h"

#define RANK_SERVER_REMOTE 102

static void config_ref(void *owner)
{
    server_config_ref(owner);
}

static void config_unref(void *owner)
{
    server_config_unref(owner);
}

// What the targets tell of their metrics, for remote write 1.0. On a queue's thread.
static void metadata(void *arg, Arena *arena, RemoteMetricMetadata **ret_items, size_t *ret_count)
{
    ServerRemote *remote = arg;
    TargetMetadata *list = NULL;
    size_t count = 0;
    lock_take(&remote->lock);
    if (remote->scrapes)
        scrape_manager_metadata(remote->scrapes, STR_NONE, arena, &list, &count);
    lock_give(&remote->lock);
    *ret_items = ARENA_ARRAY(arena, RemoteMetricMetadata, count);
    for (size_t i = 0; i < count; i++)
        (*ret_items)[i] = (RemoteMetricMetadata){list[i].metric, list[i].metadata};
    *ret_count = count;
}

// As the original: from the oldest sample on, and a margin, as the first blocks may not be whole.
static int64_t local_start_ms(void *arg)
{
    const ServerRemote *remote = arg;
    int64_t min_t_ms;
    int64_t max_t_ms;
    if (!tsdb_time_range(remote->tsdb, &min_t_ms, &max_t_ms))
        min_t_ms = clock_now_ms(&clock_system);
    return min_t_ms + 2 * remote->flags->min_block_duration_ms;
}

static bool apply_in(ServerRemote *remote, ServerConfig *config, Error *err)
{
    return remote_in_apply(remote->in,
                           &(RemoteInConfig){
                               .reads = config->file.remote_read,
                               .external = config->file.global.external,
                               .owner = config,
                               .ref = config_ref,
                               .unref = config_unref,
                           },
                           err);
}

static bool start_in(ServerRemote *remote, Registry *registry, ServerConfig *config, Error *err)
{
    RemoteInOptions options = {
        .registry = registry,
        .clock = &clock_system,
        .local = tsdb_source(remote->tsdb),
        .local_start_ms = local_start_ms,
        .arg = remote,
        .decode = tsdb_decode_chunk,
    };
    return remote_in_new(&options, &remote->in, err) && apply_in(remote, config, err);
}

static void start_otlp(ServerRemote *remote, Registry *registry, const ServerConfig *config)
{
    const ServerFlags *flags = remote->flags;
    if (!flags->web_enable_otlp_receiver)
        return;
    remote->otlp = otlp_new(&(OtlpOptions){
        .registry = registry,
        .clock = &clock_system,
        .lookback_ms = flags->query_lookback_ms,
        .native_delta = server_feature(flags, "otlp-native-delta-ingestion"),
        .delta_to_cumulative = server_feature(flags, "otlp-deltatocumulative"),
        .type_and_unit_labels = server_feature(flags, "type-and-unit-labels"),
        .zero_samples = server_feature(flags, "created-timestamp-zero-ingestion"),
    });
    otlp_configure(remote->otlp, &config->file.otlp);
}

static void apply_out(ServerRemote *remote, ServerConfig *config)
{
    Error ignored; // told in the log; the server goes on without it
    (void)!remote_out_apply(remote->out,
                            &(RemoteOutConfig){
                                .writes = config->file.remote_write,
                                .external = config->file.global.external,
                                .owner = config,
                                .ref = config_ref,
                                .unref = config_unref,
                            },
                            &ignored);
}

static void start_out(ServerRemote *remote, const ServerRemoteStart *start, ServerConfig *config)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    RemoteOutOptions options = {
        .registry = start->registry,
        .clock = &clock_system,
        .fs = &fs_system,
        .dir = fs_join(&scratch, start->dir, S("remote_write")),
        .flush_deadline_ms = remote->flags->remote_flush_deadline_ms,
        .metadata = metadata,
        .metadata_arg = remote,
        .tracer = start->tracer,
    };
    remote->out = remote_out_new(&options, start->feed);
    apply_out(remote, config);
}

bool server_remote_start(ServerRemote *remote, const ServerFlags *flags,
                         const ServerRemoteStart *start, ServerConfig *config, Error *err)
{
    remote->flags = flags;
    remote->tsdb = start->tsdb;
    lock_init(&remote->lock, "server_remote", RANK_SERVER_REMOTE);
    remote->started = true;
    if (remote->tsdb && !start_in(remote, start->registry, config, err))
        return error_context(err, "starting remote read failed");
    start_out(remote, start, config);
    start_otlp(remote, start->registry, config);
    return true;
}

void server_remote_apply(ServerRemote *remote, ServerConfig *config)
{
    Error err;
    apply_out(remote, config);
    if (remote->otlp)
        otlp_configure(remote->otlp, &config->file.otlp);
    if (remote->in && !apply_in(remote, config, &err))
        log_error("cannot take up the endpoints of remote read, keeping the old ones",
                  KV("err", &err));
}

void server_remote_set_scrapes(ServerRemote *remote, ScrapeManager *scrapes)
{
    if (!remote->started)
        return;
    lock_take(&remote->lock);
    remote->scrapes = scrapes;
    lock_give(&remote->lock);
}

Source *server_remote_source(ServerRemote *remote)
{
    return remote_in_source(remote->in);
}

uint32_t server_remote_needed_segment(void *arg)
{
    const ServerRemote *remote = arg;
    return remote->out ? remote_out_needed_segment(remote->out) : 0;
}

void server_remote_stop(ServerRemote *remote)
{
    remote_out_free(remote->out);
    remote->out = NULL;
}

void server_remote_deinit(ServerRemote *remote)
{
    server_remote_stop(remote);
    remote_in_free(remote->in);
    otlp_free(remote->otlp);
    if (remote->started)
        lock_deinit(&remote->lock);
    *remote = (ServerRemote){0};
}
