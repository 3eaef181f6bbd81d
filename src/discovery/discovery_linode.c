// SPDX-License-Identifier: Apache-2.0
// linode_sd_configs: the instances of a Linode account. Between looks the events are asked for, and as long as there are none the
// instances are not, nine times in a row at most.
#include "base/clock.h"
#include "base/timefmt.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define API "https://api.linode.com/v4"
#define PREFIX "__meta_linode_"
#define QUIET_ROUNDS_MAX 9

typedef struct LinodeConfig {
    Str region, tag_separator;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} LinodeConfig;

static const ConfigField fields[] = {
    POLL_STR(LinodeConfig, region, "only this one"),
    POLL_PORT(LinodeConfig, "80"),
    POLL_STR(LinodeConfig, tag_separator, "between tags, addresses and ranges",
             .default_text = ","),
    POLL_INTERVAL(LinodeConfig, "1m"),
    POLL_HTTP(LinodeConfig),
};

POLL_TABLE(linode, LinodeConfig, fields, NULL);

typedef struct State {
    PageList instances;
    PageList addresses;
    PageList ranges;
    int64_t began_ms;
} State;

typedef struct Keep {
    int64_t looked_at_ms; // 0: never yet
    int quiet_rounds;
    bool no_events; // the token may not read them
} Keep;

static void ask_list(Round *round, const char *url, const Str *filter, PageList *list)
{
    PageAsk ask = {
        .ask = {.url = str_from_c(url), .headers = filter, .header_count = filter != NULL},
        .items = "data",
        .rule = {PAGE_NUMBER, .at = "pages", .param = "page"}};
    round_ask_list(round, &ask, list);
}

static void ask_all(Round *round)
{
    const LinodeConfig *config = round->config;
    State *state = round->state;
    Str *filter = NULL;
    if (config->region.len) {
        filter = ARENA_NEW(&round->arena, Str);
        *filter = arena_printf(&round->arena, "X-Filter: {\"region\": \"" STR_FMT "\"}",
                               STR_ARG(config->region));
    }
    ask_list(round, API "/linode/instances?page_size=500", filter, &state->instances);
    ask_list(round, API "/networking/ips?page_size=500", filter, &state->addresses);
    ask_list(round, API "/networking/ipv6/ranges?page_size=500", filter, &state->ranges);
}

static bool is_event_status(int status)
{
    return (status >= 200 && status < 300) || status == 401;
}

static bool take_events(Round *round, const Answer *answer, void *arg, Error *err)
{
    Keep *keep = round->keep;
    const JsonValue *events = json_at(answer->json, "data");
    (void)arg;
    (void)err;
    keep->no_events = answer->status == 401;
    bool none = !keep->no_events && events && events->count == 0;
    if (none && ++keep->quiet_rounds <= QUIET_ROUNDS_MAX)
        round->unchanged = true;
    else
        ask_all(round);
    return true;
}

static void ask_events(Round *round)
{
    const Keep *keep = round->keep;
    CivilTime t = civil_from_s(keep->looked_at_ms / 1000);
    Str *filter = ARENA_NEW(&round->arena, Str);
    *filter = arena_printf(
        &round->arena, "X-Filter: {\"created\": {\"+gte\": \"%04lld-%02d-%02dT%02d:%02d:%02d\"}}",
        (long long)t.year, t.month, t.day, t.hour, t.minute, t.second);
    Ask ask = {.url = S(API "/account/events?page=1&page_size=25"),
               .headers = filter,
               .header_count = 1,
               .accepts = is_event_status,
               .take = take_events};
    round_ask(round, &ask);
}

static bool begin(Round *round, Error *err)
{
    const Keep *keep = round->keep;
    State *state = round->state;
    (void)err;
    state->began_ms = clock_now_ms(&clock_system);
    if (keep->looked_at_ms && !keep->no_events)
        ask_events(round);
    else
        ask_all(round);
    return true;
}

static const MetaRow rows[] = {
    {PREFIX "instance_id", "id", META_TEXT},
    {PREFIX "instance_label", "label", META_TEXT},
    {PREFIX "image", "image", META_TEXT},
    {PREFIX "region", "region", META_TEXT},
    {PREFIX "type", "type", META_TEXT},
    {PREFIX "status", "status", META_TEXT},
    {PREFIX "group", "group", META_TEXT},
    {PREFIX "gpus", "specs.gpus", META_TEXT},
    {PREFIX "hypervisor", "hypervisor", META_TEXT},
    {PREFIX "specs_vcpus", "specs.vcpus", META_TEXT},
    {PREFIX "tags", "tags", META_LIST},
};

static const JsonValue *find_address(const PageList *addresses, Str address)
{
    for (size_t i = 0; address.len && i < addresses->count; i++)
        if (str_equal(json_str_at(addresses->items[i], "address"), address))
            return addresses->items[i];
    return NULL;
}

static void label_address(LabelsBuilder *labels, const char *name, const char *rdns_name,
                          const JsonValue *address)
{
    Str rdns = json_str_at(address, "rdns");
    meta_set(labels, name, json_str_at(address, "address"));
    if (!str_is(rdns, "null"))
        meta_set(labels, rdns_name, rdns);
}

// The first public and private address by name, the others together; returns the public one.
static Str label_ipv4(LabelsBuilder *labels, const JsonValue *ips, const PageList *addresses,
                      Str separator)
{
    Str public_ip = STR_NONE;
    bool has_private = false;
    Str *extra = ARENA_ARRAY(labels->arena, Str, ips->count);
    size_t extra_count = 0;
    for (size_t i = 0; i < ips->count; i++) {
        const JsonValue *address =
            find_address(addresses, meta_text(labels->arena, &ips->items[i]));
        if (!address)
            continue;
        bool is_public = json_bool_at(address, "public");
        if (is_public && public_ip.len == 0) {
            public_ip = json_str_at(address, "address");
            label_address(labels, PREFIX "public_ipv4", PREFIX "public_ipv4_rdns", address);
        } else if (!is_public && !has_private) {
            has_private = true;
            label_address(labels, PREFIX "private_ipv4", PREFIX "private_ipv4_rdns", address);
        } else {
            extra[extra_count++] = json_str_at(address, "address");
        }
    }
    if (extra_count)
        meta_set(labels, PREFIX "extra_ips",
                 meta_join(labels->arena, extra, extra_count, separator));
    return public_ip;
}

static void label_ipv6(LabelsBuilder *labels, Str slaac, const State *state, Str separator)
{
    Str *ranges = ARENA_ARRAY(labels->arena, Str, state->ranges.count);
    size_t count = 0;
    slaac = str_sub(slaac, 0, MIN(str_find_char(slaac, '/'), slaac.len));
    if (slaac.len == 0)
        return;
    label_address(labels, PREFIX "public_ipv6", PREFIX "public_ipv6_rdns",
                  find_address(&state->addresses, slaac));
    for (size_t i = 0; i < state->ranges.count; i++) {
        const JsonValue *range = state->ranges.items[i];
        if (str_equal(json_str_at(range, "route_target"), slaac))
            ranges[count++] =
                arena_printf(labels->arena, STR_FMT "/%lld", STR_ARG(json_str_at(range, "range")),
                             (long long)json_i64_at(range, "prefix"));
    }
    if (count)
        meta_set(labels, PREFIX "ipv6_ranges", meta_join(labels->arena, ranges, count, separator));
}

static void label_mebibytes(LabelsBuilder *labels, const char *name, int64_t mebibytes)
{
    meta_setf(labels, name, "%lld", (long long)((uint64_t)mebibytes << 20));
}

static void add_instance(const Round *round, GroupMaker *maker, const JsonValue *instance)
{
    const LinodeConfig *config = round->config;
    const State *state = round->state;
    const JsonValue *ips = json_at(instance, "ipv4");
    if (!ips || ips->kind != JSON_ARRAY || ips->count == 0)
        return;
    LabelsBuilder *labels = group_target(maker);
    Str public_ip = label_ipv4(labels, ips, &state->addresses, config->tag_separator);
    label_ipv6(labels, json_str_at(instance, "ipv6"), state, config->tag_separator);
    meta_rows(labels, instance, rows, COUNT_OF(rows), config->tag_separator);
    meta_set(labels, PREFIX "backups",
             json_bool_at(instance, "backups.enabled") ? S("enabled") : S("disabled"));
    label_mebibytes(labels, PREFIX "specs_disk_bytes", json_i64_at(instance, "specs.disk"));
    label_mebibytes(labels, PREFIX "specs_memory_bytes", json_i64_at(instance, "specs.memory"));
    label_mebibytes(labels, PREFIX "specs_transfer_bytes", json_i64_at(instance, "specs.transfer"));
    meta_address(labels, public_ip, config->port);
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    Keep *keep = round->keep;
    GroupMaker maker;
    (void)err;
    keep->looked_at_ms = state->began_ms;
    if (round->unchanged)
        return true;
    keep->quiet_rounds = 0;
    group_begin(&maker, round->found, &round->arena, S("Linode"));
    for (size_t i = 0; i < state->instances.count; i++)
        add_instance(round, &maker, state->instances.items[i]);
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(LinodeConfig),
    .state_bytes = sizeof(State),
    .keep_bytes = sizeof(Keep),
    .counts_failures = true,
    .begin = begin,
    .finish = finish,
};

POLL_KIND(linode, .counters = {{"prometheus_sd_linode_failures_total",
                                "Number of Linode service discovery refresh failures."}});
