// SPDX-License-Identifier: Apache-2.0
// http_sigv4.h: the keys that an HttpClient signs with for Amazon's services, looked for where the AWS tools look:
//
//     1. access_key and secret_key of the configuration
//     2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//     3. the profile in the shared credentials file (read anew when it changes)
//     4. the role AWS_ROLE_ARN, by the token in AWS_WEB_IDENTITY_TOKEN_FILE
//     5. what Amazon lends to the container or the machine (aws_machine.h)
//
// With role_arn these take on that role at STS. What STS lends is renewed five minutes before it runs out.
//
// Private to the room; the loop's thread only.
#pragma once

#include "net/http_client.h"

typedef struct HttpSigv4 HttpSigv4;

// `config` must outlive it.
bool http_sigv4_new(Loop *loop, const HttpSigv4Config *config, HttpSigv4 **ret_sigv4,
                    Error *err) MUST_CHECK;
void http_sigv4_free(HttpSigv4 *sigv4); // accepts NULL; on_end of a fetch is not called

// False: they must be fetched first.
bool http_sigv4_has_keys(HttpSigv4 *sigv4);
// As http_oauth2_fetch.
void http_sigv4_fetch(HttpSigv4 *sigv4, void (*on_end)(void *arg, const Error *err), void *arg);
// What is signed. Of `headers`, lines that end in a NUL each, those that begin with X-Amz- are signed, too.
typedef struct HttpSigv4Request {
    Str method, url, headers, body;
    const char *service; // NULL: the configuration's
} HttpSigv4Request;

// Appends the header lines that sign the request, each ending in a NUL.
bool http_sigv4_sign(const HttpSigv4 *sigv4, const HttpSigv4Request *request, Buf *lines,
                     Error *err) MUST_CHECK;

// For tests: a profile of a shared credentials file. False: it is not there.
bool http_sigv4_read_profile(Str file, Str profile, Str *ret_access_key, Str *ret_secret_key,
                             Str *ret_session_token);
