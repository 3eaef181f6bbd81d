// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_config.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "alertmanager/am_receiver.h"
#include "base/fs.h"
#include "metric/md5.h"

// ---- global ----

#define OWNER AmGlobal
#define TEXT(name, about, ...) AM_FIELD(name, CONFIG_STR, about, ##__VA_ARGS__)
#define SECRET(name, about) AM_FIELD(name, CONFIG_SECRET, about)
static const ConfigField global_fields[] = {
    {.key = "resolve_timeout",
     .kind = CONFIG_DURATION,
     .offset = offsetof(AmGlobal, resolve_timeout_ms),
     .default_text = "5m",
     .help = "how long an alert without an end stands"},
    {.key = "http_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(AmGlobal, http),
     .table = &http_client_config_table,
     .help = "how requests are sent unless a receiver says otherwise"},
    TEXT(jira_api_url, "where Jira's API is"),
    TEXT(smtp_from, "sender of mails"),
    TEXT(smtp_hello, "how we call ourselves to mail servers", .default_text = "localhost"),
    TEXT(smtp_smarthost, "host:port of the mail server"),
    TEXT(smtp_auth_username, "user at the mail server"),
    SECRET(smtp_auth_password, "password at the mail server"),
    TEXT(smtp_auth_password_file, "file with the password"),
    SECRET(smtp_auth_secret, "secret of CRAM-MD5"),
    TEXT(smtp_auth_secret_file, "file with the secret"),
    TEXT(smtp_auth_identity, "identity of PLAIN"),
    AM_FIELD(smtp_require_tls, CONFIG_BOOL, "the mail server must offer TLS",
             .default_text = "true", .always_print = true),
    {.key = "smtp_tls_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(AmGlobal, smtp_tls),
     .table = &http_tls_config_table,
     .always_print = true,
     .help = "TLS towards the mail server"},
    AM_FIELD(smtp_force_implicit_tls, CONFIG_CUSTOM, "TLS from the first byte on",
             .decode = am_config_decode_tristate, .print = am_config_print_tristate),
    SECRET(slack_api_url, "Slack webhook"),
    TEXT(slack_api_url_file, "file with the webhook"),
    SECRET(slack_app_token, "token of a Slack app"),
    TEXT(slack_app_token_file, "file with the token"),
    TEXT(slack_app_url, "where Slack apps post",
         .default_text = "https://slack.com/api/chat.postMessage"),
    TEXT(pagerduty_url, "PagerDuty's events API",
         .default_text = "https://events.pagerduty.com/v2/enqueue"),
    TEXT(opsgenie_api_url, "Opsgenie's API", .default_text = "https://api.opsgenie.com/"),
    SECRET(opsgenie_api_key, "key of Opsgenie"),
    TEXT(opsgenie_api_key_file, "file with the key"),
    TEXT(wechat_api_url, "WeChat's API", .default_text = "https://qyapi.weixin.qq.com/cgi-bin/"),
    SECRET(wechat_api_secret, "secret of WeChat"),
    TEXT(wechat_api_secret_file, "file with the secret"),
    TEXT(wechat_api_corp_id, "corporation at WeChat"),
    TEXT(victorops_api_url, "VictorOps' API",
         .default_text = "https://alert.victorops.com/integrations/generic/20131114/alert/"),
    SECRET(victorops_api_key, "key of VictorOps"),
    TEXT(victorops_api_key_file, "file with the key"),
    TEXT(telegram_api_url, "Telegram's API", .default_text = "https://api.telegram.org"),
    SECRET(telegram_bot_token, "token of a Telegram bot"),
    TEXT(telegram_bot_token_file, "file with the token"),
    TEXT(webex_api_url, "Webex' API", .default_text = "https://webexapis.com/v1/messages"),
    TEXT(rocketchat_api_url, "Rocket.Chat's API", .default_text = "https://open.rocket.chat/"),
    SECRET(rocketchat_token, "token of Rocket.Chat"),
    TEXT(rocketchat_token_file, "file with the token"),
    SECRET(rocketchat_token_id, "user of the token"),
    TEXT(rocketchat_token_id_file, "file with the user"),
    SECRET(mattermost_webhook_url, "Mattermost webhook"),
    TEXT(mattermost_webhook_url_file, "file with the webhook"),
};
#undef OWNER

static bool exclusive(const ConfigReader *reader, const YamlNode *node, const char *names, Str a,
                      Str b, Error *err)
{
    if (!a.len || !b.len)
        return true;
    return config_error(reader, node, err, "at most one of %s must be configured", names);
}

static bool finish_global(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    AmGlobal *g = object;
    bool ok = exclusive(reader, node, "smtp_auth_password & smtp_auth_password_file",
                        g->smtp_auth_password, g->smtp_auth_password_file, err) &&
              exclusive(reader, node, "smtp_auth_secret & smtp_auth_secret_file",
                        g->smtp_auth_secret, g->smtp_auth_secret_file, err) &&
              exclusive(reader, node, "slack_api_url & slack_api_url_file", g->slack_api_url,
                        g->slack_api_url_file, err) &&
              exclusive(reader, node, "slack_app_token & slack_app_token_file", g->slack_app_token,
                        g->slack_app_token_file, err) &&
              exclusive(reader, node, "opsgenie_api_key & opsgenie_api_key_file",
                        g->opsgenie_api_key, g->opsgenie_api_key_file, err) &&
              exclusive(reader, node, "wechat_api_secret & wechat_api_secret_file",
                        g->wechat_api_secret, g->wechat_api_secret_file, err) &&
              exclusive(reader, node, "victorops_api_key & victorops_api_key_file",
                        g->victorops_api_key, g->victorops_api_key_file, err) &&
              exclusive(reader, node, "telegram_bot_token & telegram_bot_token_file",
                        g->telegram_bot_token, g->telegram_bot_token_file, err) &&
              exclusive(reader, node, "rocketchat_token & rocketchat_token_file",
                        g->rocketchat_token, g->rocketchat_token_file, err) &&
              exclusive(reader, node, "rocketchat_token_id & rocketchat_token_id_file",
                        g->rocketchat_token_id, g->rocketchat_token_id_file, err) &&
              exclusive(reader, node, "mattermost_webhook_url & mattermost_webhook_url_file",
                        g->mattermost_webhook_url, g->mattermost_webhook_url_file, err);
    if (!ok)
        return false;
    bool has_token = g->slack_app_token.len || g->slack_app_token_file.len;
    bool has_url = g->slack_api_url.len || g->slack_api_url_file.len;
    if (has_token && has_url && !str_equal(g->slack_api_url, g->slack_app_url))
        return config_error(reader, node, err,
                            "at most one of slack_app_token/slack_app_token_file & "
                            "slack_api_url/slack_api_url_file must be configured");
    size_t colon = str_rfind_char(g->smtp_smarthost, ':');
    if (g->smtp_smarthost.len && (colon == STR_NOT_FOUND || colon + 1 == g->smtp_smarthost.len))
        return config_error(reader, node, err, "address " STR_FMT ": port number must be given",
                            STR_ARG(str_sub(g->smtp_smarthost, 0, 200)));
    Str *urls[] = {
        &g->jira_api_url,       &g->slack_api_url,          &g->slack_app_url,
        &g->pagerduty_url,      &g->opsgenie_api_url,       &g->wechat_api_url,
        &g->victorops_api_url,  &g->telegram_api_url,       &g->webex_api_url,
        &g->rocketchat_api_url, &g->mattermost_webhook_url,
    };
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        if (!am_config_url(reader, node, urls[i], err))
            return false;
    g->opsgenie_api_url = am_config_with_slash(reader->arena, g->opsgenie_api_url);
    g->wechat_api_url = am_config_with_slash(reader->arena, g->wechat_api_url);
    g->victorops_api_url = am_config_with_slash(reader->arena, g->victorops_api_url);
    return true;
}

static const ConfigTable global_table =
    CONFIG_TABLE(AmGlobal, "global", global_fields, finish_global);

// ---- matchers, durations ----

static bool decode_matchers(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    const AmConfig *config = reader->context;
    AmMatchers *all = member;
    Matcher *items = NULL;
    size_t count = 0;
    if (node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_SEQUENCE)
        return config_error(reader, node, err, "matchers must be a list of strings");
    for (size_t i = 0; i < node->count; i++) {
        AmMatchers some;
        Error why = {0};
        if (node->items[i]->kind != YAML_SCALAR)
            return config_error(reader, node->items[i], err, "a matcher must be a string");
        if (!am_matchers_parse(node->items[i]->scalar, config->mode, reader->arena, &some, &why))
            return config_error(reader, node->items[i], err, "%s", why.text);
        items = arena_grow(reader->arena, items, count * sizeof *items,
                           (count + some.count + 1) * sizeof *items);
        memcpy(items + count, some.items, some.count * sizeof *items);
        for (size_t k = 0; k < some.count; k++) {
            Matcher *kept = ARENA_NEW(reader->arena, Matcher);
            *kept = some.items[k]; // owns the regex for the release
            config_on_release(reader, (void (*)(void *))matcher_deinit, kept);
        }
        count += some.count;
    }
    *all = (AmMatchers){items, count};
    am_matchers_sort(all);
    return true;
}

static void print_matchers(Buf *buf, int indent, const char *key, const void *member)
{
    const AmMatchers *matchers = member;
    if (matchers->count == 0)
        return;
    buf_printf(buf, "%*s%s:\n", indent, "", key);
    for (size_t i = 0; i < matchers->count; i++) {
        CLEANUP(buf_deinit) Buf text = {0};
        am_matcher_print(&text, &matchers->items[i]);
        buf_printf(buf, "%*s- ", indent, "");
        yaml_write_scalar(buf, buf_str(&text));
        buf_add_char(buf, '\n');
    }
}

static bool decode_duration(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    AmDuration duration = {.is_set = true};
    Error why = {0};
    if (node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_SCALAR || !duration_parse(node->scalar, &duration.ms, &why))
        return config_error(reader, node, err, "%s",
                            why.text[0] ? why.text : "a duration must be a string");
    *(AmDuration *)member = duration;
    return true;
}

static void print_duration(Buf *buf, int indent, const char *key, const void *member)
{
    const AmDuration *duration = member;
    if (!duration->is_set)
        return;
    buf_printf(buf, "%*s%s: ", indent, "", key);
    buf_add_duration(buf, duration->ms);
    buf_add_char(buf, '\n');
}

// ---- route ----

static const ConfigTable route_table;

#define DURATION(name, about)                                                                      \
    AM_FIELD(name, CONFIG_CUSTOM, about, .decode = decode_duration, .print = print_duration)
#define MATCHERS(name, about)                                                                      \
    AM_FIELD(name, CONFIG_CUSTOM, about, .decode = decode_matchers, .print = print_matchers)
#define OWNER AmRouteConfig
static const ConfigField route_fields[] = {
    TEXT(receiver, "who is told"),
    {.key = "group_by",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(AmRouteConfig, group_by),
     .present_offset = offsetof(AmRouteConfig, has_group_by),
     .help = "labels by which alerts are grouped; '...' is all"},
    AM_FIELD(match, CONFIG_STR_MAP, "old form of matchers: labels and values"),
    AM_FIELD(match_re, CONFIG_STR_MAP, "old form of matchers: labels and regexes"),
    MATCHERS(matchers, "which alerts go here"),
    AM_FIELD(mute_time_intervals, CONFIG_STR_LIST, "when nothing is sent"),
    AM_FIELD(active_time_intervals, CONFIG_STR_LIST, "outside of these nothing is sent"),
    {.key = "continue",
     .kind = CONFIG_BOOL,
     .offset = offsetof(AmRouteConfig, goes_on),
     .always_print = true,
     .help = "later siblings are asked, too"},
    {.key = "routes",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AmRouteConfig, routes),
     .table = &route_table,
     .help = "children"},
    DURATION(group_wait, "how long a new group gathers alerts"),
    DURATION(group_interval, "how long a group waits before it tells of changes"),
    DURATION(repeat_interval, "how long before the same is told again"),
    AM_FIELD(labels, CONFIG_STR_MAP, "texts for templates, themselves templates"),
};
#undef OWNER

static bool classic_names(const ConfigReader *reader, const YamlNode *node, ConfigStrMap map,
                          Error *err)
{
    for (size_t i = 0; i < map.count; i++)
        if (!label_name_is_legacy(map.keys[i]))
            return config_error(reader, node, err, "invalid label name \"" STR_FMT "\"",
                                STR_ARG(str_sub(map.keys[i], 0, 200)));
    return true;
}

static bool check_regexes(const ConfigReader *reader, const YamlNode *node, ConfigStrMap map,
                          Error *err)
{
    for (size_t i = 0; i < map.count; i++) {
        Matcher m;
        Error why = {0};
        if (!am_matcher_init(&m, MATCH_REGEX, map.keys[i], map.values[i], reader->arena, &why))
            return config_error(reader, node, err, "%s", why.text);
        matcher_deinit(&m);
    }
    return true;
}

static bool label_name_fits(const ConfigReader *reader, Str name)
{
    const AmConfig *config = reader->context;
    return config->mode == AM_MATCHER_CLASSIC ? label_name_is_legacy(name) : name_is_utf8(name);
}

static bool check_group_by(const ConfigReader *reader, const YamlNode *node,
                           const AmRouteConfig *route, Error *err)
{
    const ConfigStrList *by = &route->group_by;
    size_t wildcards = 0;
    for (size_t i = 0; i < by->count; i++) {
        Str name = by->items[i];
        if (str_is(name, "...")) {
            wildcards++;
            continue;
        }
        if (!label_name_fits(reader, name))
            return config_error(reader, node, err,
                                "invalid label name \"" STR_FMT "\" in group_by list",
                                STR_ARG(str_sub(name, 0, 200)));
        for (size_t k = 0; k < i; k++)
            if (str_equal(by->items[k], name))
                return config_error(reader, node, err,
                                    "duplicated label \"" STR_FMT "\" in group_by",
                                    STR_ARG(str_sub(name, 0, 200)));
    }
    if (wildcards && wildcards < by->count)
        return config_error(
            reader, node, err,
            "cannot have wildcard group_by (`...`) and other labels at the same time");
    return true;
}

static bool finish_route(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    AmRouteConfig *route = object;
    route->node = node;
    if (!classic_names(reader, node, route->match, err) ||
        !classic_names(reader, node, route->match_re, err) ||
        !check_regexes(reader, node, route->match_re, err) ||
        !check_group_by(reader, node, route, err))
        return false;
    if (route->group_interval.is_set && route->group_interval.ms == 0)
        return config_error(reader, node, err, "group_interval cannot be zero");
    if (route->repeat_interval.is_set && route->repeat_interval.ms == 0)
        return config_error(reader, node, err, "repeat_interval cannot be zero");
    return true;
}

static const ConfigTable route_table =
    CONFIG_TABLE(AmRouteConfig, "route", route_fields, finish_route);

// ---- inhibit_rules ----

#define OWNER AmInhibitConfig
static const ConfigField inhibit_fields[] = {
    TEXT(name, "for people"),
    AM_FIELD(source_match, CONFIG_STR_MAP, "old form of source_matchers"),
    AM_FIELD(source_match_re, CONFIG_STR_MAP, "old form of source_matchers, regexes"),
    MATCHERS(source_matchers, "alerts that silence others"),
    AM_FIELD(target_match, CONFIG_STR_MAP, "old form of target_matchers"),
    AM_FIELD(target_match_re, CONFIG_STR_MAP, "old form of target_matchers, regexes"),
    MATCHERS(target_matchers, "alerts that are silenced"),
    AM_FIELD(equal, CONFIG_STR_LIST, "labels that must have equal values in both"),
};
#undef OWNER

static bool check_equal(const ConfigReader *reader, const YamlNode *node,
                        const ConfigStrList *names, Error *err)
{
    for (size_t i = 0; i < names->count; i++)
        if (!label_name_fits(reader, names->items[i]))
            return config_error(reader, node, err,
                                "invalid label name \"" STR_FMT "\" in equal list",
                                STR_ARG(str_sub(names->items[i], 0, 200)));
    return true;
}

static bool finish_inhibit(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const AmInhibitConfig *rule = object;
    return classic_names(reader, node, rule->source_match, err) &&
           classic_names(reader, node, rule->source_match_re, err) &&
           classic_names(reader, node, rule->target_match, err) &&
           classic_names(reader, node, rule->target_match_re, err) &&
           check_regexes(reader, node, rule->source_match_re, err) &&
           check_regexes(reader, node, rule->target_match_re, err) &&
           check_equal(reader, node, &rule->equal, err);
}

static const ConfigTable inhibit_table =
    CONFIG_TABLE(AmInhibitConfig, "inhibit_rule", inhibit_fields, finish_inhibit);

// ---- receivers ----

extern const ConfigTable receiver_webhook_table, receiver_email_table, receiver_pagerduty_table,
    receiver_opsgenie_table, receiver_wechat_table, receiver_slack_table, receiver_victorops_table,
    receiver_pushover_table, receiver_sns_table, receiver_telegram_table, receiver_discord_table,
    receiver_webex_table, receiver_msteams_table, receiver_msteamsv2_table, receiver_jira_table,
    receiver_incidentio_table, receiver_rocketchat_table, receiver_mattermost_table;

#define KIND(name, index)                                                                          \
    {                                                                                              \
        .key = #name "_configs", .kind = CONFIG_STRUCT_LIST,                                       \
        .offset = offsetof(AmReceiverConfig, kinds) + (index) * sizeof(ConfigList),                \
        .table = &receiver_##name##_table, .help = "integrations of this kind"                     \
    }
#define OWNER AmReceiverConfig
static const ConfigField receiver_fields[] = {
    TEXT(name, "what routes call it", .always_print = true),
    AM_FIELD(labels, CONFIG_STR_MAP, "labels by which the API finds it"),
    KIND(discord, AM_DISCORD),
    KIND(email, AM_EMAIL),
    KIND(incidentio, AM_INCIDENTIO),
    KIND(pagerduty, AM_PAGERDUTY),
    KIND(slack, AM_SLACK),
    KIND(webhook, AM_WEBHOOK),
    KIND(opsgenie, AM_OPSGENIE),
    KIND(wechat, AM_WECHAT),
    KIND(pushover, AM_PUSHOVER),
    KIND(victorops, AM_VICTOROPS),
    KIND(sns, AM_SNS),
    KIND(telegram, AM_TELEGRAM),
    KIND(webex, AM_WEBEX),
    KIND(msteams, AM_MSTEAMS),
    KIND(msteamsv2, AM_MSTEAMSV2),
    KIND(jira, AM_JIRA),
    KIND(rocketchat, AM_ROCKETCHAT),
    KIND(mattermost, AM_MATTERMOST),
};
#undef OWNER

// The label `name` is the receiver's name; labels are printed sorted.
static bool add_name_label(ConfigReader *reader, const YamlNode *node, AmReceiverConfig *receiver,
                           Error *err)
{
    ConfigStrMap *labels = &receiver->labels;
    for (size_t i = 0; i < labels->count; i++)
        if (str_is(labels->keys[i], "name")) {
            if (str_equal(labels->values[i], receiver->name))
                return true;
            return config_error(reader, node, err,
                                "label \"name\" of receiver \"" STR_FMT "\" must be its name",
                                STR_ARG(str_sub(receiver->name, 0, 200)));
        }
    size_t count = labels->count;
    Str *keys = ARENA_ARRAY(reader->arena, Str, count + 1);
    Str *values = ARENA_ARRAY(reader->arena, Str, count + 1);
    for (size_t i = 0; i < count; i++) {
        keys[i] = labels->keys[i];
        values[i] = labels->values[i];
    }
    keys[count] = S("name");
    values[count] = receiver->name;
    *labels = (ConfigStrMap){keys, values, count + 1};
    return true;
}

static bool finish_receiver(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    AmReceiverConfig *receiver = object;
    receiver->node = node;
    if (receiver->name.len == 0)
        return config_error(reader, node, err, "missing name in receiver");
    return add_name_label(reader, node, receiver, err);
}

static const ConfigTable receiver_table =
    CONFIG_TABLE(AmReceiverConfig, "receiver", receiver_fields, finish_receiver);

// ---- the file ----

#define OWNER AmFile
static const ConfigField file_fields[] = {
    {.key = "global",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(AmFile, global),
     .table = &global_table,
     .help = "defaults of receivers"},
    {.key = "route",
     .kind = CONFIG_STRUCT_PTR,
     .offset = offsetof(AmFile, route),
     .table = &route_table,
     .help = "root of the tree by which alerts find receivers"},
    {.key = "inhibit_rules",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AmFile, inhibit_rules),
     .table = &inhibit_table,
     .help = "alerts that silence others"},
    {.key = "receivers",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AmFile, receivers),
     .table = &receiver_table,
     .help = "who can be told"},
    AM_FIELD(templates, CONFIG_STR_LIST, "files with templates; may have wildcards",
             .always_print = true),
    {.key = "mute_time_intervals",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AmFile, mute_time_intervals),
     .table = &am_interval_table,
     .help = "old form of time_intervals"},
    {.key = "time_intervals",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AmFile, time_intervals),
     .table = &am_interval_table,
     .help = "named times for routes"},
    AM_FIELD(tracing, CONFIG_STRUCT_PTR, "where spans go", .table = &trace_config_table),
    AM_FIELD(event_recorder, CONFIG_STRUCT_PTR, "where events go, with the feature event-recorder",
             .table = &am_event_recorder_table),
};
#undef OWNER
static const ConfigTable file_table = CONFIG_TABLE(AmFile, "alertmanager.yml", file_fields, NULL);

// ---- checks across the file ----

const AmReceiverConfig *am_config_receiver(const AmConfig *config, Str name)
{
    const AmReceiverConfig *all = config->file.receivers.items;
    for (size_t i = 0; i < config->file.receivers.count; i++)
        if (str_equal(all[i].name, name))
            return &all[i];
    return NULL;
}

static const AmInterval *find_interval(const ConfigList *list, Str name)
{
    const AmInterval *all = list->items;
    for (size_t i = 0; i < list->count; i++)
        if (str_equal(all[i].name, name))
            return &all[i];
    return NULL;
}

const AmInterval *am_config_interval(const AmConfig *config, Str name)
{
    const AmInterval *found = find_interval(&config->file.time_intervals, name);
    return found ? found : find_interval(&config->file.mute_time_intervals, name);
}

static bool check_intervals(const AmConfig *config, const AmRouteConfig *route,
                            const ConfigStrList *names, Error *err)
{
    for (size_t i = 0; i < names->count; i++)
        if (!am_config_interval(config, names->items[i]))
            return config_error(&config->reader, route->node, err,
                                "undefined time interval \"" STR_FMT "\" used in route",
                                STR_ARG(str_sub(names->items[i], 0, 200)));
    return true;
}

static bool check_route(const AmConfig *config, const AmRouteConfig *route, Error *err)
{
    const AmRouteConfig *children = route->routes.items;
    if (route->receiver.len && !am_config_receiver(config, route->receiver))
        return config_error(&config->reader, route->node, err,
                            "undefined receiver \"" STR_FMT "\" used in route",
                            STR_ARG(str_sub(route->receiver, 0, 200)));
    if (!check_intervals(config, route, &route->mute_time_intervals, err) ||
        !check_intervals(config, route, &route->active_time_intervals, err))
        return false;
    for (size_t i = 0; i < route->routes.count; i++)
        if (!check_route(config, &children[i], err))
            return false;
    return true;
}

static bool check_root(const AmConfig *config, Error *err)
{
    const AmRouteConfig *root = config->file.route;
    const char *fault = NULL;
    if (root->receiver.len == 0)
        fault = "root route must specify a default receiver";
    else if (root->match.count || root->match_re.count || root->matchers.count)
        fault = "root route must not have any matchers";
    else if (root->mute_time_intervals.count)
        fault = "root route must not have any mute time intervals";
    else if (root->active_time_intervals.count)
        fault = "root route must not have any active time intervals";
    else if (root->goes_on)
        fault = "cannot have continue in root route";
    return fault ? config_error(&config->reader, root->node, err, "%s", fault) : true;
}

static bool check_unique(const AmConfig *config, const YamlNode *root, Error *err)
{
    const AmReceiverConfig *receivers = config->file.receivers.items;
    for (size_t i = 0; i < config->file.receivers.count; i++)
        if (am_config_receiver(config, receivers[i].name) != &receivers[i])
            return config_error(&config->reader, receivers[i].node, err,
                                "notification config name \"" STR_FMT "\" is not unique",
                                STR_ARG(str_sub(receivers[i].name, 0, 200)));
    const ConfigList *lists[] = {&config->file.mute_time_intervals, &config->file.time_intervals};
    for (size_t l = 0; l < 2; l++) {
        const AmInterval *all = lists[l]->items;
        for (size_t i = 0; i < lists[l]->count; i++)
            if (find_interval(lists[l], all[i].name) != &all[i] ||
                (l && find_interval(lists[0], all[i].name)))
                return config_error(&config->reader, root, err,
                                    "mute time interval \"" STR_FMT "\" is not unique",
                                    STR_ARG(str_sub(all[i].name, 0, 200)));
    }
    return true;
}

static bool complete_receivers(AmConfig *config, Error *err)
{
    AmReceiverConfig *receivers = config->file.receivers.items;
    for (size_t i = 0; i < config->file.receivers.count; i++)
        for (int k = 0; k < AM_KIND_COUNT; k++) {
            const AmReceiverKind *kind = am_receiver_kinds[k];
            char *item = receivers[i].kinds[k].items;
            for (size_t n = 0; n < receivers[i].kinds[k].count; n++, item += kind->table->bytes) {
                AmCommon *common = (AmCommon *)item;
                if (k != AM_EMAIL && !common->http)
                    common->http = &config->file.global.http;
                if (!kind->complete(&config->reader, &config->file.global, item, err))
                    return false;
            }
        }
    return true;
}

static void rebase_templates(AmConfig *config, Str folder)
{
    ConfigStrList *list = &config->file.templates;
    for (size_t i = 0; i < list->count; i++)
        if (folder.len && !str_starts_with(list->items[i], S("/")))
            list->items[i] = fs_join(&config->arena, folder, list->items[i]);
}

static bool check_all(AmConfig *config, const YamlNode *root, Error *err)
{
    if (!config->file.route)
        return config_error(&config->reader, root, err, "no route provided in config");
    return check_unique(config, root, err) && complete_receivers(config, err) &&
           check_root(config, err) && check_route(config, config->file.route, err);
}

static uint64_t text_hash(Str text)
{
    uint8_t digest[16];
    uint64_t hash = 0;
    md5(text, digest);
    for (int i = 5; i >= 0; i--)
        hash = hash << 8 | digest[i];
    return hash;
}

bool am_config_parse(Str text, Str name, Str folder, AmMatcherMode mode, AmConfig **ret_config,
                     Error *err)
{
    AmConfig *config = X_NEW(AmConfig);
    YamlNode *root;
    config->refs = 1;
    config->mode = mode;
    config->text = arena_str(&config->arena, text);
    config->hash = text_hash(text);
    config->reader = (ConfigReader){
        .arena = &config->arena,
        .file_name = arena_str(&config->arena, name),
        .folder = arena_str(&config->arena, folder),
        .context = config,
    };
    if (!config_yaml(config->text, config->reader.file_name, &config->arena, &root, err) ||
        !config_decode(&config->reader, &file_table, root, &config->file, err) ||
        !check_all(config, root, err)) {
        am_config_unref(config);
        return false;
    }
    rebase_templates(config, folder);
    *ret_config = config;
    return true;
}

bool am_config_load(Str path, AmMatcherMode mode, AmConfig **ret_config, Error *err)
{
    Arena arena = {0};
    Str text;
    size_t slash = str_rfind_char(path, '/');
    Str folder = slash == STR_NOT_FOUND ? STR_NONE : str_sub(path, 0, slash ? slash : 1);
    bool ok = fs_read_file(&fs_system, path, &arena, AM_CONFIG_BYTES_MAX, &text, err) &&
              am_config_parse(text, path, folder, mode, ret_config, err);
    arena_deinit(&arena);
    return ok;
}

AmConfig *am_config_ref(AmConfig *config)
{
    atomic_fetch_add(&config->refs, 1);
    return config;
}

void am_config_unref(AmConfig *config)
{
    if (!config || atomic_fetch_sub(&config->refs, 1) != 1)
        return;
    config_release(&config->reader);
    arena_deinit(&config->arena);
    free(config);
}

void am_config_print(Buf *buf, const AmConfig *config)
{
    config_print(buf, 0, &file_table, &config->file);
}
