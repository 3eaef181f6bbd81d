// SPDX-License-Identifier: Apache-2.0
#include "net/sigv4.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/timefmt.h"
#include "net/digest.h"
#include "net/url.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

typedef struct UrlParts {
    Str host;
    Str path; // as it stands in the URL, "/" if empty
    Str query;
} UrlParts;

static bool split_url(Str url, UrlParts *ret_parts, Error *err)
{
    size_t scheme = str_find(url, S("://"));
    if (scheme == STR_NOT_FOUND)
        return error_set(err, ERR_INVALID, "cannot sign a request without an absolute URL");
    Str rest = str_skip(url, scheme + 3);
    rest = str_sub(rest, 0, MIN(str_find_char(rest, '#'), rest.len));
    size_t path = 0;
    while (path < rest.len && rest.ptr[path] != '/' && rest.ptr[path] != '?')
        path++;
    Str host = str_sub(rest, 0, path);
    size_t at = str_rfind_char(host, '@');
    if (at != STR_NOT_FOUND)
        host = str_skip(host, at + 1);
    if (host.len == 0)
        return error_set(err, ERR_INVALID, "cannot sign a request to a URL without a host");
    rest = str_skip(rest, path);
    size_t query = str_find_char(rest, '?');
    *ret_parts = (UrlParts){.host = host,
                            .path = str_sub(rest, 0, MIN(query, rest.len)),
                            .query = query == STR_NOT_FOUND ? STR_NONE : str_skip(rest, query + 1)};
    if (ret_parts->path.len == 0)
        ret_parts->path = S("/");
    return true;
}

// RFC 3986: all but the unreserved characters, and those of `also` (a slash in paths).
static void add_encoded(Buf *buf, Str text, char also)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || c == '~' ||
            (also && c == also))
            buf_add_char(buf, c);
        else
            buf_printf(buf, "%%%02X", (unsigned char)c);
    }
}

static int by_name(const void *a, const void *b)
{
    const HttpPair *left = a;
    const HttpPair *right = b;
    int order = str_compare(left->name, right->name);
    return order ? order : str_compare(left->value, right->value);
}

static bool add_query(Buf *out, Str query, Arena *arena, Error *err)
{
    UrlParams params = {0};
    if (!url_params_add(&params, query, arena, NULL, err))
        return false;
    for (size_t i = 0; i < params.count; i++) {
        CLEANUP(buf_deinit) Buf encoded = {0};
        add_encoded(&encoded, params.items[i].name, 0);
        params.items[i].name = arena_str(arena, buf_str(&encoded));
        buf_reset(&encoded);
        add_encoded(&encoded, params.items[i].value, 0);
        params.items[i].value = arena_str(arena, buf_str(&encoded));
    }
    if (params.count)
        qsort(params.items, params.count, sizeof(HttpPair), by_name);
    for (size_t i = 0; i < params.count; i++)
        buf_printf(out, "%s" STR_FMT "=" STR_FMT, i ? "&" : "", STR_ARG(params.items[i].name),
                   STR_ARG(params.items[i].value));
    return true;
}

// A run of spaces counts as one.
static Str squeezed(Arena *arena, Str value)
{
    value = str_trim(value);
    char *out = arena_alloc(arena, value.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] != ' ' || value.ptr[i - 1] != ' ')
            out[len++] = value.ptr[i];
    return str_make(out, len);
}

static HttpPair header_pair(Arena *arena, Str line)
{
    size_t colon = MIN(str_find_char(line, ':'), line.len);
    char *name = str_to_c(arena, str_trim(str_sub(line, 0, colon)));
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return (HttpPair){str_from_c(name), squeezed(arena, str_skip(line, colon + 1))};
}

typedef struct Signing {
    const SigV4Request *request;
    Arena *arena;
    HttpPair *headers; // sorted
    size_t header_count;
    Str day;    // 20150830
    Str moment; // 20150830T123600Z
    Str scope;
    Str signed_names; // "host;x-amz-date"
} Signing;

static void note_time(Signing *signing)
{
    CivilTime t = civil_from_s(signing->request->now_ms / 1000);
    signing->day =
        arena_printf(signing->arena, "%04lld%02d%02d", (long long)t.year, t.month, t.day);
    signing->moment = arena_printf(signing->arena, STR_FMT "T%02d%02d%02dZ", STR_ARG(signing->day),
                                   t.hour, t.minute, t.second);
    signing->scope = arena_printf(signing->arena, STR_FMT "/" STR_FMT "/" STR_FMT "/aws4_request",
                                  STR_ARG(signing->day), STR_ARG(signing->request->region),
                                  STR_ARG(signing->request->service));
}

static void gather_headers(Signing *signing, Str host, const Str *lines, size_t count)
{
    const SigV4Request *request = signing->request;
    HttpPair *pairs = ARENA_ARRAY(signing->arena, HttpPair, request->header_count + count + 1);
    size_t total = 0;
    pairs[total++] = (HttpPair){S("host"), host};
    for (size_t i = 0; i < request->header_count; i++)
        pairs[total++] = header_pair(signing->arena, request->headers[i]);
    for (size_t i = 0; i < count; i++)
        pairs[total++] = header_pair(signing->arena, lines[i]);
    qsort(pairs, total, sizeof(HttpPair), by_name);
    CLEANUP(buf_deinit) Buf names = {0};
    for (size_t i = 0; i < total; i++) {
        if (i > 0 && str_equal(pairs[i].name, pairs[i - 1].name))
            continue;
        if (names.len)
            buf_add_char(&names, ';');
        buf_add_str(&names, pairs[i].name);
    }
    signing->headers = pairs;
    signing->header_count = total;
    signing->signed_names = arena_str(signing->arena, buf_str(&names));
}

static void add_headers(Buf *out, const Signing *signing)
{
    for (size_t i = 0; i < signing->header_count; i++) {
        const HttpPair *pair = &signing->headers[i];
        bool again = i > 0 && str_equal(pair->name, pair[-1].name);
        if (again)
            out->len--; // the line's end: values of one name share a line
        buf_printf(out, STR_FMT "%s" STR_FMT "\n", STR_ARG(again ? STR_NONE : pair->name),
                   again ? "," : ":", STR_ARG(pair->value));
    }
}

static bool add_canonical(Buf *out, const Signing *signing, const UrlParts *url, Str body_hash,
                          Error *err)
{
    const SigV4Request *request = signing->request;
    buf_printf(out, STR_FMT "\n", STR_ARG(request->method.len ? request->method : S("GET")));
    add_encoded(out, url->path, '/'); // once more: the path is in the URL with its escapes
    buf_add_char(out, '\n');
    if (!add_query(out, url->query, signing->arena, err))
        return false;
    buf_add_char(out, '\n');
    add_headers(out, signing);
    buf_printf(out, "\n" STR_FMT "\n" STR_FMT, STR_ARG(signing->signed_names), STR_ARG(body_hash));
    return true;
}

static void sign_text(const Signing *signing, const SigV4Keys *keys, Str text, Buf *out)
{
    uint8_t key[SHA256_BYTES];
    Str key_view = {(const char *)key, sizeof key};
    Str first = arena_printf(signing->arena, "AWS4" STR_FMT, STR_ARG(keys->secret_key));
    digest_hmac_sha256(first, signing->day, key);
    digest_hmac_sha256(key_view, signing->request->region, key);
    digest_hmac_sha256(key_view, signing->request->service, key);
    digest_hmac_sha256(key_view, S("aws4_request"), key);
    digest_hmac_sha256(key_view, text, key);
    digest_add_hex(out, key, sizeof key);
}

bool sigv4_sign(const SigV4Request *request, const SigV4Keys *keys, Arena *arena,
                Str ret_lines[SIGV4_LINES_MAX], size_t *ret_count, Error *err)
{
    Signing signing = {.request = request, .arena = arena};
    CLEANUP(buf_deinit) Buf text = {0};
    UrlParts url;
    if (keys->access_key.len == 0 || keys->secret_key.len == 0)
        return error_set(err, ERR_INVALID, "no access key to sign the request with");
    if (!split_url(request->url, &url, err))
        return false;
    note_time(&signing);
    digest_add_sha256_hex(&text, request->body);
    Str body_hash = arena_str(arena, buf_str(&text));
    Str lines[SIGV4_LINES_MAX];
    size_t count = 0;
    lines[count++] = arena_printf(arena, "X-Amz-Date: " STR_FMT, STR_ARG(signing.moment));
    if (keys->session_token.len)
        lines[count++] =
            arena_printf(arena, "X-Amz-Security-Token: " STR_FMT, STR_ARG(keys->session_token));
    gather_headers(&signing, url.host, lines, count);

    buf_reset(&text);
    if (!add_canonical(&text, &signing, &url, body_hash, err))
        return false;
    CLEANUP(buf_deinit) Buf to_sign = {0};
    buf_printf(&to_sign, ALGORITHM "\n" STR_FMT "\n" STR_FMT "\n", STR_ARG(signing.moment),
               STR_ARG(signing.scope));
    digest_add_sha256_hex(&to_sign, buf_str(&text));
    CLEANUP(buf_deinit) Buf signature = {0};
    sign_text(&signing, keys, buf_str(&to_sign), &signature);
    lines[count++] = arena_printf(arena,
                                  "Authorization: " ALGORITHM " Credential=" STR_FMT "/" STR_FMT
                                  ", SignedHeaders=" STR_FMT ", Signature=" STR_FMT,
                                  STR_ARG(keys->access_key), STR_ARG(signing.scope),
                                  STR_ARG(signing.signed_names), STR_ARG(buf_str(&signature)));
    memcpy(ret_lines, lines, count * sizeof(Str));
    *ret_count = count;
    return true;
}
