// SPDX-License-Identifier: Apache-2.0
// /-/healthy, /-/ready, /-/reload, /-/quit; OPTIONS; /metrics; /version.
#include "api/api_internal.h"

void api_healthy(ApiCall *call)
{
    api_text(call, 200, S("Prometheus Server is Healthy.\n"));
}

void api_ready(ApiCall *call)
{
    api_text(call, 200, S("Prometheus Server is Ready.\n"));
}

static bool lifecycle_enabled(ApiCall *call)
{
    if (call->api->enable_lifecycle)
        return true;
    api_text(call, 403, S("Lifecycle API is not enabled.\n"));
    return false;
}

void api_reload(ApiCall *call)
{
    Error err = {0};
    if (!lifecycle_enabled(call))
        return;
    if (call->api->reload(call->api->owner, &err))
        api_empty(call, 200);
    else
        api_text(call, 500, arena_printf(call->arena, "failed to reload config: %s\n", err.text));
}

void api_quit(ApiCall *call)
{
    if (!lifecycle_enabled(call))
        return;
    api_text(call, 200, S("Requesting termination... Goodbye!\n"));
    call->api->quit(call->api->owner);
}

void api_needs_post(ApiCall *call)
{
    http_reply_header(call->request, S("Allow"), S("POST, PUT"));
    api_text(call, 405, S("This endpoint requires a POST or PUT request.\n"));
}

void api_options(ApiCall *call)
{
    api_empty(call, 204);
}

void api_version(ApiCall *call)
{
    Buf out = {0};
    JsonWriter json;
    json_writer_init(&json, &out);
    api_json_build(&json, &call->api->build);
    api_bytes(call, 200, S("application/json"), buf_str(&out));
    buf_deinit(&out);
}
