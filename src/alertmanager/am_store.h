// SPDX-License-Identifier: Apache-2.0
// am_store.h: silences and the notification log on disk: one SQLite database, written through at once. What am_store_wait() has
// confirmed survives a crash of the process and of the machine.
//
//     callers --am_store_put--> queue --> thread am-store: BEGIN, all that waits, COMMIT --> am_store_wait returns
//
// (1) Writes reach the disk in the order of am_store_put; those that wait at the same time share a commit.
// (2) A commit that fails (a full disk) is told to those who wait for it and tried again with what has come since.
//
// Thread: any. The database belongs to the store's own thread once it is open.
#pragma once

#include "base/error.h"
#include "base/str.h"

typedef struct AmStore AmStore;

typedef enum AmStoreTable { AM_STORE_SILENCES, AM_STORE_LOG, AM_STORE_TABLES } AmStoreTable;

// Opens or makes `path`. *ret_is_new: there was no database.
bool am_store_open(Str path, AmStore **ret_store, bool *ret_is_new, Error *err) MUST_CHECK;
// Writes what waits. Accepts NULL.
void am_store_close(AmStore *store);

// Calls row(arg, body) for each row; before the first am_store_put.
bool am_store_load(AmStore *store, AmStoreTable table, void (*row)(void *arg, Str key, Str body),
                   void *arg, Error *err) MUST_CHECK;

// Both are copied. An empty body deletes the row. Returns the ticket of the write.
uint64_t am_store_put(AmStore *store, AmStoreTable table, Str key, Str body);
// Waits until the write is on the disk.
bool am_store_wait(AmStore *store, uint64_t ticket, Error *err) MUST_CHECK;

typedef struct AmStoreCounts {
    uint64_t commits, failures, waiting;
} AmStoreCounts;
AmStoreCounts am_store_counts(AmStore *store);
