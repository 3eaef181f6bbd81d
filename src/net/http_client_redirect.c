// SPDX-License-Identifier: Apache-2.0
#include "net/http_client_internal.h"

static bool same_place(CURLU *from, CURLU *to)
{
    Buf a = {0}, b = {0};
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    bool same = true;
    for (size_t i = 0; i < COUNT_OF(parts) && same; i++) {
        http_curl_url_part(from, parts[i], CURLU_DEFAULT_PORT, &a);
        http_curl_url_part(to, parts[i], CURLU_DEFAULT_PORT, &b);
        same = str_equal_nocase(buf_str(&a), buf_str(&b));
        // The usual step from http to https on the same host keeps what it has.
        if (!same && parts[i] == CURLUPART_SCHEME)
            same = str_is(buf_str(&a), "http") && str_is(buf_str(&b), "https");
        else if (!same && parts[i] == CURLUPART_PORT)
            same = str_is(buf_str(&a), "80") && str_is(buf_str(&b), "443");
    }
    buf_deinit(&a);
    buf_deinit(&b);
    return same;
}

bool http_redirect_turn(Buf *url, Str location, bool *ret_same_place, Error *err)
{
    if (!curl_lib_load(err))
        return false;
    Arena arena = {0};
    CURLU *from = curl_lib.url();
    CURLU *to = curl_lib.url();
    bool ok = curl_lib.url_set(from, CURLUPART_URL, url->ptr, 0) == CURLUE_OK &&
              curl_lib.url_set(to, CURLUPART_URL, url->ptr, 0) == CURLUE_OK &&
              curl_lib.url_set(to, CURLUPART_URL, str_to_c(&arena, location), 0) == CURLUE_OK;
    if (ok) {
        *ret_same_place = same_place(from, to);
        http_curl_url_part(to, CURLUPART_URL, 0, url);
    } else {
        error_set(err, ERR_INVALID, "failed to parse Location header \"" STR_FMT "\"",
                  STR_ARG(str_sub(location, 0, 200)));
    }
    curl_lib.url_cleanup(from);
    curl_lib.url_cleanup(to);
    arena_deinit(&arena);
    return ok;
}
