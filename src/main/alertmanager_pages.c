// SPDX-License-Identifier: Apache-2.0
#include "main/alertmanager_pages.h"

#include <stdlib.h>

#include "api/ui_assets.h"
#include "codec/compress.h"

#define INFLATED_BYTES_MAX ((size_t)64 << 20)

struct AlertmanagerPages {
    Buf index; // index.html with its tokens filled in
};

static void add_token(Buf *out, Str *rest, Str token, Str value)
{
    size_t at = str_find(*rest, token);
    if (at == STR_NOT_FOUND)
        return;
    buf_add_str(out, str_sub(*rest, 0, at));
    buf_add_str(out, value);
    *rest = str_skip(*rest, at + token.len);
}

// The token that comes next in the text.
static Str next_token(Str rest, const Str *tokens, size_t count, size_t *ret_which)
{
    size_t best = STR_NOT_FOUND;
    Str found = STR_NONE;
    for (size_t i = 0; i < count; i++) {
        size_t at = str_find(rest, tokens[i]);
        if (at < best) {
            best = at;
            found = tokens[i];
            *ret_which = i;
        }
    }
    return found;
}

AlertmanagerPages *alertmanager_pages_new(Str prefix)
{
    static const Str tokens[] = {STR(UI_TOKEN_PATH_PREFIX), STR(UI_TOKEN_PAGE_TITLE),
                                 STR(UI_TOKEN_MODE)};
    const Str values[] = {prefix, S("Alertmanager"), S("alertmanager")};
    AlertmanagerPages *pages = X_NEW(AlertmanagerPages);
    Str rest = ui_asset_find(S("index.html"))->raw;
    size_t which = 0;
    Str token;
    while ((token = next_token(rest, tokens, COUNT_OF(tokens), &which)).len)
        add_token(&pages->index, &rest, token, values[which]);
    buf_add_str(&pages->index, rest);
    return pages;
}

void alertmanager_pages_free(AlertmanagerPages *pages)
{
    if (!pages)
        return;
    buf_deinit(&pages->index);
    free(pages);
}

static void serve_asset(HttpRequest *request, const UiAsset *asset)
{
    Str accepts = http_header(request, S("Accept-Encoding"));
    http_reply_header(request, S("ETag"), asset->etag);
    http_reply_header(request, S("X-Content-Type-Options"), S("nosniff"));
    http_reply_header(request, S("Vary"), S("Accept-Encoding"));
    http_reply_header(request, S("Cache-Control"),
                      asset->is_immutable ? S("public, max-age=31536000, immutable")
                                          : S("no-cache"));
    if (asset->brotli.len && str_find(accepts, S("br")) != STR_NOT_FOUND) {
        http_reply_header(request, S("Content-Encoding"), S("br"));
        http_reply_static(request, 200, asset->content_type, asset->brotli);
        return;
    }
    if (str_find(accepts, S("gzip")) != STR_NOT_FOUND) {
        http_reply_header(request, S("Content-Encoding"), S("gzip"));
        http_reply_static(request, 200, asset->content_type, asset->gzip);
        return;
    }
    CLEANUP(buf_deinit) Buf plain = {0};
    Error err = {0};
    if (gzip_decode(asset->gzip, INFLATED_BYTES_MAX, &plain, &err))
        http_reply(request, 200, asset->content_type, buf_str(&plain));
    else
        http_reply(request, 500, S("text/plain; charset=utf-8"), str_from_c(err.text));
}

bool alertmanager_pages_serve(void *arg, HttpRequest *request, Str path)
{
    const AlertmanagerPages *pages = arg;
    bool is_read = str_is(request->method, "GET") || str_is(request->method, "HEAD");
    const UiAsset *asset = path.len > 1 ? ui_asset_find(str_skip(path, 1)) : NULL;
    if (!is_read || (!asset && !str_is(path, "/")))
        return false;
    if (asset && !asset->is_template) {
        serve_asset(request, asset);
        return true;
    }
    http_reply_header(request, S("Cache-Control"), S("no-cache, no-store, must-revalidate"));
    http_reply_header(request, S("X-Content-Type-Options"), S("nosniff"));
    http_reply_header(request, S("Content-Security-Policy"), S(UI_CSP));
    http_reply_compress(request);
    http_reply(request, 200, S("text/html; charset=utf-8"), buf_str(&pages->index));
    return true;
}
