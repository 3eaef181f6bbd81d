// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery_azure.h"

#define PREFIX "__meta_azure_machine_"

Str azure_id_part(Str id, const char *name)
{
    bool next = false;
    for (Str part; str_split_next(&id, '/', &part);) {
        if (next)
            return part;
        next = str_equal_nocase(part, str_from_c(name));
    }
    return STR_NONE;
}

AzureCard *azure_card_read(const JsonValue *json, Str id)
{
    AzureCard *card = X_NEW(AzureCard);
    const JsonValue *properties = json_at(json, "properties");
    const JsonValue *primary = json_at(properties, "primary");
    card->id = arena_str(&card->arena, id);
    if (!json) {
        card->state = AZURE_CARD_GONE;
    } else if (!properties || properties->kind != JSON_OBJECT) {
        card->state = AZURE_CARD_NO_USE;
    } else if (!primary || primary->kind != JSON_BOOL) {
        card->state = AZURE_CARD_IDLE;
    } else {
        card->state = primary->boolean ? AZURE_CARD_PRIMARY : AZURE_CARD_SECOND;
        card->has_configuration = json_at(properties, "ipConfigurations.0") != NULL;
        card->private_ip =
            arena_str(&card->arena,
                      json_str_at(properties, "ipConfigurations.0.properties.privateIPAddress"));
        card->public_ip = arena_str(
            &card->arena,
            json_str_at(properties,
                        "ipConfigurations.0.properties.publicIPAddress.properties.ipAddress"));
    }
    return card;
}

static const MetaRow rows[] = {
    {PREFIX "id", "id", META_TEXT},
    {PREFIX "name", "name", META_TEXT},
    {PREFIX "computer_name", "properties.osProfile.computerName", META_TEXT},
    {PREFIX "os_type", "properties.storageProfile.osDisk.osType", META_TEXT},
    {PREFIX "location", "location", META_TEXT},
    {PREFIX "size", "properties.hardwareProfile.vmSize", META_TEXT},
    {PREFIX "tag_", "tags", META_MAP},
};

// The machine's primary card; NULL if it has none that is of use.
static const AzureCard *primary_card(const AzureKeep *keep, const JsonValue *machine)
{
    const JsonValue *cards = json_at(machine, AZURE_CARDS);
    for (size_t i = 0; cards && cards->kind == JSON_ARRAY && i < cards->count; i++) {
        const AzureCard *card = map_get(&keep->by_id, json_str_at(&cards->items[i], "id"));
        if (!card || card->state == AZURE_CARD_GONE || card->state == AZURE_CARD_IDLE)
            return NULL;
        if (card->state == AZURE_CARD_PRIMARY && card->has_configuration)
            return card;
    }
    return NULL;
}

static bool add_machine(const Round *round, GroupMaker *maker, const AzureMachine *machine,
                        Error *err)
{
    const AzureConfig *config = round->config;
    const AzureCard *card = primary_card(round->keep, machine->json);
    if (!card)
        return true;
    if (card->private_ip.len == 0)
        return error_set(err, ERR_INVALID, "unable to find a private IP for VM " STR_FMT,
                         STR_ARG(json_str_at(machine->json, "name")));
    LabelsBuilder *labels = group_target(maker);
    meta_address(labels, card->private_ip, config->port);
    meta_rows(labels, machine->json, rows, COUNT_OF(rows), STR_NONE);
    meta_set(labels, "__meta_azure_subscription_id", config->subscription_id);
    meta_set(labels, "__meta_azure_tenant_id", config->tenant_id);
    meta_set(labels, PREFIX "resource_group",
             azure_id_part(json_str_at(machine->json, "id"), "resourceGroups"));
    meta_set(labels, PREFIX "scale_set", machine->scale_set);
    meta_set(labels, PREFIX "private_ip", card->private_ip);
    meta_set(labels, PREFIX "public_ip", card->public_ip);
    group_add(maker);
    return true;
}

bool azure_groups(Round *round, Error *err)
{
    const AzureState *state = round->state;
    GroupMaker maker;
    group_begin(&maker, round->found, &round->arena, S("azure"));
    for (size_t i = 0; i < state->machine_count; i++)
        if (!add_machine(round, &maker, &state->machines[i], err))
            return false;
    group_end(&maker);
    return true;
}
