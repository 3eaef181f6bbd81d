// SPDX-License-Identifier: Apache-2.0
#include "net/web_config.h"

#include "base/test.h"

static bool decode(const char *text, Arena *arena, WebConfig *config, Error *err)
{
    ConfigReader reader = {.arena = arena, .file_name = S("web.yml"), .folder = S("/etc/web")};
    YamlNode *root;
    return yaml_parse(str_from_c(text), reader.file_name, arena, &root, err) &&
           config_decode(&reader, &web_config_table, root, config, err);
}

TEST(web_config, reads_what_the_original_reads)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    WebConfig config;
    Error err = {0};

    CHECK_OK(decode("tls_server_config:\n"
                    "  cert_file: tls.crt\n"
                    "  key_file: /tls.key\n"
                    "  client_auth_type: RequireAndVerifyClientCert\n"
                    "  client_ca_file: ca.crt\n"
                    "  client_allowed_sans: [a.example]\n"
                    "  min_version: TLS13\n"
                    "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"
                    "  curve_preferences: [X25519, CurveP256]\n"
                    "http_server_config:\n"
                    "  http2: false\n"
                    "  headers: {X-Frame-Options: deny, Content-Security-Policy: anything}\n"
                    "rate_limit: {interval: 0.5s, burst: 20}\n"
                    "basic_auth_users:\n"
                    "  me: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n",
                    &arena, &config, &err),
             err);

    CHECK(config.tls.is_enabled);
    CHECK_STR(config.tls.cert_file, S("/etc/web/tls.crt"));
    CHECK_STR(config.tls.key_file, S("/tls.key"));
    CHECK_EQ(config.tls.client_auth, WEB_CLIENT_REQUIRE_VERIFIED);
    CHECK_EQ(config.tls.min_version, 4);
    CHECK_EQ(config.tls.max_version, 4);
    CHECK(!config.http.http2);
    CHECK_EQ(config.rate_limit.interval_ms, 500);
    CHECK_EQ(config.users.count, 1);
}

TEST(web_config, is_plain_http_when_empty)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    WebConfig config;
    WebTlsPem pem;
    Error err = {0};

    CHECK_OK(decode("", &arena, &config, &err), err);
    CHECK_OK(web_config_read_pem(&config, &arena, &pem, &err), err);

    CHECK(!config.tls.is_enabled);
    CHECK(config.http.http2);
    CHECK_EQ(config.tls.min_version, 3);
    CHECK_EQ(pem.cert.len, 0);
}

TEST(web_config, tells_the_place_of_a_mistake)
{
    static const struct {
        const char *name;
        const char *text;
        const char *want;
    } cases[] = {
        {"unknown key", "tls_config: {}\n", "web.yml:1:1"},
        {"certificate without key", "tls_server_config:\n  cert_file: a\n",
         "web.yml:2:3: missing one of key or key_file"},
        {"key without certificate", "tls_server_config:\n  key_file: a\n",
         "missing one of cert or cert_file"},
        {"authentication without certificate",
         "tls_server_config:\n  client_auth_type: RequestClientCert\n",
         "missing one of cert or cert_file"},
        {"unknown authentication",
         "tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: Sometimes\n",
         "web.yml:4:21: invalid ClientAuth: Sometimes"},
        {"CA that nobody is checked against",
         "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}\n",
         "without a Client Auth Policy"},
        {"unknown cipher", "tls_server_config:\n  cipher_suites:\n  - TLS_NULL\n",
         "web.yml:3:5: unknown cipher: TLS_NULL"},
        {"unknown curve", "tls_server_config:\n  curve_preferences: [P256]\n",
         "web.yml:2:23: unknown curve: P256"},
        {"unknown version", "tls_server_config:\n  min_version: TLS14\n", "web.yml:2:16"},
        {"header of others", "http_server_config:\n  headers:\n    Server: x\n",
         "web.yml:3:5: HTTP header \"Server\" can not be configured"},
        {"header value", "http_server_config:\n  headers:\n    X-Frame-Options: no\n",
         "invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: "
         "\"no\""},
        {"header with a line break",
         "http_server_config:\n  headers:\n    X-XSS-Protection: \"a\\nb\"\n", "has a line break"},
        {"password in clear", "basic_auth_users:\n  me: secret\n",
         "web.yml:2:7: the password of user \"me\" is not a bcrypt hash"},
        {"bcrypt of a cost that there is not",
         "basic_auth_users:\n"
         "  me: $2y$99$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n",
         "is not a bcrypt hash"},
        {"interval", "rate_limit: {interval: 5}\n", "interval: not a valid duration"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        WebConfig config;
        Error err = {0};

        CHECK(!decode(c->text, &arena, &config, &err));

        CHECK_HAS(err.text, c->want);
    }
}

TEST(web_config, wants_a_certificate_and_its_key)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    WebConfig config = {.tls = {.is_enabled = true, .cert = STR("no PEM"), .key = STR("nor this")}};
    WebTlsPem pem;
    Error err = {0};

    CHECK(!web_config_read_pem(&config, &arena, &pem, &err));
    CHECK_HAS(err.text, "failed to load certificate and key");

    config.tls.cert_file = S("/nonexistent/file");
    CHECK(!web_config_read_pem(&config, &arena, &pem, &err));
    CHECK_HAS(err.text, "failed to read cert_file");
}

TEST_MAIN(web_config, TEST_ROW(web_config, reads_what_the_original_reads),
          TEST_ROW(web_config, is_plain_http_when_empty),
          TEST_ROW(web_config, tells_the_place_of_a_mistake),
          TEST_ROW(web_config, wants_a_certificate_and_its_key))
