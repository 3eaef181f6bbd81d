// SPDX-License-Identifier: Apache-2.0
// tool_store.h: samples in memory, a Sink and a Source: what the unit tests of rules run on. Private to the room.
//
// Thread: commits come from one thread at a time, while nobody reads; any number may read at once.
#pragma once

#include "metric/sink.h"
#include "metric/source.h"

typedef struct ToolStore ToolStore;

ToolStore *tool_store_new(void);
void tool_store_free(ToolStore *store);
Sink *tool_store_sink(ToolStore *store);
Source *tool_store_source(ToolStore *store);
