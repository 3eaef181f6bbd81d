// SPDX-License-Identifier: Apache-2.0
// scrape_labels.h: from what stands in a page to the labels under which a series is stored: the target's labels, honor_labels, metric
// relabelling, the limits. Done once for a series, when it is seen for the first time.
//
// Thread: that of the ScrapeWork.
#pragma once

#include "scrape/scrape_append.h"

// The labels that the scraped ones (sorted) become, in work->scratch; false if a rule drops them.
bool scrape_labels_make(ScrapeWork *work, const ScrapeInput *input, Labels scraped,
                        Labels *ret_labels);
// Whether they may be stored. *ret_over_limit becomes true if it is a limit of the configuration that they break.
bool scrape_labels_check(ScrapeWork *work, const ScrapeInput *input, Labels labels,
                         bool *ret_over_limit, Error *err) MUST_CHECK;
