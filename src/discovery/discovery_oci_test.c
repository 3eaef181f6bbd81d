// SPDX-License-Identifier: Apache-2.0
// Instance principals against a metadata service and an auth service that verify what Oracle's would: each signature by its key.
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <unistd.h>

#include "codec/compress.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_rig.h"
#include "net/digest.h"
#include "net/x509_identity.h"

#define TENANT "ocid1.tenancy.oc1..t"
// {"exp": 4102444800} and {"exp": 1000000000}
#define TOKEN "head.eyJleHAiOiA0MTAyNDQ0ODAwfQ.tail"
#define OLD_TOKEN "head.eyJleHAiOiAxMDAwMDAwMDAwfQ.tail"
#define METADATA "GET /169.254.169.254/opc/v2/"
#define BEARER "Authorization: Bearer Oracle"
#define API "GET /iaas.r.oraclecloud.com/20160918/"

typedef struct Cloud {
    Arena arena;
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    char key_pem[8192], cert_pem[8192];
    X509Identity identity;
    gnutls_pubkey_t session; // NULL: none yet
    _Atomic int federations, bad;
} Cloud;

static void cloud_init(Cloud *cloud, const char *unit)
{
    Error err;
    *cloud = (Cloud){.bad = 0};
    CHECK_EQ(gnutls_x509_privkey_init(&cloud->key), 0);
    CHECK_EQ(gnutls_x509_privkey_generate(cloud->key, GNUTLS_PK_RSA, 2048, 0), 0);
    CHECK_EQ(gnutls_x509_crt_init(&cloud->cert), 0);
    gnutls_x509_crt_set_version(cloud->cert, 3);
    gnutls_x509_crt_set_key(cloud->cert, cloud->key);
    gnutls_x509_crt_set_serial(cloud->cert, "\1", 1);
    gnutls_x509_crt_set_activation_time(cloud->cert, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(cloud->cert, time(NULL) + 86400);
    gnutls_x509_crt_set_dn_by_oid(cloud->cert, GNUTLS_OID_X520_COMMON_NAME, 0, "i", 1);
    gnutls_x509_crt_set_dn_by_oid(cloud->cert, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0,
                                  "opc-certtype:instance", 21);
    gnutls_x509_crt_set_dn_by_oid(cloud->cert, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0, unit,
                                  (unsigned)strlen(unit));
    CHECK_EQ(gnutls_x509_crt_sign2(cloud->cert, cloud->cert, cloud->key, GNUTLS_DIG_SHA256, 0), 0);
    size_t bytes = sizeof cloud->cert_pem - 1;
    CHECK_EQ(gnutls_x509_crt_export(cloud->cert, GNUTLS_X509_FMT_PEM, cloud->cert_pem, &bytes), 0);
    bytes = sizeof cloud->key_pem - 1;
    CHECK_EQ(gnutls_x509_privkey_export(cloud->key, GNUTLS_X509_FMT_PEM, cloud->key_pem, &bytes),
             0);
    CHECK_OK(x509_identity_read(str_from_c(cloud->cert_pem), &cloud->arena, &cloud->identity, &err),
             err);
}

static void cloud_deinit(Cloud *cloud)
{
    if (cloud->session)
        gnutls_pubkey_deinit(cloud->session);
    gnutls_x509_crt_deinit(cloud->cert);
    gnutls_x509_privkey_deinit(cloud->key);
    arena_deinit(&cloud->arena);
}

// What stands behind `name="` in an Authorization header.
static Str part_of(Str header, const char *name)
{
    size_t at = str_find(header, str_from_c(name));
    Str rest = str_skip(header, at == STR_NOT_FOUND ? header.len : at + strlen(name));
    return str_sub(rest, 0, str_find_char(rest, '"'));
}

static bool verifies(gnutls_pubkey_t key, Str text, Str signature)
{
    CLEANUP(buf_deinit) Buf bytes = {0};
    Error err;
    if (!base64_decode(signature, &bytes, &err))
        return false;
    gnutls_datum_t data = {(unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len};
    gnutls_datum_t sign = {(unsigned char *)bytes.ptr, (unsigned)bytes.len};
    return gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_RSA_SHA256, 0, &data, &sign) >= 0;
}

static bool verify_federation(Cloud *cloud, HttpRequest *request)
{
    CLEANUP(buf_deinit) Buf sum = {0}, der = {0};
    uint8_t digest[SHA256_BYTES];
    gnutls_pubkey_t key;
    JsonValue *json;
    Error err;
    Str header = http_header(request, S("Authorization"));
    digest_sha256(request->body, digest);
    base64_encode(str_make((const char *)digest, sizeof digest), &sum);
    Str text = arena_printf(request->arena,
                            "date: " STR_FMT "\n(request-target): post /v1/x509\ncontent-length: "
                            "%zu\ncontent-type: application/json\nx-content-sha256: " STR_FMT,
                            STR_ARG(http_header(request, S("Date"))), request->body.len,
                            STR_ARG(buf_str(&sum)));
    CHECK_EQ(gnutls_pubkey_init(&key), 0);
    CHECK_EQ(gnutls_pubkey_import_x509(key, cloud->cert, 0), 0);
    bool ok = verifies(key, text, part_of(header, "signature=\""));
    gnutls_pubkey_deinit(key);
    ok = ok && str_equal(part_of(header, "keyId=\""),
                         arena_printf(request->arena, TENANT "/fed-x509-sha256/" STR_FMT,
                                      STR_ARG(cloud->identity.fingerprint)));
    ok = ok && json_read(request->body, request->arena, &json, &err) &&
         str_equal(json_str_at(json, "certificate"), cloud->identity.der_base64) &&
         base64_decode(json_str_at(json, "publicKey"), &der, &err);
    if (!ok)
        return false;
    gnutls_datum_t bytes = {(unsigned char *)der.ptr, (unsigned)der.len};
    if (cloud->session)
        gnutls_pubkey_deinit(cloud->session);
    CHECK_EQ(gnutls_pubkey_init(&cloud->session), 0);
    CHECK_EQ(gnutls_pubkey_import(cloud->session, &bytes, GNUTLS_X509_FMT_DER), 0);
    cloud->federations++;
    return true;
}

// The rig asks http://here/host/path for https://host/path.
static bool verify_api(const Cloud *cloud, HttpRequest *request)
{
    Str header = http_header(request, S("Authorization"));
    Str rest = str_skip(request->target, 1);
    size_t slash = str_find_char(rest, '/');
    Str text = arena_printf(request->arena,
                            "date: " STR_FMT "\n(request-target): get " STR_FMT "\nhost: " STR_FMT,
                            STR_ARG(http_header(request, S("Date"))),
                            STR_ARG(str_skip(rest, slash)), STR_ARG(str_sub(rest, 0, slash)));
    return cloud->session && str_starts_with(part_of(header, "keyId=\""), S("ST$head.")) &&
           verifies(cloud->session, text, part_of(header, "signature=\""));
}

static bool verify(void *arg, HttpRequest *request)
{
    Cloud *cloud = arg;
    bool ok = true;
    if (str_starts_with(request->target, S("/auth.")))
        ok = verify_federation(cloud, request);
    else if (!str_starts_with(request->target, S("/169.")))
        ok = verify_api(cloud, request);
    cloud->bad += !ok;
    return ok;
}

// Runs discovery until it says `want`, or for so many federations if that is NULL.
static void run(Cloud *cloud, const char *reply, const char *want, int federations)
{
    const RigRoute routes[] = {
        {.request = METADATA "instance/regionInfo/",
         .header = BEARER,
         .reply = "{\"regionIdentifier\": \"r-1\", \"realmDomainComponent\": \"oc.com\"}"},
        {.request = METADATA "identity/cert.pem", .header = BEARER, .reply = cloud->cert_pem},
        {.request = METADATA "identity/key.pem", .header = BEARER, .reply = cloud->key_pem},
        {.request = METADATA "identity/intermediate.pem",
         .header = BEARER,
         .reply = cloud->cert_pem},
        {.request = "POST /auth.r-1.oc.com/v1/x509",
         .header = "Content-Type: application/json",
         .reply = reply},
        {.request =
             "GET /identity.r.oci.oraclecloud.com/20160918/compartments?compartmentId=" TENANT
             "&accessLevel=ACCESSIBLE&compartmentIdInSubtree=false&limit=100",
         .reply = "[]"},
        {.request = API "instances?compartmentId=" TENANT "&limit=100",
         .reply = "[{\"id\": \"i\", \"compartmentId\": \"c\"}]"},
        {.request = API "vnicAttachments?compartmentId=c&instanceId=i&limit=100",
         .reply = "[{\"vnicId\": \"v\", \"lifecycleState\": \"ATTACHED\"}]"},
        {.request = API "vnics/v",
         .reply = "{\"id\": \"v\", \"isPrimary\": true, \"privateIp\": \"10.0.0.1\"}"},
    };
    Rig rig;
    rig_init(&rig, routes, COUNT_OF(routes));
    rig.verify = verify;
    rig.verify_arg = cloud;
    rig_apply(&rig,
              "oci_sd_configs: [{region: r, auth: instance_principal, refresh_interval: 1s}]");
    if (want)
        CHECK(rig_wait(&rig, want));
    for (int i = 0; i < 600 && cloud->federations < federations; i++)
        usleep(100000);
    CHECK(cloud->federations >= federations);
    CHECK_STR(buf_str(&rig.missed), S(""));
    rig_deinit(&rig);
}

#define TARGET                                                                                     \
    "10.0.0.1:80{__meta_oci_compartment_id=\"c\", __meta_oci_instance_id=\"i\", "                  \
    "__meta_oci_private_ip=\"10.0.0.1\", __meta_oci_tenancy_id=\"" TENANT                          \
    "\", __meta_oci_vnic_id=\"v\"}\n"

TEST(oci, an_instance_proves_who_it_is_and_signs_with_a_key_of_its_session)
{
    Cloud cloud;
    cloud_init(&cloud, "opc-tenant:" TENANT);

    run(&cloud, "{\"token\": \"" TOKEN "\"}", TARGET, 1);

    CHECK_EQ(cloud.bad, 0);
    CHECK_EQ(cloud.federations, 1); // it lasts
    cloud_deinit(&cloud);
}

TEST(oci, a_token_that_has_run_out_is_asked_for_anew)
{
    Cloud cloud;
    cloud_init(&cloud, "opc-tenant:" TENANT);

    run(&cloud, "{\"token\": \"" OLD_TOKEN "\"}", TARGET, 2);

    CHECK_EQ(cloud.bad, 0);
    cloud_deinit(&cloud);
}

TEST(oci, answers_that_are_of_no_use_find_nothing)
{
    static const struct {
        const char *name, *unit, *reply;
    } cases[] = {
        {"no token", "opc-tenant:" TENANT, "{}"},
        {"no JWT", "opc-tenant:" TENANT, "{\"token\": \"x\"}"},
        {"no claims", "opc-tenant:" TENANT, "{\"token\": \"a.b!.c\"}"},
        {"a header's worth of harm", "opc-tenant:" TENANT, "{\"token\": \"a\\\"\\r\\nX: y\"}"},
        {"no end", "opc-tenant:" TENANT, "{\"token\": \"a.e30.c\"}"},
    };
    EACH_CASE(c, cases) {
        Cloud cloud;
        cloud_init(&cloud, c->unit);
        run(&cloud, c->reply, NULL, 1);
        CHECK_EQ(cloud.bad, 0); // nothing was asked with it
        cloud_deinit(&cloud);
    }
}

TEST(oci, a_certificate_tells_its_tenancy_or_nothing)
{
    static const struct {
        const char *name, *unit, *want;
    } cases[] = {
        {"tenant", "opc-tenant:t", "t"},
        {"identity", "opc-identity:u", "u"},
        {"neither", "tenant:t", ""},
    };
    X509Identity identity;
    Error err = {0};
    EACH_CASE(c, cases) {
        Cloud cloud;
        cloud_init(&cloud, c->unit);
        CHECK_STR(cloud.identity.tenant, str_from_c(c->want));
        CHECK_EQ(cloud.identity.fingerprint.len, 95);
        CHECK(cloud.identity.expires_s > time(NULL));
        cloud_deinit(&cloud);
    }
    Arena arena = {0};
    CHECK(!x509_identity_read(S("no certificate"), &arena, &identity, &err));
    CHECK_HAS(err.text, "the certificate cannot be read");
    arena_deinit(&arena);
}

TEST_MAIN(oci, TEST_ROW(oci, an_instance_proves_who_it_is_and_signs_with_a_key_of_its_session),
          TEST_ROW(oci, a_token_that_has_run_out_is_asked_for_anew),
          TEST_ROW(oci, answers_that_are_of_no_use_find_nothing),
          TEST_ROW(oci, a_certificate_tells_its_tenancy_or_nothing))
