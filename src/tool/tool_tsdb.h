// SPDX-License-Identifier: Apache-2.0
// tool_tsdb.h: what the commands of `tsdb` share. Private to the room.
#pragma once

#include "tool/tool_command.h"
#include "tsdb/tsdb.h"

#define TOOL_TSDB_DIR S("data/") // where no directory is given

// The directory: argument `index`, or the usual one.
Str tool_tsdb_dir(const ToolCall *call, size_t index);
// The table of `tsdb list`, columns as wide as their widest cell.
void tool_tsdb_table(const TsdbBlockInfo *blocks, size_t count, bool header, bool human_readable,
                     Buf *out);
// Tells the blocks that cannot be read, and returns the exit status.
int tool_tsdb_tell_faults(const TsdbBlockInfo *blocks, size_t count);
// Go's time.Duration.String() of whole milliseconds.
void tool_tsdb_duration(Buf *out, int64_t ms);
