// SPDX-License-Identifier: Apache-2.0
// oci_sd_configs: the instances of Oracle Cloud Infrastructure in one region, with their primary network card. Each request is signed
// with the account's key over its date, target and host (draft-cavage-http-signatures 08).
//
//     compartments (all below the tenancy, or those that are named) --> instances --> attachments of cards --> cards --> groups
#include "discovery/discovery_oci.h"

#include <stdlib.h>

#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"
#include "net/jwt.h"

#define PREFIX "__meta_oci_"
#define VERSION "/20160918"
#define COMPARTMENTS_MAX 10000

enum { AUTH_KEY, AUTH_INSTANCE };
static const char *const auth_words[] = {"api_key", "instance_principal", NULL};

typedef struct OciConfig {
    int auth;
    Str tenancy, user, fingerprint, key_file, key_passphrase, key_passphrase_file, region;
    ConfigStrList compartments;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} OciConfig;

static bool check_key(ConfigReader *reader, const YamlNode *node, const OciConfig *config,
                      Error *err)
{
    const struct {
        Str value;
        const char *name;
    } needed[] = {{config->tenancy, "tenancy"},
                  {config->user, "user"},
                  {config->fingerprint, "fingerprint"},
                  {config->key_file, "key_file"}};
    for (size_t i = 0; i < COUNT_OF(needed); i++)
        if (needed[i].value.len == 0)
            return config_error(reader, node, err, "oci_sd: api_key auth requires %s",
                                needed[i].name);
    return !config->key_passphrase.len || !config->key_passphrase_file.len ||
           config_error(reader, node, err,
                        "oci_sd: at most one of key_passphrase and key_passphrase_file must be "
                        "configured");
}

static bool check_instance(ConfigReader *reader, const YamlNode *node, const OciConfig *config,
                           Error *err)
{
    return !(config->tenancy.len || config->user.len || config->fingerprint.len ||
             config->key_file.len || config->key_passphrase.len ||
             config->key_passphrase_file.len) ||
           config_error(reader, node, err,
                        "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, "
                        "key_file, key_passphrase, or key_passphrase_file set");
}

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const OciConfig *config = object;
    if (config->region.len == 0)
        return config_error(reader, node, err, "oci_sd: region is required");
    for (size_t i = 0; i < config->compartments.count; i++)
        if (config->compartments.items[i].len == 0)
            return config_error(reader, node, err, "oci_sd: compartments[%zu] must not be empty",
                                i);
    return config->auth == AUTH_KEY ? check_key(reader, node, config, err)
                                    : check_instance(reader, node, config, err);
}

static const ConfigField fields[] = {
    POLL_ROLE(OciConfig, auth, auth_words, "api_key", .default_text = "api_key"),
    POLL_STR(OciConfig, tenancy, "OCID of the tenancy"),
    POLL_STR(OciConfig, user, "OCID of the user"),
    POLL_STR(OciConfig, fingerprint, "of the key"),
    POLL_FILE(OciConfig, key_file, "the key in PEM"),
    POLL_SECRET(OciConfig, key_passphrase, "of the key"),
    POLL_FILE(OciConfig, key_passphrase_file, "file with the key_passphrase"),
    POLL_STR(OciConfig, region, "region of the instances", .always_print = true),
    POLL_STRS(OciConfig, compartments, "OCIDs; all of the tenancy if empty"),
    POLL_PORT(OciConfig, "80"),
    POLL_INTERVAL(OciConfig, "1m"),
    POLL_HTTP(OciConfig),
};

POLL_TABLE(oci, OciConfig, fields, finish_config);

typedef struct Instance {
    const JsonValue *json;
    const JsonValue *card; // the primary one; NULL: none found
    bool failed;           // of its cards something could not be told
    struct Instance *next;
} Instance;

typedef struct State {
    Str key, passphrase, key_id, tenancy;
    Instance *first, **last;
    size_t compartments;
} State;

// A list of one URL in pages: what to do with each item.
typedef struct List {
    Str url; // without the mark of a page
    void (*each)(Round *round, const JsonValue *item, void *arg);
    void (*failed)(Round *round, void *arg); // NULL: a refusal fails the round
    void *arg;
} List;

// ---- signed requests ----

static bool ask_signed(Round *round, Str host, Str target, bool (*accepts)(int), TakeFn take,
                       void *arg, Error *err)
{
    const State *state = round->state;
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf signature = {0};
    Str date = oci_date(arena);
    Str text =
        arena_printf(arena, "date: " STR_FMT "\n(request-target): get " STR_FMT "\nhost: " STR_FMT,
                     STR_ARG(date), STR_ARG(target), STR_ARG(host));
    if (!jwt_sign_text(text, state->key, state->passphrase, &signature, err))
        return error_context(err, "the key");
    Str *headers = ARENA_ARRAY(arena, Str, 2);
    headers[0] = arena_printf(arena, "Date: " STR_FMT, STR_ARG(date));
    headers[1] = arena_printf(
        arena,
        "Authorization: Signature version=\"1\",keyId=\"" STR_FMT
        "\",algorithm=\"rsa-sha256\",headers=\"date (request-target) host\",signature=\"" STR_FMT
        "\"",
        STR_ARG(state->key_id), STR_ARG(buf_str(&signature)));
    Ask ask = {.url =
                   arena_printf(arena, "https://" STR_FMT STR_FMT, STR_ARG(host), STR_ARG(target)),
               .headers = headers,
               .header_count = 2,
               .accepts = accepts,
               .take = take,
               .arg = arg};
    round_ask(round, &ask);
    return true;
}

static bool any_status(int status)
{
    return status > 0;
}

static bool ask_list(Round *round, List *list, Str page, Error *err);

static bool take_list(Round *round, const Answer *answer, void *arg, Error *err)
{
    List *list = arg;
    HttpResponse response = {.headers = answer->headers};
    Str page = http_response_header(&response, S("opc-next-page"));
    if (answer->status != 200) {
        list->failed(round, list->arg);
        return true;
    }
    for (size_t i = 0; answer->json && answer->json->kind == JSON_ARRAY && i < answer->json->count;
         i++)
        list->each(round, &answer->json->items[i], list->arg);
    return page.len == 0 || ask_list(round, list, arena_str(&round->arena, page), err);
}

// The host is what stands in front of the first slash of the list's URL.
static bool ask_list(Round *round, List *list, Str page, Error *err)
{
    size_t slash = str_find_char(list->url, '/');
    Str target = str_skip(list->url, slash);
    if (page.len)
        target = arena_printf(&round->arena, STR_FMT "&page=" STR_FMT, STR_ARG(target),
                              STR_ARG(poll_query_escaped(&round->arena, page)));
    return ask_signed(round, str_sub(list->url, 0, slash), target, list->failed ? any_status : NULL,
                      take_list, list, err);
}

// A question that comes up while an answer is read: what is wrong with it is wrong with the key, and was told before.
static void ask_more(Round *round, List list)
{
    List *kept = ARENA_NEW(&round->arena, List);
    Error ignored = {0};
    *kept = list;
    (void)ask_list(round, kept, STR_NONE, &ignored);
}

static Str escaped(Round *round, Str text)
{
    return poll_query_escaped(&round->arena, text);
}

// ---- cards ----

static bool take_card(Round *round, const Answer *answer, void *arg, Error *err)
{
    Instance *instance = arg;
    (void)round;
    (void)err;
    if (answer->status != 200)
        instance->failed = true;
    else if (json_bool_at(answer->json, "isPrimary"))
        instance->card = answer->json;
    return true;
}

static void each_attachment(Round *round, const JsonValue *attachment, void *arg)
{
    const OciConfig *config = round->config;
    Str id = json_str_at(attachment, "vnicId");
    Error ignored = {0};
    if (id.len == 0 || !str_is(json_str_at(attachment, "lifecycleState"), "ATTACHED"))
        return;
    (void)ask_signed(
        round,
        arena_printf(&round->arena, "iaas." STR_FMT ".oraclecloud.com", STR_ARG(config->region)),
        arena_printf(&round->arena, VERSION "/vnics/" STR_FMT,
                     STR_ARG(poll_path_escaped(&round->arena, id))),
        any_status, take_card, arg, &ignored);
}

static void attachments_failed(Round *round, void *arg)
{
    (void)round;
    ((Instance *)arg)->failed = true;
}

// ---- instances and compartments ----

static void each_instance(Round *round, const JsonValue *json, void *arg)
{
    const OciConfig *config = round->config;
    State *state = round->state;
    Str id = json_str_at(json, "id");
    Str compartment = json_str_at(json, "compartmentId");
    (void)arg;
    if (id.len == 0 || compartment.len == 0)
        return;
    Instance *instance = ARENA_NEW(&round->arena, Instance);
    instance->json = json;
    *state->last = instance;
    state->last = &instance->next;
    ask_more(round, (List){.url = arena_printf(&round->arena,
                                               "iaas." STR_FMT ".oraclecloud.com" VERSION
                                               "/vnicAttachments?compartmentId=" STR_FMT
                                               "&instanceId=" STR_FMT "&limit=100",
                                               STR_ARG(config->region),
                                               STR_ARG(escaped(round, compartment)),
                                               STR_ARG(escaped(round, id))),
                           .each = each_attachment,
                           .failed = attachments_failed,
                           .arg = instance});
}

static void each_compartment(Round *round, const JsonValue *json, void *arg);

// Without the permission to look below, what is below is left out.
static void children_failed(Round *round, void *arg)
{
    (void)round;
    (void)arg;
}

static void visit_compartment(Round *round, Str id)
{
    const OciConfig *config = round->config;
    State *state = round->state;
    if (++state->compartments > COMPARTMENTS_MAX)
        return;
    ask_more(round,
             (List){.url = arena_printf(&round->arena,
                                        "iaas." STR_FMT ".oraclecloud.com" VERSION
                                        "/instances?compartmentId=" STR_FMT "&limit=100",
                                        STR_ARG(config->region), STR_ARG(escaped(round, id))),
                    .each = each_instance});
    if (config->compartments.count == 0)
        ask_more(round, (List){.url = arena_printf(
                                   &round->arena,
                                   "identity." STR_FMT ".oci.oraclecloud.com" VERSION
                                   "/compartments?compartmentId=" STR_FMT "&accessLevel=ACCESSIBLE"
                                   "&compartmentIdInSubtree=false&limit=100",
                                   STR_ARG(config->region), STR_ARG(escaped(round, id))),
                               .each = each_compartment,
                               .failed = children_failed});
}

static void each_compartment(Round *round, const JsonValue *json, void *arg)
{
    Str id = json_str_at(json, "id");
    (void)arg;
    if (id.len && str_is(json_str_at(json, "lifecycleState"), "ACTIVE"))
        visit_compartment(round, id);
}

// Who asks is known.
static void visit_all(Round *round)
{
    const OciConfig *config = round->config;
    const State *state = round->state;
    for (size_t i = 0; i < config->compartments.count; i++)
        visit_compartment(round, config->compartments.items[i]);
    if (config->compartments.count == 0)
        visit_compartment(round, state->tenancy);
}

static bool begin_as_instance(Round *round, Error *err)
{
    const OciPrincipal *principal = round->keep;
    State *state = round->state;
    (void)err;
    state->key = buf_str(&principal->key_pem);
    state->key_id = arena_printf(&round->arena, "ST$" STR_FMT, STR_ARG(buf_str(&principal->token)));
    state->tenancy = buf_str(&principal->tenancy);
    visit_all(round);
    return true;
}

static bool begin_with_key(Round *round, Error *err)
{
    const OciConfig *config = round->config;
    State *state = round->state;
    CLEANUP(buf_deinit) Buf trial = {0};
    state->passphrase = config->key_passphrase;
    state->tenancy = config->tenancy;
    state->key_id =
        arena_printf(&round->arena, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(config->tenancy),
                     STR_ARG(config->user), STR_ARG(config->fingerprint));
    if (!round_read_secret(round, config->key_file, &state->key, err) ||
        (config->key_passphrase_file.len &&
         !round_read_secret(round, config->key_passphrase_file, &state->passphrase, err)) ||
        !jwt_sign_text(S("trial"), state->key, state->passphrase, &trial, err))
        return error_context(err, "oci_sd: key");
    visit_all(round);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const OciConfig *config = round->config;
    State *state = round->state;
    state->last = &state->first;
    if (config->auth == AUTH_KEY)
        return begin_with_key(round, err);
    if (oci_principal_is_good(round->keep))
        return begin_as_instance(round, err);
    oci_principal_ask(round, round->keep, begin_as_instance);
    return true;
}

// ---- labels ----

static const MetaRow rows[] = {
    {PREFIX "instance_id", "id", META_TEXT},
    {PREFIX "instance_name", "displayName", META_TEXT},
    {PREFIX "instance_state", "lifecycleState", META_TEXT},
    {PREFIX "instance_shape", "shape", META_TEXT},
    {PREFIX "availability_domain", "availabilityDomain", META_TEXT},
    {PREFIX "fault_domain", "faultDomain", META_TEXT},
    {PREFIX "region", "region", META_TEXT},
    {PREFIX "compartment_id", "compartmentId", META_TEXT},
    {PREFIX "image_id", "imageId", META_TEXT},
    {PREFIX "tag_", "freeformTags", META_MAP},
};

static const MetaRow card_rows[] = {
    {PREFIX "vnic_id", "id", META_TEXT},
    {PREFIX "private_ip", "privateIp", META_TEXT},
    {PREFIX "public_ip", "publicIp", META_TEXT},
    {PREFIX "hostname_label", "hostnameLabel", META_TEXT},
};

static int str_order(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static size_t sorted_ipv6(Arena *arena, const JsonValue *card, Str **ret_ips)
{
    const JsonValue *list = json_at(card, "ipv6Addresses");
    size_t count = list && list->kind == JSON_ARRAY ? list->count : 0;
    *ret_ips = ARENA_ARRAY(arena, Str, count);
    for (size_t i = 0; i < count; i++)
        (*ret_ips)[i] = meta_text(arena, &list->items[i]);
    if (count)
        qsort(*ret_ips, count, sizeof(Str), str_order);
    return count;
}

static void label_defined_tags(LabelsBuilder *labels, const JsonValue *spaces)
{
    for (size_t i = 0; spaces && spaces->kind == JSON_OBJECT && i < spaces->count; i++) {
        const JsonValue *tags = &spaces->items[i];
        for (size_t k = 0; tags->kind == JSON_OBJECT && k < tags->count; k++)
            meta_set_key(labels, PREFIX "defined_tag_",
                         arena_printf(labels->arena, STR_FMT "_" STR_FMT, STR_ARG(spaces->keys[i]),
                                      STR_ARG(tags->keys[k])),
                         meta_text(labels->arena, &tags->items[k]));
    }
}

static void add_instance(const Round *round, GroupMaker *maker, const Instance *instance)
{
    const OciConfig *config = round->config;
    LabelsBuilder *labels = group_target(maker);
    Str *ipv6;
    size_t ipv6_count = sorted_ipv6(labels->arena, instance->card, &ipv6);
    Str address = json_str_at(instance->card, "privateIp");
    if (address.len == 0)
        address = json_str_at(instance->card, "publicIp");
    if (address.len == 0 && ipv6_count)
        address = ipv6[0];
    if (address.len == 0 || instance->failed)
        return;
    meta_address(labels, address, config->port);
    meta_rows(labels, instance->json, rows, COUNT_OF(rows), STR_NONE);
    meta_rows(labels, instance->card, card_rows, COUNT_OF(card_rows), STR_NONE);
    meta_set(labels, PREFIX "tenancy_id", ((const State *)round->state)->tenancy);
    if (ipv6_count)
        meta_set(labels, PREFIX "ipv6_addresses",
                 meta_join(labels->arena, ipv6, ipv6_count, S(",")));
    label_defined_tags(labels, json_at(instance->json, "definedTags"));
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("OCI"));
    for (const Instance *instance = state->first; instance; instance = instance->next)
        add_instance(round, &maker, instance);
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(OciConfig),
    .state_bytes = sizeof(State),
    .keep_bytes = sizeof(OciPrincipal),
    .close = oci_principal_close,
    .begin = begin,
    .finish = finish,
};

POLL_KIND(oci);
