// SPDX-License-Identifier: Apache-2.0
// server_rules.h: rules and alerts of the server, from flags and configuration.
#pragma once

#include "main/server_alerts.h"
#include "main/server_flags.h"
#include "rules/rules.h"
#include "server/server.h"
#include "tsdb/tsdb.h"

typedef struct ServerRules {
    RulesManager *manager;
    Notifier *notifier;
    ServerAlerts alerts; // opened by the caller
} ServerRules;

// Reads and checks the rule files that the configuration names. Each mistake is told in the log.
bool server_rules_load(const ServerFlags *flags, const ServerConfig *config, Str external_url,
                       RuleSet **ret_set, Error *err) MUST_CHECK;

void server_rules_init(ServerRules *rules, const ServerFlags *flags, Sink *sink, Source *source,
                       Engine *engine, Registry *registry, struct Tracer *tracer);
// Takes over the set.
void server_rules_apply(ServerRules *rules, ServerConfig *config, RuleSet *set);
// Accepts a zeroed one.
void server_rules_deinit(ServerRules *rules, bool drain);
