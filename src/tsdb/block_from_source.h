// SPDX-License-Identifier: Apache-2.0
// block_from_source.h: whatever a Source has becomes a block: for snapshots and for tests.
#pragma once

#include "metric/source.h"
#include "tsdb/block_writer.h"

// Everything in [options->min_t_ms, options->max_t_ms). ret_made is false if there is no sample.
bool block_from_source(Source *source, const BlockWriterOptions *options, size_t samples_per_chunk,
                       bool *ret_made, Error *err) MUST_CHECK;
