// SPDX-License-Identifier: Apache-2.0
// alertmanager_pages.h: the web UI below the Alertmanager's prefix: one bundle with the server's, in a mode of its own.
#pragma once

#include "net/http_server.h"

typedef struct AlertmanagerPages AlertmanagerPages;

// `prefix`: "" or "/x", where the pages stand.
AlertmanagerPages *alertmanager_pages_new(Str prefix);
void alertmanager_pages_free(AlertmanagerPages *pages); // accepts NULL

// Answers a request for `path` (below the prefix) if it is a page or one of its files: for AmOptions.page.
bool alertmanager_pages_serve(void *pages, HttpRequest *request, Str path);
