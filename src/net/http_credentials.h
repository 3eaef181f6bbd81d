// SPDX-License-Identifier: Apache-2.0
// http_credentials.h: what an HttpClient shows to servers: the header lines and the TLS material of its
// configuration. Files are read anew when they change (looked at once a second at most).
//
// TLS material, inline or from files, is kept in anonymous memory files, because libcurl wants paths. A
// change gives a new path, by which libcurl sees that older connections must not be used any more.
//
// Private to the room; the loop's thread only.
#pragma once

#include "net/http_client.h"

typedef struct HttpCredentials HttpCredentials;

// `config` must outlive it. Reads nothing yet.
HttpCredentials *http_credentials_new(const HttpClientConfig *config);
void http_credentials_free(HttpCredentials *credentials); // accepts NULL

// Looks for changed files. ERR_IO and the like if one cannot be read (what was read before is kept).
bool http_credentials_refresh(HttpCredentials *credentials, int64_t now_ns, Error *err) MUST_CHECK;

// Rises with each change of what the functions below tell.
uint64_t http_credentials_generation(const HttpCredentials *credentials);
// "Authorization: ..." and the http_headers, each ending in a NUL, one behind the other.
Str http_credentials_lines(const HttpCredentials *credentials);

typedef enum HttpPemKind { HTTP_PEM_CA, HTTP_PEM_CERT, HTTP_PEM_KEY, HTTP_PEM_COUNT } HttpPemKind;
// A path that holds the material, or NULL if there is none.
const char *http_credentials_pem_path(const HttpCredentials *credentials, HttpPemKind kind);
