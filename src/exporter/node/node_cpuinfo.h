// SPDX-License-Identifier: Apache-2.0
// node_cpuinfo.h: the part of the cpu collector that reads /proc/cpuinfo; off unless asked for.
#pragma once

#include "exporter/node/node_collectors.h"

typedef struct NodeCpuinfo NodeCpuinfo;

// Fails ERR_INVALID if a pattern is wrong.
bool node_cpuinfo_new(NodeScrape *scrape, NodeCpuinfo **ret_info, Error *err) MUST_CHECK;
void node_cpuinfo_free(NodeCpuinfo *info); // accepts NULL
bool node_cpuinfo_write(NodeCpuinfo *info, NodeScrape *scrape, Error *err) MUST_CHECK;
