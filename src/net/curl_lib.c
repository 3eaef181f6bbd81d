// SPDX-License-Identifier: Apache-2.0
#include "net/curl_lib.h"

#include <pthread.h>

#include "base/library.h"

#define LIBRARY "libcurl-gnutls.so.4"

LIBRARY_NOTE(LIBRARY, "HTTPS, names, proxies, redirects and mail", "required");

CurlLib curl_lib;

static bool load(Error *err)
{
    static const Library library = {.file = LIBRARY,
                                    .needed_by = "this request needs",
                                    .package = "libcurl3-gnutls",
                                    .code = ERR_UNAVAILABLE};
    static const LibrarySymbol symbols[] = {
        {"curl_global_init", &curl_lib.global_init},
        {"curl_free", &curl_lib.free},
        {"curl_slist_append", &curl_lib.slist_append},
        {"curl_slist_free_all", &curl_lib.slist_free_all},
        {"curl_url", &curl_lib.url},
        {"curl_url_cleanup", &curl_lib.url_cleanup},
        {"curl_url_get", &curl_lib.url_get},
        {"curl_url_set", &curl_lib.url_set},
        {"curl_easy_init", &curl_lib.easy_init},
        {"curl_easy_cleanup", &curl_lib.easy_cleanup},
        {"curl_easy_setopt", &curl_lib.easy_setopt},
        {"curl_easy_getinfo", &curl_lib.easy_getinfo},
        {"curl_easy_perform", &curl_lib.easy_perform},
        {"curl_easy_strerror", &curl_lib.easy_strerror},
        {"curl_multi_init", &curl_lib.multi_init},
        {"curl_multi_cleanup", &curl_lib.multi_cleanup},
        {"curl_multi_setopt", &curl_lib.multi_setopt},
        {"curl_multi_assign", &curl_lib.multi_assign},
        {"curl_multi_add_handle", &curl_lib.multi_add_handle},
        {"curl_multi_remove_handle", &curl_lib.multi_remove_handle},
        {"curl_multi_socket_action", &curl_lib.multi_socket_action},
        {"curl_multi_info_read", &curl_lib.multi_info_read},
        {"curl_multi_strerror", &curl_lib.multi_strerror},
    };
    // A pointer for each function, and a row for each pointer.
    _Static_assert(sizeof curl_lib == COUNT_OF(symbols) * sizeof(void (*)(void)),
                   "a row is missing");
    if (!library_load(&library, symbols, COUNT_OF(symbols), err))
        return false;
    if (curl_lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERR_UNAVAILABLE, "%s does not start", library.file);
    return true;
}

static struct {
    pthread_once_t once;
    bool ok;
    Error err;
} loaded = {.once = PTHREAD_ONCE_INIT};

static void load_once(void)
{
    loaded.ok = load(&loaded.err);
}

bool curl_lib_load(Error *err)
{
    pthread_once(&loaded.once, load_once);
    if (!loaded.ok)
        *err = loaded.err;
    return loaded.ok;
}
