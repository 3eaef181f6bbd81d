// SPDX-License-Identifier: Apache-2.0
// discovery_token.h: access tokens of cloud APIs, kept from round to round until a minute before they run out.
#pragma once

#include "discovery/discovery_poll.h"
#include "net/jwt.h"

#define TOKEN_BYTES_MAX 16384

// To be the `keep` of a kind, or to stand in it.
typedef struct Token {
    char text[TOKEN_BYTES_MAX];
    int64_t good_until_ns;
} Token;

typedef bool (*TokenThen)(Round *round, Str token, Error *err);

bool token_is_good(const Token *token, const Round *round);

// Asks for {"access_token": ..., "expires_in": ...}: by POST if there is a form, else by GET. `then` is called with the token.
void token_ask(Round *round, Token *token, const Ask *ask, TokenThen then);

// The grant jwt-bearer: an assertion signed with the key.
typedef struct TokenKey {
    Str url;
    Str key_pem, key_id;
    Str issuer, subject, audience, scope; // empty: not claimed
    JwtAlgorithm algorithm;
} TokenKey;

bool token_ask_by_key(Round *round, Token *token, const TokenKey *key, TokenThen then,
                      Error *err) MUST_CHECK;
