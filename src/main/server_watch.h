// SPDX-License-Identifier: Apache-2.0
// server_watch.h: tells that a file of the configuration has changed, for --config.auto-reload.
#pragma once

#include "server/server.h"

// A hash over names, sizes and times of the main file and of all that it names: rule files, files of scrape configs.
uint64_t server_watch_look(Str config_file, const ServerConfig *config);
