// SPDX-License-Identifier: Apache-2.0
// /rules, /alerts, /alertmanagers: prometheus.md section 3.4.
#include "api/api_internal.h"
#include "base/number.h"
#include "net/digest.h"

#define ZERO_TIME "0001-01-01T00:00:00Z" // Go's

// What /rules is asked for.
typedef struct RulesFilter {
    bool alerting, recording;
    bool exclude_alerts;
    bool with_lines;
    int64_t group_limit; // 0: all
    Str next_token;
    Str *rule_names, *group_names, *files;
    size_t rule_name_count, group_name_count, file_count;
    ApiSelectors selectors;
} RulesFilter;

static bool bad_rules_param(ApiCall *call, const char *name, const char *text)
{
    Error err;
    error_set(&err, ERR_INVALID, "%s", text);
    api_bad_param(call, name, &err);
    return false;
}

static void list_param(ApiCall *call, const char *name, Str **ret_values, size_t *ret_count)
{
    const HttpRequest *request = call->request;
    Str *values = ARENA_ARRAY(call->arena, Str, request->param_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < request->param_count; i++)
        if (str_is(request->params[i].name, name))
            values[count++] = request->params[i].value;
    *ret_values = values;
    *ret_count = count;
}

static bool read_type(ApiCall *call, RulesFilter *filter)
{
    Str type = http_param(call->request, S("type"));
    filter->alerting = type.len == 0 || str_equal_nocase(type, S("alert"));
    filter->recording = type.len == 0 || str_equal_nocase(type, S("record"));
    if (filter->alerting || filter->recording)
        return true;
    Error err;
    error_set(&err, ERR_INVALID, "not supported value \"" STR_FMT "\"",
              STR_ARG(str_sub(type, 0, 100)));
    api_bad_param(call, "type", &err);
    return false;
}

static bool read_paging(ApiCall *call, RulesFilter *filter)
{
    Str limit = http_param(call->request, S("group_limit"));
    filter->next_token = http_param(call->request, S("group_next_token"));
    if (limit.len && !number_parse_i64(limit, &filter->group_limit))
        return bad_rules_param(call, "group_limit", "group_limit needs to be a valid number");
    if (limit.len && filter->group_limit <= 0)
        return bad_rules_param(call, "group_limit", "group_limit needs to be greater than 0");
    if (filter->next_token.len && !limit.len)
        return bad_rules_param(
            call, "group_next_token",
            "group_limit needs to be present in order to paginate over the groups");
    return true;
}

static bool read_filter(ApiCall *call, RulesFilter *filter)
{
    Str exclude = http_param(call->request, S("exclude_alerts"));
    Str lines = http_param(call->request, S("rule_lines"));
    list_param(call, "rule_name[]", &filter->rule_names, &filter->rule_name_count);
    list_param(call, "rule_group[]", &filter->group_names, &filter->group_name_count);
    list_param(call, "file[]", &filter->files, &filter->file_count);
    if (!read_type(call, filter))
        return false;
    if (exclude.len && !api_bool_parse(exclude, &filter->exclude_alerts))
        return bad_rules_param(call, "exclude_alerts", "error converting exclude_alerts");
    if (lines.len && !api_bool_parse(lines, &filter->with_lines))
        return bad_rules_param(call, "rule_lines", "error converting rule_lines");
    return read_paging(call, filter) && api_selectors_param(call, S("match[]"), &filter->selectors);
}

// An empty list lets everything through.
static bool is_among(const Str *list, size_t count, Str value)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal(list[i], value))
            return true;
    return count == 0;
}

static bool wants_rule(const RulesFilter *filter, const RuleInfo *rule)
{
    bool matches = filter->selectors.count == 0;
    for (size_t i = 0; i < filter->selectors.count && !matches; i++)
        matches =
            matchers_match(filter->selectors.sets[i], filter->selectors.counts[i], rule->labels);
    return matches && (rule->is_alert ? filter->alerting : filter->recording) &&
           is_among(filter->rule_names, filter->rule_name_count, rule->name);
}

static size_t count_wanted(const RulesFilter *filter, const RuleGroupInfo *group)
{
    size_t count = 0;
    if (is_among(filter->group_names, filter->group_name_count, group->name) &&
        is_among(filter->files, filter->file_count, group->file))
        for (size_t i = 0; i < group->rule_count; i++)
            count += wants_rule(filter, &group->rules[i]);
    return count;
}

static Str token_of(ApiCall *call, const RuleGroupInfo *group)
{
    CLEANUP(buf_deinit) Buf token = {0};
    digest_add_sha256_hex(&token, arena_printf(call->arena, STR_FMT ";" STR_FMT,
                                               STR_ARG(group->file), STR_ARG(group->name)));
    return arena_str(call->arena, buf_str(&token));
}

// ---- writing ----

static void write_labels(JsonWriter *json, const char *key, Labels labels)
{
    json_key(json, str_from_c(key));
    api_json_labels(json, labels);
}

static void write_time(JsonWriter *json, const char *key, int64_t t_ms)
{
    json_key(json, str_from_c(key));
    if (t_ms == RULES_NEVER)
        json_c(json, ZERO_TIME);
    else
        api_json_rfc3339(json, t_ms);
}

static const char *state_name(AlertState state)
{
    static const char *const names[] = {"inactive", "pending", "firing"};
    return names[state];
}

static void write_alert(JsonWriter *json, const AlertInfo *alert)
{
    char value[NUMBER_BYTES_MAX];
    size_t len = number_format_e(alert->value, value);
    json_object(json);
    write_labels(json, "labels", alert->labels);
    write_labels(json, "annotations", alert->annotations);
    json_key_c(json, "state", state_name(alert->state));
    write_time(json, "activeAt", alert->active_at_ms);
    if (alert->keep_firing_since_ms != RULES_NEVER)
        write_time(json, "keepFiringSince", alert->keep_firing_since_ms);
    json_key_str(json, "value", str_make(value, len));
    json_object_end(json);
}

static void write_alerts(JsonWriter *json, const RuleInfo *rule)
{
    for (size_t i = 0; i < rule->alert_count; i++)
        write_alert(json, &rule->alerts[i]);
}

static void write_outcome(JsonWriter *json, const RuleInfo *rule)
{
    static const char *const health[] = {"unknown", "ok", "err"};
    json_key_c(json, "health", health[rule->health]);
    if (rule->last_error.len)
        json_key_str(json, "lastError", rule->last_error);
    json_key_double(json, "evaluationTime", rule->evaluation_s);
    write_time(json, "lastEvaluation", rule->evaluated_at_ms);
    json_key_c(json, "type", rule->is_alert ? "alerting" : "recording");
}

static void write_rule(JsonWriter *json, const RulesFilter *filter, const RuleInfo *rule)
{
    json_object(json);
    if (rule->is_alert)
        json_key_c(json, "state",
                   rule->evaluated_at_ms == RULES_NEVER ? "unknown" : state_name(rule->state));
    json_key_str(json, "name", rule->name);
    json_key_str(json, "query", rule->query);
    if (filter->with_lines)
        json_key_i64(json, "line", rule->line);
    if (rule->is_alert) {
        json_key_double(json, "duration", (double)rule->for_ms / 1000);
        json_key_double(json, "keepFiringFor", (double)rule->keep_firing_for_ms / 1000);
        write_labels(json, "labels", rule->labels);
        write_labels(json, "annotations", rule->annotations);
        json_key(json, S("alerts"));
        if (filter->exclude_alerts) {
            json_null(json);
        } else {
            json_array(json);
            write_alerts(json, rule);
            json_array_end(json);
        }
    } else if (rule->labels.count) {
        write_labels(json, "labels", rule->labels);
    }
    write_outcome(json, rule);
    json_object_end(json);
}

static void write_group(JsonWriter *json, const RulesFilter *filter, const RuleGroupInfo *group)
{
    json_object(json);
    json_key_str(json, "name", group->name);
    json_key_str(json, "file", group->file);
    json_key(json, S("rules"));
    json_array(json);
    for (size_t i = 0; i < group->rule_count; i++)
        if (wants_rule(filter, &group->rules[i]))
            write_rule(json, filter, &group->rules[i]);
    json_array_end(json);
    json_key_double(json, "interval", (double)group->interval_ms / 1000);
    json_key_i64(json, "limit", group->limit);
    json_key_double(json, "evaluationTime", group->evaluation_s);
    write_time(json, "lastEvaluation", group->evaluated_at_ms);
    json_object_end(json);
}

// ---- /rules ----

// Where the page begins; false: no group has this token.
static bool find_page(ApiCall *call, const RulesFilter *filter, const RulesSnapshot *snapshot,
                      size_t *ret_first)
{
    *ret_first = 0;
    for (size_t i = 0; filter->next_token.len; i++) {
        if (i == snapshot->count) {
            Error err;
            error_set(&err, ERR_INVALID,
                      "invalid group_next_token '" STR_FMT "'. were rule groups changed?",
                      STR_ARG(str_sub(filter->next_token, 0, 100)));
            api_bad_param(call, "group_next_token", &err);
            return false;
        }
        *ret_first = i;
        if (str_equal(token_of(call, &snapshot->groups[i]), filter->next_token))
            break;
    }
    return true;
}

static void write_groups(ApiCall *call, const RulesFilter *filter, const RulesSnapshot *snapshot,
                         size_t first)
{
    ApiReply reply;
    int64_t written = 0;
    Str next = STR_NONE;
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    json_key(&reply.json, S("groups"));
    json_array(&reply.json);
    for (size_t i = first; i < snapshot->count && !next.len; i++) {
        const RuleGroupInfo *group = &snapshot->groups[i];
        if (count_wanted(filter, group) == 0)
            continue;
        if (filter->group_limit && written == filter->group_limit) {
            next = token_of(call, group);
            continue;
        }
        write_group(&reply.json, filter, group);
        written++;
    }
    json_array_end(&reply.json);
    if (next.len)
        json_key_str(&reply.json, "groupNextToken", next);
    json_object_end(&reply.json);
    api_reply_done(&reply);
}

static void take_snapshot(ApiCall *call, bool with_alerts, RulesSnapshot *ret_snapshot)
{
    *ret_snapshot = (RulesSnapshot){0};
    if (call->api->rules)
        rules_manager_snapshot(call->api->rules, with_alerts, call->arena, ret_snapshot);
}

void api_rules(ApiCall *call)
{
    RulesFilter filter = {0};
    RulesSnapshot snapshot;
    size_t first;
    if (!read_filter(call, &filter))
        return;
    take_snapshot(call, !filter.exclude_alerts, &snapshot);
    if (find_page(call, &filter, &snapshot, &first))
        write_groups(call, &filter, &snapshot, first);
    rules_snapshot_free(&snapshot);
    api_selectors_free(&filter.selectors);
}

// ---- /alerts, /alertmanagers ----

void api_alerts(ApiCall *call)
{
    ApiReply reply;
    RulesSnapshot snapshot;
    take_snapshot(call, true, &snapshot);
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    json_key(&reply.json, S("alerts"));
    json_array(&reply.json);
    for (size_t g = 0; g < snapshot.count; g++)
        for (size_t r = 0; r < snapshot.groups[g].rule_count; r++)
            write_alerts(&reply.json, &snapshot.groups[g].rules[r]);
    json_array_end(&reply.json);
    json_object_end(&reply.json);
    api_reply_done(&reply);
    rules_snapshot_free(&snapshot);
}

static void write_urls(JsonWriter *json, const char *key, StrList urls)
{
    json_key(json, str_from_c(key));
    json_array(json);
    for (size_t i = 0; i < urls.count; i++) {
        json_object(json);
        json_key_str(json, "url", urls.items[i]);
        json_object_end(json);
    }
    json_array_end(json);
}

void api_alertmanagers(ApiCall *call)
{
    ApiReply reply;
    StrList active = {0};
    StrList dropped = {0};
    if (call->api->notifier)
        notifier_targets(call->api->notifier, call->arena, &active, &dropped);
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    write_urls(&reply.json, "activeAlertmanagers", active);
    write_urls(&reply.json, "droppedAlertmanagers", dropped);
    json_object_end(&reply.json);
    api_reply_done(&reply);
}
