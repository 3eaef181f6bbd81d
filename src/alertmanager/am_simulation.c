// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_simulation.h"

#include <stdlib.h>

#include "alertmanager/am_internal.h"

#define INTERVALS_MAX 64

struct AmSimulation {
    AmSimulationOptions options;
    Arena arena;
    AmConfig *config;
    AmRouteTree tree;
    AmTemplates *templates;
    AmInhibitor *inhibitor;
    AmDispatch dispatch;
    AmAlertStore alerts;
    AmSilences silences;
    AmLog log;
};

// ---- life ----

static bool load(AmSimulation *sim, Error *err)
{
    const AmConfigSource *source = &sim->options.config;
    bool read = source->path.len ? am_config_load(source->path, source->mode, &sim->config, err)
                                 : am_config_parse(source->text, S("configuration"), STR_NONE,
                                                   source->mode, &sim->config, err);
    return read && am_route_tree_init(&sim->tree, sim->config, err) &&
           am_templates_new(&sim->config->file.templates, &sim->templates, err) &&
           am_inhibitor_new(sim->config, &sim->inhibitor, err);
}

bool am_simulation_new(const AmSimulationOptions *options, AmSimulation **ret_simulation,
                       Error *err)
{
    AmSimulation *sim = X_NEW(AmSimulation);
    sim->options = *options;
    sim->options.external_url = arena_str(&sim->arena, options->external_url);
    sim->silences.retention_ns = INT64_MAX;
    if (!load(sim, err)) {
        am_simulation_free(sim);
        return false;
    }
    am_dispatch_init(&sim->dispatch, sim->tree.root, INT64_MIN);
    *ret_simulation = sim;
    return true;
}

void am_simulation_free(AmSimulation *sim)
{
    if (!sim)
        return;
    am_dispatch_deinit(&sim->dispatch);
    am_alert_store_deinit(&sim->alerts);
    am_silences_deinit(&sim->silences);
    am_log_deinit(&sim->log);
    am_inhibitor_free(sim->inhibitor);
    am_templates_free(sim->templates);
    am_route_tree_deinit(&sim->tree);
    am_config_unref(sim->config);
    arena_deinit(&sim->arena);
    free(sim);
}

// ---- one flush ----

typedef struct Flush {
    AmSimulation *sim;
    const AmGroup *group;
    int64_t now_ns;
    Arena *arena;
    AmNote *kept; // what may be told now
    size_t count;
    uint64_t *firing, *resolved;
    size_t firing_count, resolved_count;
} Flush;

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t *hashes_of(const Flush *flush, bool resolved, size_t *ret_count)
{
    uint64_t *hashes = ARENA_ARRAY(flush->arena, uint64_t, flush->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < flush->count; i++)
        if (flush->kept[i].resolved == resolved)
            hashes[count++] = flush->kept[i].alert->hash;
    if (count > 1)
        qsort(hashes, count, sizeof *hashes, compare_hashes);
    *ret_count = count;
    return hashes;
}

static bool is_held_back(const Flush *flush, const AmAlert *alert)
{
    const AmSilence *silence;
    uint64_t source;
    CLEANUP(arena_deinit) Arena arena = {0};
    Labels labels = am_alert_labels(alert, &arena);
    return am_inhibitor_mutes(flush->sim->inhibitor, labels, flush->now_ns, &source) ||
           am_silences_match(&flush->sim->silences, labels, flush->now_ns, &silence, 1);
}

static void keep_unmuted(Flush *flush, const AmNote *notes, size_t count)
{
    Str names[INTERVALS_MAX];
    bool inactive;
    flush->kept = ARENA_ARRAY(flush->arena, AmNote, count + 1);
    if (am_notify_muted_by(flush->group->route, flush->now_ns, names, INTERVALS_MAX, &inactive))
        return;
    for (size_t i = 0; i < count; i++)
        if (!is_held_back(flush, notes[i].alert))
            flush->kept[flush->count++] = notes[i];
}

static void write_log(const Flush *flush, const char *integration, uint32_t index)
{
    const AmRoute *route = flush->group->route;
    AmLogData entry = {
        .group_key = flush->group->key,
        .receiver = route->receiver,
        .integration = str_from_c(integration),
        .index = index,
        .at_ns = flush->now_ns,
        .expires_ns = am_time_add(flush->now_ns, 2 * route->repeat_interval_ms * AM_MS_NS),
        .firing = flush->firing,
        .resolved = flush->resolved,
        .firing_count = flush->firing_count,
        .resolved_count = flush->resolved_count,
    };
    am_log_put(&flush->sim->log, &entry, NULL);
}

static void tell(const Flush *flush, const char *integration, uint32_t index, AmReason reason,
                 const AmNote *notes, size_t count)
{
    AmSimulation *sim = flush->sim;
    const AmGroup *group = flush->group;
    AmData *data = am_data_new(flush->arena, group->route->receiver, sim->options.external_url,
                               group->labels, notes, count);
    data->reason = reason;
    AmSimulationNote note = {.at_ms = flush->now_ns / AM_MS_NS,
                             .receiver = group->route->receiver,
                             .integration = integration,
                             .index = index,
                             .reason = am_reason_text(reason),
                             .group_labels = group->labels,
                             .notes = notes,
                             .count = count,
                             .simulation = sim,
                             .data = data};
    Error err = {0};
    if (!am_data_route_labels(data, sim->templates, &group->route->labels, flush->arena, &err))
        note.reason = str_to_c(flush->arena, arena_printf(flush->arena, "fails: %s", err.text));
    sim->options.tell(sim->options.arg, &note);
}

static void tell_one(const Flush *flush, const char *integration, uint32_t index,
                     bool send_resolved)
{
    const AmRoute *route = flush->group->route;
    const AmLogEntry *entry = am_log_find(&flush->sim->log, flush->group->key, route->receiver,
                                          integration, index, flush->now_ns);
    AmReason reason = am_notify_decide(entry, flush->firing, flush->firing_count, flush->resolved,
                                       flush->resolved_count, send_resolved,
                                       route->repeat_interval_ms * AM_MS_NS, flush->now_ns);
    if (reason == AM_REASON_NONE)
        return;
    AmNote *notes = ARENA_ARRAY(flush->arena, AmNote, flush->count);
    size_t count = 0;
    for (size_t i = 0; i < flush->count; i++)
        if (send_resolved || !flush->kept[i].resolved)
            notes[count++] = flush->kept[i];
    if (count)
        tell(flush, integration, index, reason, notes, count);
    write_log(flush, integration, index);
}

static void tell_receiver(const Flush *flush)
{
    const AmReceiverConfig *receiver =
        am_config_receiver(flush->sim->config, flush->group->route->receiver);
    bool any = false;
    for (int k = 0; k < AM_KIND_COUNT; k++) {
        const AmReceiverKind *kind = am_receiver_kinds[k];
        const char *item = receiver->kinds[k].items;
        for (uint32_t i = 0; i < receiver->kinds[k].count; i++, item += kind->table->bytes) {
            tell_one(flush, kind->name, i, ((const AmCommon *)(const void *)item)->send_resolved);
            any = true;
        }
    }
    // A receiver without integrations stands for one: configurations under test need no addresses.
    if (!any)
        tell_one(flush, "", 0, true);
}

static void run_flush(AmSimulation *sim, AmGroup *group, int64_t now_ns)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    size_t count;
    Flush flush = {.sim = sim, .group = group, .now_ns = now_ns, .arena = &arena};
    AmNote *notes = am_group_notes(group, now_ns, &arena, &count);
    keep_unmuted(&flush, notes, count);
    flush.firing = hashes_of(&flush, false, &flush.firing_count);
    flush.resolved = hashes_of(&flush, true, &flush.resolved_count);
    if (flush.count)
        tell_receiver(&flush);
    am_dispatch_finish(&sim->dispatch, group, notes, count, true, now_ns);
    for (size_t i = 0; i < count; i++)
        am_alert_unref(notes[i].alert);
}

// ---- time ----

// The simulation's monotonic clock is its wall clock.
static void run_before(AmSimulation *sim, int64_t end_ns)
{
    for (;;) {
        int64_t due_ns = am_dispatch_due(&sim->dispatch);
        if (due_ns >= end_ns)
            return;
        AmGroup *group = am_dispatch_take(&sim->dispatch, due_ns);
        if (group)
            run_flush(sim, group, due_ns);
    }
}

void am_simulation_advance(AmSimulation *sim, int64_t t_ms)
{
    run_before(sim, t_ms * AM_MS_NS + 1);
}

bool am_simulation_receive(AmSimulation *sim, int64_t t_ms, AmAlertInput *alerts, size_t count,
                           Error *err)
{
    int64_t now_ns = t_ms * AM_MS_NS;
    int64_t timeout_ns = sim->config->file.global.resolve_timeout_ms * AM_MS_NS;
    bool utf8 = sim->options.config.mode != AM_MATCHER_CLASSIC;
    run_before(sim, now_ns);
    for (size_t i = 0; i < count; i++) {
        bool is_timeout;
        if (!am_alert_complete(&alerts[i], now_ns, timeout_ns, &is_timeout, err) ||
            !am_alert_check(&alerts[i], utf8, err))
            return false;
        AmAlert *stored =
            am_alert_store_put(&sim->alerts, am_alert_new(&alerts[i], now_ns, is_timeout), now_ns);
        am_inhibitor_note(sim->inhibitor, stored);
        am_dispatch_alert(&sim->dispatch, stored, now_ns, now_ns);
    }
    return true;
}

bool am_simulation_silence(AmSimulation *sim, const Str *matchers, size_t count, int64_t starts_ms,
                           int64_t ends_ms, Error *err)
{
    AmMatchers all = {ARENA_ARRAY(&sim->arena, Matcher, count + 1), 0};
    AmSilenceData silence = {.sets = &all,
                             .set_count = 1,
                             .starts_ns = starts_ms * AM_MS_NS,
                             .ends_ns = ends_ms * AM_MS_NS,
                             .created_by = S("test"),
                             .comment = S("test")};
    const AmSilence *made;
    uint64_t ticket;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = am_matcher_parse(matchers[i], sim->options.config.mode, &sim->arena, &all.items[i],
                              err);
        all.count += ok;
    }
    ok = ok && am_silences_set(&sim->silences, &silence, true, sim->options.start_ms * AM_MS_NS,
                               &made, &ticket, err);
    am_matchers_deinit(&all);
    return ok;
}

// ---- for tell() ----

bool am_simulation_render(const AmSimulationNote *note, Str text, Arena *arena, Str *ret_text,
                          Error *err)
{
    return am_templates_render(note->simulation->templates, text, false, note->data, arena,
                               ret_text, err);
}

Labels am_simulation_labels(const AmSimulationNote *note, size_t index, Arena *arena)
{
    return am_alert_labels(note->notes[index].alert, arena);
}

Labels am_simulation_annotations(const AmSimulationNote *note, size_t index, Arena *arena)
{
    return am_alert_annotations(note->notes[index].alert, arena);
}

bool am_simulation_is_resolved(const AmSimulationNote *note, size_t index)
{
    return note->notes[index].resolved;
}
