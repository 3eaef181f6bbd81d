// SPDX-License-Identifier: Apache-2.0
// am_config.h: a whole alertmanager.yml as one generation: read, checked across its parts, printed back as the original does.
//
// After am_config_load() each receiver's settings are complete: what it left out has come from `global`.
#pragma once

#include "alertmanager/am_event_config.h"
#include "alertmanager/am_interval.h"
#include "alertmanager/am_matcher.h"
#include "net/trace_export.h"

// A duration that may be absent.
typedef struct AmDuration {
    int64_t ms;
    bool is_set;
} AmDuration;

// true, false or not said.
typedef struct AmTristate {
    bool value;
    bool is_set;
} AmTristate;

typedef struct AmGlobal {
    int64_t resolve_timeout_ms;
    HttpClientConfig http;
    Str jira_api_url;
    Str smtp_from, smtp_hello, smtp_smarthost;
    Str smtp_auth_username, smtp_auth_password, smtp_auth_password_file;
    Str smtp_auth_secret, smtp_auth_secret_file, smtp_auth_identity;
    bool smtp_require_tls;
    HttpTlsConfig smtp_tls;
    AmTristate smtp_force_implicit_tls;
    Str slack_api_url, slack_api_url_file, slack_app_token, slack_app_token_file, slack_app_url;
    Str pagerduty_url;
    Str opsgenie_api_url, opsgenie_api_key, opsgenie_api_key_file;
    Str wechat_api_url, wechat_api_secret, wechat_api_secret_file, wechat_api_corp_id;
    Str victorops_api_url, victorops_api_key, victorops_api_key_file;
    Str telegram_api_url, telegram_bot_token, telegram_bot_token_file;
    Str webex_api_url;
    Str rocketchat_api_url;
    Str rocketchat_token, rocketchat_token_file, rocketchat_token_id, rocketchat_token_id_file;
    Str mattermost_webhook_url, mattermost_webhook_url_file;
} AmGlobal;

typedef struct AmRouteConfig AmRouteConfig;
struct AmRouteConfig {
    Str receiver;
    ConfigStrList group_by;
    bool has_group_by;
    ConfigStrMap match, match_re;
    AmMatchers matchers;
    ConfigStrList mute_time_intervals, active_time_intervals;
    bool goes_on;      // continue
    ConfigList routes; // AmRouteConfig
    AmDuration group_wait, group_interval, repeat_interval;
    ConfigStrMap labels;
    const YamlNode *node;
};

typedef struct AmInhibitConfig {
    Str name;
    ConfigStrMap source_match, source_match_re;
    AmMatchers source_matchers;
    ConfigStrMap target_match, target_match_re;
    AmMatchers target_matchers;
    ConfigStrList equal;
} AmInhibitConfig;

// The kinds of integrations in the order in which a receiver builds them.
typedef enum AmKind {
    AM_WEBHOOK,
    AM_EMAIL,
    AM_PAGERDUTY,
    AM_OPSGENIE,
    AM_WECHAT,
    AM_SLACK,
    AM_VICTOROPS,
    AM_PUSHOVER,
    AM_SNS,
    AM_TELEGRAM,
    AM_DISCORD,
    AM_WEBEX,
    AM_MSTEAMS,
    AM_MSTEAMSV2,
    AM_JIRA,
    AM_INCIDENTIO,
    AM_ROCKETCHAT,
    AM_MATTERMOST,
    AM_KIND_COUNT
} AmKind;

typedef struct AmReceiverConfig {
    Str name;
    ConfigStrMap labels;             // with `name`
    ConfigList kinds[AM_KIND_COUNT]; // each item begins with an AmCommon
    const YamlNode *node;
} AmReceiverConfig;

typedef struct AmFile {
    AmGlobal global;
    AmRouteConfig *route;
    ConfigList inhibit_rules;        // AmInhibitConfig
    ConfigList receivers;            // AmReceiverConfig
    ConfigStrList templates;         // paths with wildcards
    ConfigList mute_time_intervals;  // AmInterval
    ConfigList time_intervals;       // AmInterval
    TraceConfig *tracing;            // NULL: absent
    AmEventRecorder *event_recorder; // NULL: absent
} AmFile;

typedef struct AmConfig {
    _Atomic int refs; // starts at 1
    Arena arena;
    ConfigReader reader;
    AmFile file;
    Str text;      // as it was read
    uint64_t hash; // first 6 bytes of the text's MD5, little endian
    AmMatcherMode mode;
} AmConfig;

#define AM_CONFIG_BYTES_MAX ((size_t)16 << 20)

bool am_config_load(Str path, AmMatcherMode mode, AmConfig **ret_config, Error *err) MUST_CHECK;
// `folder` is where relative paths begin.
bool am_config_parse(Str text, Str name, Str folder, AmMatcherMode mode, AmConfig **ret_config,
                     Error *err) MUST_CHECK;
AmConfig *am_config_ref(AmConfig *config);
void am_config_unref(AmConfig *config); // accepts NULL

void am_config_print(Buf *buf, const AmConfig *config);
const AmReceiverConfig *am_config_receiver(const AmConfig *config, Str name);
// From either list; NULL if there is none.
const AmInterval *am_config_interval(const AmConfig *config, Str name);

// For field tables of receivers.
#define AM_FIELD(name, of_kind, about, ...)                                                        \
    {                                                                                              \
        .key = #name, .kind = of_kind, .offset = offsetof(OWNER, name), .help = about,             \
        .omit_empty = true, ##__VA_ARGS__                                                          \
    }

// Checks an http(s) URL, writes it as Go's url.URL prints it; the text <secret> stays.
bool am_config_url(const ConfigReader *reader, const YamlNode *node, Str *url,
                   Error *err) MUST_CHECK;
// Adds the slash that the path lacks.
Str am_config_with_slash(Arena *arena, Str url);

// Custom members: a Go duration in int64_t ns ("1m0s" when printed), an AmTristate, a YAML tree kept as it is.
#define AM_FIELD_GO_DURATION(name, about, ...)                                                     \
    {                                                                                              \
        .key = #name, .kind = CONFIG_CUSTOM, .offset = offsetof(OWNER, name), .help = about,       \
        .decode = am_config_decode_go_duration, .print = am_config_print_go_duration,              \
        ##__VA_ARGS__                                                                              \
    }
bool am_config_decode_go_duration(ConfigReader *reader, const YamlNode *node, void *member,
                                  Error *err);
void am_config_print_go_duration(Buf *buf, int indent, const char *key, const void *member);
bool am_config_decode_tristate(ConfigReader *reader, const YamlNode *node, void *member,
                               Error *err);
void am_config_print_tristate(Buf *buf, int indent, const char *key, const void *member);
bool am_config_decode_node(ConfigReader *reader, const YamlNode *node, void *member, Error *err);
void am_config_print_node(Buf *buf, int indent, const char *key, const void *member);
