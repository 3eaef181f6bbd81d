// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery_token.h"

#include "base/clock.h"
#include "codec/json_writer.h"
#include "discovery/discovery_meta.h"

#define GOOD_S_DEFAULT 300 // of a token that does not say
#define RENEW_BEFORE_S 60
#define ASSERTION_GOOD_S 3600
#define GRANT "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"

typedef struct Waiting {
    Token *token;
    TokenThen then;
} Waiting;

bool token_is_good(const Token *token, const Round *round)
{
    return token->text[0] && round_now_ns(round) < token->good_until_ns;
}

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    const Waiting *waiting = arg;
    Token *token = waiting->token;
    Str text = json_str_at(answer->json, "access_token");
    int64_t good_s = json_i64_at(answer->json, "expires_in");
    if (text.len == 0 || text.len >= TOKEN_BYTES_MAX)
        return error_set(err, ERR_INVALID, "the answer has no access_token of use");
    if (good_s <= 0)
        good_s = GOOD_S_DEFAULT;
    good_s = MIN(good_s, 24 * 3600);
    memcpy(token->text, text.ptr, text.len);
    token->text[text.len] = 0;
    token->good_until_ns =
        round_now_ns(round) + MAX(good_s - RENEW_BEFORE_S, 1) * INT64_C(1000000000);
    return waiting->then(round, str_from_c(token->text), err);
}

void token_ask(Round *round, Token *token, const Ask *ask, TokenThen then)
{
    static const Str form[] = {STR("Content-Type: application/x-www-form-urlencoded"),
                               STR("Accept: application/json")};
    Waiting *waiting = ARENA_NEW(&round->arena, Waiting);
    *waiting = (Waiting){token, then};
    Ask asked = *ask;
    asked.take = take;
    asked.arg = waiting;
    if (asked.body.len) {
        asked.headers = form;
        asked.header_count = COUNT_OF(form);
    }
    round_ask(round, &asked);
}

static void claim(JsonWriter *json, const char *name, Str value)
{
    if (value.len)
        json_key_str(json, name, value);
}

static void add_claims(JsonWriter *json, const TokenKey *key)
{
    int64_t now_s = clock_now_ms(&clock_system) / 1000;
    char id[JWT_ID_BYTES + 1];
    jwt_id(id);
    json_object(json);
    claim(json, "iss", key->issuer);
    claim(json, "sub", key->subject);
    claim(json, "aud", key->audience);
    claim(json, "scope", key->scope);
    json_key_i64(json, "iat", now_s);
    json_key_i64(json, "exp", now_s + ASSERTION_GOOD_S);
    json_key_c(json, "jti", id);
    json_object_end(json);
}

bool token_ask_by_key(Round *round, Token *token, const TokenKey *key, TokenThen then, Error *err)
{
    static const char *const names[] = {
        [JWT_RS256] = "RS256", [JWT_RS384] = "RS384", [JWT_RS512] = "RS512"};
    CLEANUP(buf_deinit) Buf header = {0};
    CLEANUP(buf_deinit) Buf claims = {0};
    CLEANUP(buf_deinit) Buf assertion = {0};
    JsonWriter *json = ARENA_NEW(&round->arena, JsonWriter);
    json_writer_init(json, &header);
    json_object(json);
    json_key_c(json, "alg", names[key->algorithm]);
    json_key_c(json, "typ", "JWT");
    claim(json, "kid", key->key_id);
    json_object_end(json);
    json_writer_init(json, &claims);
    add_claims(json, key);
    if (!jwt_sign(buf_str(&header), buf_str(&claims), key->key_pem, key->algorithm, &assertion,
                  err))
        return false;
    Ask ask = {.url = key->url,
               .body = arena_printf(&round->arena, "grant_type=%s&assertion=" STR_FMT, GRANT,
                                    STR_ARG(buf_str(&assertion)))};
    token_ask(round, token, &ask, then);
    return true;
}
