// SPDX-License-Identifier: Apache-2.0
#include "net/conn_track.h"

#include <errno.h>

static Counter *of_dialer(Registry *registry, const char *name, const char *help, Str dialer)
{
    static const char *const labels[] = {"dialer_name", NULL};
    return counter_of(registry_counter(registry, name, help, labels), &dialer);
}

ConnDialer conn_track_dialer(Registry *registry, Str name)
{
    static const char *const labels[] = {"dialer_name", "reason", NULL};
    static const Str reasons[CONN_FAILURES] = {[CONN_REFUSED] = STR("refused"),
                                               [CONN_RESOLUTION] = STR("resolution"),
                                               [CONN_TIMEOUT] = STR("timeout"),
                                               [CONN_UNKNOWN] = STR("unknown")};
    ConnDialer dialer = {0};
    if (!registry)
        return dialer;
    dialer.attempted =
        of_dialer(registry, "net_conntrack_dialer_conn_attempted_total",
                  "Total number of connections attempted by the given dialer a given name.", name);
    dialer.established =
        of_dialer(registry, "net_conntrack_dialer_conn_established_total",
                  "Total number of connections successfully established by the given dialer a "
                  "given name.",
                  name);
    dialer.closed = of_dialer(
        registry, "net_conntrack_dialer_conn_closed_total",
        "Total number of connections closed which originated from the dialer of a given name.",
        name);
    Family *failed = registry_counter(
        registry, "net_conntrack_dialer_conn_failed_total",
        "Total number of connections failed to dial by the dialer a given name.", labels);
    for (size_t i = 0; i < CONN_FAILURES; i++)
        dialer.failed[i] = counter_of(failed, (const Str[]){name, reasons[i]});
    return dialer;
}

ConnFailure conn_track_failure(int error_number)
{
    return error_number == ECONNREFUSED ? CONN_REFUSED
           : error_number == ETIMEDOUT  ? CONN_TIMEOUT
                                        : CONN_UNKNOWN;
}

ConnListener conn_track_listener(Registry *registry, Str name)
{
    static const char *const labels[] = {"listener_name", NULL};
    if (!registry)
        return (ConnListener){0};
    return (ConnListener){
        .accepted = counter_of(
            registry_counter(registry, "net_conntrack_listener_conn_accepted_total",
                             "Total number of connections opened to the listener of a given name.",
                             labels),
            &name),
        .closed = counter_of(registry_counter(registry, "net_conntrack_listener_conn_closed_total",
                                              "Total number of connections closed that were made "
                                              "to the listener of a given name.",
                                              labels),
                             &name),
    };
}

void conn_track_count(Counter *counter)
{
    if (counter)
        counter_inc(counter);
}
