// SPDX-License-Identifier: Apache-2.0
#include "main/server_alerts.h"

#include "base/fs.h"
#include "base/log.h"

bool server_alerts_open(ServerAlerts *alerts, const ServerFlags *flags, bool stack,
                        Str route_prefix, Str external_url, Registry *registry,
                        struct Tracer *tracer, Arena *arena, Error *err)
{
    AmOptions options;
    if (!stack && flags->alertmanager_config_file.len == 0)
        return true;
    alerts->prefix = arena_printf(arena, STR_FMT "/alertmanager", STR_ARG(route_prefix));
    am_options_default(&options);
    options.config_file = flags->alertmanager_config_file;
    options.config_text = S("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n");
    options.storage_path = fs_join(arena, flags->storage_path, S("alertmanager"));
    options.external_url = arena_printf(arena, STR_FMT "/alertmanager", STR_ARG(external_url));
    options.route_prefix = alerts->prefix;
    options.test_notifications = flags->alertmanager_test_notifications;
    options.registry = registry;
    options.tracer = tracer;
    return am_open(&options, &alerts->am, err) || error_context(err, "alertmanager");
}

void server_alerts_close(ServerAlerts *alerts)
{
    am_close(alerts->am);
    *alerts = (ServerAlerts){0};
}

bool server_alerts_reload(ServerAlerts *alerts, Error *err)
{
    return !alerts->am || am_reload(alerts->am, err);
}

static int64_t to_ns(int64_t t_ms)
{
    return am_time_join(t_ms / 1000 - (t_ms % 1000 < 0), (t_ms % 1000 + 1000) % 1000 * AM_MS_NS);
}

void server_alerts_take(void *arg, const NotifierAlert *alerts, size_t count)
{
    const ServerAlerts *to = arg;
    Arena arena = {0};
    Error err = {0};
    if (!to->am)
        return;
    AmAlertInput *inputs = ARENA_ARRAY(&arena, AmAlertInput, count + 1);
    for (size_t i = 0; i < count; i++)
        inputs[i] = (AmAlertInput){
            .labels = alerts[i].labels,
            .annotations = alerts[i].annotations,
            .generator_url = alerts[i].generator_url,
            .starts_ns = to_ns(alerts[i].starts_at_ms),
            .ends_ns = to_ns(alerts[i].ends_at_ms),
        };
    if (!am_receive(to->am, inputs, count, &err))
        log_warn("alerts of rules that the Alertmanager does not take, ignoring", KV("err", &err));
    arena_deinit(&arena);
}

bool server_alerts_handle(ServerAlerts *alerts, HttpRequest *request)
{
    Str path = request->path;
    Str prefix = alerts->prefix;
    if (!alerts->am || !str_starts_with(path, prefix) ||
        (path.len > prefix.len && path.ptr[prefix.len] != '/'))
        return false;
    am_handle(alerts->am, request);
    return true;
}
