// SPDX-License-Identifier: Apache-2.0
// pem_fake.h: for tests: certificates made on the spot, and a folder for their files.
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/test.h"

typedef struct Pem {
    char cert[4096];
    char key[8192];
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t privkey;
} Pem;

// A certificate for `name`, signed by `ca` (NULL: by itself, as a CA).
static inline void pem_make(Pem *pem, const char *name, const Pem *ca)
{
    gnutls_x509_privkey_init(&pem->privkey);
    CHECK_EQ(gnutls_x509_privkey_generate(pem->privkey, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
             0);
    gnutls_x509_crt_init(&pem->crt);
    gnutls_x509_crt_set_version(pem->crt, 3);
    gnutls_x509_crt_set_key(pem->crt, pem->privkey);
    gnutls_x509_crt_set_serial(pem->crt, ca ? "\2" : "\1", 1);
    gnutls_x509_crt_set_activation_time(pem->crt, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(pem->crt, time(NULL) + 86400);
    gnutls_x509_crt_set_dn_by_oid(pem->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                  (unsigned)strlen(name));
    gnutls_x509_crt_set_basic_constraints(pem->crt, ca ? 0 : 1, -1);
    if (ca)
        gnutls_x509_crt_set_subject_alt_name(pem->crt, GNUTLS_SAN_DNSNAME, name,
                                             (unsigned)strlen(name), GNUTLS_FSAN_SET);
    CHECK_EQ(gnutls_x509_crt_sign2(pem->crt, ca ? ca->crt : pem->crt,
                                   ca ? ca->privkey : pem->privkey, GNUTLS_DIG_SHA256, 0),
             0);
    size_t bytes = sizeof pem->cert - 1;
    CHECK_EQ(gnutls_x509_crt_export(pem->crt, GNUTLS_X509_FMT_PEM, pem->cert, &bytes), 0);
    bytes = sizeof pem->key - 1;
    CHECK_EQ(gnutls_x509_privkey_export_pkcs8(pem->privkey, GNUTLS_X509_FMT_PEM, NULL,
                                              GNUTLS_PKCS_PLAIN, pem->key, &bytes),
             0);
}

static inline void pem_deinit(Pem *pem)
{
    gnutls_x509_crt_deinit(pem->crt);
    gnutls_x509_privkey_deinit(pem->privkey);
}

typedef struct FakeFolder {
    char name[64];
    Arena arena;
} FakeFolder;

static inline void fake_folder_make(FakeFolder *folder)
{
    *folder = (FakeFolder){.name = "/tmp/narthex_test_XXXXXX"};
    CHECK(mkdtemp(folder->name) != NULL);
}

// Good until the folder is removed.
static inline Str fake_folder_path(FakeFolder *folder, const char *file)
{
    return arena_printf(&folder->arena, "%s/%s", folder->name, file);
}

// Appears whole, under a new inode each time, as from an editor or a Kubernetes secret.
static inline void fake_folder_write(FakeFolder *folder, const char *file, Str text)
{
    File out = FILE_NONE;
    Error err;
    Str temporary = fake_folder_path(folder, "temporary");
    CHECK_OK(fs_open(&fs_system, temporary, FS_CREATE, &out, &err), err);
    CHECK_OK(file_write(&out, text, &err), err);
    CHECK_OK(file_finish(&out, &err), err);
    CHECK_EQ(rename(temporary.ptr, fake_folder_path(folder, file).ptr), 0);
}

static inline void fake_folder_remove(FakeFolder *folder)
{
    Error err;
    CHECK_OK(fs_remove_tree(&fs_system, str_from_c(folder->name), &err), err);
    arena_deinit(&folder->arena);
}
