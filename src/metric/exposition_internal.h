// SPDX-License-Identifier: Apache-2.0
// exposition_internal.h: what the readers of the exposition formats share. Private to the room.
#pragma once

#include "metric/exposition_scan.h"

// Ends the reading with an error that names line and column of `at`. Returns false.
bool exposition_fail(Exposition *parser, const char *at, const char *fmt, ...) PRINTF(3, 4);
bool exposition_fail_scan(Exposition *parser, const ScanFault *fault);

// Without the escapes that upstream knows: \\ \n and, in values and OpenMetrics help, \". Others stay as they are.
Str exposition_unescape(Arena *arena, Str raw, bool with_quote);

// Truncated; false if there is no such time.
bool exposition_seconds_to_ms(double seconds, int64_t *ret_ms);

// A float as a label value; `out` has room for NUMBER_BYTES_MAX. Returns the length.
size_t exposition_format_float(double value, char *out);

bool exposition_text_next(Exposition *parser);
bool exposition_text_next_guess(Exposition *parser, Str guess);

bool exposition_text_next_hash(Exposition *parser, uint32_t series_bytes, uint64_t series_hash);

// exposition_start.c: start_ms of the sample just read / whether that sample is the line that tells it.
void exposition_text_start(Exposition *parser);
bool exposition_text_is_created(const Exposition *parser);

bool exposition_protobuf_next(Exposition *parser);
bool exposition_protobuf_next_hash(Exposition *parser, uint64_t series_hash);
bool exposition_protobuf_exemplar(Exposition *parser, Arena *arena, Exemplar *ret_exemplar,
                                  Error *err);
