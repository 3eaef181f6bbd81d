// SPDX-License-Identifier: Apache-2.0
// One generation: everything that comes from the configuration file.
#include <stdlib.h>

#include "alertmanager/am_internal.h"
#include "base/log.h"

static bool is_used(const AmRoute *route, Str name)
{
    if (str_equal(route->receiver, name))
        return true;
    for (size_t i = 0; i < route->child_count; i++)
        if (is_used(&route->children[i], name))
            return true;
    return false;
}

static size_t count_integrations(const AmReceiverConfig *config)
{
    size_t count = 0;
    for (int k = 0; k < AM_KIND_COUNT; k++)
        count += config->kinds[k].count;
    return count;
}

bool am_receiver_init(Am *am, const AmReceiverConfig *config, AmReceiver *receiver, Error *err)
{
    receiver->config = config;
    receiver->integrations =
        x_calloc(count_integrations(config) + 1, sizeof *receiver->integrations);
    for (int k = 0; k < AM_KIND_COUNT; k++) {
        const AmReceiverKind *kind = am_receiver_kinds[k];
        const char *item = config->kinds[k].items;
        for (uint32_t i = 0; i < config->kinds[k].count; i++, item += kind->table->bytes) {
            AmIntegration *integration = &receiver->integrations[receiver->count++];
            *integration = (AmIntegration){
                .kind = kind, .config = (const AmCommon *)(const void *)item, .index = i};
            am_metrics_of(&am->metrics, kind->name, config->name, &integration->metrics);
            if (!integration->config->http)
                continue;
            if (!http_client_new(am->loop, integration->config->http, &integration->client, err))
                return error_context(err, "receiver " STR_FMT ": %s", STR_ARG(config->name),
                                     kind->name);
            http_client_track(integration->client, am->options.registry, str_from_c(kind->name));
        }
    }
    return true;
}

void am_receiver_deinit(AmReceiver *receiver)
{
    for (size_t i = 0; i < receiver->count; i++) {
        http_client_free(receiver->integrations[i].client);
        buf_deinit(&receiver->integrations[i].state.token);
    }
    free(receiver->integrations);
}

static bool new_receivers(Am *am, AmGeneration *generation, Error *err)
{
    const ConfigList *list = &generation->config->file.receivers;
    const AmReceiverConfig *all = list->items;
    generation->receivers = x_calloc(list->count + 1, sizeof *generation->receivers);
    for (size_t i = 0; i < list->count; i++) {
        if (!is_used(generation->tree.root, all[i].name)) {
            log_info("skipping creation of receiver not referenced by any route",
                     KV("receiver", all[i].name));
            continue;
        }
        if (!am_receiver_init(am, &all[i], &generation->receivers[generation->receiver_count++],
                              err))
            return false;
    }
    return true;
}

static void warn_of_intervals(const Am *am, const AmRoute *route)
{
    if (route->repeat_interval_ms > am->options.retention_ms)
        log_warn("repeat_interval is greater than the data retention period, it can lead to "
                 "notifications being "
                 "repeated more often than expected",
                 KV("repeat_interval_ms", route->repeat_interval_ms), KV("route", route->key));
    if (route->repeat_interval_ms < route->group_interval_ms)
        log_warn("repeat_interval is less than group_interval, notifications will not repeat until "
                 "the next group_interval",
                 KV("repeat_interval_ms", route->repeat_interval_ms), KV("route", route->key));
    for (size_t i = 0; i < route->child_count; i++)
        warn_of_intervals(am, &route->children[i]);
}

static bool load_config(const Am *am, AmGeneration *generation, Error *err)
{
    const AmOptions *options = &am->options;
    if (options->config_file.len)
        return am_config_load(options->config_file, options->matchers, &generation->config, err);
    return am_config_parse(options->config_text, S("built-in"), STR_NONE, options->matchers,
                           &generation->config, err);
}

bool am_generation_new(Am *am, AmGeneration **ret_generation, Error *err)
{
    AmGeneration *generation = X_NEW(AmGeneration);
    generation->refs = 1;
    bool ok = load_config(am, generation, err) &&
              am_route_tree_init(&generation->tree, generation->config, err) &&
              am_templates_new(&generation->config->file.templates, &generation->templates, err) &&
              am_inhibitor_new(generation->config, &generation->inhibitor, err) &&
              new_receivers(am, generation, err) &&
              (!am->events || am_events_check(generation->config, err));
    if (!ok) {
        generation->is_stopped = true;
        if (am->loop && !loop_is_current(am->loop))
            loop_call(am->loop, (void (*)(void *))am_generation_unref, generation);
        else
            am_generation_unref(generation);
        return false;
    }
    warn_of_intervals(am, generation->tree.root);
    am_config_print(&generation->printed, generation->config);
    int64_t start =
        clock_mono_ns(am->clock) +
        (am->started_ms + am->options.start_delay_ms - clock_now_ms(am->clock)) * AM_MS_NS;
    am_dispatch_init(&generation->dispatch, generation->tree.root, start);
    generation->dispatch.events = am->events;
    *ret_generation = generation;
    return true;
}

AmGeneration *am_generation_ref(AmGeneration *generation)
{
    generation->refs++;
    return generation;
}

void am_generation_unref(AmGeneration *generation)
{
    if (!generation || --generation->refs)
        return;
    am_dispatch_deinit(&generation->dispatch);
    for (size_t i = 0; i < generation->receiver_count; i++)
        am_receiver_deinit(&generation->receivers[i]);
    free(generation->receivers);
    am_inhibitor_free(generation->inhibitor);
    am_templates_free(generation->templates);
    am_route_tree_deinit(&generation->tree);
    am_config_unref(generation->config);
    buf_deinit(&generation->printed);
    free(generation);
}

AmGeneration *am_generation_hold(Am *am)
{
    lock_take(&am->lock);
    AmGeneration *generation = am_generation_ref(am->generation);
    lock_give(&am->lock);
    return generation;
}

void am_generation_give(Am *am, AmGeneration *generation)
{
    if (generation)
        loop_post(am->loop, (void (*)(void *))am_generation_unref, generation);
}

const AmReceiver *am_generation_receiver(const AmGeneration *generation, Str name)
{
    for (size_t i = 0; i < generation->receiver_count; i++)
        if (str_equal(generation->receivers[i].config->name, name))
            return &generation->receivers[i];
    return NULL;
}
