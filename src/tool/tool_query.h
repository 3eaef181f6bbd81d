// SPDX-License-Identifier: Apache-2.0
// tool_query.h: queries that commands ask of a server. Private to the room.
#pragma once

#include "tool/tool_result.h"

typedef struct ToolRange {
    double start_s, end_s, step_s;
} ToolRange;

bool tool_query_instant_at(const ToolServer *server, Str query, double time_s, Arena *arena,
                           ToolResult *ret_result, Error *err) MUST_CHECK;
bool tool_query_range_of(const ToolServer *server, Str query, const ToolRange *range, Arena *arena,
                         ToolResult *ret_result, Error *err) MUST_CHECK;
