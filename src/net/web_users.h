// SPDX-License-Identifier: Apache-2.0
// web_users.h: are this name and this password one of basic_auth_users? bcrypt takes a tenth of a second on purpose, so that what it said
// is remembered: a known pair costs a SHA-256.
//
// (1) What is remembered is a keyed digest of name, hash and password; no password stays in memory, and a changed hash is another pair.
// (2) Pairs that are right and pairs that are wrong are remembered apart, each WEB_USERS_KEPT at most, so that guesses push out no user.
// (3) An unknown name costs what a known one does.
//
// Private to the room.
#pragma once

#include "base/lock.h"
#include "config/config.h"
#include "net/digest.h"

#define WEB_USERS_KEPT 128

typedef enum WebVerdict { WEB_DENIED, WEB_ALLOWED, WEB_UNKNOWN } WebVerdict;

typedef struct WebUsersKept {
    uint8_t digests[WEB_USERS_KEPT][SHA256_BYTES];
    uint64_t used_at[WEB_USERS_KEPT];
    size_t count;
} WebUsersKept;

typedef struct WebUsers {
    uint8_t secret[32]; // of this process: digests mean nothing elsewhere
    Lock lock;
    uint64_t clock GUARDED_BY(lock);
    WebUsersKept right GUARDED_BY(lock), wrong GUARDED_BY(lock);
} WebUsers;

void web_users_init(WebUsers *users);
void web_users_deinit(WebUsers *users);

// What the header "Authorization" (without its name) is worth; WEB_UNKNOWN asks for web_users_check. `hashes` are bcrypt's by name.
WebVerdict web_users_recall(WebUsers *users, const ConfigStrMap *hashes, Str authorization);
// Computes bcrypt, which is slow, and remembers the outcome.
bool web_users_check(WebUsers *users, const ConfigStrMap *hashes, Str authorization);
