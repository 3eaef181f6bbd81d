// SPDX-License-Identifier: Apache-2.0
#include "metric/sample.h"

// The names stand at the index that is the type's number.
static const Str type_names[] = {
    [METRIC_UNKNOWN] = STR("unknown"),
    [METRIC_COUNTER] = STR("counter"),
    [METRIC_GAUGE] = STR("gauge"),
    [METRIC_HISTOGRAM] = STR("histogram"),
    [METRIC_GAUGE_HISTOGRAM] = STR("gaugehistogram"),
    [METRIC_SUMMARY] = STR("summary"),
    [METRIC_INFO] = STR("info"),
    [METRIC_STATESET] = STR("stateset"),
};

Str metric_type_name(MetricType type)
{
    return (size_t)type < COUNT_OF(type_names) ? type_names[type] : type_names[METRIC_UNKNOWN];
}

bool metric_type_parse(Str name, MetricType *ret_type)
{
    if (str_equal(name, S("untyped"))) {
        *ret_type = METRIC_UNKNOWN;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(type_names); i++) {
        if (str_equal(type_names[i], name)) {
            *ret_type = (MetricType)i;
            return true;
        }
    }
    return false;
}
