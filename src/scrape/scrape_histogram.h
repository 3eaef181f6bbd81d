// SPDX-License-Identifier: Apache-2.0
// scrape_histogram.h: what a job allows of native histograms: the growth and the number of their buckets.
#pragma once

#include "metric/histogram.h"
#include "scrape/scrape_config.h"

// Merges buckets until both limits are kept; another histogram than the one given lives in the arena. ERR_LIMIT, and *ret_too_many, if that
// is not possible.
bool scrape_histogram_limit(const ScrapeConfig *config, Arena *arena, const Histogram **histogram,
                            bool *ret_too_many, Error *err) MUST_CHECK;
