// SPDX-License-Identifier: Apache-2.0
// sigv4.h: signs HTTP requests as Amazon Web Services want it: Signature Version 4, with the signature in a header.
#pragma once

#include "base/arena.h"
#include "base/error.h"

typedef struct SigV4Keys {
    Str access_key;
    Str secret_key;
    Str session_token; // of temporary keys; empty: none
} SigV4Keys;

typedef struct SigV4Request {
    Str method; // empty: GET
    Str url;    // absolute, as it will be asked for
    Str body;
    const Str *headers; // "Name: value" each; all are signed
    size_t header_count;
    Str region;
    Str service; // "ec2", "aps"
    int64_t now_ms;
} SigV4Request;

#define SIGV4_LINES_MAX 3

// The header lines to add, "Name: value" each: X-Amz-Date, X-Amz-Security-Token with temporary keys, Authorization. They live in the arena. Fails ERR_INVALID if the URL has no host or the keys are empty.
bool sigv4_sign(const SigV4Request *request, const SigV4Keys *keys, Arena *arena,
                Str ret_lines[SIGV4_LINES_MAX], size_t *ret_count, Error *err) MUST_CHECK;
