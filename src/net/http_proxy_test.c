// SPDX-License-Identifier: Apache-2.0
#include "net/http_proxy.h"

#include <stdlib.h>

#include "base/test.h"

TEST(http_proxy, lists_match_names_addresses_and_networks)
{
    static const struct {
        const char *name, *list, *host, *port;
        bool want;
    } cases[] = {
        {"nothing", "", "a.example", "80", false},
        {"all", "*", "a.example", "80", true},
        {"the name", "a.example", "A.Example", "80", true},
        {"below the name", "example", "a.example", "80", true},
        {"another name with that end", "example", "anexample", "80", false},
        {"below only", ".example", "example", "80", false},
        {"a star", "*.example", "a.example", "80", true},
        {"one of several", "x, y , a.example", "a.example", "80", true},
        {"the port", "a.example:80", "a.example", "80", true},
        {"another port", "a.example:81", "a.example", "80", false},
        {"address", "10.0.0.1", "10.0.0.1", "80", true},
        {"address and port", "10.0.0.1:81", "10.0.0.1", "80", false},
        {"network", "10.0.0.0/9", "10.127.255.255", "80", true},
        {"outside of the network", "10.0.0.0/9", "10.128.0.0", "80", false},
        {"no network", "10.0.0.0/99", "10.0.0.0", "80", false},
        {"IPv6", "::1", "::1", "80", true},
        {"IPv6 with a port", "[fe80::1]:80", "fe80::1", "80", true},
        {"IPv6 network", "fe80::/10", "febf::1", "80", true},
        {"a name is in no network", "0.0.0.0/0", "a.example", "80", false},
    };

    EACH_CASE(c, cases)
        CHECK_EQ(http_proxy_lists(str_from_c(c->list), str_from_c(c->host), str_from_c(c->port)),
                 c->want);
}

TEST(http_proxy, is_chosen_as_go_does)
{
    static const struct {
        const char *name, *url, *no_proxy;
        bool from_environment, is_tls;
        const char *host, *want;
    } cases[] = {
        {"by the configuration", "http://p", "", false, false, "a", "http://p"},
        {"the own machine, too", "http://p", "", false, true, "127.0.0.1", "http://p"},
        {"but not with no_proxy", "http://p", "x", false, false, "localhost", NULL},
        {"listed", "http://p", "a", false, false, "a", NULL},
        {"none", "", "", false, false, "a", NULL},
        {"by the environment", "", "", true, false, "a", "http://capital"},
        {"of the other scheme", "", "", true, true, "a", "http://small"},
        {"the environment's list", "", "", true, false, "listed", NULL},
        {"the own machine", "", "", true, false, "::1", NULL},
    };
    setenv("HTTP_PROXY", "http://capital", 1);
    setenv("http_proxy", "http://other", 1);
    unsetenv("HTTPS_PROXY");
    setenv("https_proxy", "http://small", 1);
    setenv("NO_PROXY", "listed", 1);

    EACH_CASE(c, cases) {
        Arena arena = {0};
        HttpProxyConfig config = {.proxy_url = str_from_c(c->url),
                                  .no_proxy = str_from_c(c->no_proxy),
                                  .proxy_from_environment = c->from_environment};
        HttpProxies proxies = http_proxy_of(&config, &arena);

        const char *got = http_proxy_for(&proxies, c->is_tls, str_from_c(c->host), S("80"));

        CHECK_STR(str_from_c(got), str_from_c(c->want));
        arena_deinit(&arena);
    }
}

TEST_MAIN(http_proxy, TEST_ROW(http_proxy, lists_match_names_addresses_and_networks),
          TEST_ROW(http_proxy, is_chosen_as_go_does))
