// SPDX-License-Identifier: Apache-2.0
// /admin/tsdb/*.
#include "api/api_internal.h"

static bool admin_enabled(ApiCall *call)
{
    if (call->api->enable_admin)
        return true;
    api_error(call, API_UNAVAILABLE, "admin APIs disabled");
    return false;
}

void api_admin_delete_series(ApiCall *call)
{
    ApiSelectors selectors;
    int64_t start_ms, end_ms;
    Error err = {0};
    if (!admin_enabled(call))
        return;
    if (!http_has_param(call->request, S("match[]"))) {
        api_error(call, API_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (!api_time_param(call, "start", API_MIN_T_MS, &start_ms) ||
        !api_time_param(call, "end", API_MAX_T_MS, &end_ms) ||
        !api_wide_selectors_param(call, S("match[]"), &selectors))
        return;
    bool ok = true;
    for (size_t i = 0; i < selectors.count && ok; i++)
        ok = tsdb_delete(call->api->tsdb, selectors.sets[i], selectors.counts[i], start_ms, end_ms,
                         &err);
    api_selectors_free(&selectors);
    if (ok)
        api_empty(call, 204);
    else
        api_error_from(call, &err);
}

void api_admin_clean_tombstones(ApiCall *call)
{
    Error err = {0};
    if (!admin_enabled(call))
        return;
    if (tsdb_clean_tombstones(call->api->tsdb, &err))
        api_empty(call, 204);
    else
        api_error_from(call, &err);
}

void api_admin_snapshot(ApiCall *call)
{
    bool skip_head = false;
    Str name;
    Error err = {0};
    if (!admin_enabled(call))
        return;
    Str text = http_param(call->request, S("skip_head"));
    if (text.len && !api_bool_parse(text, &skip_head)) {
        error_set(&err, ERR_INVALID, "unable to parse boolean \"" STR_FMT "\"", STR_ARG(text));
        api_bad_param(call, "skip_head", &err);
        return;
    }
    if (!tsdb_snapshot(call->api->tsdb, skip_head, call->arena, &name, &err)) {
        api_error_from(call, &err);
        return;
    }
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    json_key_str(&reply.json, "name", name);
    json_object_end(&reply.json);
    api_reply_done(&reply);
}
