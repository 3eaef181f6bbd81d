// SPDX-License-Identifier: Apache-2.0
// ui_assets.h: the files of the web UI, as they lie compressed in the program. The table is generated
// by scripts/embed from what `npm run build` leaves in ui/dist; nothing is read from disk at run time.
//
//     path                    type                     gzip    brotli  raw
//     assets/main-3fa9c1.js   text/javascript; ...     bytes   bytes   -        immutable
//     favicon.svg             image/svg+xml            bytes   bytes   -
//     index.html              text/html; ...           -       -       bytes    template
//
// (1) A template has only `raw`; every other asset has only `gzip` and, where it is smaller, `brotli`.
// (2) gzip is the form that every asset has. Browsers ask for brotli over HTTPS or from localhost only,
//     and libdeflate can undo gzip for the rare client that takes neither. There is no brotli decoder
//     here, so brotli alone would not do, and the raw bytes beside both would be a third copy.
// (3) The table is sorted by path, bytewise.
//
// index.html is the one template. Before it is served each UI_TOKEN_* in it is replaced by its value,
// escaped for HTML (& < > " '). The values are fixed when the program starts, so this can be done once;
// the ETag of the result must then depend on the values too. All other references are relative
// to the <base href="{{path_prefix}}/"> that stands in its head, so no other file changes with the prefix.
//
// Serving rules: index.html answers the path of each page (and 404 for what is neither page nor file), with
// `Cache-Control: no-cache`; an immutable asset gets `public, max-age=31536000, immutable`, any other
// `no-cache`; all get `ETag`, `Vary: Accept-Encoding` and `X-Content-Type-Options: nosniff`; index.html
// gets `Content-Security-Policy: UI_CSP`.
//
// Thread: any; everything is constant.
#pragma once

#include "base/str.h"

typedef struct UiAsset {
    Str path;          // below the route prefix, without a leading slash
    Str content_type;  // the whole header value
    Str etag;          // with its quotes; from the content, so that it changes exactly with it
    Str gzip;          // one gzip member
    Str brotli;        // one brotli stream; empty if it would not be smaller than gzip
    Str raw;           // of a template only
    size_t raw_bytes;  // the size when nothing is compressed
    bool is_immutable; // the name holds a hash of the content
    bool is_template;  // holds UI_TOKEN_*
} UiAsset;

// "" or "/some/prefix", without a slash at its end.
#define UI_TOKEN_PATH_PREFIX "{{path_prefix}}"
// --web.page-title
#define UI_TOKEN_PAGE_TITLE "{{page_title}}"
// "server", "agent" or "alertmanager"
#define UI_TOKEN_MODE "{{mode}}"

// Style attributes are how the UI places tooltips and menus; scripts have no exception.
#define UI_CSP                                                                                     \
    "default-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; "   \
    "form-action 'self'; frame-ancestors 'self'"

// The asset at `path`, or NULL. "index.html" is always there: without a built UI it is a page that says
// so and links to the API.
const UiAsset *ui_asset_find(Str path);

// The i-th asset in the order of the table, or NULL past its end.
const UiAsset *ui_asset_at(size_t index);

// False if the program was built without the UI.
bool ui_assets_built(void);
