// SPDX-License-Identifier: Apache-2.0
// server_remote.h: what the server exchanges with others, from flags and configuration: remote write out, remote read in, OTLP.
#pragma once

#include "base/lock.h"
#include "main/server_flags.h"
#include "remote/remote.h"
#include "scrape/scrape.h"
#include "server/server.h"
#include "tsdb/tsdb.h"

typedef struct ServerRemote {
    const ServerFlags *flags;
    Tsdb *tsdb; // NULL: an agent
    RemoteOut *out;
    RemoteIn *in;                            // NULL: an agent
    Otlp *otlp;                              // NULL: the receiver is off
    Lock lock;                               // guards `scrapes`
    ScrapeManager *scrapes GUARDED_BY(lock); // asked for metadata; NULL: nobody is
    bool started;
} ServerRemote;

typedef struct ServerRemoteStart {
    Registry *registry;
    Feed *feed;
    Str dir; // of the store
    Tsdb *tsdb;
    struct Tracer *tracer;
} ServerRemoteStart;

bool server_remote_start(ServerRemote *remote, const ServerFlags *flags,
                         const ServerRemoteStart *start, ServerConfig *config,
                         Error *err) MUST_CHECK;
// An endpoint that cannot be taken up is told in the log.
void server_remote_apply(ServerRemote *remote, ServerConfig *config);
// NULL before the manager is freed.
void server_remote_set_scrapes(ServerRemote *remote, ScrapeManager *scrapes);
// What queries read from. Not for an agent.
Source *server_remote_source(ServerRemote *remote);
// The first segment of the log that is still read; asked by an agent's store.
uint32_t server_remote_needed_segment(void *remote);
// Forwarding ends first, before the store; then the rest. Both accept a zeroed one.
void server_remote_stop(ServerRemote *remote);
void server_remote_deinit(ServerRemote *remote);
