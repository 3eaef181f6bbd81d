// SPDX-License-Identifier: Apache-2.0
// The role ecs of aws_sd_configs: the tasks of Amazon's container service in one region.
//
//     clusters --> services ---------------------------------------------------+
//            \--> tasks --> network cards, container instances --> machines ---+--> group
//
// All that is listed is described in batches as large as the API takes.
#include "base/map.h"
#include "codec/json_writer.h"
#include "discovery/discovery_aws.h"

#define PREFIX "__meta_ecs_"
#define EC2_VERSION "Version=2016-11-15"
#define CLUSTERS_AT_ONCE 100
#define SERVICES_AT_ONCE 10
#define TASKS_AT_ONCE 100

typedef struct Cluster {
    const JsonValue *json;
    Str arn;
    PageList services, tasks;
    struct Cluster *next;
} Cluster;

typedef struct State {
    Cluster *first, **last;
    PageList places;   // container instances
    PageList machines; // of EC2
    PageList cards;
    size_t tasks;
} State;

_Static_assert(sizeof(State) <= AWS_STATE_BYTES, "roles share the size of a state");

static void ask(Round *round, const char *action, Str body, TakeFn take, void *arg)
{
    Str target = arena_printf(&round->arena, "AmazonEC2ContainerServiceV20141113.%s", action);
    aws_ask_json(round, "ecs", str_to_c(&round->arena, target), body, take, arg);
}

// ---- requests ----

// {"cluster": .., "KEY": [texts], "include": ["TAGS"]}: `list` is of strings, `cluster` may be empty.
static Str describe_body(Round *round, Str cluster, const char *key, const JsonValue *texts,
                         size_t count, bool tags)
{
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter *json = ARENA_NEW(&round->arena, JsonWriter);
    json_writer_init(json, &body);
    json_object(json);
    if (cluster.len)
        json_key_str(json, "cluster", cluster);
    json_key(json, str_from_c(key));
    json_array(json);
    for (size_t i = 0; i < count; i++)
        json_str(json, meta_text(&round->arena, &texts[i]));
    json_array_end(json);
    if (tags) {
        json_key(json, S("include"));
        json_raw(json, S("[\"TAGS\"]"));
    }
    json_object_end(json);
    return arena_str(&round->arena, buf_str(&body));
}

// Describes what `texts` name, some at once.
static void describe(Round *round, const char *action, Str cluster, const char *key,
                     const JsonValue *list, size_t at_once, TakeFn take, void *arg)
{
    size_t count = list && list->kind == JSON_ARRAY ? list->count : 0;
    for (size_t at = 0; at < count; at += at_once) {
        size_t some = MIN(count - at, at_once);
        ask(round, action,
            describe_body(round, cluster, key, list->items + at, some,
                          strcmp(action, "DescribeContainerInstances") != 0),
            take, arg);
    }
}

static Str list_body(Round *round, const Cluster *cluster, Str token)
{
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter *json = ARENA_NEW(&round->arena, JsonWriter);
    json_writer_init(json, &body);
    json_object(json);
    if (cluster)
        json_key_str(json, "cluster", cluster->arn);
    json_key_i64(json, "maxResults", 100);
    if (token.len)
        json_key_str(json, "nextToken", token);
    json_object_end(json);
    return arena_str(&round->arena, buf_str(&body));
}

// ---- machines and network cards ----

// "&NAME.1=a&NAME.2=b" of texts without repetition; empty if there are none.
typedef struct Names {
    Buf form;
    const char *name;
    Map seen;
    size_t count;
} Names;

static void names_add(Names *names, Round *round, Str text)
{
    if (text.len == 0 || map_get(&names->seen, text))
        return;
    map_put(&names->seen, text, names);
    buf_printf(&names->form, "&%s.%zu=" STR_FMT, names->name, ++names->count,
               STR_ARG(poll_query_escaped(&round->arena, text)));
}

static void names_deinit(Names *names)
{
    buf_deinit(&names->form);
    map_deinit(&names->seen);
}

static void ask_ec2(Round *round, const char *action, const Names *names, TakeFn take)
{
    if (names->count)
        aws_ask_ec2(round,
                    arena_printf(&round->arena, "Action=%s&" EC2_VERSION STR_FMT, action,
                                 STR_ARG(buf_str(&names->form))),
                    take, NULL);
}

static bool take_machines(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    const JsonValue *reservations = json_at(answer->json, "reservationSet");
    const JsonValue *reservation, *machine;
    (void)arg;
    (void)err;
    for (size_t i = 0; (reservation = aws_item(reservations, i)) != NULL; i++)
        for (size_t k = 0; (machine = aws_item(json_at(reservation, "instancesSet"), k)); k++)
            page_list_add(round, &state->machines, machine);
    return true;
}

static bool take_cards(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    const JsonValue *cards = json_at(answer->json, "networkInterfaceSet");
    const JsonValue *card;
    (void)arg;
    (void)err;
    for (size_t i = 0; (card = aws_item(cards, i)) != NULL; i++)
        page_list_add(round, &state->cards, card);
    return true;
}

static bool take_places(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    CLEANUP(names_deinit) Names names = {.name = "InstanceId"};
    const JsonValue *places = json_at(answer->json, "containerInstances");
    const JsonValue *place;
    (void)arg;
    (void)err;
    for (size_t i = 0; (place = aws_item(places, i)) != NULL; i++) {
        page_list_add(round, &state->places, place);
        names_add(&names, round, json_str_at(place, "ec2InstanceId"));
    }
    ask_ec2(round, "DescribeInstances", &names, take_machines);
    return true;
}

// ---- tasks ----

// The network card of a task in mode awsvpc; NULL: it uses the machine's.
static const JsonValue *card_of(const JsonValue *task)
{
    const JsonValue *attachments = json_at(task, "attachments");
    const JsonValue *attachment;
    for (size_t i = 0; (attachment = aws_item(attachments, i)) != NULL; i++)
        if (str_is(json_str_at(attachment, "type"), "ElasticNetworkInterface"))
            return json_at(attachment, "details");
    return NULL;
}

static Str detail(const JsonValue *details, const char *name)
{
    const JsonValue *item;
    for (size_t i = 0; (item = aws_item(details, i)) != NULL; i++)
        if (str_is(json_str_at(item, "name"), name))
            return json_str_at(item, "value");
    return STR_NONE;
}

// Each container instance of the tasks once, as a JSON list.
static JsonValue places_of(Round *round, const JsonValue *tasks)
{
    size_t count = tasks && tasks->kind == JSON_ARRAY ? tasks->count : 0;
    JsonValue list = {.kind = JSON_ARRAY, .items = ARENA_ARRAY(&round->arena, JsonValue, count)};
    Map seen = {0};
    for (size_t i = 0; i < count; i++) {
        Str arn = json_str_at(&tasks->items[i], "containerInstanceArn");
        if (arn.len == 0 || map_put(&seen, arn, round))
            continue;
        list.items[list.count++] = (JsonValue){.kind = JSON_STRING, .str = arn};
    }
    map_deinit(&seen);
    return list;
}

static bool take_tasks(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    Cluster *cluster = arg;
    CLEANUP(names_deinit) Names names = {.name = "NetworkInterfaceId"};
    const JsonValue *tasks = json_at(answer->json, "tasks");
    const JsonValue *task;
    for (size_t i = 0; (task = aws_item(tasks, i)) != NULL; i++) {
        page_list_add(round, &cluster->tasks, task);
        names_add(&names, round, detail(card_of(task), "networkInterfaceId"));
        if (++state->tasks > DISCOVERY_TARGETS_MAX)
            return error_set(err, ERR_LIMIT, "more than %d tasks", DISCOVERY_TARGETS_MAX);
    }
    ask_ec2(round, "DescribeNetworkInterfaces", &names, take_cards);
    JsonValue places = places_of(round, tasks);
    describe(round, "DescribeContainerInstances", cluster->arn, "containerInstances", &places,
             TASKS_AT_ONCE, take_places, NULL);
    return true;
}

static bool take_task_arns(Round *round, const Answer *answer, void *arg, Error *err)
{
    Cluster *cluster = arg;
    Str token = json_str_at(answer->json, "nextToken");
    (void)err;
    describe(round, "DescribeTasks", cluster->arn, "tasks", json_at(answer->json, "taskArns"),
             TASKS_AT_ONCE, take_tasks, cluster);
    if (token.len)
        ask(round, "ListTasks", list_body(round, cluster, token), take_task_arns, cluster);
    return true;
}

// ---- services and clusters ----

static bool take_services(Round *round, const Answer *answer, void *arg, Error *err)
{
    Cluster *cluster = arg;
    const JsonValue *services = json_at(answer->json, "services");
    const JsonValue *service;
    (void)err;
    for (size_t i = 0; (service = aws_item(services, i)) != NULL; i++)
        page_list_add(round, &cluster->services, service);
    return true;
}

static bool take_service_arns(Round *round, const Answer *answer, void *arg, Error *err)
{
    Cluster *cluster = arg;
    Str token = json_str_at(answer->json, "nextToken");
    (void)err;
    describe(round, "DescribeServices", cluster->arn, "services",
             json_at(answer->json, "serviceArns"), SERVICES_AT_ONCE, take_services, cluster);
    if (token.len)
        ask(round, "ListServices", list_body(round, cluster, token), take_service_arns, cluster);
    return true;
}

static bool take_clusters(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    const JsonValue *clusters = json_at(answer->json, "clusters");
    const JsonValue *json;
    (void)arg;
    (void)err;
    for (size_t i = 0; (json = aws_item(clusters, i)) != NULL; i++) {
        Cluster *cluster = ARENA_NEW(&round->arena, Cluster);
        cluster->json = json;
        cluster->arn = json_str_at(json, "clusterArn");
        if (cluster->arn.len == 0)
            continue;
        *state->last = cluster;
        state->last = &cluster->next;
        ask(round, "ListServices", list_body(round, cluster, STR_NONE), take_service_arns, cluster);
        ask(round, "ListTasks", list_body(round, cluster, STR_NONE), take_task_arns, cluster);
    }
    return true;
}

static bool take_cluster_arns(Round *round, const Answer *answer, void *arg, Error *err)
{
    Str token = json_str_at(answer->json, "nextToken");
    (void)arg;
    (void)err;
    describe(round, "DescribeClusters", STR_NONE, "clusters", json_at(answer->json, "clusterArns"),
             CLUSTERS_AT_ONCE, take_clusters, NULL);
    if (token.len)
        ask(round, "ListClusters", list_body(round, NULL, token), take_cluster_arns, NULL);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const AwsConfig *config = round->config;
    State *state = round->state;
    (void)err;
    state->last = &state->first;
    if (config->clusters.count == 0) {
        ask(round, "ListClusters", list_body(round, NULL, STR_NONE), take_cluster_arns, NULL);
        return true;
    }
    JsonValue named = {.kind = JSON_ARRAY,
                       .items = ARENA_ARRAY(&round->arena, JsonValue, config->clusters.count),
                       .count = config->clusters.count};
    for (size_t i = 0; i < named.count; i++)
        named.items[i] = (JsonValue){.kind = JSON_STRING, .str = config->clusters.items[i]};
    describe(round, "DescribeClusters", STR_NONE, "clusters", &named, CLUSTERS_AT_ONCE,
             take_clusters, NULL);
    return true;
}

// ---- labels ----

static const MetaRow task_rows[] = {
    {PREFIX "task_group", "group", META_TEXT},
    {PREFIX "task_arn", "taskArn", META_TEXT},
    {PREFIX "task_definition", "taskDefinitionArn", META_TEXT},
    {PREFIX "launch_type", "launchType", META_TEXT},
    {PREFIX "availability_zone", "availabilityZone", META_TEXT},
    {PREFIX "desired_status", "desiredStatus", META_TEXT},
    {PREFIX "last_status", "lastStatus", META_TEXT},
    {PREFIX "health_status", "healthStatus", META_TEXT},
    {PREFIX "container_instance_arn", "containerInstanceArn", META_TEXT},
    {PREFIX "platform_family", "platformFamily", META_TEXT},
    {PREFIX "platform_version", "platformVersion", META_TEXT},
};

static const MetaRow service_rows[] = {
    {PREFIX "service", "serviceName", META_TEXT},
    {PREFIX "service_arn", "serviceArn", META_TEXT},
    {PREFIX "service_status", "status", META_TEXT},
};

// What was described, by its name or ID.
typedef struct Known {
    Map places, machines, cards, services;
} Known;

static void index_list(Map *map, const PageList *list, const char *key)
{
    for (size_t i = 0; i < list->count; i++)
        map_put(map, json_str_at(list->items[i], key), (void *)(uintptr_t)list->items[i]);
}

static const JsonValue *machine_of(const Known *known, const JsonValue *task)
{
    const JsonValue *place = map_get(&known->places, json_str_at(task, "containerInstanceArn"));
    return place ? map_get(&known->machines, json_str_at(place, "ec2InstanceId")) : NULL;
}

// Labels of where the task runs; returns its address, empty if it has none.
static Str label_network(LabelsBuilder *labels, const Known *known, const JsonValue *task)
{
    const JsonValue *details = card_of(task);
    const JsonValue *place = map_get(&known->places, json_str_at(task, "containerInstanceArn"));
    const JsonValue *machine = machine_of(known, task);
    const JsonValue *card = map_get(&known->cards, detail(details, "networkInterfaceId"));
    Str machine_ip = json_str_at(machine, "privateIpAddress");
    if (machine_ip.len == 0)
        machine = NULL; // one without an address is not known
    if (details)
        meta_set(labels, PREFIX "network_mode", S("awsvpc"));
    else if (json_str_at(task, "containerInstanceArn").len)
        meta_set(labels, PREFIX "network_mode", S("bridge"));
    meta_set(labels, PREFIX "subnet_id",
             details ? detail(details, "subnetId") : json_str_at(machine, "subnetId"));
    meta_set(labels, PREFIX "public_ip",
             details ? json_str_at(card, "association.publicIp")
                     : json_str_at(machine, "ipAddress"));
    meta_set(labels, PREFIX "ec2_instance_id", json_str_at(place, "ec2InstanceId"));
    meta_set(labels, PREFIX "ec2_instance_type", json_str_at(machine, "instanceType"));
    meta_set(labels, PREFIX "ec2_instance_private_ip", machine ? machine_ip : STR_NONE);
    meta_set(labels, PREFIX "ec2_instance_public_ip", json_str_at(machine, "ipAddress"));
    if (machine)
        aws_tags(labels, PREFIX "tag_ec2_", json_at(machine, "tagSet"), "key", "value");
    return details ? detail(details, "privateIPv4Address") : machine ? machine_ip : STR_NONE;
}

static void label_service(LabelsBuilder *labels, const Known *known, const JsonValue *task)
{
    Str group = json_str_at(task, "group");
    if (!str_starts_with(group, S("service:")))
        return;
    const JsonValue *service = map_get(&known->services, str_skip(group, strlen("service:")));
    meta_rows(labels, service, service_rows, COUNT_OF(service_rows), STR_NONE);
    aws_tags(labels, PREFIX "tag_service_", json_at(service, "tags"), "key", "value");
}

static void add_task(const Round *round, GroupMaker *maker, const Cluster *cluster,
                     const Known *known, const JsonValue *task)
{
    const AwsConfig *config = round->config;
    LabelsBuilder *labels = group_target(maker);
    Str address = label_network(labels, known, task);
    if (address.len == 0)
        return;
    meta_address(labels, address, config->port);
    meta_set(labels, PREFIX "ip_address", address);
    meta_set(labels, PREFIX "region", aws_region(config));
    meta_set(labels, PREFIX "cluster", json_str_at(cluster->json, "clusterName"));
    meta_set(labels, PREFIX "cluster_arn", cluster->arn);
    meta_rows(labels, task, task_rows, COUNT_OF(task_rows), STR_NONE);
    aws_tags(labels, PREFIX "tag_cluster_", json_at(cluster->json, "tags"), "key", "value");
    label_service(labels, known, task);
    aws_tags(labels, PREFIX "tag_task_", json_at(task, "tags"), "key", "value");
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    GroupMaker maker;
    Known known = {0};
    (void)err;
    index_list(&known.places, &state->places, "containerInstanceArn");
    index_list(&known.machines, &state->machines, "instanceId");
    index_list(&known.cards, &state->cards, "networkInterfaceId");
    group_begin(&maker, round->found, &round->arena, aws_region(round->config));
    for (const Cluster *cluster = state->first; cluster; cluster = cluster->next) {
        map_clear(&known.services);
        index_list(&known.services, &cluster->services, "serviceName");
        for (size_t i = 0; i < cluster->tasks.count; i++)
            add_task(round, &maker, cluster, &known, cluster->tasks.items[i]);
    }
    group_end(&maker);
    map_deinit(&known.places);
    map_deinit(&known.machines);
    map_deinit(&known.cards);
    map_deinit(&known.services);
    return true;
}

const AwsRole aws_role_ecs = {"ecs", begin, finish};
