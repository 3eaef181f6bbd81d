// SPDX-License-Identifier: Apache-2.0
// server_agent.h: what is different about a server that keeps nothing: its flags, its configuration, its store.
#pragma once

#include "main/server_flags.h"
#include "main/server_remote.h"
#include "server/server.h"
#include "tsdb/agent_store.h"

// --agent, or the feature of that name.
bool server_is_agent(const ServerFlags *flags);
// False: a flag was given that belongs to the other mode; *err names all of them.
bool server_agent_check_flags(const ServerFlags *flags, const FlagTable *table,
                              const FlagResult *given, Error *err) MUST_CHECK;
// Blocks that an agent has no use for.
bool server_agent_check_config(const ServerConfig *config, Error *err) MUST_CHECK;
bool server_agent_open(const ServerFlags *flags, Registry *registry, ServerRemote *remote,
                       AgentStore **ret_store, Error *err) MUST_CHECK;
