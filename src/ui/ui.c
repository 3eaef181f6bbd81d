// SPDX-License-Identifier: Apache-2.0
// Serving rules stand in ui_assets.h.
#include "ui/ui.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/compress.h"
#include "ui/ui_assets.h"

enum { INFLATED_BYTES_MAX = 64 << 20 };

struct UiSite {
    Buf body; // index.html with its tokens filled in
    char etag[32];
};

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

UiSite *ui_site_new(Str path_prefix, Str page_title, Str mode)
{
    const UiAsset *asset = ui_asset_find(S("index.html"));
    UiSite *site = X_NEW(UiSite);
    const struct {
        Str token;
        Str value;
    } tokens[] = {
        {STR(UI_TOKEN_PATH_PREFIX), path_prefix},
        {STR(UI_TOKEN_PAGE_TITLE), page_title},
        {STR(UI_TOKEN_MODE), mode},
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
        buf_add_str(&site->body, str_sub(rest, 0, found));
        if (found == STR_NOT_FOUND)
            break;
        add_html_escaped(&site->body, tokens[which].value);
        rest = str_skip(rest, found + tokens[which].token.len);
    }
    snprintf(site->etag, sizeof site->etag, "\"%016llx\"",
             (unsigned long long)str_hash(buf_str(&site->body)));
    return site;
}

void ui_site_free(UiSite *site)
{
    if (!site)
        return;
    buf_deinit(&site->body);
    free(site);
}

// If-None-Match: a list of tags or a star; weak tags compare like strong ones (RFC 9110 13.1.2).
static bool has_tag(HttpRequest *request, Str etag)
{
    Str list = http_header(request, S("If-None-Match"));
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

static void add_common_headers(HttpRequest *request, Str etag, Str cache_control)
{
    http_reply_header(request, S("ETag"), etag);
    http_reply_header(request, S("Cache-Control"), cache_control);
    http_reply_header(request, S("X-Content-Type-Options"), S("nosniff"));
}

static UiSent send_bytes(HttpRequest *request, int status, Str content_type, Str bytes)
{
    http_reply(request, status, content_type, bytes);
    return (UiSent){.status = status, .bytes = bytes.len};
}

UiSent ui_send_page(const UiSite *site, HttpRequest *request, int status)
{
    Str etag = str_from_c(site->etag);
    add_common_headers(request, etag, S("no-cache"));
    http_reply_header(request, S("Content-Security-Policy"), S(UI_CSP));
    http_reply_compress(request); // adds Vary
    if (status == 200 && has_tag(request, etag))
        return send_bytes(request, 304, STR_NONE, STR_NONE);
    return send_bytes(request, status, ui_asset_find(S("index.html"))->content_type,
                      buf_str(&site->body));
}

bool ui_wants_page(HttpRequest *request)
{
    return str_find(http_header(request, S("Accept")), S("text/html")) != STR_NOT_FOUND;
}

// ---- other files ----

static bool accepts(HttpRequest *request, const char *encoding)
{
    Str list = http_header(request, S("Accept-Encoding"));
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

static UiSent send_inflated(HttpRequest *request, const UiAsset *asset)
{
    Buf plain = {0};
    Error err = {0};
    UiSent sent = gzip_decode(asset->gzip, INFLATED_BYTES_MAX, &plain, &err)
                      ? send_bytes(request, 200, asset->content_type, buf_str(&plain))
                      : send_bytes(request, 500, S("text/plain; charset=utf-8"),
                                   S("the embedded file is damaged\n"));
    buf_deinit(&plain);
    return sent;
}

bool ui_send_asset(HttpRequest *request, Str path, UiSent *ret_sent)
{
    const UiAsset *asset = ui_asset_find(path);
    if (!asset || asset->is_template)
        return false;
    add_common_headers(request, asset->etag,
                       asset->is_immutable ? S("public, max-age=31536000, immutable")
                                           : S("no-cache"));
    http_reply_header(request, S("Vary"), S("Accept-Encoding"));
    bool brotli = asset->brotli.len && accepts(request, "br");
    bool gzip = !brotli && accepts(request, "gzip");
    if (has_tag(request, asset->etag)) {
        *ret_sent = send_bytes(request, 304, STR_NONE, STR_NONE);
    } else if (brotli || gzip) {
        Str bytes = brotli ? asset->brotli : asset->gzip;
        http_reply_header(request, S("Content-Encoding"), brotli ? S("br") : S("gzip"));
        http_reply_static(request, 200, asset->content_type, bytes);
        *ret_sent = (UiSent){.status = 200, .bytes = bytes.len};
    } else {
        *ret_sent = send_inflated(request, asset);
    }
    return true;
}
