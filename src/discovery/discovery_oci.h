// SPDX-License-Identifier: Apache-2.0
// discovery_oci.h: who asks Oracle's API: an account with its key, or the instance that we run on.
//
//     metadata service --> region, certificate, its key, intermediate certificate
//     auth service     <-- certificate and the public half of a new key, signed by the certificate's key
//                      --> security token: names the session key, for some 20 minutes
//     the API          <-- requests signed by the session key
//
// Private to the kind oci.
#pragma once

#include "discovery/discovery_poll.h"

// Lives from round to round, as the keep of the kind.
typedef struct OciPrincipal {
    Buf token, key_pem, tenancy;
    int64_t good_until_ms; // wall time; 0: there is none
} OciPrincipal;

bool oci_principal_is_good(const OciPrincipal *principal);
// Asks for a new token; `then` is called when it is there.
void oci_principal_ask(Round *round, OciPrincipal *principal,
                       bool (*then)(Round *round, Error *err));
void oci_principal_close(void *principal);

// "Thu, 05 Jan 2014 21:31:40 GMT", now.
Str oci_date(Arena *arena);
