// SPDX-License-Identifier: Apache-2.0
// discovery_aws.h: what the kinds that ask Amazon's services share: settings, regions, signed requests. The keys are looked for where the
// HTTP client's sigv4 looks.
#pragma once

#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

typedef struct AwsFilter {
    Str name;
    ConfigStrList values;
} AwsFilter;

extern const ConfigTable aws_filter_table;

typedef struct AwsConfig {
    int role; // of kind aws: see aws_roles
    Str endpoint, region, access_key, secret_key, profile, role_arn, external_id;
    int64_t port;
    int64_t refresh_interval_ms;
    ConfigList filters;     // AwsFilter
    ConfigStrList clusters; // names or ARNs
    HttpClientConfig http;
} AwsConfig;

// The rows that all kinds have.
#define AWS_FIELDS                                                                                 \
    POLL_STR(AwsConfig, endpoint, "URL of the API; the region's if empty"),                        \
        POLL_STR(AwsConfig, region, "region; the environment's if empty"),                         \
        POLL_STR(AwsConfig, access_key, "of the API; see the default chain if empty"),             \
        POLL_SECRET(AwsConfig, secret_key, "of the API"),                                          \
        POLL_STR(AwsConfig, profile, "in the shared credentials file"),                            \
        POLL_STR(AwsConfig, role_arn, "role to take on"),                                          \
        POLL_STR(AwsConfig, external_id, "to be told when taking on the role"),                    \
        POLL_INTERVAL(AwsConfig, "1m"), POLL_PORT(AwsConfig, "80"), POLL_HTTP(AwsConfig)

// One service: how its targets are found.
typedef struct AwsRole {
    const char *service; // "ec2": of hosts and signatures
    bool (*begin)(Round *round, Error *err);
    bool (*finish)(Round *round, Error *err);
} AwsRole;

extern const AwsRole aws_role_ec2, aws_role_ecs, aws_role_elasticache, aws_role_lightsail,
    aws_role_msk, aws_role_rds;

#define AWS_STATE_BYTES 1024 // enough for what a role keeps during a round
#define AWS_KEEP_BYTES 64

// Gives the HTTP client what to sign with.
void aws_sign_as(ConfigReader *reader, AwsConfig *config, const char *service);
Str aws_region(const AwsConfig *config);

// A call of the query protocol: "Action=...&Version=..."; the answer is XML. `arg` may be NULL.
void aws_ask_query(Round *round, const char *service, Str form, bool (*accepts)(int), TakeFn take,
                   void *arg);
// The same of EC2 for another service's role: the settings' endpoint is not EC2's.
void aws_ask_ec2(Round *round, Str form, TakeFn take, void *arg);
// A call of the JSON protocol 1.1: "Lightsail_20161128.GetInstances".
void aws_ask_json(Round *round, const char *service, const char *target, Str body, TakeFn take,
                  void *arg);
// GET path, JSON.
void aws_ask_rest(Round *round, const char *service, Str path, TakeFn take, void *arg);

// XML: the n-th child of an element, without its attributes; NULL behind the last.
const JsonValue *aws_item(const JsonValue *list, size_t index);
// [{"key": .., "value": ..}] or its XML as labels with that prefix; the names of both members are told.
void aws_tags(LabelsBuilder *labels, const char *prefix, const JsonValue *tags, const char *key,
              const char *value);
