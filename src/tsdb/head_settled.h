// SPDX-License-Identifier: Apache-2.0
// head_settled.h: up to which place of the log every sample is in a full chunk on disk, in a file beside the log, so that a restart need not
// read those once more.
//
//     <dir>/narthex_settled  magic u32 | layout u32 | place in the log | files u32 | for each chunk file: number, bytes, CRC | CRC-32C u32
//
// (1) The file says nothing that log and chunks do not say: whoever has it may skip the samples before its place. Everything else of the log
//     is read; without the file, or if it does not fit, all of it.
// (2) It fits if the log just before its place is what it was written behind (head_image_log_fits), no checkpoint covers the place, and the
//     files of full chunks are there as they were, or longer. They were synced before.
// (3) A sample before the place that is in no full chunk would be in an open one, which began with it or before. So the place was taken while
//     no commit was under way, and every chunk that is open since began behind all samples that the head had then.
// (4) Chunks of series that have ended or that bring nothing for long are ended, else one of them would hold the place where it is.
//
// Prometheus ignores files of unknown names in its folder.
#pragma once

#include "tsdb/head_internal.h"

#define HEAD_SETTLED_NAME "narthex_settled"

// Looks for one that fits; `first_segment` is the first that is not covered by a checkpoint. The chunks are open. False: samples are read
// from the log's beginning; why is logged if there is a file.
bool head_settled_open(Head *head, uint32_t first_segment, WalPlace *ret_place);
// Writes a new one if enough of the log has settled. What the maintenance thread does every few seconds. A disk that refuses is told of in
// the log.
void head_settled_refresh(Head *head);
// At the end of the head.
void head_settled_close_head(Head *head);

// Understands the file's bytes. What is returned lives in the arena.
typedef struct HeadSettledFile {
    WalPlace place;
    HeadChunksExtent *extents;
    size_t extent_count;
} HeadSettledFile;
bool head_settled_parse(Str bytes, Arena *arena, HeadSettledFile *ret_file);
