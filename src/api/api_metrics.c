// SPDX-License-Identifier: Apache-2.0
// What we measure of the requests we answer, under the original's names. A route's counter of 200 is there from the start, all else when it
// is needed first: most routes of most servers are never asked.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api_internal.h"

enum { STATUS_SLOTS = 8 };

typedef struct ApiRouteMetrics {
    HistogramMetric *_Atomic duration;
    HistogramMetric *_Atomic size;
    struct {
        _Atomic int status;
        Counter *_Atomic counter;
    } slots[STATUS_SLOTS];
} ApiRouteMetrics;

static const double duration_bounds[] = {.1, .2, .4, 1, 3, 8, 20, 60, 120};
static const double size_bounds[] = {100,     1000,     10000,     100000,
                                     1000000, 10000000, 100000000, 1000000000};

static Counter *request_counter(const ApiState *state, size_t row, int status)
{
    ApiRouteMetrics *metrics = &state->route_metrics[row];
    for (size_t i = 0; i < STATUS_SLOTS; i++)
        if (metrics->slots[i].status == status && metrics->slots[i].counter)
            return metrics->slots[i].counter;
    char code[16];
    Str values[] = {str_from_c(api_routes[row].pattern), STR_NONE};
    values[1] = str_make(code, (size_t)snprintf(code, sizeof code, "%d", status));
    Counter *counter = counter_of(state->requests, values);
    for (size_t i = 0; i < STATUS_SLOTS; i++) {
        int empty = 0;
        if (atomic_compare_exchange_strong(&metrics->slots[i].status, &empty, status)) {
            metrics->slots[i].counter = counter;
            break;
        }
    }
    return counter;
}

// Two that come first at once get the same of the family.
static HistogramMetric *route_histogram(HistogramMetric *_Atomic *place, Family *family, size_t row)
{
    HistogramMetric *histogram = atomic_load(place);
    if (!histogram) {
        Str handler = str_from_c(api_routes[row].pattern);
        histogram = histogram_of(family, &handler);
        atomic_store(place, histogram);
    }
    return histogram;
}

static Counter *counter(Registry *registry, const char *name, const char *help)
{
    return counter_of(registry_counter(registry, name, help, NULL), NULL);
}

static void metrics_init_rest(Registry *registry, ApiState *state)
{
    static const char *const by_code[] = {"code", NULL};
    static const Str codes[] = {STR("200"), STR("500"), STR("503")};
    state->subscribers =
        gauge_of(registry_gauge(registry, "prometheus_api_notification_active_subscribers",
                                "The current number of active notification subscribers.", NULL),
                 NULL);
    state->events_sent = counter(registry, "prometheus_api_notification_updates_sent_total",
                                 "Total number of notification updates sent.");
    state->events_dropped = counter(registry, "prometheus_api_notification_updates_dropped_total",
                                    "Total number of notification updates dropped.");
    state->federation_errors =
        counter(registry, "prometheus_web_federation_errors_total",
                "Total number of errors that occurred while sending federation responses.");
    state->federation_warnings =
        counter(registry, "prometheus_web_federation_warnings_total",
                "Total number of warnings that occurred while sending federation responses.");
    state->metrics_in_flight =
        gauge_of(registry_gauge(registry, "promhttp_metric_handler_requests_in_flight",
                                "Current number of scrapes being served.", NULL),
                 NULL);
    Family *served = registry_counter(registry, "promhttp_metric_handler_requests_total",
                                      "Total number of scrapes by HTTP status code.", by_code);
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        (void)counter_of(served, &codes[i]);
    state->metrics_served = counter_of(served, &codes[0]);
}

// A folder that is not served is no route of the original's.
static bool is_counted(const ApiContext *api, size_t row)
{
    const ApiRoute *route = &api_routes[row];
    return !(route->flags & ROUTE_PLAIN) &&
           (route->handle != api_user_asset || api->user_assets.len);
}

void api_metrics_init(ApiContext *api)
{
    static const char *const by_handler[] = {"handler", NULL};
    static const char *const by_handler_code[] = {"handler", "code", NULL};
    ApiState *state = api->state;
    state->requests = registry_counter(api->registry, "prometheus_http_requests_total",
                                       "Counter of HTTP requests.", by_handler_code);
    state->durations = registry_histogram(api->registry, "prometheus_http_request_duration_seconds",
                                          "Histogram of latencies for HTTP requests.", by_handler,
                                          duration_bounds, COUNT_OF(duration_bounds));
    state->sizes = registry_histogram(api->registry, "prometheus_http_response_size_bytes",
                                      "Histogram of response size for HTTP requests.", by_handler,
                                      size_bounds, COUNT_OF(size_bounds));
    metrics_init_rest(api->registry, state);
    state->route_metrics = X_ARRAY(ApiRouteMetrics, api_route_count);
    for (size_t i = 0; i < api_route_count; i++)
        if (is_counted(api, i))
            (void)request_counter(state, i, 200);
}

void api_metrics_deinit(ApiContext *api)
{
    free(api->state->route_metrics);
}

void api_metrics_count(const ApiCall *call, int64_t took_ns)
{
    const ApiState *state = call->api->state;
    size_t row = (size_t)(call->route - api_routes);
    if (!state->route_metrics || !is_counted(call->api, row))
        return;
    ApiRouteMetrics *metrics = &state->route_metrics[row];
    counter_inc(request_counter(state, row, call->status));
    histogram_observe(route_histogram(&metrics->duration, state->durations, row),
                      (double)took_ns / 1e9);
    histogram_observe(route_histogram(&metrics->size, state->sizes, row), (double)call->sent_bytes);
}

void api_metrics(ApiCall *call)
{
    Buf out = {0};
    ApiState *state = call->api->state;
    gauge_add(state->metrics_in_flight, 1);
    bool is_protobuf = api_metrics_protobuf(call, &out);
    if (!is_protobuf)
        registry_write(call->api->registry, REGISTRY_TEXT, &out);
    http_reply_compress(call->request);
    api_bytes(call, 200,
              is_protobuf
                  ? S("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                      "encoding=delimited; escaping=underscores")
                  : S("text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
              buf_str(&out));
    buf_deinit(&out);
    gauge_add(state->metrics_in_flight, -1);
    counter_inc(state->metrics_served);
}
