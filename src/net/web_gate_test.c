// SPDX-License-Identifier: Apache-2.0
#include "net/web_gate.h"

#include <crypt.h>

#include "base/test.h"
#include "codec/compress.h"
#include "net/pem_fake.h"
#include "net/web_tls.h"

typedef struct Fixture {
    FakeFolder folder;
    WebGate *gate;
    int errors;
    char last_error[512];
} Fixture;

static void on_error(void *arg, const Error *err)
{
    Fixture *f = arg;
    f->errors++;
    snprintf(f->last_error, sizeof f->last_error, "%s", err->text);
}

static void begin(Fixture *f, Str text)
{
    Error err;
    *f = (Fixture){0};
    fake_folder_make(&f->folder);
    fake_folder_write(&f->folder, "web.yml", text);
    CHECK_OK(web_gate_open(fake_folder_path(&f->folder, "web.yml"), on_error, f, &f->gate, &err),
             err);
}

static void end(Fixture *f)
{
    web_gate_close(f->gate);
    fake_folder_remove(&f->folder);
}

// A configuration with one user, whose bcrypt hash is made here.
static Str with_user(Fixture *f, const char *name, const char *setting, const char *password)
{
    static struct crypt_data data;
#if defined(CRYPT_OUTPUT_SIZE)
    const char *hash = crypt_rn(password, setting, &data, sizeof data);
#else
    const char *hash = crypt_r(password, setting, &data);
#endif
    CHECK(hash != NULL);
    return arena_printf(&f->folder.arena, "basic_auth_users:\n  %s: %s\n", name, hash);
}

static Str basic(Fixture *f, const char *login)
{
    Buf text = {0};
    buf_add_str(&text, S("Basic "));
    base64_encode(str_from_c(login), &text);
    Str header = arena_str(&f->folder.arena, buf_str(&text));
    buf_deinit(&text);
    return header;
}

static WebVerdict recall(Fixture *f, const char *login)
{
    WebRules *rules = web_gate_rules(f->gate);
    CHECK(rules != NULL);
    WebVerdict verdict = web_gate_recall(f->gate, rules, basic(f, login));
    web_rules_unref(rules);
    return verdict;
}

static bool check(Fixture *f, const char *login)
{
    WebRules *rules = web_gate_rules(f->gate);
    CHECK(rules != NULL);
    bool ok = web_gate_check(f->gate, rules, basic(f, login));
    web_rules_unref(rules);
    return ok;
}

TEST(web_gate, passwords_are_bcrypts_and_what_it_said_is_remembered)
{
    Fixture f;
    begin(&f, S(""));
    fake_folder_write(&f.folder, "web.yml",
                      with_user(&f, "me", "$2b$04$abcdefghijklmnopqrstuu", "se:cret"));
    static const struct {
        const char *name, *login;
        bool want;
    } cases[] = {
        {"right", "me:se:cret", true},
        {"wrong", "me:se:cre", false},
        {"no password", "me:", false},
        {"nobody", "you:se:cret", false},
        {"nobody at all", ":", false},
        {"name in other letters", "Me:se:cret", false},
        {"name with a blank", "me :se:cret", false},
    };

    EACH_CASE(c, cases) {
        CHECK_EQ(recall(&f, c->login), WEB_UNKNOWN);
        CHECK_EQ(check(&f, c->login), c->want);
        CHECK_EQ(recall(&f, c->login), c->want ? WEB_ALLOWED : WEB_DENIED);
    }
    end(&f);
}

TEST(web_gate, what_is_no_login_is_denied_at_once)
{
    static const char *const headers[] = {
        "", "Basic", "Basic ", "Basic !!!!", "Basic bWU=", "Bearer bWU6c2VjcmV0", "Basicbm",
    };
    Fixture f;
    begin(&f, S(""));
    WebRules *open = web_gate_rules(f.gate);
    CHECK_EQ(web_gate_recall(f.gate, open, STR_NONE), WEB_ALLOWED);
    web_rules_unref(open);
    fake_folder_write(&f.folder, "web.yml",
                      with_user(&f, "me", "$2a$04$abcdefghijklmnopqrstuu", "secret"));

    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        WebRules *rules = web_gate_rules(f.gate);
        CHECK_EQ(web_gate_recall(f.gate, rules, str_from_c(headers[i])), WEB_DENIED);
        web_rules_unref(rules);
    }
    end(&f);
}

TEST(web_gate, guesses_push_out_no_user)
{
    Fixture f;
    begin(&f, S(""));
    fake_folder_write(&f.folder, "web.yml",
                      with_user(&f, "me", "$2y$04$abcdefghijklmnopqrstuu", "secret"));
    CHECK(check(&f, "me:secret"));

    for (int i = 0; i < 2 * WEB_USERS_KEPT; i++) {
        char login[32];
        snprintf(login, sizeof login, "me:guess%d", i);
        CHECK(!check(&f, login));
    }

    CHECK_EQ(recall(&f, "me:secret"), WEB_ALLOWED);
    CHECK_EQ(recall(&f, "me:guess0"), WEB_UNKNOWN); // the oldest made room
    CHECK_EQ(recall(&f, "me:guess255"), WEB_DENIED);
    end(&f);
}

TEST(web_gate, a_changed_file_counts_from_the_next_request)
{
    Fixture f;
    begin(&f, S(""));
    fake_folder_write(&f.folder, "web.yml",
                      with_user(&f, "me", "$2y$04$abcdefghijklmnopqrstuu", "old"));
    CHECK(check(&f, "me:old"));

    fake_folder_write(&f.folder, "web.yml",
                      with_user(&f, "me", "$2y$04$abcdefghijklmnopqrstuu", "new"));

    CHECK_EQ(recall(&f, "me:old"), WEB_UNKNOWN);
    CHECK(!check(&f, "me:old"));
    CHECK(check(&f, "me:new"));
    end(&f);
}

TEST(web_gate, a_broken_file_lets_nobody_in_and_says_where)
{
    Fixture f;
    begin(&f, S("basic_auth_users: {}\n"));

    fake_folder_write(&f.folder, "web.yml", S("basic_auth_users:\n  me: clear\n"));
    CHECK(web_gate_rules(f.gate) == NULL);
    CHECK(web_gate_rules(f.gate) == NULL);
    CHECK_EQ(f.errors, 1);
    CHECK_HAS(f.last_error, "web.yml:2:7: the password of user \"me\" is not a bcrypt hash");

    fake_folder_write(&f.folder, "web.yml", S(""));
    WebRules *rules = web_gate_rules(f.gate);
    CHECK(rules != NULL);
    web_rules_unref(rules);
    end(&f);
}

TEST(web_gate, tls_is_not_switched_while_it_runs)
{
    static Pem server;
    pem_make(&server, "localhost", NULL);
    Fixture f;
    begin(&f, S(""));
    CHECK(!web_gate_has_tls(f.gate));
    fake_folder_write(&f.folder, "cert.pem", str_from_c(server.cert));
    fake_folder_write(&f.folder, "key.pem", str_from_c(server.key));

    fake_folder_write(&f.folder, "web.yml",
                      S("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"));

    CHECK(web_gate_rules(f.gate) == NULL);
    CHECK_HAS(f.last_error, "TLS is switched on, which takes a restart");
    end(&f);
    pem_deinit(&server);
}

TEST(web_gate, a_new_certificate_is_read)
{
    static Pem first, second;
    pem_make(&first, "localhost", NULL);
    pem_make(&second, "localhost", NULL);
    Fixture f = {0};
    Error err;
    fake_folder_make(&f.folder);
    fake_folder_write(&f.folder, "cert.pem", str_from_c(first.cert));
    fake_folder_write(&f.folder, "key.pem", str_from_c(first.key));
    fake_folder_write(&f.folder, "web.yml",
                      S("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"));
    CHECK_OK(web_gate_open(fake_folder_path(&f.folder, "web.yml"), on_error, &f, &f.gate, &err),
             err);
    CHECK(web_gate_has_tls(f.gate));

    fake_folder_write(&f.folder, "key.pem", str_from_c(second.key));
    CHECK(web_gate_rules(f.gate) == NULL); // no pair until its certificate comes, too
    fake_folder_write(&f.folder, "cert.pem", str_from_c(second.cert));

    // A broken state is tried again within a second, or at once with a changed web.yml.
    fake_folder_write(&f.folder, "web.yml",
                      S("tls_server_config: {cert_file: cert.pem, key_file: key.pem} \n"));
    WebRules *rules = web_gate_rules(f.gate);
    CHECK(rules != NULL);
    CHECK_STR(web_rules_pem(rules)->cert, str_from_c(second.cert));
    web_rules_unref(rules);
    end(&f);
    pem_deinit(&first);
    pem_deinit(&second);
}

TEST(web_gate, requests_above_the_rate_are_too_many)
{
    Fixture f;
    begin(&f, S("rate_limit: {interval: 1h, burst: 3}\n"));
    WebRules *rules = web_gate_rules(f.gate);
    int passed = 0;

    for (int i = 0; i < 10; i++)
        passed += web_gate_may_pass(f.gate, rules);

    CHECK_EQ(passed, 3);
    web_rules_unref(rules);
    end(&f);
}

TEST(web_gate, tls_settings_become_gnutls_words)
{
    static const struct {
        const char *name;
        Str yaml;
        bool elliptic;
        const char *want;
    } cases[] = {
        {"without settings", STR(""), false,
         "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA:-CIPHER-ALL:-MAC-ALL"
         ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CBC:+AES-256-CBC:+AEAD:+SHA1"
         ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"
         ":%SERVER_PRECEDENCE"},
        {"versions", STR(", min_version: TLS10, max_version: TLS11"), true,
         "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0:-KX-ALL:+ECDHE-ECDSA:"},
        {"suites of the certificate's kind",
         STR(", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "
             "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]"),
         true, ":+ECDHE-ECDSA:-CIPHER-ALL:-MAC-ALL:+AES-256-CBC:+SHA1:-GROUP-ALL"},
        {"curves in their order", STR(", curve_preferences: [CurveP384, X25519]"), true,
         ":-GROUP-ALL:+GROUP-SECP384R1:+GROUP-X25519:%SERVER_PRECEDENCE"},
        {"the client's order", STR(", prefer_server_cipher_suites: false"), true,
         ":+GROUP-SECP521R1"},
    };

    EACH_CASE(c, cases) {
        FakeFolder folder;
        WebConfig config;
        Buf words = {0};
        Error err;
        fake_folder_make(&folder);
        fake_folder_write(&folder, "web.yml",
                          arena_printf(&folder.arena,
                                       "tls_server_config: {cert: a, key: b" STR_FMT "}\n",
                                       STR_ARG(c->yaml)));
        CHECK_OK(
            web_config_load(fake_folder_path(&folder, "web.yml"), &folder.arena, &config, &err),
            err);

        web_tls_priority(&config.tls, c->elliptic, &words);
        buf_add_char(&words, '\0');

        CHECK_HAS(words.ptr, c->want);
        buf_deinit(&words);
        fake_folder_remove(&folder);
    }
}

TEST_MAIN(web_gate, TEST_ROW(web_gate, passwords_are_bcrypts_and_what_it_said_is_remembered),
          TEST_ROW(web_gate, what_is_no_login_is_denied_at_once),
          TEST_ROW(web_gate, guesses_push_out_no_user),
          TEST_ROW(web_gate, a_changed_file_counts_from_the_next_request),
          TEST_ROW(web_gate, a_broken_file_lets_nobody_in_and_says_where),
          TEST_ROW(web_gate, tls_is_not_switched_while_it_runs),
          TEST_ROW(web_gate, a_new_certificate_is_read),
          TEST_ROW(web_gate, requests_above_the_rate_are_too_many),
          TEST_ROW(web_gate, tls_settings_become_gnutls_words))
