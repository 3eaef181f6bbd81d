// SPDX-License-Identifier: Apache-2.0
// server_alerts.h: the Alertmanager inside of the server's process: alerts of rules reach it by a call, its pages and API stand below
// /alertmanager on the server's own port.
#pragma once

#include "alertmanager/alertmanager.h"
#include "main/server_flags.h"
#include "rules/rules.h"

typedef struct ServerAlerts {
    Am *am;     // NULL: none in this process
    Str prefix; // "/alertmanager" behind the server's own
} ServerAlerts;

// `stack`: there is one even without a configuration, which tells nobody. Otherwise only with --alertmanager.config.file.
bool server_alerts_open(ServerAlerts *alerts, const ServerFlags *flags, bool stack,
                        Str route_prefix, Str external_url, Registry *registry,
                        struct Tracer *tracer, Arena *arena, Error *err) MUST_CHECK;
void server_alerts_close(ServerAlerts *alerts); // accepts a zeroed one
// Before anything of the server changes. Fine without one.
bool server_alerts_reload(ServerAlerts *alerts, Error *err) MUST_CHECK;

// For NotifierOptions.here: alerts for the one in this process. `arg` is a ServerAlerts.
void server_alerts_take(void *arg, const NotifierAlert *alerts, size_t count);
// Answers what is below the prefix.
bool server_alerts_handle(ServerAlerts *alerts, HttpRequest *request);
