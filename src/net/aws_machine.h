// SPDX-License-Identifier: Apache-2.0
// aws_machine.h: the keys that Amazon lends to what runs there: to a container by AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or
// AWS_CONTAINER_CREDENTIALS_FULL_URI, else to the machine by its metadata service (IMDS version 2, at
// AWS_EC2_METADATA_SERVICE_ENDPOINT; not asked with AWS_EC2_METADATA_DISABLED=true).
//
// Private to the room; the loop's thread only.
#pragma once

#include "net/http_client.h"
#include "net/sigv4.h"

typedef struct AwsMachine AwsMachine;

AwsMachine *aws_machine_new(HttpClient *client);
void aws_machine_free(AwsMachine *machine); // accepts NULL; after the client has been freed

// False: there is nobody to ask.
bool aws_machine_can_ask(void);
// `done` is called once, with the keys or an error, unless the client is freed before.
typedef void (*AwsMachineFn)(void *arg, const SigV4Keys *keys, int64_t good_until_ms,
                             const Error *err);
bool aws_machine_fetch(AwsMachine *machine, AwsMachineFn done, void *arg, Error *err) MUST_CHECK;
