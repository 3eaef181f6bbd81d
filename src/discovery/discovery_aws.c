// SPDX-License-Identifier: Apache-2.0
// aws_sd_configs: one of Amazon's services by its role; ec2_sd_configs and lightsail_sd_configs have their own files.
#include "discovery/discovery_aws.h"

#include <stdlib.h>

enum { ROLE_NONE, ROLE_EC2, ROLE_ECS, ROLE_ELASTICACHE, ROLE_LIGHTSAIL, ROLE_MSK, ROLE_RDS };
static const char *const role_words[] = {"",          "ec2", "ecs", "elasticache",
                                         "lightsail", "msk", "rds", NULL};
static const AwsRole *const roles[] = {[ROLE_EC2] = &aws_role_ec2,
                                       [ROLE_ECS] = &aws_role_ecs,
                                       [ROLE_LIGHTSAIL] = &aws_role_lightsail,
                                       [ROLE_ELASTICACHE] = &aws_role_elasticache,
                                       [ROLE_MSK] = &aws_role_msk,
                                       [ROLE_RDS] = &aws_role_rds};

static const ConfigField filter_fields[] = {
    POLL_STR(AwsFilter, name, "name of the filter"),
    POLL_STRS(AwsFilter, values, "one of them must match"),
};

const ConfigTable aws_filter_table = CONFIG_TABLE(AwsFilter, "aws_filter", filter_fields, NULL);

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    AwsConfig *config = object;
    if (config->role == ROLE_NONE)
        return config_error(reader, node, err, "unknown AWS SD role \"\"");
    aws_sign_as(reader, config, roles[config->role]->service);
    return true;
}

static const ConfigField fields[] = {
    POLL_ROLE(AwsConfig, role, role_words, "which service", .always_print = true),
    AWS_FIELDS,
    {.key = "filters",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AwsConfig, filters),
     .table = &aws_filter_table,
     .help = "of ec2 and rds"},
    POLL_STRS(AwsConfig, clusters, "of ecs, elasticache, msk and rds: only these"),
};

POLL_TABLE(aws, AwsConfig, fields, finish_config);

void aws_sign_as(ConfigReader *reader, AwsConfig *config, const char *service)
{
    HttpSigv4Config *sigv4 = ARENA_NEW(reader->arena, HttpSigv4Config);
    *sigv4 = (HttpSigv4Config){.region = config->region,
                               .profile = config->profile,
                               .role_arn = config->role_arn,
                               .external_id = config->external_id,
                               .service_name = str_from_c(service)};
    if (config->access_key.len && config->secret_key.len) {
        sigv4->access_key = config->access_key;
        sigv4->secret_key = config->secret_key;
    }
    config->http.sigv4 = sigv4;
}

Str aws_region(const AwsConfig *config)
{
    const char *region = getenv("AWS_REGION");
    if (config->region.len)
        return config->region;
    return str_from_c(region && *region ? region : getenv("AWS_DEFAULT_REGION"));
}

static Str regional_url(Round *round, const char *service, Str path)
{
    Str region = aws_region(round->config);
    return arena_printf(&round->arena, "https://%s." STR_FMT ".amazonaws.com%s" STR_FMT, service,
                        STR_ARG(region), str_starts_with(region, S("cn-")) ? ".cn" : "",
                        STR_ARG(path));
}

static Str url_of(Round *round, const char *service, Str path)
{
    const AwsConfig *config = round->config;
    Str endpoint = config->endpoint;
    while (str_ends_with(endpoint, S("/")))
        endpoint.len--;
    if (endpoint.len && str_find(endpoint, S("://")) == STR_NOT_FOUND)
        return arena_printf(&round->arena, "https://" STR_FMT STR_FMT, STR_ARG(endpoint),
                            STR_ARG(path));
    if (endpoint.len)
        return arena_printf(&round->arena, STR_FMT STR_FMT, STR_ARG(endpoint), STR_ARG(path));
    return regional_url(round, service, path);
}

static const Str form_headers[] = {
    STR("Content-Type: application/x-www-form-urlencoded; charset=utf-8")};

void aws_ask_query(Round *round, const char *service, Str form, bool (*accepts)(int), TakeFn take,
                   void *arg)
{
    Ask ask = {.url = url_of(round, service, S("/")),
               .body = form,
               .headers = form_headers,
               .header_count = COUNT_OF(form_headers),
               .form = ASK_XML,
               .accepts = accepts,
               .take = take,
               .arg = arg};
    round_ask(round, &ask);
}

void aws_ask_ec2(Round *round, Str form, TakeFn take, void *arg)
{
    Ask ask = {.url = regional_url(round, "ec2", S("/")),
               .body = form,
               .headers = form_headers,
               .header_count = COUNT_OF(form_headers),
               .sigv4_service = "ec2",
               .form = ASK_XML,
               .take = take,
               .arg = arg};
    round_ask(round, &ask);
}

void aws_ask_json(Round *round, const char *service, const char *target, Str body, TakeFn take,
                  void *arg)
{
    Str *headers = ARENA_ARRAY(&round->arena, Str, 2);
    headers[0] = S("Content-Type: application/x-amz-json-1.1");
    headers[1] = arena_printf(&round->arena, "X-Amz-Target: %s", target);
    Ask ask = {.url = url_of(round, service, S("/")),
               .body = body,
               .headers = headers,
               .header_count = 2,
               .take = take,
               .arg = arg};
    round_ask(round, &ask);
}

void aws_ask_rest(Round *round, const char *service, Str path, TakeFn take, void *arg)
{
    round_get(round, url_of(round, service, path), take, arg);
}

const JsonValue *aws_item(const JsonValue *list, size_t index)
{
    if (!list || (list->kind != JSON_OBJECT && list->kind != JSON_ARRAY))
        return NULL;
    for (size_t i = 0; i < list->count; i++)
        if ((list->kind == JSON_ARRAY || list->keys[i].ptr[0] != '@') && index-- == 0)
            return &list->items[i];
    return NULL;
}

void aws_tags(LabelsBuilder *labels, const char *prefix, const JsonValue *tags, const char *key,
              const char *value)
{
    const JsonValue *tag;
    for (size_t i = 0; (tag = aws_item(tags, i)) != NULL; i++)
        if (json_at(tag, key))
            meta_set_key(labels, prefix, json_str_at(tag, key), json_str_at(tag, value));
}

static bool begin(Round *round, Error *err)
{
    const AwsConfig *config = round->config;
    return roles[config->role]->begin(round, err);
}

static bool finish(Round *round, Error *err)
{
    const AwsConfig *config = round->config;
    return roles[config->role]->finish(round, err);
}

static const PollKind poll = {
    POLL_OFFSETS(AwsConfig),
    .state_bytes = AWS_STATE_BYTES,
    .keep_bytes = AWS_KEEP_BYTES,
    .begin = begin,
    .finish = finish,
};

POLL_KIND(aws);
