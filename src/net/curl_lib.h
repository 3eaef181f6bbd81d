// SPDX-License-Identifier: Apache-2.0
// curl_lib.h: libcurl, loaded when the first call needs it.
//
// It brings 18 further libraries along. A start, above all the one after a crash, does not wait for these: what a server asks at once
// goes over connections of our own (http_plain.h) where it can.
#pragma once

// Its checks in macros speak of functions that are linked; curl_lib_set checks what they would.
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/error.h"

// What is used of it.
typedef struct CurlLib {
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_free) free;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
    __typeof__(&curl_url) url;
    __typeof__(&curl_url_cleanup) url_cleanup;
    __typeof__(&curl_url_get) url_get;
    __typeof__(&curl_url_set) url_set;
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_cleanup) easy_cleanup;
    __typeof__(&curl_easy_setopt) easy_setopt;
    __typeof__(&curl_easy_getinfo) easy_getinfo;
    __typeof__(&curl_easy_perform) easy_perform;
    __typeof__(&curl_easy_strerror) easy_strerror;
    __typeof__(&curl_multi_init) multi_init;
    __typeof__(&curl_multi_cleanup) multi_cleanup;
    __typeof__(&curl_multi_setopt) multi_setopt;
    __typeof__(&curl_multi_assign) multi_assign;
    __typeof__(&curl_multi_add_handle) multi_add_handle;
    __typeof__(&curl_multi_remove_handle) multi_remove_handle;
    __typeof__(&curl_multi_socket_action) multi_socket_action;
    __typeof__(&curl_multi_info_read) multi_info_read;
    __typeof__(&curl_multi_strerror) multi_strerror;
} CurlLib;

// Filled by curl_lib_load: who has something of libcurl's may use it.
extern CurlLib curl_lib;

// Loads it, once for the process. What went wrong then is told to all who come later.
//
// Fails   ERR_UNAVAILABLE, naming Debian's package
// Thread  any; the first takes some milliseconds, more where the disk must be read
bool curl_lib_load(Error *err) MUST_CHECK;

// curl_easy_setopt and curl_multi_setopt. The number of an option tells what it takes, and a variadic function converts nothing: what
// wants a long (or a curl_off_t) must be given one.
#define CURL_LIB_TAKES_INTEGER(option)                                                             \
    ((option) / 10000 == CURLOPTTYPE_LONG / 10000 || (option) / 10000 == CURLOPTTYPE_OFF_T / 10000)
#define CURL_LIB_SET_(set, handle, option, value)                                                  \
    ({                                                                                             \
        _Static_assert(CURL_LIB_TAKES_INTEGER(option) ==                                           \
                           _Generic((value), long : 1, long long : 1, default : 0),                \
                       "the option takes a value of another kind");                                \
        (void)curl_lib.set(handle, option, value);                                                 \
    })
#define curl_lib_set(easy, option, value) CURL_LIB_SET_(easy_setopt, easy, option, value)
#define curl_lib_multi_set(multi, option, value) CURL_LIB_SET_(multi_setopt, multi, option, value)
