// SPDX-License-Identifier: Apache-2.0
#include "main/server_features.h"

#include "base/log.h"

// All names of the original's version 3.14. Where nothing happens, `why` says so.
static const struct {
    const char *name;
    const char *why;
} features[] = {
    {"agent", NULL},
    {"auto-reload-config", NULL},
    {"concurrent-rule-eval", NULL},
    {"created-timestamp-zero-ingestion", NULL},
    {"delayed-compaction", NULL},
    {"exemplar-storage", NULL},
    {"extra-scrape-metrics", NULL},
    {"fast-startup", "starts are always fast: an image of the series lies beside the log"},
    {"histograms-st-encoding", NULL},
    {"memory-snapshot-on-shutdown", NULL},
    {"metadata-wal-records", "metadata of received series is always in the log; targets are asked "
                             "for that of scraped ones"},
    {"native-histograms", "use scrape_native_histograms of the configuration"},
    {"old-ui", "there is one web UI"},
    {"ooo-native-histograms", "they are always taken"},
    {"otlp-deltatocumulative", NULL},
    {"otlp-native-delta-ingestion", NULL},
    {"promql-binop-fill-modifiers", NULL},
    {"promql-delayed-name-removal", NULL},
    {"promql-duration-expr", "they are always there"},
    {"promql-experimental-functions", NULL},
    {"promql-extended-range-selectors", NULL},
    {"promql-per-step-stats", NULL},
    {"search-api", NULL},
    {"st-storage", NULL},
    {"st-synthesis", NULL},
    {"type-and-unit-labels", NULL},
    {"use-start-timestamps", NULL},
    {"use-uncached-io", "files are written through the page cache"},
    {"xor2-encoding", NULL},
};

static void tell(Str name)
{
    for (size_t i = 0; i < COUNT_OF(features); i++) {
        if (!str_is(name, features[i].name))
            continue;
        if (features[i].why)
            log_warn("this option for --enable-feature has no effect", KV("option", name),
                     KV("why", features[i].why));
        return;
    }
    log_warn("unknown option for --enable-feature, ignoring", KV("option", name));
}

bool server_features_check(const ServerFlags *flags, Error *err)
{
    for (size_t i = 0; i < flags->enable_feature.count; i++) {
        Str rest = flags->enable_feature.items[i];
        Str name;
        while (str_split_next(&rest, ',', &name))
            if (str_trim(name).len)
                tell(str_trim(name));
    }
    if (server_feature(flags, "otlp-deltatocumulative") &&
        server_feature(flags, "otlp-native-delta-ingestion"))
        return error_set(err, ERR_INVALID,
                         "cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion "
                         "features at the same time");
    return true;
}
