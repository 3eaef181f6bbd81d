// SPDX-License-Identifier: Apache-2.0
#include "net/curl_lib.h"

#include <pthread.h>

#include "base/test.h"

static void *load(void *arg)
{
    Error *err = arg;
    return curl_lib_load(err) ? (void *)curl_lib.url : NULL;
}

TEST(curl_lib, is_loaded_once_whoever_asks_first)
{
    pthread_t threads[4];
    Error errs[COUNT_OF(threads)] = {0};
    void *found[COUNT_OF(threads)];

    for (size_t i = 0; i < COUNT_OF(threads); i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, load, &errs[i]), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], &found[i]);

    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        CHECK_OK(found[i] != NULL, errs[i]);
        CHECK(found[i] == found[0]);
    }
}

TEST(curl_lib, hands_values_of_each_kind_through)
{
    static char mine[] = "mine";
    Error err = {0};
    void *found = NULL;
    CHECK_OK(curl_lib_load(&err), err);

    CURL *easy = curl_lib.easy_init();
    curl_lib_set(easy, CURLOPT_PRIVATE, mine);
    curl_lib_set(easy, CURLOPT_URL, "file:///dev/null");
    curl_lib_set(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_lib_set(easy, CURLOPT_TIMEOUT_MS, 5000L);
    curl_lib_set(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);

    CHECK_EQ(curl_lib.easy_perform(easy), CURLE_UNSUPPORTED_PROTOCOL);
    CHECK_EQ(curl_lib.easy_getinfo(easy, CURLINFO_PRIVATE, &found), CURLE_OK);
    CHECK(found == mine);
    curl_lib.easy_cleanup(easy);
}

TEST_MAIN(curl_lib, TEST_ROW(curl_lib, is_loaded_once_whoever_asks_first),
          TEST_ROW(curl_lib, hands_values_of_each_kind_through))
