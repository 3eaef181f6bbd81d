// SPDX-License-Identifier: Apache-2.0
// Life of the Alertmanager: opening, reloading, taking alerts, clearing up.
#include <stdlib.h>

#include "alertmanager/am_internal.h"
#include "base/footprint.h"
#include "base/fs.h"
#include "base/log.h"

#define DATABASE S("alertmanager.db")
#define MAIL_THREADS 4
#define TRIM_MS (20 * 1000)
#define SETTLE_MS 6000
#define IMPORT_BYTES_MAX ((size_t)1 << 30)
#define INHIBIT_SWEEP_MS (15 * 60 * 1000)
#define FAULTS_BYTES_MAX 4000

void am_options_default(AmOptions *ret_options)
{
    *ret_options = (AmOptions){
        .retention_ms = INT64_C(120) * 3600 * 1000,
        .maintenance_ms = 15 * 60 * 1000,
        .gc_interval_ms = 30 * 60 * 1000,
        .test_notifications = true,
        .lease_ms = 10000,
        .poll_ms = 1000,
        .clock = &clock_system,
    };
}

// ---- clearing up ----

static void schedule(Am *am, LoopTimer *timer, int64_t after_ms)
{
    loop_timer_set(timer, clock_mono_ns(am->clock) + after_ms * AM_MS_NS);
}

static void collect_alerts(void *arg)
{
    Am *am = arg;
    lock_take(&am->lock);
    (void)am_alert_store_collect(&am->alerts, am_now_ns(am->clock));
    lock_give(&am->lock);
    schedule(am, am->gc_timer, am->options.gc_interval_ms);
}

// Among the members, for events.
static void note_position(const Am *am)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    if (am->shared)
        am_events_set_position(am->events, am_shared_state(am->shared, &arena).position);
}

// Many groups that are due at once, or an answer with all alerts, leave memory that nobody uses.
static void trim(void *arg)
{
    Am *am = arg;
    footprint_trim();
    note_position(am);
    schedule(am, am->trim_timer, TRIM_MS);
}

static void maintain(void *arg)
{
    Am *am = arg;
    int64_t now_ns = am_now_ns(am->clock);
    lock_take(&am->lock);
    int64_t begun_ns = clock_mono_ns(am->clock);
    size_t entries = am_log_collect(&am->log, now_ns);
    int64_t between_ns = clock_mono_ns(am->clock);
    size_t silences = am_silences_collect(&am->silences, now_ns);
    summary_observe(am->metrics.log_gc_one, (double)(between_ns - begun_ns) / 1e9);
    summary_observe(am->metrics.silences_gc_one,
                    (double)(clock_mono_ns(am->clock) - between_ns) / 1e9);
    am_inhibitor_collect(am->generation->inhibitor, now_ns);
    lock_give(&am->lock);
    counter_inc(am->metrics.log_maintenance);
    counter_inc(am->metrics.silences_maintenance);
    if (entries || silences)
        log_debug("dropped what is over", KV("log_entries", entries), KV("silences", silences));
    schedule(am, am->maintenance_timer, MIN(am->options.maintenance_ms, INHIBIT_SWEEP_MS));
}

// ---- what is kept ----

// Takes over a file of the original, once. A file that cannot be read is told and left alone.
static void import_file(Am *am, Str name, bool silences)
{
    Arena arena = {0};
    Error err = {0};
    Str bytes;
    size_t count = 0;
    int64_t now_ns = am_now_ns(am->clock);
    Str path = fs_join(&arena, am->options.storage_path, name);
    if (fs_exists(&fs_system, path)) {
        bool ok = fs_read_file(&fs_system, path, &arena, IMPORT_BYTES_MAX, &bytes, &err) &&
                  (silences ? am_silences_import(&am->silences, bytes, now_ns, &count, &err)
                            : am_log_import(&am->log, bytes, now_ns, &count, &err));
        if (ok)
            log_info("took over the state of an Alertmanager", KV("file", path),
                     KV("count", count));
        else
            log_error(
                "the state of an Alertmanager cannot be read whole, going on with what was read",
                KV("file", path), KV("count", count), KV("err", &err));
    }
    arena_deinit(&arena);
}

static bool open_store(Am *am, Error *err)
{
    Arena arena = {0};
    Error why = {0};
    bool is_new = false;
    int64_t now_ns = am_now_ns(am->clock);
    am->silences.retention_ns = am->options.retention_ms * AM_MS_NS;
    am->silences.limits =
        (AmSilenceLimits){am->options.silences_max, am->options.silence_bytes_max};
    if (am->options.storage_path.len == 0)
        return true;
    bool ok = fs_make_dirs(&fs_system, am->options.storage_path, err) &&
              am_store_open(fs_join(&arena, am->options.storage_path, DATABASE), &am->store,
                            &is_new, err);
    arena_deinit(&arena);
    if (!ok)
        return false;
    am->silences.store = am->log.store = am->store;
    // Rows that cannot be read are told and left: the others count.
    if (!am_silences_load(&am->silences, now_ns, &why) || !am_log_load(&am->log, now_ns, &why))
        log_error("some of what is kept cannot be read", KV("err", &why));
    if (is_new) {
        import_file(am, S("silences"), true);
        import_file(am, S("nflog"), false);
    }
    return true;
}

// ---- what instances share ----

// On the thread am-shared: a row that the engine has.
static void on_shared_row(void *arg, AmStoreTable table, const AmRow *row)
{
    Am *am = arg;
    Error err = {0};
    int64_t now_ns = am_now_ns(am->clock);
    lock_take(&am->lock);
    bool ok = table == AM_STORE_LOG ? am_log_merge(&am->log, row->body, now_ns, &err)
                                    : am_silences_merge(&am->silences, row->body, now_ns, &err);
    lock_give(&am->lock);
    if (!ok)
        log_error("a row of the shared database cannot be read, ignoring", KV("err", &err));
}

static void on_synced(void *arg)
{
    Am *am = arg;
    lock_take(&am->lock);
    am_silences_share(&am->silences);
    am_log_share(&am->log);
    lock_give(&am->lock);
}

static bool open_shared(Am *am, Error *err)
{
    const AmOptions *options = &am->options;
    AmSharedOptions shared = {
        .url = options->database,
        .name = options->peer_name,
        .address = options->peer_address,
        .lease_ms = options->lease_ms,
        .poll_ms = options->poll_ms,
        .loop = am->loop,
        .row = on_shared_row,
        .synced = on_synced,
        .arg = am,
    };
    if (options->database.len == 0)
        return true;
    // What comes over the engine before this is set is merged, but not given back.
    lock_take(&am->lock);
    bool ok = am_shared_open(&shared, &am->shared, err);
    am->silences.shared = am->log.shared = am->shared;
    lock_give(&am->lock);
    if (ok && !am_shared_settle(am->shared, SETTLE_MS))
        log_warn("starting without the shared database, which is away",
                 KV("waited_ms", (int64_t)SETTLE_MS));
    return ok;
}

// ---- generations ----

static void note_config(Am *am, const AmGeneration *generation)
{
    size_t integrations = 0;
    for (size_t i = 0; i < generation->receiver_count; i++)
        integrations += generation->receivers[i].count;
    gauge_set(am->metrics.config_hash, (double)generation->config->hash);
    gauge_set(am->metrics.config_ok, 1);
    gauge_set(am->metrics.config_at, (double)clock_now_ms(am->clock) / 1000);
    gauge_set(am->metrics.receivers, (double)generation->receiver_count);
    gauge_set(am->metrics.integrations, (double)integrations);
    gauge_set(am->metrics.inhibition_rules, (double)am_inhibitor_rules(generation->inhibitor));
}

// Inhibiting alerts are known before anything is dispatched.
static void feed(Am *am, AmGeneration *generation)
{
    int64_t now_ns = am_now_ns(am->clock);
    int64_t mono_ns = clock_mono_ns(am->clock);
    for (AmTableSlot *s = NULL; (s = am_table_next(&am->alerts.alerts, s));)
        am_inhibitor_note(generation->inhibitor, s->value);
    for (AmTableSlot *s = NULL; (s = am_table_next(&am->alerts.alerts, s));)
        am_dispatch_alert(&generation->dispatch, s->value, now_ns, mono_ns);
}

typedef struct Swap {
    Am *am;
    AmGeneration *fresh;
} Swap;

static void swap_generation(void *arg)
{
    Swap *swap = arg;
    Am *am = swap->am;
    lock_take(&am->lock);
    AmGeneration *old = am->generation;
    am->generation = swap->fresh;
    if (swap->fresh) {
        feed(am, swap->fresh);
        am->armed_mono_ns = INT64_MAX;
        am_notify_arm(am);
    }
    lock_give(&am->lock);
    if (old) {
        am_notify_stop(am, old);
        am_generation_unref(old);
    }
}

bool am_reload(Am *am, Error *err)
{
    AmGeneration *fresh;
    lock_take(&am->reload_lock);
    bool ok = am_generation_new(am, &fresh, err);
    if (ok) {
        Swap swap = {am, fresh};
        note_config(am, fresh);
        am_trace_apply(am, fresh->config);
        if (am->events)
            am_events_apply(am->events, fresh->config);
        loop_call(am->loop, swap_generation, &swap);
        log_info("completed loading of configuration file", KV("file", am->options.config_file));
    } else {
        gauge_set(am->metrics.config_ok, 0);
        log_error("loading configuration file failed", KV("file", am->options.config_file),
                  KV("err", err));
    }
    lock_give(&am->reload_lock);
    return ok;
}

// ---- birth and death ----

static void copy_options(Am *am, const AmOptions *options)
{
    am->options = *options;
    Str *texts[] = {&am->options.config_file,  &am->options.config_text,  &am->options.storage_path,
                    &am->options.external_url, &am->options.route_prefix, &am->options.database,
                    &am->options.peer_name,    &am->options.peer_address};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = arena_str(&am->arena, *texts[i]);
    am->clock = options->clock ? options->clock : &clock_system;
    if (am->options.get_concurrency == 0)
        am->options.get_concurrency = MAX(thread_cores(), 8);
}

static void start_timers(void *arg)
{
    Am *am = arg;
    am->due_timer = loop_timer_new(am->loop, am_notify_due, am);
    am->gc_timer = loop_timer_new(am->loop, collect_alerts, am);
    am->maintenance_timer = loop_timer_new(am->loop, maintain, am);
    am->trim_timer = loop_timer_new(am->loop, trim, am);
    schedule(am, am->gc_timer, am->options.gc_interval_ms);
    schedule(am, am->trim_timer, TRIM_MS);
    schedule(am, am->maintenance_timer, MIN(am->options.maintenance_ms, INHIBIT_SWEEP_MS));
}

static void start_reminders(void *arg)
{
    am_reminder_start(arg);
}

static Str instance_of(const Am *am)
{
    return am->options.peer_name.len ? am->options.peer_name : am->options.external_url;
}

bool am_open(const AmOptions *options, Am **ret_am, Error *err)
{
    Am *am = X_NEW(Am);
    copy_options(am, options);
    am->armed_mono_ns = INT64_MAX;
    am->started_ms = clock_now_ms(am->clock);
    am->alerts.per_name_limit = options->per_alertname_limit;
    lock_init(&am->reload_lock, "am.reload", 139);
    lock_init(&am->lock, "am", 140);
    am_metrics_init(&am->metrics, am);
    am_trace_init(am);
    am->ui = ui_site_new(am->options.route_prefix, S("Alertmanager"), S("alertmanager"));
    am->mail_pool = thread_pool_new("am-mail", MAIL_THREADS);
    if (!loop_new("alertmanager", &am->loop, err) || !loop_start(am->loop, err)) {
        am_close(am);
        return false;
    }
    loop_call(am->loop, start_timers, am);
    if ((options->events &&
         !am_events_new(am->options.registry, instance_of(am), &am->events, err)) ||
        !open_store(am, err) || !open_shared(am, err) || !am_reload(am, err)) {
        am_close(am);
        return false;
    }
    loop_call(am->loop, start_reminders, am);
    am_event_started(am->events, AM_VERSION);
    *ret_am = am;
    return true;
}

static void stop_on_loop(void *arg)
{
    Am *am = arg;
    Swap swap = {am, NULL};
    if (!am->due_timer)
        return;
    loop_timer_clear(am->due_timer);
    loop_timer_clear(am->gc_timer);
    loop_timer_clear(am->maintenance_timer);
    loop_timer_clear(am->trim_timer);
    if (am->reminder_timer)
        loop_timer_clear(am->reminder_timer);
    swap_generation(&swap);
}

static void free_timers(void *arg)
{
    Am *am = arg;
    loop_timer_free(am->due_timer);
    loop_timer_free(am->gc_timer);
    loop_timer_free(am->maintenance_timer);
    loop_timer_free(am->trim_timer);
    if (am->reminder_timer)
        loop_timer_free(am->reminder_timer);
}

void am_close(Am *am)
{
    if (!am)
        return;
    if (am->loop) {
        loop_call(am->loop, stop_on_loop, am);
        am_shared_stop(am->shared);
        thread_pool_free(am->mail_pool);
        am->mail_pool = NULL;
        // What the mail threads have posted has run when this returns.
        loop_call(am->loop, free_timers, am);
        loop_stop(am->loop);
        loop_join(am->loop);
        loop_free(am->loop);
    }
    thread_pool_free(am->mail_pool);
    am_shared_free(am->shared);
    am_event_stopped(am->events);
    am_events_free(am->events);
    am_store_close(am->store);
    am_silences_deinit(&am->silences);
    am_log_deinit(&am->log);
    am_alert_store_deinit(&am->alerts);
    am_metrics_deinit(&am->metrics);
    am_trace_deinit(am);
    ui_site_free(am->ui);
    lock_deinit(&am->lock);
    lock_deinit(&am->reload_lock);
    arena_deinit(&am->arena);
    free(am);
}

// ---- alerts ----

static void take(Am *am, AmAlert *alert, int64_t now_ns, int64_t mono_ns)
{
    int64_t begun_ns = clock_mono_ns(am->clock);
    counter_inc(am_alert_resolved_at(alert, now_ns) ? am->metrics.received_resolved
                                                    : am->metrics.received_firing);
    bool is_new = am->events && !am_alert_store_get(&am->alerts, alert->fingerprint);
    CLEANUP(arena_deinit) Arena arena = {0};
    Str name = STR_NONE;
    if (am->metrics.limited_by_name)
        name = labels_get(am_alert_labels(alert, &arena), S("alertname"));
    AmAlert *stored = am_alert_store_put(&am->alerts, alert, now_ns);
    if (!stored) {
        am_metrics_limited(&am->metrics, name);
        return;
    }
    if (is_new)
        am_event_created(am->events, stored, now_ns);
    am_inhibitor_note(am->generation->inhibitor, stored);
    am_dispatch_alert(&am->generation->dispatch, stored, now_ns, mono_ns);
    summary_observe(am->metrics.processing_one,
                    (double)(clock_mono_ns(am->clock) - begun_ns) / 1e9);
}

bool am_receive(Am *am, AmAlertInput *alerts, size_t count, Error *err)
{
    CLEANUP(buf_deinit) Buf faults = {.max = FAULTS_BYTES_MAX};
    CLEANUP(span_end) Span span;
    span_open(&span, S("provider.mem.Put"));
    span_i64(&span, "alerting.alerts.count", (int64_t)count);
    int64_t now_ns = am_now_ns(am->clock);
    bool utf8 = am->options.matchers != AM_MATCHER_CLASSIC;
    AmAlert **taken = x_calloc(count + 1, sizeof(AmAlert *));
    size_t taken_count = 0;
    lock_take(&am->lock);
    int64_t timeout_ns = am->generation->config->file.global.resolve_timeout_ms * AM_MS_NS;
    lock_give(&am->lock);
    for (size_t i = 0; i < count; i++) {
        Error fault = {0};
        bool is_timeout;
        if (!am_alert_complete(&alerts[i], now_ns, timeout_ns, &is_timeout, &fault) ||
            !am_alert_check(&alerts[i], utf8, &fault)) {
            counter_inc(am->metrics.invalid);
            buf_printf(&faults, "%s%s", faults.len ? "\n" : "", fault.text);
            continue;
        }
        taken[taken_count++] = am_alert_new(&alerts[i], now_ns, is_timeout);
    }
    int64_t mono_ns = clock_mono_ns(am->clock);
    lock_take(&am->lock);
    for (size_t i = 0; i < taken_count; i++)
        take(am, taken[i], now_ns, mono_ns);
    am_notify_arm(am);
    lock_give(&am->lock);
    counter_add(am->metrics.writes_dispatcher, (double)taken_count);
    counter_add(am->metrics.writes_inhibitor, (double)taken_count);
    free(taken);
    if (faults.len)
        span_fail(&span, buf_str(&faults));
    return faults.len == 0 || error_set(err, ERR_INVALID, STR_FMT, STR_ARG(buf_str(&faults)));
}
