// SPDX-License-Identifier: Apache-2.0
// http_oauth2.h: tokens of RFC 6749 for an HttpClient: the grants client_credentials and jwt-bearer (RFC 7523). A token is kept until ten
// seconds before it runs out, or until the secret changes.
//
// Private to the room; the loop's thread only.
#pragma once

#include "net/http_client.h"

typedef struct HttpOauth2 HttpOauth2;

// `config` must outlive it.
bool http_oauth2_new(Loop *loop, const HttpOauth2Config *config, HttpOauth2 **ret_oauth2,
                     Error *err) MUST_CHECK;
void http_oauth2_free(HttpOauth2 *oauth2); // accepts NULL; on_end of a fetch is not called

// True: there is a good token. `now_ns` is the loop's clock.
bool http_oauth2_has_token(HttpOauth2 *oauth2, int64_t now_ns);
// "Authorization: Bearer ..." with a NUL behind it that counts, or empty.
Str http_oauth2_line(const HttpOauth2 *oauth2);
// Asks for a token unless it is being asked for. on_end is called once for each fetch that was begun, never from inside.
void http_oauth2_fetch(HttpOauth2 *oauth2, void (*on_end)(void *arg, const Error *err), void *arg);

// The assertion of the jwt-bearer grant: signed by the key in PEM. For tests. Appends it.
bool http_oauth2_assertion(const HttpOauth2Config *config, Str key_pem, int64_t now_s,
                           Buf *assertion, Error *err) MUST_CHECK;
