// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_histogram.h"

#include <math.h>

static size_t bucket_count(const Histogram *h)
{
    return (size_t)h->positive_count + h->negative_count;
}

// The finest schema whose buckets grow by at least `factor`: clamp(floor(-log2(log2(factor))), -4, 8).
static int32_t schema_of_factor(double factor)
{
    if (factor <= 1)
        return HISTOGRAM_SCHEMA_MAX;
    double schema = floor(-log2(log2(factor)));
    return (int32_t)fmin(fmax(schema, HISTOGRAM_SCHEMA_MIN), HISTOGRAM_SCHEMA_MAX);
}

bool scrape_histogram_limit(const ScrapeConfig *config, Arena *arena, const Histogram **histogram,
                            bool *ret_too_many, Error *err)
{
    bool custom = (*histogram)->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (config->histogram_factor_min > 1 && !custom) {
        int32_t schema = schema_of_factor(config->histogram_factor_min);
        if (schema < (*histogram)->schema)
            *histogram = histogram_reduce(arena, *histogram, schema);
    }
    uint64_t max = config->histogram_buckets_max;
    while (max && bucket_count(*histogram) > max) {
        if (custom || (*histogram)->schema <= HISTOGRAM_SCHEMA_MIN) {
            *ret_too_many = true;
            return error_set(err, ERR_LIMIT, "histogram bucket limit exceeded");
        }
        *histogram = histogram_reduce(arena, *histogram, (*histogram)->schema - 1);
    }
    return true;
}
