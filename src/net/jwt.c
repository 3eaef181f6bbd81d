// SPDX-License-Identifier: Apache-2.0
#include "net/jwt.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/random.h"
#include "codec/compress.h"

void jwt_add_base64url(Buf *out, Str bytes)
{
    CLEANUP(buf_deinit) Buf text = {0};
    base64_encode(bytes, &text);
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++)
        buf_add_char(out, text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i]);
}

// The signature's bytes, to be freed by gnutls_free.
static bool sign(Str text, Str key_pem, Str passphrase, gnutls_sign_algorithm_t algorithm,
                 gnutls_datum_t *ret_signature, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    gnutls_privkey_t key;
    gnutls_datum_t pem = {(unsigned char *)(uintptr_t)key_pem.ptr, (unsigned)key_pem.len};
    gnutls_datum_t data = {(unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len};
    if (gnutls_privkey_init(&key) < 0)
        out_of_memory(sizeof key);
    int code = gnutls_privkey_import_x509_raw(
        key, &pem, GNUTLS_X509_FMT_PEM, passphrase.len ? str_to_c(&arena, passphrase) : NULL, 0);
    if (code >= 0)
        code = gnutls_privkey_sign_data2(key, algorithm, 0, &data, ret_signature);
    gnutls_privkey_deinit(key);
    return code >= 0 || error_set(err, ERR_INVALID, "cannot sign with the private key: %s",
                                  gnutls_strerror(code));
}

bool jwt_sign(Str header, Str claims, Str key_pem, JwtAlgorithm algorithm, Buf *out, Error *err)
{
    static const gnutls_sign_algorithm_t algorithms[] = {[JWT_RS256] = GNUTLS_SIGN_RSA_SHA256,
                                                         [JWT_RS384] = GNUTLS_SIGN_RSA_SHA384,
                                                         [JWT_RS512] = GNUTLS_SIGN_RSA_SHA512};
    CLEANUP(buf_deinit) Buf text = {0};
    gnutls_datum_t signature = {NULL, 0};
    jwt_add_base64url(&text, header);
    buf_add_char(&text, '.');
    jwt_add_base64url(&text, claims);
    if (!sign(buf_str(&text), key_pem, STR_NONE, algorithms[algorithm], &signature, err))
        return false;
    buf_add_str(out, buf_str(&text));
    buf_add_char(out, '.');
    jwt_add_base64url(out, str_make((const char *)signature.data, signature.size));
    gnutls_free(signature.data);
    return true;
}

void jwt_id(char ret_text[JWT_ID_BYTES + 1])
{
    uint8_t bytes[16];
    size_t at = 0;
    random_system(bytes, sizeof bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    for (size_t i = 0; i < sizeof bytes; i++)
        at += (size_t)snprintf(ret_text + at, JWT_ID_BYTES + 1 - at, "%s%02x",
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
}

bool jwt_sign_text(Str text, Str key_pem, Str passphrase, Buf *out, Error *err)
{
    gnutls_datum_t signature = {NULL, 0};
    if (!sign(text, key_pem, passphrase, GNUTLS_SIGN_RSA_SHA256, &signature, err))
        return false;
    base64_encode(str_make((const char *)signature.data, signature.size), out);
    gnutls_free(signature.data);
    return true;
}
