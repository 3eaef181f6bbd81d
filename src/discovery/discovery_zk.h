// SPDX-License-Identifier: Apache-2.0
// discovery_zk.h: a reading client of ZooKeeper on the discovery loop: data and children of nodes, with watches.
//
// Each connection is a session of its own: when it is lost, all watches and open questions are gone, and whoever asked is told by on_lost,
// then by on_ready once there is another one. Format: ZooKeeper 3, client port, jute: frames of a 4-byte length, big endian.
#pragma once

#include "config/config.h"
#include "net/loop.h"

typedef struct ZkClient ZkClient;

typedef struct ZkOptions {
    Loop *loop;
    ConfigStrList
        servers; // "host:2181"; one after the other is tried, from a random one on. Must outlive the client
    int64_t timeout_ms; // of the session
    void (*on_ready)(void *arg);
    void (*on_lost)(void *arg, const Error *err);
    void (*on_change)(void *arg, Str path); // a watch of that node has fired; it is gone with that
    void *arg;
} ZkOptions;

// Loop thread only, as all of this. Begins to connect.
ZkClient *zk_client_new(const ZkOptions *options);
void zk_client_free(ZkClient *client); // accepts NULL; nothing is called any more

typedef enum ZkOutcome { ZK_OK, ZK_NO_NODE, ZK_FAILED } ZkOutcome;

// Both watch the node, if it is there. `done` is called unless the connection is lost before.
typedef void (*ZkDataFn)(void *arg, Str path, ZkOutcome outcome, Str data);
void zk_client_get(ZkClient *client, Str path, ZkDataFn done, void *arg);
// `names` as length and bytes of each, one behind the other: see zk_next_name.
void zk_client_children(ZkClient *client, Str path, ZkDataFn done, void *arg);
bool zk_next_name(Str *names, Str *ret_name);
