// SPDX-License-Identifier: Apache-2.0
#include "net/x509_identity.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>

#include "codec/compress.h"
#include "net/digest.h"

#define SESSION_KEY_BITS 2048
#define SUBJECT_PARTS_MAX 64

static bool fail(Error *err, const char *what, int code)
{
    return error_set(err, ERR_INVALID, "%s: %s", what, gnutls_strerror(code));
}

static Str base64_of(Arena *arena, const gnutls_datum_t *bytes)
{
    CLEANUP(buf_deinit) Buf text = {0};
    base64_encode(str_make((const char *)bytes->data, bytes->size), &text);
    return arena_str(arena, buf_str(&text));
}

static Str fingerprint_of(Arena *arena, const gnutls_datum_t *der)
{
    uint8_t digest[SHA256_BYTES];
    char *text = arena_alloc(arena, 3 * SHA256_BYTES + 1);
    digest_sha256(str_make((const char *)der->data, der->size), digest);
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(text + 3 * i, 4, "%02x:", digest[i]);
    return str_make(text, 3 * SHA256_BYTES - 1);
}

static Str tenant_of(Arena *arena, gnutls_x509_crt_t certificate)
{
    static const Str marks[] = {STR("opc-tenant:"), STR("opc-identity:")};
    static const char *const oids[] = {GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME,
                                       GNUTLS_OID_X520_ORGANIZATION_NAME};
    for (size_t m = 0; m < COUNT_OF(marks); m++)
        for (size_t o = 0; o < COUNT_OF(oids); o++)
            for (unsigned i = 0; i < SUBJECT_PARTS_MAX; i++) {
                char value[512];
                size_t bytes = sizeof value;
                if (gnutls_x509_crt_get_dn_by_oid(certificate, oids[o], i, 0, value, &bytes) < 0)
                    break;
                if (str_starts_with(str_make(value, bytes), marks[m]))
                    return arena_str(arena, str_skip(str_make(value, bytes), marks[m].len));
            }
    return STR_NONE;
}

bool x509_identity_read(Str pem, Arena *arena, X509Identity *ret_identity, Error *err)
{
    gnutls_x509_crt_t certificate;
    gnutls_datum_t text = {(unsigned char *)(uintptr_t)pem.ptr, (unsigned)pem.len};
    gnutls_datum_t der = {NULL, 0};
    if (gnutls_x509_crt_init(&certificate) < 0)
        out_of_memory(sizeof certificate);
    int code = gnutls_x509_crt_import(certificate, &text, GNUTLS_X509_FMT_PEM);
    if (code >= 0)
        code = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_DER, &der);
    if (code >= 0)
        *ret_identity = (X509Identity){
            .der_base64 = base64_of(arena, &der),
            .fingerprint = fingerprint_of(arena, &der),
            .tenant = tenant_of(arena, certificate),
            .expires_s = (int64_t)gnutls_x509_crt_get_expiration_time(certificate),
        };
    gnutls_free(der.data);
    gnutls_x509_crt_deinit(certificate);
    return code >= 0 || fail(err, "the certificate cannot be read", code);
}

static int export_public(gnutls_x509_privkey_t key, gnutls_datum_t *ret_der)
{
    gnutls_privkey_t private;
    gnutls_pubkey_t public;
    if (gnutls_privkey_init(&private) < 0 || gnutls_pubkey_init(&public) < 0)
        out_of_memory(sizeof public);
    int code = gnutls_privkey_import_x509(private, key, 0);
    if (code >= 0)
        code = gnutls_pubkey_import_privkey(public, private, 0, 0);
    if (code >= 0)
        code = gnutls_pubkey_export2(public, GNUTLS_X509_FMT_DER, ret_der);
    gnutls_pubkey_deinit(public);
    gnutls_privkey_deinit(private);
    return code;
}

bool x509_session_key(Arena *arena, Str *ret_private_pem, Str *ret_public_base64, Error *err)
{
    gnutls_x509_privkey_t key;
    gnutls_datum_t pem = {NULL, 0}, der = {NULL, 0};
    if (gnutls_x509_privkey_init(&key) < 0)
        out_of_memory(sizeof key);
    int code = gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, SESSION_KEY_BITS, 0);
    if (code >= 0)
        code = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
    if (code >= 0)
        code = export_public(key, &der);
    if (code >= 0) {
        *ret_private_pem = arena_str(arena, str_make((const char *)pem.data, pem.size));
        *ret_public_base64 = base64_of(arena, &der);
    }
    if (pem.data)
        gnutls_memset(pem.data, 0, pem.size);
    gnutls_free(pem.data);
    gnutls_free(der.data);
    gnutls_x509_privkey_deinit(key);
    return code >= 0 || fail(err, "no key for the session", code);
}
