// SPDX-License-Identifier: Apache-2.0
// compact_uploads.h: blocks that must wait for their upload. A shipper (the sidecar of Thanos) notes what it has stored elsewhere:
// {"version":1,"uploaded":["01JV...", ...]}. It takes blocks of level 1 only, so one that is merged before its turn never gets there.
#pragma once

#include "tsdb/block_meta.h"

// So many of the blocks, from the oldest on, may be merged: those before the first of level 1 that the file does not name. What is behind
// it waits, too, so that no single blocks are left between merged ones.
bool compact_uploads_done(Fs *fs, Str path, const BlockMeta *const *metas, size_t count,
                          size_t *ret_done, Error *err) MUST_CHECK;
