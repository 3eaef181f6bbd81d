// SPDX-License-Identifier: Apache-2.0
// Instance principals, as Oracle's SDK has them: metadata service version 2, X.509 federation.
#include "base/clock.h"
#include "base/timefmt.h"
#include "codec/compress.h"
#include "codec/json_writer.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_oci.h"
#include "net/digest.h"
#include "net/jwt.h"
#include "net/x509_identity.h"

#define METADATA "http://169.254.169.254/opc/v2/"
#define AUTH_TARGET "/v1/x509"
#define RENEW_BEFORE_MS 300000
#define TOKEN_BYTES_MAX 65536

// What the metadata service tells, until all of it is there.
typedef struct Federation {
    OciPrincipal *principal;
    bool (*then)(Round *round, Error *err);
    Str host; // of the auth service
    Str cert_pem, key_pem, intermediate_pem;
    Str session_pem;
    Str tenancy;
    int missing;
} Federation;

Str oci_date(Arena *arena)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    CivilTime t = civil_from_s(clock_now_ms(&clock_system) / 1000);
    return arena_printf(arena, "%s, %02d %s %04lld %02d:%02d:%02d GMT", days[t.weekday], t.day,
                        months[t.month - 1], (long long)t.year, t.hour, t.minute, t.second);
}

// ---- the token ----

bool oci_principal_is_good(const OciPrincipal *principal)
{
    return clock_now_ms(&clock_system) < principal->good_until_ms - RENEW_BEFORE_MS;
}

void oci_principal_close(void *arg)
{
    OciPrincipal *principal = arg;
    buf_deinit(&principal->token);
    buf_deinit(&principal->key_pem);
    buf_deinit(&principal->tenancy);
}

static void set(Buf *buf, Str text)
{
    buf_reset(buf);
    buf_add_str(buf, text);
}

// The claim "exp" of a JSON Web Token, which is not ours to verify.
static bool read_expiry(Arena *arena, Str token, int64_t *ret_ms, Error *err)
{
    CLEANUP(buf_deinit) Buf text = {0};
    CLEANUP(buf_deinit) Buf claims = {0};
    Str rest = token, part = STR_NONE;
    JsonValue *json;
    for (int i = 0; i < 2; i++)
        (void)str_split_next(&rest, '.', &part);
    for (size_t i = 0; i < part.len; i++)
        buf_add_char(&text, part.ptr[i] == '-' ? '+' : part.ptr[i] == '_' ? '/' : part.ptr[i]);
    while (text.len % 4)
        buf_add_char(&text, '=');
    if (!base64_decode(buf_str(&text), &claims, err) ||
        !json_read(arena_str(arena, buf_str(&claims)), arena, &json, err))
        return error_context(err, "oci_sd: security token");
    int64_t expires_s = json_i64_at(json, "exp");
    if (expires_s <= 0 || expires_s > INT64_C(1) << 40)
        return error_set(err, ERR_INVALID, "oci_sd: security token: it does not say when it ends");
    *ret_ms = expires_s * 1000;
    return true;
}

static bool take_token(Round *round, const Answer *answer, void *arg, Error *err)
{
    Federation *federation = arg;
    OciPrincipal *principal = federation->principal;
    Str token = json_str_at(answer->json, "token");
    int64_t good_until_ms;
    if (token.len == 0 || token.len > TOKEN_BYTES_MAX)
        return error_set(err, ERR_INVALID, "oci_sd: the auth service gave no token of use");
    for (size_t i = 0; i < token.len; i++)
        if (token.ptr[i] <= ' ' || token.ptr[i] == '"' || token.ptr[i] > '~')
            return error_set(err, ERR_INVALID, "oci_sd: the auth service's token is malformed");
    if (!read_expiry(&round->arena, token, &good_until_ms, err))
        return false;
    set(&principal->token, token);
    set(&principal->key_pem, federation->session_pem);
    set(&principal->tenancy, federation->tenancy);
    principal->good_until_ms = good_until_ms;
    return federation->then(round, err);
}

// ---- asking for it ----

static Str request_body(Arena *arena, const X509Identity *leaf, const X509Identity *intermediate,
                        Str public_key)
{
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter json;
    json_writer_init(&json, &body);
    json_object(&json);
    json_key_str(&json, "certificate", leaf->der_base64);
    json_key_str(&json, "publicKey", public_key);
    json_key(&json, S("intermediateCertificates"));
    json_array(&json);
    json_str(&json, intermediate->der_base64);
    json_array_end(&json);
    json_key_c(&json, "fingerprintAlgorithm", "SHA256");
    json_object_end(&json);
    return arena_str(arena, buf_str(&body));
}

static Str sha256_base64(Arena *arena, Str bytes)
{
    CLEANUP(buf_deinit) Buf text = {0};
    uint8_t digest[SHA256_BYTES];
    digest_sha256(bytes, digest);
    base64_encode(str_make((const char *)digest, sizeof digest), &text);
    return arena_str(arena, buf_str(&text));
}

// The one request that the certificate's key signs; its host is not among what is signed.
static bool sign(Round *round, const Federation *federation, const X509Identity *leaf, Str body,
                 Str *headers, Error *err)
{
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf signature = {0};
    Str date = oci_date(arena);
    Str sum = sha256_base64(arena, body);
    Str text = arena_printf(arena,
                            "date: " STR_FMT "\n(request-target): post " AUTH_TARGET
                            "\ncontent-length: %zu\ncontent-type: application/json"
                            "\nx-content-sha256: " STR_FMT,
                            STR_ARG(date), body.len, STR_ARG(sum));
    if (!jwt_sign_text(text, federation->key_pem, STR_NONE, &signature, err))
        return error_context(err, "oci_sd: the instance's key");
    headers[0] = arena_printf(arena, "Date: " STR_FMT, STR_ARG(date));
    headers[1] = S("Content-Type: application/json");
    headers[2] = arena_printf(arena, "X-Content-Sha256: " STR_FMT, STR_ARG(sum));
    headers[3] = arena_printf(
        arena,
        "Authorization: Signature version=\"1\",keyId=\"" STR_FMT "/fed-x509-sha256/" STR_FMT
        "\",algorithm=\"rsa-sha256\",headers=\"date (request-target) content-length content-type "
        "x-content-sha256\",signature=\"" STR_FMT "\"",
        STR_ARG(leaf->tenant), STR_ARG(leaf->fingerprint), STR_ARG(buf_str(&signature)));
    return true;
}

static bool ask_token(Round *round, Federation *federation, Error *err)
{
    Arena *arena = &round->arena;
    X509Identity leaf, intermediate;
    Str public_key;
    if (!x509_identity_read(federation->cert_pem, arena, &leaf, err) ||
        !x509_identity_read(federation->intermediate_pem, arena, &intermediate, err) ||
        !x509_session_key(arena, &federation->session_pem, &public_key, err))
        return error_context(err, "oci_sd: instance_principal");
    if (leaf.tenant.len == 0 || str_find_char(leaf.tenant, '"') != STR_NOT_FOUND)
        return error_set(err, ERR_INVALID,
                         "oci_sd: the instance's certificate does not name its tenancy");
    federation->tenancy = leaf.tenant;
    Str body = request_body(arena, &leaf, &intermediate, public_key);
    Str *headers = ARENA_ARRAY(arena, Str, 4);
    if (!sign(round, federation, &leaf, body, headers, err))
        return false;
    Ask ask = {
        .method = S("POST"),
        .url = arena_printf(arena, "https://" STR_FMT AUTH_TARGET, STR_ARG(federation->host)),
        .body = body,
        .headers = headers,
        .header_count = 4,
        .take = take_token,
        .arg = federation,
    };
    round_ask(round, &ask);
    return true;
}

// ---- the metadata service ----

static bool got_one(Round *round, Federation *federation, Error *err)
{
    return --federation->missing > 0 || ask_token(round, federation, err);
}

static bool is_host_part(Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.'))
            return false;
    }
    return text.len > 0;
}

static bool take_region(Round *round, const Answer *answer, void *arg, Error *err)
{
    Federation *federation = arg;
    Str region = json_str_at(answer->json, "regionIdentifier");
    Str realm = json_str_at(answer->json, "realmDomainComponent");
    if (!is_host_part(region) || !is_host_part(realm))
        return error_set(err, ERR_INVALID, "oci_sd: the metadata service names no region");
    federation->host =
        arena_printf(&round->arena, "auth." STR_FMT "." STR_FMT, STR_ARG(region), STR_ARG(realm));
    return got_one(round, federation, err);
}

static bool take_cert(Round *round, const Answer *answer, void *arg, Error *err)
{
    Federation *federation = arg;
    federation->cert_pem = answer->body;
    return got_one(round, federation, err);
}

static bool take_key(Round *round, const Answer *answer, void *arg, Error *err)
{
    Federation *federation = arg;
    federation->key_pem = answer->body;
    return got_one(round, federation, err);
}

static bool take_intermediate(Round *round, const Answer *answer, void *arg, Error *err)
{
    Federation *federation = arg;
    federation->intermediate_pem = answer->body;
    return got_one(round, federation, err);
}

void oci_principal_ask(Round *round, OciPrincipal *principal,
                       bool (*then)(Round *round, Error *err))
{
    static const Str headers[] = {STR("Authorization: Bearer Oracle")};
    static const struct {
        Str url;
        AskForm form;
        TakeFn take;
    } questions[] = {
        {STR(METADATA "instance/regionInfo/"), ASK_JSON, take_region},
        {STR(METADATA "identity/cert.pem"), ASK_TEXT, take_cert},
        {STR(METADATA "identity/key.pem"), ASK_TEXT, take_key},
        {STR(METADATA "identity/intermediate.pem"), ASK_TEXT, take_intermediate},
    };
    Federation *federation = ARENA_NEW(&round->arena, Federation);
    federation->principal = principal;
    federation->then = then;
    federation->missing = COUNT_OF(questions);
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        Ask ask = {.url = questions[i].url,
                   .headers = headers,
                   .header_count = 1,
                   .form = questions[i].form,
                   .take = questions[i].take,
                   .arg = federation};
        round_ask(round, &ask);
    }
}
