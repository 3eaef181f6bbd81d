// SPDX-License-Identifier: Apache-2.0
// cloud_token.h: tokens of Azure (azuread) and Google (google_iam) for an HttpClient, fetched over its loop and kept: Azure's for half
// of their life, Google's until ten seconds before its end, as in the originals' libraries. Files are read anew for each token.
//
//     azuread: oauth, certificate, workload_identity   Entra's token endpoint of the cloud (AZURE_AUTHORITY_HOST)
//              managed_identity                        App Service (IDENTITY_ENDPOINT) or the machine's metadata service
//              sdk                                     what AZURE_* of the environment says, else the managed identity
//     google_iam: credentials_file, GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the machine's metadata service
//
// Private to the room; the loop's thread only.
#pragma once

#include "net/http_client.h"

typedef struct CloudToken CloudToken;

// `config` has azuread or google_iam, and must outlive it.
bool cloud_token_new(Loop *loop, const HttpClientConfig *config, CloudToken **ret_token,
                     Error *err) MUST_CHECK;
void cloud_token_free(CloudToken *token); // accepts NULL; on_end of a fetch is not called

// True: there is a good one. `now_ns` is the loop's clock.
bool cloud_token_is_good(const CloudToken *token, int64_t now_ns);
// "Authorization: Bearer ..." with a NUL behind it that counts, or empty.
Str cloud_token_line(const CloudToken *token);
// As http_oauth2_fetch.
void cloud_token_fetch(CloudToken *token, void (*on_end)(void *arg, const Error *err), void *arg);

// What to ask for a token: a POST if there is a body, which is a form.
typedef struct CloudAsk {
    Buf url, body;
    Buf header; // one more line, or empty
} CloudAsk;

// &name=value, escaped.
void cloud_token_add_param(Buf *form, const char *name, Str value);

// Fills *ask. azure_token.c, google_token.c.
bool azure_token_ask(const HttpAzureadConfig *config, CloudAsk *ask, Error *err) MUST_CHECK;
bool google_token_ask(const HttpGoogleIamConfig *config, CloudAsk *ask, Error *err) MUST_CHECK;
