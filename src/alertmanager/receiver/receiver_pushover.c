// SPDX-License-Identifier: Apache-2.0
// pushover: everything in the URL's parameters: alertmanager.md section 8.7.
#include "alertmanager/am_receiver.h"
#include "net/url.h"

#define API_URL "https://api.pushover.net/1/messages.json"

typedef struct Pushover {
    AmCommon common;
    Str user_key, user_key_file, token, token_file;
    Str title, message, url, url_title, device, sound, priority;
    int64_t retry, expire, ttl; // ns
    bool html, monospace;
} Pushover;

static void print_ttl(Buf *buf, int indent, const char *key, const void *member)
{
    if (*(const int64_t *)member)
        am_config_print_go_duration(buf, indent, key, member);
}

#define OWNER Pushover
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Pushover, "true"),
    AM_FIELD(user_key, CONFIG_SECRET, "whom to reach; a template"),
    AM_FIELD(user_key_file, CONFIG_STR, "file with it"),
    AM_FIELD(token, CONFIG_SECRET, "the application; a template"),
    AM_FIELD(token_file, CONFIG_STR, "file with it"),
    AM_FIELD(title, CONFIG_STR, "heading", .default_text = AM_TEMPLATE("pushover", "title")),
    AM_FIELD(message, CONFIG_STR, "text", .default_text = AM_TEMPLATE("pushover", "message")),
    AM_FIELD(url, CONFIG_STR, "a link", .default_text = AM_TEMPLATE("pushover", "url")),
    AM_FIELD(url_title, CONFIG_STR, "its text"),
    AM_FIELD(device, CONFIG_STR, "one device"),
    AM_FIELD(sound, CONFIG_STR, "a sound"),
    AM_FIELD(priority, CONFIG_STR, "-2 to 2",
             .default_text = "{{ if eq .Status \"firing\" }}2{{ else }}0{{ end }}"),
    AM_FIELD_GO_DURATION(retry, "how often to ask again", .default_text = "1m"),
    AM_FIELD_GO_DURATION(expire, "how long to ask", .default_text = "1h"),
    {.key = "ttl",
     .kind = CONFIG_CUSTOM,
     .offset = offsetof(Pushover, ttl),
     .help = "how long the message is kept",
     .decode = am_config_decode_go_duration,
     .print = print_ttl},
    AM_FIELD(html, CONFIG_BOOL, "the message is HTML"),
    AM_FIELD(monospace, CONFIG_BOOL, "letters of one width"),
};
const ConfigTable receiver_pushover_table =
    CONFIG_TABLE(Pushover, "pushover_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    const Pushover *po = config;
    const AmCommon *common = &po->common;
    (void)global;
    if (!po->user_key.len && !po->user_key_file.len)
        return config_error(reader, common->node, err,
                            "one of user_key or user_key_file must be configured");
    if (!po->token.len && !po->token_file.len)
        return config_error(reader, common->node, err,
                            "one of token or token_file must be configured");
    if (po->html && po->monospace)
        return config_error(reader, common->node, err,
                            "at most one of monospace & html must be configured");
    return am_receiver_one_of(reader, common, "user_key & user_key_file", po->user_key,
                              po->user_key_file, err) &&
           am_receiver_one_of(reader, common, "token & token_file", po->token, po->token_file, err);
}

static void add(Buf *url, const char *name, Str value)
{
    buf_printf(url, "%s%s=", str_find_char(buf_str(url), '?') == STR_NOT_FOUND ? "?" : "&", name);
    url_add_query_escaped(url, value);
}

// Sorted by name, as Go's url.Values.
static void add_params(AmSend *send, Buf *url, const Pushover *po, Str token, Str user)
{
    Arena *arena = send->arena;
    Str message = am_truncate_runes(
        arena, po->html ? am_send_html(send, po->message) : am_send_text(send, po->message), 1024);
    message = str_trim(message);
    Str device = am_send_text(send, po->device);
    Str sound = am_send_text(send, po->sound);
    add(url, "device", device);
    add(url, "expire", arena_printf(arena, "%lld", (long long)(po->expire / AM_S_NS)));
    if (po->html)
        add(url, "html", S("1"));
    add(url, "message", message.len ? message : S("(no details)"));
    if (po->monospace)
        add(url, "monospace", S("1"));
    add(url, "priority", am_send_text(send, po->priority));
    add(url, "retry", arena_printf(arena, "%lld", (long long)(po->retry / AM_S_NS)));
    add(url, "sound", sound);
    add(url, "title", am_truncate_runes(arena, am_send_text(send, po->title), 250));
    add(url, "token", token);
    if (po->ttl >= AM_S_NS)
        add(url, "ttl", arena_printf(arena, "%lld", (long long)(po->ttl / AM_S_NS)));
    add(url, "url", am_truncate_runes(arena, am_send_text(send, po->url), 512));
    add(url, "url_title", am_send_text(send, po->url_title));
    add(url, "user", user);
}

static AmStep step(AmSend *send, Error *err)
{
    const Pushover *po = send->config;
    CLEANUP(buf_deinit) Buf url = {0};
    Str user, token;
    if (send->step)
        return AM_CHECK(send, err);
    if (!am_send_secret(send, po->user_key, po->user_key_file, &user, err) ||
        !am_send_secret(send, po->token, po->token_file, &token, err))
        return AM_STEP_FAILED;
    buf_add_c(&url, API_URL);
    add_params(send, &url, po, am_send_text(send, token), am_send_text(send, user));
    if (!am_send_rendered(send, err))
        return AM_STEP_FAILED;
    return am_send_request(send, "POST", arena_str(send->arena, buf_str(&url)), S("text/plain"),
                           STR_NONE);
}

const AmReceiverKind receiver_pushover = {"pushover", &receiver_pushover_table, complete, step};
