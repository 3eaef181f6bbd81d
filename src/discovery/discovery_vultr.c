// SPDX-License-Identifier: Apache-2.0
// vultr_sd_configs: the instances of a Vultr account.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define PREFIX "__meta_vultr_instance_"

typedef struct VultrConfig {
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} VultrConfig;

static const ConfigField fields[] = {
    POLL_PORT(VultrConfig, "80"),
    POLL_INTERVAL(VultrConfig, "1m"),
    POLL_HTTP(VultrConfig),
};

POLL_TABLE(vultr, VultrConfig, fields, NULL);

static const MetaRow rows[] = {
    {PREFIX "id", "id", META_TEXT},
    {PREFIX "label", "label", META_TEXT},
    {PREFIX "os", "os", META_TEXT},
    {PREFIX "os_id", "os_id", META_TEXT},
    {PREFIX "region", "region", META_TEXT},
    {PREFIX "plan", "plan", META_TEXT},
    {PREFIX "vcpu_count", "vcpu_count", META_TEXT},
    {PREFIX "ram_mb", "ram", META_TEXT},
    {PREFIX "allowed_bandwidth_gb", "allowed_bandwidth", META_TEXT},
    {PREFIX "disk_gb", "disk", META_TEXT},
    {PREFIX "main_ip", "main_ip", META_TEXT},
    {PREFIX "main_ipv6", "v6_main_ip", META_TEXT},
    {PREFIX "internal_ip", "internal_ip", META_TEXT},
    {PREFIX "hostname", "hostname", META_TEXT},
    {PREFIX "server_status", "server_status", META_TEXT},
    {PREFIX "features", "features", META_LIST},
    {PREFIX "tags", "tags", META_LIST},
};

static bool begin(Round *round, Error *err)
{
    const PageAsk ask = {.ask.url = S("https://api.vultr.com/v2/instances?per_page=100"),
                         .items = "instances",
                         .rule = {PAGE_TOKEN, .at = "meta.links.next", .param = "cursor"}};
    (void)err;
    round_ask_list(round, &ask, round->state);
    return true;
}

static bool finish(Round *round, Error *err)
{
    const VultrConfig *config = round->config;
    const PageList *list = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("Vultr"));
    for (size_t i = 0; i < list->count; i++) {
        LabelsBuilder *labels = group_target(&maker);
        meta_rows(labels, list->items[i], rows, COUNT_OF(rows), S(","));
        meta_address(labels, json_str_at(list->items[i], "main_ip"), config->port);
        group_add(&maker);
    }
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(VultrConfig),
    .state_bytes = sizeof(PageList),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(vultr);
