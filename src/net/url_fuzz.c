// SPDX-License-Identifier: Apache-2.0
// url_fuzz.c: parameters and addresses from strangers. What was read is escaped again and must read the same.
#include "net/url.h"

#include "net/http_gzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_params(Str text, Arena *arena)
{
    UrlParams params = {0};
    UrlParams again = {0};
    Buf buf = {0};
    Error err = {0};
    bool malformed = false;
    if (!url_params_add(&params, text, arena, &malformed, &err)) {
        ASSERT(err.code == ERR_LIMIT);
        return;
    }
    for (size_t i = 0; i < params.count; i++) {
        if (i)
            buf_add_char(&buf, '&');
        url_add_query_escaped(&buf, params.items[i].name);
        buf_add_char(&buf, '=');
        url_add_query_escaped(&buf, params.items[i].value);
    }
    malformed = false;
    bool ok = url_params_add(&again, buf_str(&buf), arena, &malformed, &err);
    ASSERT(ok);
    ASSERT(!malformed);
    ASSERT(again.count == params.count);
    for (size_t i = 0; i < params.count; i++) {
        ASSERT(str_equal(params.items[i].name, again.items[i].name));
        ASSERT(str_equal(params.items[i].value, again.items[i].value));
    }
    buf_deinit(&buf);
}

static void check_path(Str text, Arena *arena)
{
    Str path;
    Str again;
    Buf buf = {0};
    if (!url_decode(text, false, arena, &path))
        return;
    url_add_path_escaped(&buf, path);
    bool ok = url_decode(buf_str(&buf), false, arena, &again);
    ASSERT(ok);
    ASSERT(str_equal(path, again));
    buf_deinit(&buf);
}

static void check_address(Str text)
{
    Str host;
    Str port;
    Str host_again;
    Str port_again;
    Buf buf = {0};
    Error err;
    // A host with a bracket inside has no written form of its own.
    if (!url_split_host_port(text, &host, &port, &err) ||
        str_find_char(host, '[') != STR_NOT_FOUND || str_find_char(host, ']') != STR_NOT_FOUND)
        return;
    url_add_host_port(&buf, host, port);
    bool ok = url_split_host_port(buf_str(&buf), &host_again, &port_again, &err);
    ASSERT(ok);
    ASSERT(str_equal(host, host_again));
    ASSERT(str_equal(port, port_again));
    buf_deinit(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    Str text = str_make((const char *)bytes, len);
    Arena arena = {0};
    check_params(text, &arena);
    check_path(text, &arena);
    check_address(text);
    (void)http_encoding_choose(text);
    arena_deinit(&arena);
    return 0;
}
