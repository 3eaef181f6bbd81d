// SPDX-License-Identifier: Apache-2.0
// marathon_sd_configs: the tasks of Marathon's applications, a group for each application and a target for each port.
#include "base/random.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

typedef struct MarathonConfig {
    ConfigStrList servers;
    Str auth_token, auth_token_file;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} MarathonConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const MarathonConfig *config = object;
    if (config->servers.count == 0)
        return config_error(reader, node, err,
                            "marathon_sd: must contain at least one Marathon server");
    if (config->auth_token.len && config->auth_token_file.len)
        return config_error(
            reader, node, err,
            "marathon_sd: at most one of auth_token & auth_token_file must be configured");
    if (!config->auth_token.len && !config->auth_token_file.len)
        return true;
    if (config->http.basic_auth)
        return config_error(reader, node, err,
                            "marathon_sd: at most one of basic_auth, auth_token & auth_token_file "
                            "must be configured");
    if (config->http.authorization)
        return config_error(reader, node, err,
                            "marathon_sd: at most one of auth_token, auth_token_file & "
                            "authorization must be configured");
    return true;
}

static const ConfigField fields[] = {
    POLL_STRS(MarathonConfig, servers, "URLs; one of them is asked each time"),
    POLL_SECRET(MarathonConfig, auth_token, "of DC/OS"),
    POLL_FILE(MarathonConfig, auth_token_file, "file with the auth_token"),
    POLL_INTERVAL(MarathonConfig, "30s"),
    POLL_HTTP(MarathonConfig),
};

POLL_TABLE(marathon, MarathonConfig, fields, finish_config);

static size_t list_count(const JsonValue *list)
{
    return list && list->kind == JSON_ARRAY ? list->count : 0;
}

// Where an application's ports are told, and how.
typedef struct Ports {
    const JsonValue *list; // of mappings or definitions; NULL: only the tasks have ports
    const char *number;    // path of the port in an element; NULL: the tasks know
    const char *prefix;    // of its labels
    bool container_net;
} Ports;

static Ports ports_of(const JsonValue *app)
{
    static const char mapping[] = "__meta_marathon_port_mapping_label_";
    Ports ports = {.container_net = str_is(json_str_at(app, "networks.0.mode"), "container")};
    const char *number = ports.container_net ? "containerPort" : "hostPort";
    const JsonValue *own = json_at(app, "container.portMappings");
    const JsonValue *docker = json_at(app, "container.docker.portMappings");
    const JsonValue *definitions = json_at(app, "portDefinitions");
    if (list_count(own) || list_count(docker)) {
        ports.list = list_count(own) ? own : docker;
        ports.number = number;
        ports.prefix = mapping;
    } else if (list_count(definitions)) {
        ports.list = definitions;
        ports.number = json_bool_at(app, "requirePorts") ? "port" : NULL;
        ports.prefix = "__meta_marathon_port_definition_label_";
    }
    return ports;
}

static void add_task(GroupMaker *maker, const Ports *ports, const JsonValue *own,
                     const JsonValue *task)
{
    size_t count = ports->list ? ports->list->count : list_count(own);
    const JsonValue *task_ports = json_at(task, "ports");
    Str host = ports->container_net ? json_str_at(task, "ipAddresses.0.ipAddress") : STR_NONE;
    if (host.len == 0)
        host = json_str_at(task, "host");
    for (size_t i = 0; i < count; i++) {
        const JsonValue *element = ports->list ? &ports->list->items[i] : NULL;
        int64_t port = !element        ? json_i64_at(&own->items[i], "")
                       : ports->number ? json_i64_at(element, ports->number)
                                       : 0;
        if (port == 0 && list_count(task_ports) == count)
            port = json_i64_at(&task_ports->items[i], "");
        LabelsBuilder *labels = group_target(maker);
        meta_address(labels, host, port);
        meta_set(labels, "__meta_marathon_task", json_str_at(task, "id"));
        meta_setf(labels, "__meta_marathon_port_index", "%zu", i);
        if (element)
            meta_map(labels, ports->prefix, json_at(element, "labels"));
        group_add(maker);
    }
}

static void add_app(Round *round, const JsonValue *app)
{
    GroupMaker maker;
    const Ports ports = ports_of(app);
    const JsonValue *tasks = json_at(app, "tasks");
    const JsonValue *own =
        NULL; // without a list the first task's ports stand for all, as in the original
    group_begin(&maker, round->found, &round->arena, json_str_at(app, "id"));
    meta_set(&maker.group, "__meta_marathon_app", json_str_at(app, "id"));
    meta_set(&maker.group, "__meta_marathon_image", json_str_at(app, "container.docker.image"));
    meta_map(&maker.group, "__meta_marathon_app_label_", json_at(app, "labels"));
    for (size_t i = 0; i < list_count(tasks); i++) {
        if (!own && list_count(json_at(&tasks->items[i], "ports")))
            own = json_at(&tasks->items[i], "ports");
        add_task(&maker, &ports, own, &tasks->items[i]);
    }
    group_end(&maker);
}

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    const JsonValue *apps = json_at(answer->json, "apps");
    (void)arg;
    (void)err;
    for (size_t i = 0; i < list_count(apps); i++)
        add_app(round, &apps->items[i]);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const MarathonConfig *config = round->config;
    Str token = config->auth_token;
    uint64_t chance;
    if (config->auth_token_file.len &&
        !round_read_secret(round, config->auth_token_file, &token, err))
        return error_context(err, "unable to read auth token file");
    random_system(&chance, sizeof chance);
    Str server = config->servers.items[chance % config->servers.count];
    Str *header = ARENA_NEW(&round->arena, Str);
    *header = arena_printf(&round->arena, "Authorization: token=" STR_FMT, STR_ARG(token));
    Ask ask = {
        .url = arena_printf(&round->arena, STR_FMT "/v2/apps/?embed=apps.tasks", STR_ARG(server)),
        .headers = header,
        .header_count = token.len > 0,
        .take = take};
    round_ask(round, &ask);
    return true;
}

static const PollKind poll = {POLL_OFFSETS(MarathonConfig), .begin = begin};

POLL_KIND(marathon);
