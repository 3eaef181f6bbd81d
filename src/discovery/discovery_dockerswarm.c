// SPDX-License-Identifier: Apache-2.0
// dockerswarm_sd_configs: services, tasks or nodes of a swarm.
#include "discovery/discovery_moby.h"

#define PREFIX "__meta_dockerswarm_"

enum { ROLE_NONE, ROLE_SERVICES, ROLE_TASKS, ROLE_NODES };
static const char *const role_words[] = {"", "services", "tasks", "nodes", NULL};

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const MobyConfig *config = object;
    if (config->host.len == 0)
        return config_error(reader, node, err, "host missing");
    return config->role != ROLE_NONE ||
           config_error(reader, node, err, "role missing (one of: tasks, services, nodes)");
}

static const ConfigField fields[] = {
    POLL_URL(MobyConfig, host, "unix:///path, tcp://host:port, http or https URL",
             .always_print = true),
    POLL_ROLE(MobyConfig, role, role_words, "what becomes a target"),
    POLL_PORT(MobyConfig, "80"),
    {.key = "filters",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(MobyConfig, filters),
     .table = &moby_filter_table,
     .help = "which of them"},
    POLL_INTERVAL(MobyConfig, "1m"),
    POLL_HTTP(MobyConfig),
};

POLL_TABLE(dockerswarm, MobyConfig, fields, finish_config);

typedef struct State {
    const JsonValue *services;
    const JsonValue *tasks;
    const JsonValue *nodes;
    const JsonValue *networks;
} State;

static bool begin(Round *round, Error *err)
{
    const MobyConfig *config = round->config;
    State *state = round->state;
    (void)err;
    bool tasks = config->role == ROLE_TASKS;
    if (tasks)
        moby_get(round, "/tasks", true, &state->tasks);
    if (config->role != ROLE_NODES) {
        moby_get(round, "/services", !tasks, &state->services);
        moby_get(round, "/networks", false, &state->networks);
    }
    if (config->role != ROLE_SERVICES)
        moby_get(round, "/nodes", !tasks, &state->nodes);
    return true;
}

static const JsonValue *find_by_id(const JsonValue *list, Str id)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_equal(json_str_at(&list->items[i], "ID"), id))
            return &list->items[i];
    return NULL;
}

// ---- nodes ----

// The first NODE_ROWS_OF_TASKS of them stand at tasks, too.
#define NODE_ROWS_OF_TASKS 9
static const MetaRow node_rows[] = {
    {PREFIX "node_id", "ID", META_TEXT},
    {PREFIX "node_role", "Spec.Role", META_TEXT},
    {PREFIX "node_address", "Status.Addr", META_TEXT},
    {PREFIX "node_availability", "Spec.Availability", META_TEXT},
    {PREFIX "node_hostname", "Description.Hostname", META_TEXT},
    {PREFIX "node_platform_architecture", "Description.Platform.Architecture", META_TEXT},
    {PREFIX "node_platform_os", "Description.Platform.OS", META_TEXT},
    {PREFIX "node_status", "Status.State", META_TEXT},
    {PREFIX "node_label_", "Spec.Labels", META_MAP},
    {PREFIX "node_engine_version", "Description.Engine.EngineVersion", META_TEXT},
    {PREFIX "node_manager_reachability", "ManagerStatus.Reachability", META_TEXT},
    {PREFIX "node_manager_address", "ManagerStatus.Addr", META_TEXT},
};

static void add_nodes(const Round *round, GroupMaker *maker)
{
    const MobyConfig *config = round->config;
    const State *state = round->state;
    for (size_t i = 0; i < state->nodes->count; i++) {
        const JsonValue *node = &state->nodes->items[i];
        const JsonValue *manager = json_at(node, "ManagerStatus");
        LabelsBuilder *labels = group_target(maker);
        meta_rows(labels, node, node_rows, COUNT_OF(node_rows), STR_NONE);
        if (manager && manager->kind == JSON_OBJECT)
            meta_set_bool(labels, PREFIX "node_manager_leader", json_bool_at(manager, "Leader"));
        meta_address(labels, json_str_at(node, "Status.Addr"), config->port);
        group_add(maker);
    }
}

// ---- services ----

static const MetaRow service_rows[] = {
    {PREFIX "service_id", "ID", META_TEXT},
    {PREFIX "service_name", "Spec.Name", META_TEXT},
    {PREFIX "service_label_", "Spec.Labels", META_MAP},
};

static const MetaRow service_task_rows[] = {
    {PREFIX "service_task_container_hostname", "Spec.TaskTemplate.ContainerSpec.Hostname",
     META_TEXT},
    {PREFIX "service_task_container_image", "Spec.TaskTemplate.ContainerSpec.Image", META_TEXT},
    {PREFIX "service_updating_status", "UpdateStatus.State", META_TEXT},
};

static void label_service(LabelsBuilder *labels, const JsonValue *service)
{
    const JsonValue *global = json_at(service, "Spec.Mode.Global");
    const JsonValue *replicated = json_at(service, "Spec.Mode.Replicated");
    meta_rows(labels, service, service_rows, COUNT_OF(service_rows), STR_NONE);
    if (global && global->kind != JSON_NULL)
        meta_set(labels, PREFIX "service_mode", S("global"));
    else if (replicated && replicated->kind != JSON_NULL)
        meta_set(labels, PREFIX "service_mode", S("replicated"));
}

// The next TCP port of a list at or behind *index; NULL at its end.
static const JsonValue *next_tcp(const JsonValue *ports, size_t *index)
{
    while (ports && ports->kind == JSON_ARRAY && *index < ports->count) {
        const JsonValue *port = &ports->items[(*index)++];
        if (str_is(json_str_at(port, "Protocol"), "tcp"))
            return port;
    }
    return NULL;
}

static bool bad_address(Str text, Error *err)
{
    return error_set(err, ERR_INVALID, "error while parsing address " STR_FMT, STR_ARG(text));
}

static bool add_service(const Round *round, GroupMaker *maker, const JsonValue *service,
                        const JsonValue *ip, Error *err)
{
    const MobyConfig *config = round->config;
    const State *state = round->state;
    Str text = json_str_at(ip, "Addr");
    Str address;
    size_t index = 0;
    if (!moby_address_of_network(text, &address))
        return bad_address(text, err);
    const JsonValue *port = next_tcp(json_at(service, "Endpoint.Ports"), &index);
    do {
        LabelsBuilder *labels = group_target(maker);
        meta_set(labels, PREFIX "service_endpoint_port_name", json_str_at(port, "Name"));
        meta_set(labels, PREFIX "service_endpoint_port_publish_mode",
                 json_str_at(port, "PublishMode"));
        label_service(labels, service);
        meta_rows(labels, service, service_task_rows, COUNT_OF(service_task_rows), STR_NONE);
        moby_network_labels(labels, state->networks, json_str_at(ip, "NetworkID"), PREFIX);
        meta_address(labels, address, port ? json_i64_at(port, "PublishedPort") : config->port);
        group_add(maker);
    } while (port && (port = next_tcp(json_at(service, "Endpoint.Ports"), &index)) != NULL);
    return true;
}

static bool add_services(const Round *round, GroupMaker *maker, Error *err)
{
    const State *state = round->state;
    for (size_t i = 0; i < state->services->count; i++) {
        const JsonValue *service = &state->services->items[i];
        const JsonValue *ips = json_at(service, "Endpoint.VirtualIPs");
        for (size_t k = 0; ips && ips->kind == JSON_ARRAY && k < ips->count; k++)
            if (!add_service(round, maker, service, &ips->items[k], err))
                return false;
    }
    return true;
}

// ---- tasks ----

static const MetaRow task_rows[] = {
    {PREFIX "task_id", "ID", META_TEXT},
    {PREFIX "task_desired_state", "DesiredState", META_TEXT},
    {PREFIX "task_state", "Status.State", META_TEXT},
    {PREFIX "task_container_id", "Status.ContainerStatus.ContainerID", META_TEXT},
    {PREFIX "container_label_", "Spec.ContainerSpec.Labels", META_MAP},
};

typedef struct Task {
    const JsonValue *task;
    const JsonValue *service; // may be NULL
    const JsonValue *node;    // may be NULL
} Task;

static LabelsBuilder *task_target(GroupMaker *maker, const Task *task, const JsonValue *port)
{
    LabelsBuilder *labels = group_target(maker);
    meta_set(labels, PREFIX "task_port_publish_mode", json_str_at(port, "PublishMode"));
    meta_rows(labels, task->task, task_rows, COUNT_OF(task_rows), STR_NONE);
    meta_setf(labels, PREFIX "task_slot", "%lld", (long long)json_i64_at(task->task, "Slot"));
    if (task->service)
        label_service(labels, task->service);
    if (task->node)
        meta_rows(labels, task->node, node_rows, NODE_ROWS_OF_TASKS, STR_NONE);
    return labels;
}

static bool add_attachment(const Round *round, GroupMaker *maker, const Task *task,
                           const JsonValue *attachment, Error *err)
{
    const MobyConfig *config = round->config;
    const State *state = round->state;
    const JsonValue *addresses = json_at(attachment, "Addresses");
    const JsonValue *ports = json_at(task->service, "Endpoint.Ports");
    for (size_t i = 0; addresses && addresses->kind == JSON_ARRAY && i < addresses->count; i++) {
        Str text = meta_text(maker->scratch, &addresses->items[i]);
        Str address;
        size_t index = 0;
        if (!moby_address_of_network(text, &address))
            return bad_address(text, err);
        const JsonValue *port = next_tcp(ports, &index);
        do {
            LabelsBuilder *labels = task_target(maker, task, port);
            moby_network_labels(labels, state->networks, json_str_at(attachment, "Network.ID"),
                                PREFIX);
            meta_address(labels, address, port ? json_i64_at(port, "PublishedPort") : config->port);
            group_add(maker);
        } while (port && (port = next_tcp(ports, &index)) != NULL);
    }
    return true;
}

static bool add_task(const Round *round, GroupMaker *maker, const Task *task, Error *err)
{
    const JsonValue *attachments = json_at(task->task, "NetworksAttachments");
    const JsonValue *ports = json_at(task->task, "Status.PortStatus.Ports");
    size_t index = 0;
    for (const JsonValue *port; (port = next_tcp(ports, &index)) != NULL;) {
        LabelsBuilder *labels = task_target(maker, task, port);
        meta_address(labels, json_str_at(task->node, "Status.Addr"),
                     json_i64_at(port, "PublishedPort"));
        group_add(maker);
    }
    for (size_t i = 0; attachments && attachments->kind == JSON_ARRAY && i < attachments->count;
         i++)
        if (!add_attachment(round, maker, task, &attachments->items[i], err))
            return false;
    return true;
}

static bool add_tasks(const Round *round, GroupMaker *maker, Error *err)
{
    const State *state = round->state;
    for (size_t i = 0; i < state->tasks->count; i++) {
        const JsonValue *item = &state->tasks->items[i];
        Task task = {item, find_by_id(state->services, json_str_at(item, "ServiceID")),
                     find_by_id(state->nodes, json_str_at(item, "NodeID"))};
        if (!add_task(round, maker, &task, err))
            return false;
    }
    return true;
}

static bool finish(Round *round, Error *err)
{
    const MobyConfig *config = round->config;
    GroupMaker maker;
    bool ok = true;
    group_begin(&maker, round->found, &round->arena, S("DockerSwarm"));
    if (config->role == ROLE_NODES)
        add_nodes(round, &maker);
    else
        ok = config->role == ROLE_TASKS ? add_tasks(round, &maker, err)
                                        : add_services(round, &maker, err);
    group_end(&maker);
    return ok;
}

static const PollKind poll = {
    POLL_OFFSETS(MobyConfig),
    .state_bytes = sizeof(State),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(dockerswarm);
