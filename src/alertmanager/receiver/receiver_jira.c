// SPDX-License-Identifier: Apache-2.0
// jira: an issue is looked for, made or changed, and moved on: alertmanager.md section 8.12.
//
//     search --none, firing--> create
//        '-----found---------> update --its status differs--> transitions --> transition
#include <stdlib.h>

#include "alertmanager/am_receiver.h"
#include "codec/json_reader.h"

#define SUMMARY_RUNES_MAX 255
#define DESCRIPTION_RUNES_MAX 32767

typedef struct JiraText {
    Str text;
    AmTristate enable_update;
} JiraText;

typedef struct Jira {
    AmCommon common;
    Str api_url, api_type, project;
    JiraText summary, description;
    ConfigStrList labels;
    Str priority, issue_type, reopen_transition, resolve_transition, wont_fix_resolution;
    int64_t reopen_duration_ms;
    const YamlNode *fields;
} Jira;

static bool decode_text(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    JiraText *text = member;
    if (node->kind == YAML_SCALAR) {
        text->text = node->scalar;
        return true;
    }
    if (node->kind != YAML_MAPPING)
        return config_error(reader, node, err,
                            "must be a string or a map with template and enable_update");
    for (size_t i = 0; i < node->count; i++) {
        if (str_is(node->keys[i]->scalar, "template"))
            text->text = node->items[i]->scalar;
        else if (!str_is(node->keys[i]->scalar, "enable_update"))
            return config_error(reader, node->keys[i], err,
                                "field " STR_FMT " not found in jira text",
                                STR_ARG(str_sub(node->keys[i]->scalar, 0, 100)));
        else if (!am_config_decode_tristate(reader, node->items[i], &text->enable_update, err))
            return false;
    }
    return true;
}

static void print_text(Buf *buf, int indent, const char *key, const void *member)
{
    const JiraText *text = member;
    buf_printf(buf, "%*s%s:\n%*stemplate: ", indent, "", key, indent + 2, "");
    yaml_write_scalar(buf, text->text);
    buf_add_char(buf, '\n');
    am_config_print_tristate(buf, indent + 2, "enable_update", &text->enable_update);
}

#define OWNER Jira
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Jira, "true"),
    AM_FIELD(api_url, CONFIG_STR, "the API"),
    AM_FIELD(api_type, CONFIG_STR, "auto, cloud or datacenter", .default_text = "auto"),
    AM_FIELD(project, CONFIG_STR, "key of the project; a template"),
    {.key = "summary",
     .kind = CONFIG_CUSTOM,
     .offset = offsetof(Jira, summary),
     .help = "heading of the issue",
     .default_text = AM_TEMPLATE("jira", "summary"),
     .decode = decode_text,
     .print = print_text},
    {.key = "description",
     .kind = CONFIG_CUSTOM,
     .offset = offsetof(Jira, description),
     .help = "text of the issue",
     .default_text = AM_TEMPLATE("jira", "description"),
     .decode = decode_text,
     .print = print_text},
    AM_FIELD(labels, CONFIG_STR_LIST, "labels of the issue; templates"),
    AM_FIELD(priority, CONFIG_STR, "priority", .default_text = AM_TEMPLATE("jira", "priority")),
    AM_FIELD(issue_type, CONFIG_STR, "type of the issue"),
    AM_FIELD(reopen_transition, CONFIG_STR, "how an issue is opened again"),
    AM_FIELD(resolve_transition, CONFIG_STR, "how an issue is closed"),
    AM_FIELD(wont_fix_resolution, CONFIG_STR, "a resolution that stays closed"),
    {.key = "reopen_duration",
     .kind = CONFIG_DURATION,
     .offset = offsetof(Jira, reopen_duration_ms),
     .help = "how old a closed issue may be to be opened again"},
    AM_FIELD(fields, CONFIG_CUSTOM, "more fields of the issue", .decode = am_config_decode_node,
             .print = am_config_print_node),
};
const ConfigTable receiver_jira_table =
    CONFIG_TABLE(Jira, "jira_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Jira *jira = config;
    const YamlNode *node = jira->common.node;
    if (jira->project.len == 0)
        return config_error(reader, node, err, "missing project in jira_config");
    if (jira->issue_type.len == 0)
        return config_error(reader, node, err, "missing issue_type in jira_config");
    if (!str_is(jira->api_type, "auto") && !str_is(jira->api_type, "cloud") &&
        !str_is(jira->api_type, "datacenter"))
        return config_error(reader, node, err,
                            "unknown api_type on jira_config, must be cloud, datacenter or auto");
    if (jira->fields && jira->fields->kind != YAML_MAPPING)
        return config_error(reader, jira->fields, err, "fields must be a map");
    if (!am_config_url(reader, node, &jira->api_url, err))
        return false;
    if (jira->api_url.len == 0)
        jira->api_url = global->jira_api_url;
    return jira->api_url.len || config_error(reader, node, err, "no global Jira Cloud URL set");
}

typedef enum JiraPhase { JIRA_SEARCH, JIRA_ISSUE, JIRA_TRANSITIONS, JIRA_LAST } JiraPhase;

typedef struct JiraWork {
    JiraPhase phase;
    Str key, status_category;
    bool found;
    Str transition;
} JiraWork;

static AmStep request(AmSend *send, const char *method, Str url, Buf *body, Error *err)
{
    am_send_header(send, "Accept-Language", S("en"));
    AmStep step = am_send_finish(send, url, body, err);
    send->request.method = str_from_c(method);
    return step;
}

static Str base_url(const Jira *jira)
{
    Str url = jira->api_url;
    while (str_ends_with(url, S("/")))
        url.len--;
    return url;
}

static bool is_cloud(const Jira *jira)
{
    if (!str_is(jira->api_type, "auto"))
        return str_is(jira->api_type, "cloud");
    Str rest = str_skip(jira->api_url, str_find(jira->api_url, S("://")) + 3);
    Str host = str_sub(rest, 0, str_find_char(rest, '/'));
    return str_ends_with(str_sub(host, 0, str_find_char(host, ':')), S("atlassian.net"));
}

static Str search_url(AmSend *send, const Jira *jira)
{
    Str base = base_url(jira);
    if (!is_cloud(jira))
        return arena_printf(send->arena, STR_FMT "/search", STR_ARG(base));
    size_t at = str_find(base, S("/rest/api/2"));
    if (at == STR_NOT_FOUND)
        return arena_printf(send->arena, STR_FMT "/search/jql", STR_ARG(base));
    return arena_printf(send->arena, STR_FMT "/rest/api/3" STR_FMT "/search/jql",
                        STR_ARG(str_sub(base, 0, at)),
                        STR_ARG(str_skip(base, at + strlen("/rest/api/2"))));
}

static AmStep search(AmSend *send, const Jira *jira, Error *err)
{
    CLEANUP(buf_deinit) Buf jql = {0};
    Buf body = {0};
    JsonWriter json;
    Str project = am_send_text(send, jira->project);
    if (jira->wont_fix_resolution.len)
        buf_printf(&jql, "(resolution is EMPTY or resolution != \"" STR_FMT "\") and ",
                   STR_ARG(am_send_text(send, jira->wont_fix_resolution)));
    if (!send->data->firing || !jira->reopen_transition.len || jira->reopen_duration_ms == 0)
        buf_add_c(&jql, "statusCategory != Done and ");
    else
        buf_printf(&jql, "(resolutiondate is EMPTY OR resolutiondate >= -%lldm) and ",
                   (long long)(jira->reopen_duration_ms / 60000));
    buf_printf(&jql,
               "project=\"" STR_FMT "\" and labels=\"ALERT{" STR_FMT
               "}\" order by status ASC,resolutiondate DESC",
               STR_ARG(project), STR_ARG(am_send_key(send)));
    json_writer_init(&json, &body);
    json_object(&json);
    json_key(&json, S("fields"));
    json_array(&json);
    json_str(&json, S("status"));
    json_array_end(&json);
    json_key_str(&json, "jql", buf_str(&jql));
    json_key_i64(&json, "maxResults", 2);
    json_object_end(&json);
    return request(send, "POST", search_url(send, jira), &body, err);
}

static Str text_member(const JsonValue *object, const char *key)
{
    const JsonValue *value = object ? json_get(object, str_from_c(key)) : NULL;
    return value && value->kind == JSON_STRING ? value->str : STR_NONE;
}

static bool take_search(AmSend *send, JiraWork *work, Error *err)
{
    JsonValue *answer;
    if (!json_read(send->response->body, send->arena, &answer, err))
        return false;
    const JsonValue *issues = json_get(answer, S("issues"));
    if (!issues || issues->kind != JSON_ARRAY || issues->count == 0)
        return true;
    const JsonValue *issue = &issues->items[0];
    const JsonValue *issue_fields = json_get(issue, S("fields"));
    const JsonValue *status = issue_fields ? json_get(issue_fields, S("status")) : NULL;
    const JsonValue *category = status ? json_get(status, S("statusCategory")) : NULL;
    work->found = true;
    work->key = arena_str(send->arena, text_member(issue, "key"));
    work->status_category = arena_str(send->arena, text_member(category, "key"));
    return true;
}

static int compare_str(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static void add_labels(AmSend *send, JsonWriter *json, const Jira *jira)
{
    size_t count = jira->labels.count;
    Str *all = ARENA_ARRAY(send->arena, Str, count + 1);
    for (size_t i = 0; i < count; i++)
        all[i] = am_send_text(send, jira->labels.items[i]);
    all[count++] = arena_printf(send->arena, "ALERT{" STR_FMT "}", STR_ARG(am_send_key(send)));
    qsort(all, count, sizeof *all, compare_str);
    json_key(json, S("labels"));
    json_array(json);
    for (size_t i = 0; i < count; i++)
        json_str(json, all[i]);
    json_array_end(json);
}

static bool may_update(const JiraText *text, bool found)
{
    return !found || !text->enable_update.is_set || text->enable_update.value;
}

static void add_named(AmSend *send, JsonWriter *json, const char *key, const char *name, Str text)
{
    json_key(json, str_from_c(key));
    json_object(json);
    am_send_member(send, json, name, text, true);
    json_object_end(json);
}

// A document of Atlassian's format stands as it is where the API wants one.
static void add_description(AmSend *send, JsonWriter *json, const Jira *jira)
{
    JsonValue *document;
    Error fault = {0};
    Str text = am_truncate_runes(send->arena, am_send_text(send, jira->description.text),
                                 DESCRIPTION_RUNES_MAX);
    if (text.len == 0)
        return;
    if (!str_ends_with(base_url(jira), S("/3"))) {
        json_key_str(json, "description", text);
        return;
    }
    json_key(json, S("description"));
    if (json_read(text, send->arena, &document, &fault)) {
        json_raw(json, text);
        return;
    }
    json_null(json);
    if (!send->render_failed) {
        send->render_failed = true;
        error_set(&send->render_error, ERR_INVALID, "description is no JSON: %s", fault.text);
    }
}

static void add_issue(AmSend *send, JsonWriter *json, const Jira *jira, bool found)
{
    Str priority = am_send_text(send, jira->priority);
    json_object(json);
    json_key(json, S("fields"));
    json_object(json);
    for (size_t i = 0; jira->fields && i < jira->fields->count; i++) {
        json_key(json, am_send_text(send, jira->fields->keys[i]->scalar));
        am_send_tree(send, json, jira->fields->items[i]);
    }
    if (may_update(&jira->description, found))
        add_description(send, json, jira);
    add_named(send, json, "issuetype", "name", jira->issue_type);
    add_labels(send, json, jira);
    if (priority.len)
        add_named(send, json, "priority", "name", priority);
    add_named(send, json, "project", "key", jira->project);
    if (may_update(&jira->summary, found))
        json_key_str(json, "summary",
                     am_truncate_runes(send->arena, am_send_text(send, jira->summary.text),
                                       SUMMARY_RUNES_MAX));
    json_object_end(json);
    json_object_end(json);
}

static AmStep put_issue(AmSend *send, const Jira *jira, JiraWork *work, Error *err)
{
    Buf body = {0};
    JsonWriter json;
    Str base = base_url(jira);
    json_writer_init(&json, &body);
    add_issue(send, &json, jira, work->found);
    if (!work->found)
        return request(send, "POST", arena_printf(send->arena, STR_FMT "/issue", STR_ARG(base)),
                       &body, err);
    return request(
        send, "PUT",
        arena_printf(send->arena, STR_FMT "/issue/" STR_FMT, STR_ARG(base), STR_ARG(work->key)),
        &body, err);
}

// The transition that the issue needs, or none.
static Str wanted_transition(AmSend *send, const Jira *jira, const JiraWork *work)
{
    bool done = str_is(work->status_category, "done");
    if (!work->found)
        return STR_NONE;
    if (send->data->firing)
        return done ? am_send_text(send, jira->reopen_transition) : STR_NONE;
    return done ? STR_NONE : am_send_text(send, jira->resolve_transition);
}

static AmStep ask_transitions(AmSend *send, const Jira *jira, const JiraWork *work)
{
    am_send_header(send, "Accept-Language", S("en"));
    return am_send_request(send, "GET",
                           arena_printf(send->arena, STR_FMT "/issue/" STR_FMT "/transitions",
                                        STR_ARG(base_url(jira)), STR_ARG(work->key)),
                           STR_NONE, STR_NONE);
}

static AmStep do_transition(AmSend *send, const Jira *jira, const JiraWork *work, Error *err)
{
    Buf body = {0};
    JsonWriter json;
    JsonValue *answer;
    Str id = STR_NONE;
    if (!json_read(send->response->body, send->arena, &answer, err))
        return AM_STEP_FAILED;
    const JsonValue *all = json_get(answer, S("transitions"));
    for (size_t i = 0; all && all->kind == JSON_ARRAY && i < all->count; i++)
        if (str_equal(text_member(&all->items[i], "name"), work->transition))
            id = text_member(&all->items[i], "id");
    if (id.len == 0)
        return am_send_fail(send, err, "can't find transition " STR_FMT " for issue " STR_FMT,
                            STR_ARG(work->transition), STR_ARG(work->key));
    json_writer_init(&json, &body);
    json_object(&json);
    json_key(&json, S("transition"));
    json_object(&json);
    json_key_str(&json, "id", id);
    json_object_end(&json);
    json_object_end(&json);
    return request(send, "POST",
                   arena_printf(send->arena, STR_FMT "/issue/" STR_FMT "/transitions",
                                STR_ARG(base_url(jira)), STR_ARG(work->key)),
                   &body, err);
}

static AmStep step(AmSend *send, Error *err)
{
    const Jira *jira = send->config;
    JiraWork *work = send->scratch;
    if (send->step == 0) {
        send->scratch = ARENA_NEW(send->arena, JiraWork);
        return search(send, jira, err);
    }
    AmStep done = AM_CHECK(send, err, 429);
    if (send->response->err)
        send->retry = false; // nobody knows what was done
    if (done != AM_STEP_DONE)
        return done;
    switch (work->phase) {
    case JIRA_SEARCH:
        if (!take_search(send, work, err))
            return AM_STEP_FAILED;
        if (!work->found && !send->data->firing)
            return AM_STEP_DONE;
        work->phase = JIRA_ISSUE;
        return put_issue(send, jira, work, err);
    case JIRA_ISSUE:
        work->transition = wanted_transition(send, jira, work);
        if (work->transition.len == 0)
            return AM_STEP_DONE;
        work->phase = JIRA_TRANSITIONS;
        return ask_transitions(send, jira, work);
    case JIRA_TRANSITIONS:
        work->phase = JIRA_LAST;
        return do_transition(send, jira, work, err);
    case JIRA_LAST:
        break;
    }
    return AM_STEP_DONE;
}

const AmReceiverKind receiver_jira = {"jira", &receiver_jira_table, complete, step};
