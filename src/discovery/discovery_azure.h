// SPDX-License-Identifier: Apache-2.0
// discovery_azure.h: between asking Azure's Resource Manager and making labels of its answers.
#pragma once

#include "base/map.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_token.h"

// Where a machine lists its network cards.
#define AZURE_CARDS "properties.networkProfile.networkInterfaces"

typedef struct AzureCloud {
    const char *login;
    const char *endpoint;
    const char *audience;
} AzureCloud;

typedef struct AzureConfig {
    Str environment, subscription_id, tenant_id, client_id, client_secret, resource_group;
    int authentication_method;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} AzureConfig;

typedef struct AzureMachine {
    const JsonValue *json;
    Str scale_set; // empty: in none
} AzureMachine;

typedef enum AzureCardState {
    AZURE_CARD_GONE,   // the API knows no such card
    AZURE_CARD_NO_USE, // nothing is told of it
    AZURE_CARD_IDLE,   // does not say whether it is primary: its machine is deallocated
    AZURE_CARD_SECOND, // another one is primary
    AZURE_CARD_PRIMARY,
} AzureCardState;

// What is worth knowing of a network card; remembered for many rounds, because each costs a request.
typedef struct AzureCard AzureCard;
struct AzureCard {
    Arena arena;
    Str id;
    AzureCardState state;
    Str private_ip; // of its first configuration; may be empty
    Str public_ip;
    bool has_configuration;
    int64_t good_until_ns;
    AzureCard *next;
};

typedef struct AzureState {
    AzureCloud cloud;
    Str token; // a header line
    size_t open_lists;
    AzureMachine *machines;
    size_t machine_count;
} AzureState;

typedef struct AzureKeep {
    Token token;
    Map by_id; // AzureCard
    AzureCard *cards;
} AzureKeep;

// "g" of "/subscriptions/s/resourceGroups/g/...", without regard to the case of the name; empty if it is not there.
Str azure_id_part(Str id, const char *name);
// NULL: gone. The caller owns it.
AzureCard *azure_card_read(const JsonValue *json, Str id);
// The round's end: the group.
bool azure_groups(Round *round, Error *err) MUST_CHECK;
