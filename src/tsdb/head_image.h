// SPDX-License-Identifier: Apache-2.0
// head_image.h: which series the head has, in a file beside the log, so that a restart need not define them one by one.
//
//     <dir>/narthex_series   header: place in the log, fingerprint of the log before it | blocks: names, pairs, series, refs | end
//
// (1) The file says nothing that the log does not say: whoever has it may skip the series records before its place; without it, or if it
//     does not fit, the log is read from its beginning. Samples always come from the log.
// (2) It fits if the bytes of the log just before its place are the ones it was written behind, and no checkpoint covers the place.
//     A log that another program has begun anew, cut or repaired before the place does not fit; one that went on does.
// (3) A series is in it only if its record is in the log before the place, or in a snapshot of open chunks that stays until the log has it
//     (head->from_snapshot); none is written while the log could not be told of some (head->snapshot_defines). It may hold series that
//     have been dropped since: they come back without samples and are dropped again.
// (4) Every block carries a checksum. The layout is ours, for this version on this kind of machine; another one is not read.
//
// Prometheus ignores files of unknown names in its folder.
#pragma once

#include "tsdb/head_internal.h"

#define HEAD_IMAGE_NAME "narthex_series"

typedef struct HeadImage {
    Arena arena;
    Str bytes;
    uint32_t segment; // the place in the log: series records before it are covered
    uint64_t offset;
    uint64_t series; // in it
} HeadImage;

// Reads and checks the file; `first_segment` is the first that is not covered by a checkpoint. False: there is none, or none that fits,
// which is logged.
bool head_image_open(Head *head, uint32_t first_segment, HeadImage *ret_image);
void head_image_close(HeadImage *image);
// The log just before the place is the one that it was taken of.
bool head_image_log_fits(Head *head, const WalPlace *place);
// Fills a fresh index; other threads unpack ahead and make the hash of the label sets meanwhile. False: it does not understand it; the index is fresh again.
bool head_image_load(Head *head, const HeadImage *image);

// Writes a new one if enough series have come since, and the log has grown enough to bear its cost. What the maintenance thread does every
// few seconds. A disk that refuses is told of in the log.
void head_image_refresh(Head *head);
// The same without waiting for a better moment.
bool head_image_write(Head *head, Error *err) MUST_CHECK;
// At the end of the head: the next start shall not wait for series that came since.
void head_image_close_head(Head *head);
