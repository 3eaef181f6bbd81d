// SPDX-License-Identifier: Apache-2.0
// /rules, /alerts, /alertmanagers. This version evaluates no rules and sends no alerts, so none exist:
// parameters are checked as ever and the lists are empty.
#include "api/api_internal.h"
#include "base/number.h"

static bool bad_rules_param(ApiCall *call, const char *name, const char *text)
{
    Error err;
    error_set(&err, ERR_INVALID, "%s", text);
    api_bad_param(call, name, &err);
    return false;
}

static bool check_rules_params(ApiCall *call)
{
    const HttpRequest *request = call->request;
    Str type = http_param(request, S("type"));
    if (type.len && !str_is(type, "alert") && !str_is(type, "record"))
        return bad_rules_param(call, "type", "not supported value");

    Str exclude = http_param(request, S("exclude_alerts"));
    bool ignored; // there are no alerts to leave out
    if (exclude.len && !api_bool_parse(exclude, &ignored))
        return bad_rules_param(call, "exclude_alerts", "not a boolean");

    Str limit = http_param(request, S("group_limit"));
    Str token = http_param(request, S("group_next_token"));
    int64_t count = 0;
    if (limit.len && (!number_parse_i64(limit, &count) || count <= 0))
        return bad_rules_param(call, "group_limit", "group_limit must be a positive integer");
    if (token.len && !limit.len)
        return bad_rules_param(call, "group_limit",
                               "group_limit needs to be present if group_next_token is given");
    if (token.len) // no group gave it out
        return bad_rules_param(call, "group_next_token",
                               "invalid group_next_token. were rule groups changed?");

    ApiSelectors selectors;
    if (!api_selectors_param(call, S("match[]"), &selectors))
        return false;
    api_selectors_free(&selectors);
    return true;
}

static void empty_lists(ApiCall *call, const char *first, const char *second)
{
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    for (const char *key = first; key; key = key == first ? second : NULL) {
        json_key(&reply.json, str_from_c(key));
        json_array(&reply.json);
        json_array_end(&reply.json);
    }
    json_object_end(&reply.json);
    api_reply_done(&reply);
}

void api_rules(ApiCall *call)
{
    if (check_rules_params(call))
        empty_lists(call, "groups", NULL);
}

void api_alerts(ApiCall *call)
{
    empty_lists(call, "alerts", NULL);
}

void api_alertmanagers(ApiCall *call)
{
    empty_lists(call, "activeAlertmanagers", "droppedAlertmanagers");
}
