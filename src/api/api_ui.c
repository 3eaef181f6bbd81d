// SPDX-License-Identifier: Apache-2.0
// The embedded UI: serving rules stand in ui_assets.h.
#include <stdio.h>
#include <stdlib.h>

#include "api/api_internal.h"
#include "api/ui_assets.h"
#include "codec/compress.h"

enum { INFLATED_BYTES_MAX = 64 << 20 };

typedef struct ApiPage {
    Buf body;
    char etag[32];
} ApiPage;

// ---- index.html ----

static void add_html_escaped(Buf *buf, Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&':
            buf_add_c(buf, "&amp;");
            break;
        case '<':
            buf_add_c(buf, "&lt;");
            break;
        case '>':
            buf_add_c(buf, "&gt;");
            break;
        case '"':
            buf_add_c(buf, "&#34;");
            break;
        case '\'':
            buf_add_c(buf, "&#39;");
            break;
        default:
            buf_add_char(buf, text.ptr[i]);
        }
    }
}

void api_page_init(ApiContext *context)
{
    const UiAsset *asset = ui_asset_find(S("index.html"));
    ApiPage *page = X_NEW(ApiPage);
    const struct {
        Str token;
        Str value;
    } tokens[] = {
        {STR(UI_TOKEN_PATH_PREFIX), context->route_prefix},
        {STR(UI_TOKEN_PAGE_TITLE), context->page_title},
        {STR(UI_TOKEN_MODE), context->is_agent ? S("agent") : S("server")},
    };
    Str rest = asset->raw;
    while (rest.len > 0) {
        size_t found = STR_NOT_FOUND;
        size_t which = 0;
        for (size_t i = 0; i < COUNT_OF(tokens); i++) {
            size_t at = str_find(rest, tokens[i].token);
            if (at < found) {
                found = at;
                which = i;
            }
        }
        buf_add_str(&page->body, str_sub(rest, 0, found));
        if (found == STR_NOT_FOUND)
            break;
        add_html_escaped(&page->body, tokens[which].value);
        rest = str_skip(rest, found + tokens[which].token.len);
    }
    snprintf(page->etag, sizeof page->etag, "\"%016llx\"",
             (unsigned long long)str_hash(buf_str(&page->body)));
    context->state->page = page;
}

void api_page_free(ApiContext *context)
{
    if (!context->state->page)
        return;
    buf_deinit(&context->state->page->body);
    free(context->state->page);
}

// If-None-Match: a list of tags or a star; weak tags compare like strong ones (RFC 9110 13.1.2).
static bool has_tag(ApiCall *call, Str etag)
{
    Str list = http_header(call->request, S("If-None-Match"));
    Str tag;
    while (str_split_next(&list, ',', &tag)) {
        tag = str_trim(tag);
        if (str_starts_with(tag, S("W/")))
            tag = str_skip(tag, 2);
        if (str_is(tag, "*") || str_equal(tag, etag))
            return true;
    }
    return false;
}

static void add_common_headers(ApiCall *call, Str etag, Str cache_control)
{
    http_reply_header(call->request, S("ETag"), etag);
    http_reply_header(call->request, S("Cache-Control"), cache_control);
    http_reply_header(call->request, S("X-Content-Type-Options"), S("nosniff"));
}

static void send_page(ApiCall *call, int status)
{
    const ApiPage *page = call->api->state->page;
    Str etag = str_from_c(page->etag);
    add_common_headers(call, etag, S("no-cache"));
    http_reply_header(call->request, S("Content-Security-Policy"), S(UI_CSP));
    http_reply_compress(call->request); // adds Vary
    if (status == 200 && has_tag(call, etag))
        api_empty(call, 304);
    else
        api_bytes(call, status, ui_asset_find(S("index.html"))->content_type, buf_str(&page->body));
}

void api_page(ApiCall *call)
{
    send_page(call, 200);
}

// ---- other files ----

static bool accepts(ApiCall *call, const char *encoding)
{
    Str list = http_header(call->request, S("Accept-Encoding"));
    Str token;
    while (str_split_next(&list, ',', &token)) {
        Str rest = token;
        Str name;
        if (!str_split_next(&rest, ';', &name) ||
            !str_equal_nocase(str_trim(name), str_from_c(encoding)))
            continue;
        Str q = str_trim(rest);
        return !(str_is(q, "q=0") || str_is(q, "q=0.0") || str_is(q, "q=0.00") ||
                 str_is(q, "q=0.000"));
    }
    return false;
}

static void send_inflated(ApiCall *call, const UiAsset *asset)
{
    Buf plain = {0};
    Error err = {0};
    if (gzip_decode(asset->gzip, INFLATED_BYTES_MAX, &plain, &err))
        api_bytes(call, 200, asset->content_type, buf_str(&plain));
    else
        api_text(call, 500, S("the embedded file is damaged\n"));
    buf_deinit(&plain);
}

static void send_asset(ApiCall *call, const UiAsset *asset)
{
    HttpRequest *request = call->request;
    add_common_headers(call, asset->etag,
                       asset->is_immutable ? S("public, max-age=31536000, immutable")
                                           : S("no-cache"));
    http_reply_header(request, S("Vary"), S("Accept-Encoding"));
    bool brotli = asset->brotli.len && accepts(call, "br");
    bool gzip = !brotli && accepts(call, "gzip");
    if (has_tag(call, asset->etag)) {
        api_empty(call, 304);
    } else if (brotli || gzip) {
        Str bytes = brotli ? asset->brotli : asset->gzip;
        http_reply_header(request, S("Content-Encoding"), brotli ? S("br") : S("gzip"));
        call->status = 200;
        call->sent_bytes += bytes.len;
        http_reply_static(request, 200, asset->content_type, bytes);
    } else {
        send_inflated(call, asset);
    }
}

void api_asset(ApiCall *call)
{
    const UiAsset *asset = ui_asset_find(str_skip(call->path, 1));
    if (asset && !asset->is_template) {
        send_asset(call, asset);
        return;
    }
    // A person gets the page that says so, a program the original's text.
    bool wants_page =
        str_find(http_header(call->request, S("Accept")), S("text/html")) != STR_NOT_FOUND &&
        !str_starts_with(call->path, S("/api/"));
    if (wants_page)
        send_page(call, 404);
    else
        api_text(call, 404, S("404 page not found\n"));
}

// ---- sign posts ----

static void redirect(ApiCall *call, bool with_query)
{
    Str target = call->request->target;
    size_t question = str_find_char(target, '?');
    Str query = with_query && question != STR_NOT_FOUND ? str_skip(target, question) : STR_NONE;
    http_reply_header(call->request, S("Location"),
                      arena_printf(call->arena, STR_FMT "%s" STR_FMT,
                                   STR_ARG(call->api->route_prefix),
                                   call->api->is_agent ? "/agent" : "/query", STR_ARG(query)));
    api_text(call, 302, STR_NONE);
}

void api_root(ApiCall *call)
{
    redirect(call, false);
}

void api_old_graph(ApiCall *call)
{
    redirect(call, true);
}
