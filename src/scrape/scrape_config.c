// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_config.h"

#include <stdlib.h>

static const struct {
    Str name;
    const char *accept;
    bool escapes; // the scheme for names stands behind it
} protocols[SCRAPE_PROTOCOL_COUNT] = {
    [SCRAPE_PROTOBUF] =
        {STR("PrometheusProto"),
         "application/"
         "vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
         false},
    [SCRAPE_TEXT_0_0_4] = {STR("PrometheusText0.0.4"), "text/plain;version=0.0.4", false},
    [SCRAPE_TEXT_1_0_0] = {STR("PrometheusText1.0.0"), "text/plain;version=1.0.0", true},
    [SCRAPE_OPENMETRICS_0_0_1] = {STR("OpenMetricsText0.0.1"),
                                  "application/openmetrics-text;version=0.0.1", false},
    [SCRAPE_OPENMETRICS_1_0_0] = {STR("OpenMetricsText1.0.0"),
                                  "application/openmetrics-text;version=1.0.0", true},
};

#define PROTOCOLS_KNOWN                                                                            \
    "[OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 "              \
    "PrometheusText1.0.0]"

static const ScrapeProtocol default_order[] = {SCRAPE_PROTOBUF, SCRAPE_OPENMETRICS_1_0_0,
                                               SCRAPE_OPENMETRICS_0_0_1, SCRAPE_TEXT_1_0_0,
                                               SCRAPE_TEXT_0_0_4};

static const char *const validation_words[] = {"", "utf8", "legacy", NULL};
static const char *const escaping_words[] = {"",     "allow-utf-8", "underscores",
                                             "dots", "values",      NULL};

#define VALIDATION_UNKNOWN                                                                         \
    "unknown scrape config name validation method specified, must be either 'legacy' or 'utf8', "  \
    "got %"
#define ESCAPING_UNKNOWN                                                                           \
    "unknown scrape config name escaping method specified, must be one of 'allow-utf-8', "         \
    "'underscores', 'dots', or 'values', got %"

// clang-format off
#define LIMIT_FIELDS(of_struct)                                                                                                     \
    {.key = "body_size_limit", .kind = CONFIG_SIZE, .offset = offsetof(of_struct, limits.body_bytes),                               \
     .help = "largest body after decompression; 0: no limit"},                                                                      \
    {.key = "sample_limit", .kind = CONFIG_U64, .offset = offsetof(of_struct, limits.samples),                                      \
     .help = "most samples of a scrape after relabelling; 0: no limit"},                                                            \
    {.key = "target_limit", .kind = CONFIG_U64, .offset = offsetof(of_struct, limits.targets),                                      \
     .help = "most targets of a job; 0: no limit"},                                                                                 \
    {.key = "label_limit", .kind = CONFIG_U64, .offset = offsetof(of_struct, limits.labels),                                        \
     .help = "most labels of a sample; 0: no limit"},                                                                               \
    {.key = "label_name_length_limit", .kind = CONFIG_U64, .offset = offsetof(of_struct, limits.label_name_bytes),                  \
     .help = "longest label name in bytes; 0: no limit"},                                                                           \
    {.key = "label_value_length_limit", .kind = CONFIG_U64, .offset = offsetof(of_struct, limits.label_value_bytes),                \
     .help = "longest label value in bytes; 0: no limit"}

#define KEPT_FIELD(of_struct)                                                                                                       \
    {.key = "keep_dropped_targets", .kind = CONFIG_U64, .offset = offsetof(of_struct, limits.dropped_targets_kept),                 \
     .help = "most dropped targets that are shown; 0: all"}

#define NAME_FIELDS(of_struct)                                                                                                      \
    {.key = "metric_name_validation_scheme", .kind = CONFIG_ENUM, .offset = offsetof(of_struct, validation),                        \
     .words = validation_words, .unknown_text = VALIDATION_UNKNOWN, .help = "which names are valid"},                               \
    {.key = "metric_name_escaping_scheme", .kind = CONFIG_ENUM, .offset = offsetof(of_struct, escaping),                            \
     .words = escaping_words, .unknown_text = ESCAPING_UNKNOWN,                                                                     \
     .help = "how targets are asked to write names that are not in the legacy alphabet"}

#define SWITCH(of_struct, name, member, text)                                                                                       \
    {.key = name, .kind = CONFIG_BOOL, .offset = offsetof(of_struct, switches.member), .always_print = true,                        \
     .present_offset = offsetof(of_struct, switches.has_##member), .help = text}
#define SWITCH_FIELDS(of_struct)                                                                                                    \
    SWITCH(of_struct, "scrape_native_histograms", native_histograms, "take native histograms"),                                     \
    SWITCH(of_struct, "convert_classic_histograms_to_nhcb", classic_to_nhcb, "store classic histograms as native ones"),            \
    SWITCH(of_struct, "always_scrape_classic_histograms", always_classic, "keep the classic series beside the native"),             \
    SWITCH(of_struct, "extra_scrape_metrics", extra_metrics, "add scrape_timeout_seconds and its like")

static const ConfigField global_fields[] = {
    {.key = "scrape_interval", .kind = CONFIG_DURATION, .offset = offsetof(ScrapeGlobal, interval_ms), .default_text = "1m",
     .help = "time between two scrapes"},
    {.key = "scrape_timeout", .kind = CONFIG_DURATION, .offset = offsetof(ScrapeGlobal, timeout_ms), .default_text = "10s",
     .present_offset = offsetof(ScrapeGlobal, has_timeout), .help = "longest a scrape may take"},
    {.key = "scrape_protocols", .kind = CONFIG_STR_LIST, .offset = offsetof(ScrapeGlobal, protocols),
     .help = "formats to ask for, best first"},
    {.key = "evaluation_interval", .kind = CONFIG_DURATION, .offset = offsetof(ScrapeGlobal, evaluation_interval_ms),
     .default_text = "1m", .help = "time between two evaluations of rules"},
    {.key = "rule_query_offset", .kind = CONFIG_DURATION, .offset = offsetof(ScrapeGlobal, rule_query_offset_ms),
     .help = "how far back rules look"},
    {.key = "query_log_file", .kind = CONFIG_PATH, .offset = offsetof(ScrapeGlobal, query_log_file),
     .help = "file for one JSON line per query"},
    {.key = "scrape_failure_log_file", .kind = CONFIG_PATH, .offset = offsetof(ScrapeGlobal, failure_log_file),
     .help = "file for one JSON line per failed scrape"},
    {.key = "external_labels", .kind = CONFIG_STR_MAP, .offset = offsetof(ScrapeGlobal, external_labels),
     .help = "labels of everything that leaves this server"},
    LIMIT_FIELDS(ScrapeGlobal),
    KEPT_FIELD(ScrapeGlobal),
    NAME_FIELDS(ScrapeGlobal),
    SWITCH_FIELDS(ScrapeGlobal),
};

static const ConfigField job_fields[] = {
    {.key = "job_name", .kind = CONFIG_STR, .offset = offsetof(ScrapeConfig, job_name), .always_print = true,
     .help = "name of the job, the label `job`"},
    {.key = "honor_labels", .kind = CONFIG_BOOL, .offset = offsetof(ScrapeConfig, honor_labels),
     .help = "exposed labels win over the target's"},
    {.key = "honor_timestamps", .kind = CONFIG_BOOL, .offset = offsetof(ScrapeConfig, honor_timestamps), .default_text = "true",
     .always_print = true, .help = "take exposed timestamps"},
    {.key = "track_timestamps_staleness", .kind = CONFIG_BOOL, .offset = offsetof(ScrapeConfig, track_timestamps_staleness),
     .always_print = true, .help = "mark series with exposed timestamps as stale, too"},
    {.key = "params", .kind = CONFIG_STR_LIST_MAP, .offset = offsetof(ScrapeConfig, params), .help = "parameters of the URL"},
    {.key = "scrape_interval", .kind = CONFIG_DURATION, .offset = offsetof(ScrapeConfig, interval_ms),
     .help = "time between two scrapes; inherited"},
    {.key = "scrape_timeout", .kind = CONFIG_DURATION, .offset = offsetof(ScrapeConfig, timeout_ms),
     .help = "longest a scrape may take; inherited"},
    {.key = "scrape_protocols", .kind = CONFIG_STR_LIST, .offset = offsetof(ScrapeConfig, protocols),
     .help = "formats to ask for, best first; inherited"},
    {.key = "fallback_scrape_protocol", .kind = CONFIG_STR, .offset = offsetof(ScrapeConfig, fallback_protocol),
     .help = "format of answers without a usable Content-Type"},
    SWITCH_FIELDS(ScrapeConfig),
    {.key = "metrics_path", .kind = CONFIG_STR, .offset = offsetof(ScrapeConfig, metrics_path), .default_text = "/metrics",
     .help = "path of the URL"},
    {.key = "scheme", .kind = CONFIG_STR, .offset = offsetof(ScrapeConfig, scheme), .default_text = "http",
     .help = "http or https"},
    {.key = "enable_compression", .kind = CONFIG_BOOL, .offset = offsetof(ScrapeConfig, enable_compression),
     .default_text = "true", .always_print = true, .help = "ask for gzip"},
    LIMIT_FIELDS(ScrapeConfig),
    {.key = "native_histogram_bucket_limit", .kind = CONFIG_U64, .offset = offsetof(ScrapeConfig, histogram_buckets_max),
     .help = "most buckets of a native histogram; its resolution is halved until they fit"},
    {.key = "native_histogram_min_bucket_factor", .kind = CONFIG_DOUBLE, .offset = offsetof(ScrapeConfig, histogram_factor_min),
     .help = "least growth from bucket to bucket"},
    KEPT_FIELD(ScrapeConfig),
    NAME_FIELDS(ScrapeConfig),
    {.key = "scrape_failure_log_file", .kind = CONFIG_PATH, .offset = offsetof(ScrapeConfig, failure_log_file),
     .help = "file for one JSON line per failed scrape; inherited"},
    {.key = "", .kind = CONFIG_INLINE, .offset = offsetof(ScrapeConfig, http), .table = &http_client_config_table},
    {.key = "relabel_configs", .kind = CONFIG_STRUCT_LIST, .offset = offsetof(ScrapeConfig, relabel),
     .table = &relabel_rule_table, .null_text = "empty or null target relabeling rule in scrape config",
     .help = "rules over a target's labels"},
    {.key = "metric_relabel_configs", .kind = CONFIG_STRUCT_LIST, .offset = offsetof(ScrapeConfig, metric_relabel),
     .table = &relabel_rule_table, .null_text = "empty or null metric relabeling rule in scrape config",
     .help = "rules over a series' labels"},
    {.key = "", .kind = CONFIG_INLINE, .offset = offsetof(ScrapeConfig, discovery), .table = &discovery_configs_table},
};
// clang-format on

static bool find_protocol(Str name, ScrapeProtocol *ret_protocol)
{
    for (size_t i = 0; i < SCRAPE_PROTOCOL_COUNT; i++)
        if (str_equal(protocols[i].name, name)) {
            *ret_protocol = (ScrapeProtocol)i;
            return true;
        }
    return false;
}

static bool told_twice(ConfigReader *reader, const YamlNode *node, ConfigStrList list,
                       const char *where, Error *err)
{
    CLEANUP(buf_deinit) Buf names = {0};
    for (size_t i = 0; i < list.count; i++)
        buf_printf(&names, "%s" STR_FMT, i ? " " : "", STR_ARG(list.items[i]));
    return config_error(reader, node, err,
                        "duplicated protocol in scrape_protocols, got [" STR_FMT "] %s",
                        STR_ARG(buf_str(&names)), where);
}

// `where` is "for global config" or "for scrape config with job name ...".
static bool check_protocols(ConfigReader *reader, const YamlNode *node, ConfigStrList list,
                            const char *where, Error *err)
{
    for (size_t i = 0; i < list.count; i++) {
        ScrapeProtocol protocol;
        for (size_t k = 0; k < i; k++)
            if (str_equal_nocase(list.items[i], list.items[k]))
                return told_twice(reader, node, list, where, err);
        if (!find_protocol(list.items[i], &protocol))
            return config_error(reader, node, err,
                                "scrape_protocols: unknown scrape protocol " STR_FMT
                                ", supported: %s %s",
                                STR_ARG(list.items[i]), PROTOCOLS_KNOWN, where);
    }
    return true;
}

// A list that stands in the file must not be empty; one that does not is computed later.
static bool check_given_protocols(ConfigReader *reader, const YamlNode *node, ConfigStrList list,
                                  const char *where, Error *err)
{
    const YamlNode *given = yaml_get(node, S("scrape_protocols"));
    if (given && given->kind == YAML_SEQUENCE && given->count == 0)
        return config_error(reader, given, err, "scrape_protocols cannot be empty %s", where);
    return check_protocols(reader, given ? given : node, list, where, err);
}

static bool prefers_protobuf, has_extra_metrics;

void scrape_config_set_features(bool start_times, bool extra_metrics)
{
    prefers_protobuf = start_times;
    has_extra_metrics = extra_metrics;
}

// The default list for these switches.
static ConfigStrList default_protocols(Arena *arena, bool native_histograms)
{
    size_t skip = native_histograms || prefers_protobuf ? 0 : 1;
    ConfigStrList list = {ARENA_ARRAY(arena, Str, COUNT_OF(default_order)), 0};
    for (size_t i = skip; i < COUNT_OF(default_order); i++)
        list.items[list.count++] = protocols[default_order[i]].name;
    return list;
}

// $name and ${name} as Go's os.Expand; "$$" is a dollar. Names that are not set give nothing and are noted.
static Str expand_environment(Arena *arena, Str text, ConfigStrList *unset)
{
    CLEANUP(buf_deinit) Buf out = {0};
    if (str_find_char(text, '$') == STR_NOT_FOUND)
        return text;
    for (size_t i = 0; i < text.len;) {
        if (text.ptr[i] != '$' || i + 1 == text.len) {
            buf_add_char(&out, text.ptr[i++]);
            continue;
        }
        i++;
        bool braces = text.ptr[i] == '{';
        size_t begin = i + braces;
        size_t end = begin;
        if (text.ptr[i] == '$') {
            buf_add_char(&out, '$');
            i++;
            continue;
        }
        while (end < text.len &&
               (braces ? text.ptr[end] != '}'
                       : label_name_is_legacy(str_sub(text, begin, end + 1 - begin))))
            end++;
        Str name = str_sub(text, begin, end - begin);
        const char *value = name.len ? getenv(str_to_c(arena, name)) : NULL;
        if (value)
            buf_add_c(&out, value);
        else if (name.len) {
            unset->items = arena_grow(arena, unset->items, unset->count * sizeof(Str),
                                      (unset->count + 1) * sizeof(Str));
            unset->items[unset->count++] = name;
        }
        i = end + (braces && end < text.len);
    }
    return arena_str(arena, buf_str(&out));
}

static bool expand_external_labels(ConfigReader *reader, const YamlNode *node, ScrapeGlobal *global,
                                   Error *err)
{
    const YamlNode *given = yaml_get(node, S("external_labels"));
    size_t count = global->external_labels.count;
    Label *pairs = ARENA_ARRAY(reader->arena, Label, count);
    for (size_t i = 0; i < count; i++) {
        Str name = global->external_labels.keys[i];
        Str value = expand_environment(reader->arena, global->external_labels.values[i],
                                       &global->unset_variables);
        if (!name_is_utf8(name))
            return config_error(reader, given->keys[i], err,
                                "\"" STR_FMT "\" is not a valid label name", STR_ARG(name));
        if (!str_is_utf8(value))
            return config_error(reader, given->items[i], err,
                                "\"" STR_FMT "\" is not a valid label value", STR_ARG(value));
        pairs[i] = (Label){name, value};
        global->external_labels.values[i] = value;
    }
    if (!labels_sort(pairs, &count, err))
        return error_context(err, "external_labels");
    global->external = (Labels){pairs, count};
    return true;
}

// What legacy names ask for, unless the file says otherwise.
static bool settle_names(ConfigReader *reader, const YamlNode *node, int *validation, int *escaping,
                         const char *where, Error *err)
{
    if (*validation == NAMES_UNSET)
        *validation = NAMES_UTF8;
    if (*escaping == ESCAPING_UNSET)
        *escaping = *validation == NAMES_LEGACY ? ESCAPING_UNDERSCORES : ESCAPING_ALLOW_UTF8;
    if (*validation == NAMES_LEGACY && *escaping == ESCAPING_ALLOW_UTF8)
        return config_error(
            reader, node, err,
            "utf8 metric names requested but validation scheme is not set to UTF8 %s", where);
    return true;
}

static bool finish_global(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    ScrapeGlobal *global = object;
    const char *where = "for global config";
    // As in the original, a 0 means the default.
    if (global->interval_ms == 0)
        global->interval_ms = 60000;
    if (global->evaluation_interval_ms == 0)
        global->evaluation_interval_ms = 60000;
    if (!global->has_timeout || global->timeout_ms == 0)
        global->timeout_ms = MIN(10000, global->interval_ms);
    if (global->timeout_ms > global->interval_ms)
        return config_error(reader, node, err,
                            "global scrape timeout greater than scrape interval");
    if (!check_given_protocols(reader, node, global->protocols, where, err) ||
        !settle_names(reader, node, &global->validation, &global->escaping, where, err))
        return false;
    if (global->protocols.count == 0)
        global->protocols = default_protocols(reader->arena, global->switches.native_histograms);
    else
        global->has_protocols = true;
    return expand_external_labels(reader, node, global, err);
}

const ConfigTable scrape_global_table =
    CONFIG_TABLE(ScrapeGlobal, "global", global_fields, finish_global);
const ConfigTable scrape_config_table =
    CONFIG_TABLE(ScrapeConfig, "scrape_config", job_fields, NULL);

static void inherit_u64(uint64_t *own, uint64_t global)
{
    if (*own == 0)
        *own = global;
}

static void inherit_limits(ScrapeLimits *own, const ScrapeLimits *global)
{
    inherit_u64(&own->body_bytes, global->body_bytes);
    inherit_u64(&own->samples, global->samples);
    inherit_u64(&own->targets, global->targets);
    inherit_u64(&own->labels, global->labels);
    inherit_u64(&own->label_name_bytes, global->label_name_bytes);
    inherit_u64(&own->label_value_bytes, global->label_value_bytes);
    inherit_u64(&own->dropped_targets_kept, global->dropped_targets_kept);
}

static void inherit_switches(ScrapeSwitches *own, const ScrapeSwitches *global)
{
    if (!own->has_native_histograms)
        own->native_histograms = global->native_histograms;
    if (!own->has_classic_to_nhcb)
        own->classic_to_nhcb = global->classic_to_nhcb;
    if (!own->has_always_classic)
        own->always_classic = global->always_classic;
    if (!own->has_extra_metrics)
        own->extra_metrics = global->has_extra_metrics ? global->extra_metrics : has_extra_metrics;
}

static bool inherit_timing(ConfigReader *reader, const YamlNode *node, const ScrapeGlobal *global,
                           ScrapeConfig *config, Error *err)
{
    if (config->interval_ms == 0)
        config->interval_ms = global->interval_ms;
    if (config->timeout_ms == 0)
        config->timeout_ms = MIN(global->timeout_ms, config->interval_ms);
    if (config->timeout_ms <= config->interval_ms)
        return true;
    return config_error(
        reader, node, err,
        "scrape timeout greater than scrape interval for scrape config with job name \"" STR_FMT
        "\"",
        STR_ARG(config->job_name));
}

static bool inherit_names(ConfigReader *reader, const YamlNode *node, const ScrapeGlobal *global,
                          ScrapeConfig *config, const char *where, Error *err)
{
    if (config->validation == NAMES_UNSET && config->escaping == ESCAPING_UNSET)
        config->escaping = global->escaping;
    if (config->validation == NAMES_UNSET)
        config->validation = global->validation;
    if (config->escaping == ESCAPING_UNSET)
        config->escaping =
            config->validation == NAMES_LEGACY ? ESCAPING_UNDERSCORES : global->escaping;
    return settle_names(reader, node, &config->validation, &config->escaping, where, err);
}

static bool settle_protocols(ConfigReader *reader, const YamlNode *node, const ScrapeGlobal *global,
                             ScrapeConfig *config, const char *where, Error *err)
{
    if (!check_given_protocols(reader, node, config->protocols, where, err))
        return false;
    if (config->protocols.count == 0)
        config->protocols =
            global->has_protocols
                ? global->protocols
                : default_protocols(reader->arena, config->switches.native_histograms);
    if (config->fallback_protocol.len == 0)
        return true;
    config->has_fallback = true;
    if (!find_protocol(config->fallback_protocol, &config->fallback))
        return config_error(reader, node, err,
                            "invalid fallback_scrape_protocol %s: unknown scrape protocol " STR_FMT
                            ", supported: %s",
                            where, STR_ARG(config->fallback_protocol), PROTOCOLS_KNOWN);
    return true;
}

static Str accept_header(Arena *arena, const ScrapeConfig *config)
{
    CLEANUP(buf_deinit) Buf out = {0};
    int weight = SCRAPE_PROTOCOL_COUNT + 1;
    for (size_t i = 0; i < config->protocols.count; i++, weight--) {
        ScrapeProtocol protocol = SCRAPE_TEXT_0_0_4;
        bool known = find_protocol(config->protocols.items[i], &protocol);
        ASSERT(known);
        buf_add_c(&out, protocols[protocol].accept);
        if (protocols[protocol].escapes)
            buf_printf(&out, ";escaping=%s", escaping_words[config->escaping]);
        buf_printf(&out, ";q=0.%d,", weight);
    }
    buf_printf(&out, "*/*;q=0.%d", weight);
    return arena_str(arena, buf_str(&out));
}

static bool check_static_targets(ConfigReader *reader, const YamlNode *node,
                                 const ScrapeConfig *config, Error *err)
{
    const YamlNode *groups = yaml_get(node, S("static_configs"));
    if (config->relabel.count || !groups)
        return true;
    for (size_t i = 0; i < groups->count; i++) {
        const YamlNode *targets = yaml_get(groups->items[i], S("targets"));
        for (size_t k = 0; targets && k < targets->count; k++)
            if (str_find_char(targets->items[k]->scalar, '/') != STR_NOT_FOUND)
                return config_error(reader, targets->items[k], err,
                                    "\"" STR_FMT "\" is not a valid hostname",
                                    STR_ARG(targets->items[k]->scalar));
    }
    return true;
}

static bool check_rule_names(ConfigReader *reader, const YamlNode *node, ConfigList rules,
                             Error *err)
{
    for (size_t i = 0; i < rules.count; i++) {
        Error why = {0};
        if (!relabel_rule_set_names((RelabelRule *)rules.items + i, false, &why))
            return config_error(reader, node, err, "%s", why.text);
    }
    return true;
}

static bool check_rules(ConfigReader *reader, const YamlNode *node, ScrapeConfig *config,
                        Error *err)
{
    if (config->validation != NAMES_LEGACY)
        return true;
    return check_rule_names(reader, node, config->relabel, err) &&
           check_rule_names(reader, node, config->metric_relabel, err);
}

bool scrape_config_complete(ConfigReader *reader, const YamlNode *node, const ScrapeGlobal *global,
                            ScrapeConfig *config, Error *err)
{
    if (config->job_name.len == 0)
        return config_error(reader, node, err, "job_name is empty");
    CLEANUP(buf_deinit) Buf where = {0};
    buf_printf(&where, "for scrape config with job name \"" STR_FMT "\"",
               STR_ARG(config->job_name));
    buf_add_char(&where, 0);
    inherit_limits(&config->limits, &global->limits);
    inherit_switches(&config->switches, &global->switches);
    if (config->failure_log_file.len == 0)
        config->failure_log_file = global->failure_log_file;
    if (!inherit_timing(reader, node, global, config, err) ||
        !inherit_names(reader, node, global, config, where.ptr, err) ||
        !settle_protocols(reader, node, global, config, where.ptr, err) ||
        !check_rules(reader, node, config, err) || !check_static_targets(reader, node, config, err))
        return false;
    if (!str_is(config->scheme, "http") && !str_is(config->scheme, "https"))
        return config_error(reader, node, err, "scheme: \"" STR_FMT "\" is neither http nor https",
                            STR_ARG(config->scheme));
    config->accept = accept_header(reader->arena, config);
    return true;
}

void scrape_config_local(Arena *arena, Str job_name, Str address, int64_t interval_ms,
                         int64_t timeout_ms, ScrapeConfig *ret_config)
{
    ScrapeConfig config = {0};
    config_defaults(arena, &scrape_config_table, &config);
    config.job_name = arena_str(arena, job_name);
    config.interval_ms = interval_ms;
    config.timeout_ms = timeout_ms;
    config.validation = NAMES_UTF8;
    config.escaping = ESCAPING_ALLOW_UTF8;
    config.protocols = default_protocols(arena, false);
    config.accept = accept_header(arena, &config);
    config.discovery = discovery_configs_static(arena, address);
    *ret_config = config;
}
