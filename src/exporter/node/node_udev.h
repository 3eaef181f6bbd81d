// SPDX-License-Identifier: Apache-2.0
// node_udev.h: what udev's database and sysfs know of a disk, for the info metrics of the diskstats collector.
#pragma once

#include "exporter/node/node_collectors.h"

typedef struct NodeUdev NodeUdev;

NodeUdev *node_udev_new(NodeScrape *scrape);
void node_udev_free(NodeUdev *udev); // accepts NULL
// Adds the info samples of a block device. `labels` is {device="..."}.
void node_udev_write(NodeUdev *udev, Str device, unsigned major, unsigned minor, NodeLabels labels,
                     NodeSink *sink);
