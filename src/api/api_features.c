// SPDX-License-Identifier: Apache-2.0
// /features: what is there and switched on, by category. Facts: prometheus.md section 3.4.
#include <stdlib.h>

#include "api/api_internal.h"
#include "discovery/discovery.h"
#include "template/template.h"

enum { FEATURES_MAX = 256 }; // of one category

typedef struct Feature {
    const char *name;
    bool on;
} Feature;

typedef struct Category {
    Feature items[FEATURES_MAX];
    size_t count;
} Category;

static void add(Category *category, const char *name, bool on)
{
    if (category->count < FEATURES_MAX)
        category->items[category->count++] = (Feature){name, on};
}

static void add_all(Category *category, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(category, names[i], true);
}

bool api_has_feature(const ApiContext *api, const char *name)
{
    for (size_t i = 0; i < api->enabled_feature_count; i++)
        if (str_is(api->enabled_features[i], name))
            return true;
    return false;
}

static void fill_api(const ApiContext *api, Category *out)
{
    static const char *const always[] = {
        "exclude_alerts", "label_values_match", "openapi_3.1",       "openapi_3.2",
        "query_stats",    "query_warnings",     "time_range_labels", "time_range_series"};
    add_all(out, always, COUNT_OF(always));
    add(out, "admin", api->enable_admin);
    add(out, "lifecycle", api->enable_lifecycle);
    add(out, "otlp_write_receiver", api->otlp != NULL);
    add(out, "remote_write_receiver", api->enable_remote_write);
    add(out, "search", api->enable_search);
    add(out, "search_fuzz_alg_jarowinkler", true);
    add(out, "search_fuzz_alg_subsequence", true);
}

static void fill_server(const ApiContext *api, Category *out)
{
    add(out, "agent_mode", api->is_agent);
    add(out, "alertmanager", api->has_alertmanager);
    add(out, "auto_reload_config", api_has_feature(api, "auto-reload-config"));
    add(out, "narthex", true);
    add(out, "server_mode", !api->is_agent);
}

static void fill_promql(const ApiContext *api, Category *out)
{
    static const char *const always[] = {"at_modifier",
                                         "bool",
                                         "by",
                                         "group_left",
                                         "group_right",
                                         "ignoring",
                                         "negative_offset",
                                         "offset",
                                         "on",
                                         "per_query_lookback_delta",
                                         "subqueries",
                                         "without"};
    const PromqlFeatures *promql = &api->features;
    add_all(out, always, COUNT_OF(always));
    add(out, "anchored", promql->extended_range_selectors);
    add(out, "delayed_name_removal", promql->delayed_name_removal);
    add(out, "duration_expr", promql->duration_expressions);
    add(out, "fill", promql->fill_modifiers);
    add(out, "fill_left", promql->fill_modifiers);
    add(out, "fill_right", promql->fill_modifiers);
    add(out, "per_step_stats", promql->per_step_stats);
    add(out, "smoothed", promql->extended_range_selectors);
    add(out, "type_and_unit_labels", promql->type_and_unit_labels);
}

static void fill_functions(const ApiContext *api, Category *out)
{
    const char *name;
    bool experimental;
    for (size_t i = 0; promql_function_at(i, &name, &experimental); i++)
        add(out, name, !experimental || api->features.experimental_functions);
}

static void fill_operators(const ApiContext *api, Category *out)
{
    static const char *const always[] = {
        "!=",     "!~",  "%",   "*",   "+",     "-",      "/",        "<",
        "</",     "<=",  "==",  "=~",  ">",     ">/",     ">=",       "@",
        "^",      "and", "or",  "avg", "atan2", "count",  "bottomk",  "count_values",
        "group",  "max", "min", "sum", "topk",  "unless", "quantile", "stddev",
        "stdvar",
    };
    add_all(out, always, COUNT_OF(always));
    add(out, "limit_ratio", api->features.experimental_functions);
    add(out, "limitk", api->features.experimental_functions);
}

static void fill_rules(const ApiContext *api, Category *out)
{
    add(out, "concurrent_rule_eval", api_has_feature(api, "concurrent-rule-eval"));
    add(out, "keep_firing_for", true);
    add(out, "query_offset", true);
}

static void fill_scrape(const ApiContext *api, Category *out)
{
    add(out, "extra_scrape_metrics", true);
    if (api_has_feature(api, "st-synthesis"))
        add(out, "st-synthesis", true);
    add(out, "start_timestamp_zero_ingestion",
        api_has_feature(api, "created-timestamp-zero-ingestion"));
    add(out, "type_and_unit_labels", api->features.type_and_unit_labels);
}

static void fill_discovery(const ApiContext *api, Category *out)
{
    (void)api;
    const char *name;
    for (size_t i = 0; (name = discovery_kind_name_at(i)); i++)
        add(out, name, true);
}

static void fill_templates(const ApiContext *api, Category *out)
{
    (void)api;
    for (size_t i = 0; i < template_functions_prometheus.count; i++)
        add(out, template_functions_prometheus.functions[i].name, true);
}

static void fill_tsdb(const ApiContext *api, Category *out)
{
    add(out, "delayed_compaction", false);
    add(out, "exemplar_storage", api_has_feature(api, "exemplar-storage"));
    add(out, "histograms_st_encoding", api_has_feature(api, "histograms-st-encoding"));
    add(out, "isolation", true);
    add(out, "native_histograms", true);
    add(out, "st_storage", api_has_feature(api, "st-storage"));
    add(out, "use_uncached_io", false);
    add(out, "xor2_encoding", true);
}

static void fill_ui(const ApiContext *api, Category *out)
{
    (void)api;
    add(out, "ui_v2", false);
    add(out, "ui_v3", true);
}

static void fill_otlp(const ApiContext *api, Category *out)
{
    add(out, "delta_conversion", api_has_feature(api, "otlp-deltatocumulative"));
    add(out, "native_delta_ingestion", api_has_feature(api, "otlp-native-delta-ingestion"));
}

static int compare_features(const void *a, const void *b)
{
    return strcmp(((const Feature *)a)->name, ((const Feature *)b)->name);
}

void api_features(ApiCall *call)
{
    static const struct {
        const char *name;
        void (*fill)(const ApiContext *api, Category *out);
    } categories[] = {
        {"api", fill_api},
        {"otlp_receiver", fill_otlp},
        {"prometheus", fill_server},
        {"promql", fill_promql},
        {"promql_functions", fill_functions},
        {"promql_operators", fill_operators},
        {"rules", fill_rules},
        {"scrape", fill_scrape},
        {"service_discovery_providers", fill_discovery},
        {"templating_functions", fill_templates},
        {"tsdb", fill_tsdb},
        {"ui", fill_ui},
    };
    ApiReply reply;
    JsonWriter *json = &reply.json;
    api_reply_begin(call, &reply);
    json_object(json);
    for (size_t c = 0; c < COUNT_OF(categories); c++) {
        Category category = {.count = 0};
        categories[c].fill(call->api, &category);
        qsort(category.items, category.count, sizeof(Feature), compare_features);
        json_key(json, str_from_c(categories[c].name));
        json_object(json);
        for (size_t i = 0; i < category.count; i++)
            json_key_bool(json, category.items[i].name, category.items[i].on);
        json_object_end(json);
    }
    json_object_end(json);
    api_reply_done(&reply);
}
