// SPDX-License-Identifier: Apache-2.0
// ui.h: the web UI's files, served. They lie in the program (ui_assets.h); one document, index.html, shows every page.
//
//     UiSite *site = ui_site_new(S("/prefix"), S("Title"), S("server"));
//     UiSent sent;
//     if (!ui_send_asset(request, S("assets/index-1a2b.js"), &sent))
//         sent = ui_send_page(site, request, 404);
//
// Thread: a site is constant once it is made; any thread may send.
#pragma once

#include "net/http_server.h"

typedef struct UiSite UiSite;

// What was sent, for logs and metrics.
typedef struct UiSent {
    int status;
    size_t bytes; // of the body, as sent
} UiSent;

// index.html with its tokens filled in.
//
// path_prefix   "" or "/some/prefix"
// mode          which pages the document shows: "server", "agent" or "alertmanager"
//
// Returns  the caller's, for ui_site_free
UiSite *ui_site_new(Str path_prefix, Str page_title, Str mode);
// Accepts NULL.
void ui_site_free(UiSite *site);

// Answers with index.html, or with 304 if `status` is 200 and the client has it.
UiSent ui_send_page(const UiSite *site, HttpRequest *request, int status);

// Answers with the file at `path`, which is relative to the prefix. Returns false, and sends nothing, if there is none.
bool ui_send_asset(HttpRequest *request, Str path, UiSent *ret_sent) MUST_CHECK;

// Whether a person asks: a browser that would show a page. Programs get a plain text instead.
bool ui_wants_page(HttpRequest *request);
