// SPDX-License-Identifier: Apache-2.0
// /write and /otlp/v1/metrics: samples that are pushed to us.
#include "api/api_internal.h"

static void add_count(ApiCall *call, const char *name, uint64_t count)
{
    http_reply_header(call->request, str_from_c(name),
                      arena_printf(call->arena, "%llu", (unsigned long long)count));
}

void api_remote_write(ApiCall *call)
{
    HttpRequest *request = call->request;
    RemoteWrite *remote = call->api->state->remote_write;
    if (!remote) {
        api_text(call, 404,
                 S("remote write receiver needs to be enabled with "
                   "--web.enable-remote-write-receiver\n"));
        return;
    }
    RemoteWriteRequest write = {
        .content_type = http_header(request, S("Content-Type")),
        .content_encoding = http_header(request, S("Content-Encoding")),
        .body = request->body,
    };
    RemoteWriteAnswer answer;
    remote_write_handle(remote, api_sink(call->api), &write, call->arena, &answer);
    if (answer.counted) {
        add_count(call, "X-Prometheus-Remote-Write-Samples-Written", answer.samples);
        add_count(call, "X-Prometheus-Remote-Write-Histograms-Written", answer.histograms);
        add_count(call, "X-Prometheus-Remote-Write-Exemplars-Written", answer.exemplars);
    }
    if (answer.status == 204)
        api_empty(call, 204);
    else
        api_text(call, answer.status,
                 arena_printf(call->arena, STR_FMT "\n", STR_ARG(answer.text)));
}

void api_otlp_metrics(ApiCall *call)
{
    HttpRequest *request = call->request;
    OtlpAnswer answer;
    if (!call->api->otlp) {
        api_text(call, 404,
                 S("otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n"));
        return;
    }
    OtlpRequest write = {
        .content_type = http_header(request, S("Content-Type")),
        .content_encoding = http_header(request, S("Content-Encoding")),
        .body = request->body,
    };
    otlp_handle(call->api->otlp, api_sink(call->api), &write, call->arena, &answer);
    if (answer.status == 200)
        api_empty(call, 200);
    else
        api_text(call, answer.status,
                 arena_printf(call->arena, STR_FMT "\n", STR_ARG(answer.text)));
}
