// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_config.h"

#include <stdio.h>

#include "metric/md5.h"
#include "net/url.h"

#define FIELD(name, of_kind, help_text, ...)                                                       \
    {                                                                                              \
        .key = #name, .kind = of_kind, .offset = offsetof(OWNER, name), .help = help_text,         \
        ##__VA_ARGS__                                                                              \
    }
#define MS(name, help_text, ...)                                                                   \
    {                                                                                              \
        .key = #name, .kind = CONFIG_DURATION, .offset = offsetof(OWNER, name##_ms),               \
        .help = help_text, ##__VA_ARGS__                                                           \
    }

// Checks that both clients share -----------------------------------------------------------------------------------------------------

static bool check_headers(ConfigReader *reader, const YamlNode *node, const ConfigStrMap *headers,
                          Error *err)
{
    return http_config_check_headers(
        reader, node, headers,
        "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "
        "azuread or google_iam parameter",
        err);
}

static bool check_url(ConfigReader *reader, const YamlNode *node, Str url, const char *what,
                      Error *err)
{
    if (url.len == 0)
        return config_error(reader, node, err, "url for %s is empty", what);
    if (!str_starts_with(url, S("http://")) && !str_starts_with(url, S("https://"))) {
        CLEANUP(buf_deinit) Buf shown = {0};
        config_add_redacted_url(&shown, url, "xxxxx");
        return config_error(reader, node, err,
                            "url for %s: \"" STR_FMT "\" is no http or https URL", what,
                            STR_ARG(str_sub(buf_str(&shown), 0, 200)));
    }
    return true;
}

// Of remote endpoints the original has HTTP/2 off unless it is asked for.
static void default_http2_off(const YamlNode *node, HttpClientConfig *http)
{
    if (!yaml_get(node, S("enable_http2")))
        http->enable_http2 = false;
}

// remote_write -----------------------------------------------------------------------------------------------------------------------

#define OWNER RemoteQueueConfig
static const ConfigField queue_fields[] = {
    FIELD(capacity, CONFIG_I64, "samples that a shard holds", .default_text = "10000"),
    FIELD(max_shards, CONFIG_I64, "most requests at the same time", .default_text = "50"),
    FIELD(min_shards, CONFIG_I64, "fewest shards", .default_text = "1"),
    FIELD(max_samples_per_send, CONFIG_I64, "samples in one request", .default_text = "2000"),
    MS(batch_send_deadline, "longest wait of a sample for its request to be full",
       .default_text = "5s", .min = 1, .max = INT64_MAX),
    MS(min_backoff, "first wait before a request is tried again", .default_text = "30ms", .min = 1,
       .max = INT64_MAX),
    MS(max_backoff, "longest wait before a request is tried again", .default_text = "5s", .min = 1,
       .max = INT64_MAX),
    FIELD(retry_on_http_429, CONFIG_BOOL, "try again when the receiver says 429"),
    MS(sample_age_limit, "samples older than this are not sent; 0s: all are"),
};
#undef OWNER

#define CAPACITY_MAX 100000000
#define SHARDS_MAX 1000
#define SAMPLES_PER_SEND_MAX 1000000

// The original knows no upper limits; ours keep a slip of the pen from taking all memory.
static bool finish_queue(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const RemoteQueueConfig *queue = object;
    const struct {
        const char *key;
        int64_t value, max;
    } limits[] = {
        {"max_shards", queue->max_shards, SHARDS_MAX},
        {"min_shards", queue->min_shards, SHARDS_MAX},
        {"max_samples_per_send", queue->max_samples_per_send, SAMPLES_PER_SEND_MAX},
        {"capacity", queue->capacity, CAPACITY_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        const YamlNode *given = yaml_get(node, str_from_c(limits[i].key));
        if (limits[i].value <= 0)
            return config_error(reader, given ? given : node, err,
                                "remote write queue %s must be positive", limits[i].key);
        if (limits[i].value > limits[i].max)
            return config_error(reader, given ? given : node, err,
                                "remote write queue %s must not be above %lld", limits[i].key,
                                (long long)limits[i].max);
    }
    if (queue->min_shards > queue->max_shards)
        return config_error(reader, node, err,
                            "remote write queue min_shards must not be greater than max_shards");
    if (queue->min_backoff_ms > queue->max_backoff_ms)
        return config_error(reader, node, err,
                            "remote write queue max_backoff must not be less than min_backoff");
    return true;
}

static const ConfigTable queue_table =
    CONFIG_TABLE(RemoteQueueConfig, "queue_config", queue_fields, finish_queue);

#define OWNER RemoteMetadataConfig
static const ConfigField metadata_fields[] = {
    FIELD(send, CONFIG_BOOL, "send metadata (protocol 1.0)", .default_text = "true",
          .always_print = true),
    MS(send_interval, "how often metadata is sent", .default_text = "1m", .min = 1,
       .max = INT64_MAX),
    FIELD(max_samples_per_send, CONFIG_I64, "metrics in one request", .default_text = "2000",
          .min = 1, .max = 1000000),
};
#undef OWNER
static const ConfigTable metadata_table =
    CONFIG_TABLE(RemoteMetadataConfig, "metadata_config", metadata_fields, NULL);

#define OWNER RemoteWriteConfig
static const ConfigField write_fields[] = {
    FIELD(url, CONFIG_URL, "where samples are sent"),
    MS(remote_timeout, "longest that a request may take", .default_text = "30s", .min = 1,
       .max = INT64_MAX),
    FIELD(headers, CONFIG_STR_MAP, "headers sent with each request"),
    {.key = "write_relabel_configs",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(RemoteWriteConfig, write_relabel),
     .table = &relabel_rule_table,
     .null_text = "empty or null relabeling rule in remote write config",
     .help = "rules over the labels of series before they are sent"},
    FIELD(name, CONFIG_STR, "name in metrics and logs; unique"),
    FIELD(send_exemplars, CONFIG_BOOL, "send exemplars too"),
    FIELD(send_native_histograms, CONFIG_BOOL, "send native histograms too (2.0: always)"),
    FIELD(round_robin_dns, CONFIG_BOOL, "use all addresses of the host in turn"),
    FIELD(failed_request_logging, CONFIG_BOOL,
          "log requests that a receiver of 2.0 refuses, at level debug"),
    {.key = "",
     .kind = CONFIG_INLINE,
     .offset = offsetof(RemoteWriteConfig, http),
     .table = &http_client_config_table},
    {.key = "queue_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(RemoteWriteConfig, queue),
     .table = &queue_table,
     .help = "the queue"},
    {.key = "metadata_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(RemoteWriteConfig, metadata),
     .table = &metadata_table,
     .help = "metadata"},
    FIELD(protobuf_message, CONFIG_STR, "message of the protocol: 1.0 or 2.0",
          .default_text = "prometheus.WriteRequest"),
    {.key = "sigv4",
     .kind = CONFIG_STRUCT_PTR,
     .offset = offsetof(RemoteWriteConfig, http.sigv4),
     .table = &http_sigv4_config_table,
     .help = "sign requests for Amazon's services"},
    {.key = "azuread",
     .kind = CONFIG_STRUCT_PTR,
     .offset = offsetof(RemoteWriteConfig, http.azuread),
     .table = &http_azuread_config_table,
     .help = "tokens of Microsoft Entra"},
    {.key = "google_iam",
     .kind = CONFIG_STRUCT_PTR,
     .offset = offsetof(RemoteWriteConfig, http.google_iam),
     .table = &http_google_iam_config_table,
     .help = "tokens of Google's cloud"},
};
#undef OWNER

static bool check_one_auth(const ConfigReader *reader, const YamlNode *node,
                           const HttpClientConfig *http, Error *err)
{
    const struct {
        const void *block;
        const char *name;
    } kinds[] = {{http->basic_auth, "basic_auth"}, {http->authorization, "authorization"},
                 {http->oauth2, "oauth2"},         {http->sigv4, "sigv4"},
                 {http->azuread, "azuread"},       {http->google_iam, "google_iam"}};
    CLEANUP(buf_deinit) Buf found = {0};
    int count = 0;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].block)
            buf_printf(&found, "%s%s", count++ ? " " : "", kinds[i].name);
    return count <= 1 ||
           config_error(reader, node, err,
                        "at most one of basic_auth, authorization, oauth2, sigv4, azuread or "
                        "google_iam must be configured. Currently configured: [" STR_FMT "]",
                        STR_ARG(buf_str(&found)));
}

static bool finish_write(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    RemoteWriteConfig *config = object;
    default_http2_off(node, &config->http);
    if (!str_is(config->protobuf_message, "prometheus.WriteRequest") &&
        !str_equal(config->protobuf_message, REMOTE_WRITE_MESSAGE_V2))
        return config_error(
            reader, node, err,
            "invalid protobuf_message value: unknown remote write protobuf message " STR_FMT
            ", supported: prometheus.WriteRequest, io.prometheus.write.v2.Request",
            STR_ARG(str_sub(config->protobuf_message, 0, 100)));
    return check_url(reader, node, config->url, "remote_write", err) &&
           check_one_auth(reader, node, &config->http, err) &&
           check_headers(reader, node, &config->headers, err);
}

const ConfigTable remote_write_config_table =
    CONFIG_TABLE(RemoteWriteConfig, "remote_write", write_fields, finish_write);

// remote_read ------------------------------------------------------------------------------------------------------------------------

#define OWNER RemoteReadConfig
static const ConfigField read_fields[] = {
    FIELD(url, CONFIG_URL, "where samples are read from"),
    MS(remote_timeout, "longest that a request may take", .default_text = "1m", .min = 1,
       .max = INT64_MAX),
    FIELD(chunked_read_limit, CONFIG_U64, "largest frame of a streamed answer",
          .default_text = "50000000", .min = 1, .max = INT64_MAX),
    FIELD(headers, CONFIG_STR_MAP, "headers sent with each request"),
    FIELD(read_recent, CONFIG_BOOL, "ask also for times that the own store holds"),
    FIELD(required_matchers, CONFIG_STR_MAP, "asked only if the selector has all of these"),
    FIELD(name, CONFIG_STR, "name in metrics and logs; unique"),
    {.key = "",
     .kind = CONFIG_INLINE,
     .offset = offsetof(RemoteReadConfig, http),
     .table = &http_client_config_table},
    FIELD(filter_external_labels, CONFIG_BOOL,
          "ask with the own external labels, and take them away", .default_text = "true"),
};
#undef OWNER

static bool finish_read(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    RemoteReadConfig *config = object;
    for (size_t i = 0; i < config->required_matchers.count; i++)
        if (!name_is_utf8(config->required_matchers.keys[i]))
            return config_error(reader, yaml_get(node, S("required_matchers"))->keys[i], err,
                                "\"" STR_FMT "\" is not a valid label name",
                                STR_ARG(str_sub(config->required_matchers.keys[i], 0, 100)));
    return check_url(reader, node, config->url, "remote_read", err) &&
           check_headers(reader, node, &config->headers, err);
}

const ConfigTable remote_read_config_table =
    CONFIG_TABLE(RemoteReadConfig, "remote_read", read_fields, finish_read);

// otlp -------------------------------------------------------------------------------------------------------------------------------

static const char *const strategies[] = {
    "UnderscoreEscapingWithSuffixes", "NoUTF8EscapingWithSuffixes",
    "UnderscoreEscapingWithoutSuffixes", "NoTranslation", NULL};

#define OWNER OtlpConfig
static const ConfigField otlp_fields[] = {
    FIELD(promote_all_resource_attributes, CONFIG_BOOL, "resource attributes become labels"),
    FIELD(promote_resource_attributes, CONFIG_STR_LIST, "these become labels"),
    FIELD(ignore_resource_attributes, CONFIG_STR_LIST, "with promote_all: all but these"),
    FIELD(translation_strategy, CONFIG_ENUM, "how names are translated",
          .default_text = "UnderscoreEscapingWithSuffixes", .words = strategies,
          .unknown_text = "unsupported OTLP translation strategy \"%\""),
    FIELD(keep_identifying_resource_attributes, CONFIG_BOOL, "service.* stay on target_info"),
    FIELD(convert_histograms_to_nhcb, CONFIG_BOOL, "explicit buckets become custom buckets"),
    FIELD(promote_scope_metadata, CONFIG_BOOL, "the scope's name, version and attributes too"),
    FIELD(label_name_underscore_sanitization, CONFIG_BOOL, "a leading _ gets a prefix",
          .default_text = "true"),
    FIELD(label_name_preserve_multiple_underscores, CONFIG_BOOL, "runs of _ stay",
          .default_text = "true"),
};
#undef OWNER

static bool check_attributes(ConfigReader *reader, const YamlNode *node, const char *key,
                             const char *what, ConfigStrList *list, Error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        list->items[i] = str_trim(list->items[i]);
        if (list->items[i].len == 0)
            return config_error(reader, node, err, "invalid '%s': empty %s attribute", key, what);
        for (size_t k = 0; k < i; k++)
            if (str_equal(list->items[i], list->items[k]))
                return config_error(reader, node, err,
                                    "invalid '%s': duplicated %s attribute \"" STR_FMT "\"", key,
                                    what, STR_ARG(str_sub(list->items[i], 0, 100)));
    }
    return true;
}

static bool finish_otlp(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    OtlpConfig *config = object;
    if (config->promote_all_resource_attributes && config->promote_resource_attributes.count)
        return config_error(reader, node, err,
                            "'promote_all_resource_attributes' and 'promote_resource_attributes' "
                            "cannot be configured simultaneously");
    if (!config->promote_all_resource_attributes && config->ignore_resource_attributes.count)
        return config_error(reader, node, err,
                            "'ignore_resource_attributes' cannot be configured unless "
                            "'promote_all_resource_attributes' is true");
    return check_attributes(reader, node, "promote_resource_attributes", "promoted OTel resource",
                            &config->promote_resource_attributes, err) &&
           check_attributes(reader, node, "ignore_resource_attributes", "ignored OTel resource",
                            &config->ignore_resource_attributes, err);
}

const ConfigTable otlp_config_table = CONFIG_TABLE(OtlpConfig, "otlp", otlp_fields, finish_otlp);

// Lists ------------------------------------------------------------------------------------------------------------------------------

static Str name_or_hash(Str name, const ConfigTable *table, const void *config, Arena *arena)
{
    if (name.len)
        return arena_str(arena, name);
    uint8_t digest[16];
    md5(config_fingerprint(arena, table, config), digest);
    return arena_printf(arena, "%02x%02x%02x", digest[0], digest[1], digest[2]);
}

Str remote_write_config_name(const RemoteWriteConfig *config, Arena *arena)
{
    return name_or_hash(config->name, &remote_write_config_table, config, arena);
}

Str remote_read_config_name(const RemoteReadConfig *config, Arena *arena)
{
    return name_or_hash(config->name, &remote_read_config_table, config, arena);
}

// What a list of either kind has in common.
typedef struct ListCheck {
    const ConfigTable *table;
    const char *what;
    size_t name_offset, url_offset;
} ListCheck;

static Str shown_url_of(const ListCheck *check, const char *item, Arena *arena)
{
    return remote_config_shown_url(*(const Str *)(const void *)(item + check->url_offset), arena);
}

static bool check_list(const ListCheck *check, ConfigReader *reader, const YamlNode *list,
                       const ConfigList *configs, Error *err)
{
    const char *items = configs->items;
    Str *prints = ARENA_ARRAY(reader->arena, Str, configs->count + 1);
    for (size_t i = 0; i < configs->count; i++) {
        const char *item = items + i * check->table->bytes;
        Str name = *(const Str *)(const void *)(item + check->name_offset);
        prints[i] = config_fingerprint(reader->arena, check->table, item);
        for (size_t k = 0; k < i; k++) {
            const char *other = items + k * check->table->bytes;
            if (name.len &&
                str_equal(name, *(const Str *)(const void *)(other + check->name_offset)))
                return config_error(reader, list->items[i], err,
                                    "found multiple %s configs with job name \"" STR_FMT "\"",
                                    check->what, STR_ARG(str_sub(name, 0, 100)));
            if (str_equal(prints[i], prints[k]))
                return config_error(
                    reader, list->items[i], err,
                    "duplicate %s configs are not allowed, found duplicate for URL: " STR_FMT,
                    check->what, STR_ARG(shown_url_of(check, item, reader->arena)));
        }
    }
    return true;
}

bool remote_write_configs_check(ConfigReader *reader, const YamlNode *list,
                                const ConfigList *configs, Error *err)
{
    return check_list(&(ListCheck){&remote_write_config_table, "remote write",
                                   offsetof(RemoteWriteConfig, name),
                                   offsetof(RemoteWriteConfig, url)},
                      reader, list, configs, err);
}

bool remote_read_configs_check(ConfigReader *reader, const YamlNode *list,
                               const ConfigList *configs, Error *err)
{
    return check_list(&(ListCheck){&remote_read_config_table, "remote read",
                                   offsetof(RemoteReadConfig, name),
                                   offsetof(RemoteReadConfig, url)},
                      reader, list, configs, err);
}

Str remote_config_shown_url(Str url, Arena *arena)
{
    CLEANUP(buf_deinit) Buf shown = {0};
    config_add_redacted_url(&shown, url, "xxxxx");
    return arena_str(arena, buf_str(&shown));
}
