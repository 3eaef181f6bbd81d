// SPDX-License-Identifier: Apache-2.0
// server_run.h: a server from its first flag to its last breath: configuration, storage, engine, scraping, HTTP, signals.
#pragma once

#include "main/server_flags.h"

// `stack`: without --config.file on the command line it scrapes itself and the machine it runs on. Returns the exit status.
int server_run(const FlagTable *table, int argc, char **argv, bool stack);
