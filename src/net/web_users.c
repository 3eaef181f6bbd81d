// SPDX-License-Identifier: Apache-2.0
#include "net/web_users.h"

#include <crypt.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

#include "base/random.h"
#include "codec/compress.h"

#define CREDENTIALS_BYTES_MAX 4096

enum {
    LOCK_RANK_USERS = 845,
    BCRYPT_SALTED_BYTES = 29, // "$2b$10$" and 22 characters of salt
    BCRYPT_DIGEST_BYTES = 31,
};

// Stands in for the hash of a name that nobody has: bcrypt of nothing that anybody knows, at the usual cost.
#define NOBODYS_HASH "$2b$10$wM0IqYxN8oEwBq3aYqvC2OQJ1ZzqPc5d7l9HqfX0m1b8w3yK4sTnS"

typedef struct Login {
    Str name, password;
    Str hash; // nobody's if there is no such name
    bool is_user;
    uint8_t digest[SHA256_BYTES];
} Login;

void web_users_init(WebUsers *users)
{
    *users = (WebUsers){0};
    random_system(users->secret, sizeof users->secret);
    lock_init(&users->lock, "web.users", LOCK_RANK_USERS);
}

void web_users_deinit(WebUsers *users)
{
    lock_deinit(&users->lock);
    gnutls_memset(users, 0, sizeof *users);
}

// Reading a login -----------------------------------------------------------------------------------------------------------------------

// The digest of secret, name, hash and password, each with its length before it.
static void digest_login(const WebUsers *users, Login *login)
{
    Buf bytes = {0};
    const Str parts[] = {login->name, login->hash, login->password};
    buf_add(&bytes, users->secret, sizeof users->secret);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        uint64_t len = parts[i].len;
        buf_add(&bytes, &len, sizeof len);
        buf_add_str(&bytes, parts[i]);
    }
    digest_sha256(buf_str(&bytes), login->digest);
    gnutls_memset(bytes.ptr, 0, bytes.len);
    buf_deinit(&bytes);
}

// "Basic bmFtZTpwYXNzd29yZA=="; *text is what the login's parts view.
static bool read_login(const WebUsers *users, const ConfigStrMap *hashes, Str authorization,
                       Buf *text, Login *ret_login)
{
    Error ignored;
    if (authorization.len < 6 || authorization.len > CREDENTIALS_BYTES_MAX ||
        !str_equal_nocase(str_sub(authorization, 0, 6), S("Basic ")) ||
        !base64_decode(str_skip(authorization, 6), text, &ignored))
        return false;
    Str whole = buf_str(text);
    size_t colon = str_find_char(whole, ':');
    if (colon == STR_NOT_FOUND)
        return false;
    Login login = {.name = str_sub(whole, 0, colon),
                   .password = str_skip(whole, colon + 1),
                   .hash = STR(NOBODYS_HASH)};
    for (size_t i = 0; i < hashes->count; i++)
        if (str_equal(hashes->keys[i], login.name)) {
            login.hash = hashes->values[i];
            login.is_user = true;
        }
    digest_login(users, &login);
    *ret_login = login;
    return true;
}

static void wipe(Buf *text)
{
    if (text->ptr)
        gnutls_memset(text->ptr, 0, text->len);
    buf_deinit(text);
}

// What is remembered ----------------------------------------------------------------------------------------------------------------------

static bool is_kept(WebUsersKept *kept, const uint8_t *digest, uint64_t now)
{
    for (size_t i = 0; i < kept->count; i++)
        if (memcmp(kept->digests[i], digest, SHA256_BYTES) == 0) {
            kept->used_at[i] = now;
            return true;
        }
    return false;
}

// In the place of the one that was not asked for the longest if there is no room.
static void keep(WebUsersKept *kept, const uint8_t *digest, uint64_t now)
{
    size_t at = 0;
    if (kept->count < WEB_USERS_KEPT)
        at = kept->count++;
    else
        for (size_t i = 1; i < kept->count; i++)
            if (kept->used_at[i] < kept->used_at[at])
                at = i;
    memcpy(kept->digests[at], digest, SHA256_BYTES);
    kept->used_at[at] = now;
}

WebVerdict web_users_recall(WebUsers *users, const ConfigStrMap *hashes, Str authorization)
{
    Login login;
    Buf text = {0};
    WebVerdict verdict = WEB_DENIED;
    if (hashes->count == 0)
        return WEB_ALLOWED;
    if (read_login(users, hashes, authorization, &text, &login)) {
        lock_take(&users->lock);
        uint64_t now = ++users->clock;
        if (is_kept(&users->right, login.digest, now))
            verdict = WEB_ALLOWED;
        else if (!is_kept(&users->wrong, login.digest, now))
            verdict = WEB_UNKNOWN;
        lock_give(&users->lock);
    }
    wipe(&text);
    return verdict;
}

// bcrypt ------------------------------------------------------------------------------------------------------------------------------------

// libxcrypt's crypt_rn where it is: it bounds what it writes, and a sanitizer's stand-in for crypt_r needs a library that the linker has
// left out because of that very stand-in.
static const char *crypt_with(const char *phrase, const char *setting, struct crypt_data *data)
{
#if defined(CRYPT_OUTPUT_SIZE)
    return crypt_rn(phrase, setting, data, sizeof *data);
#else
    return crypt_r(phrase, setting, data);
#endif
}

// All minor versions mean the same: "b", which libcrypt knows, stands in for what is there.
static bool matches_bcrypt(Str hash, Str password)
{
    char setting[BCRYPT_SALTED_BYTES + 1];
    Str rest = str_skip(hash, hash.ptr[2] == '$' ? 3 : 4);
    if (rest.len < BCRYPT_SALTED_BYTES - 4 + BCRYPT_DIGEST_BYTES)
        return false;
    memcpy(setting, "$2b$", 4);
    memcpy(setting + 4, rest.ptr, BCRYPT_SALTED_BYTES - 4);
    setting[BCRYPT_SALTED_BYTES] = '\0';

    // bcrypt looks at 72 bytes, libcrypt at what stands before a NUL.
    char phrase[73] = "";
    if (password.len && memchr(password.ptr, '\0', password.len))
        return false;
    memcpy(phrase, password.len ? password.ptr : "", MIN(password.len, sizeof phrase - 1));

    struct crypt_data *data = X_NEW(struct crypt_data);
    const char *made = crypt_with(phrase, setting, data);
    bool ok = made && strlen(made) == BCRYPT_SALTED_BYTES + BCRYPT_DIGEST_BYTES &&
              gnutls_memcmp(made + BCRYPT_SALTED_BYTES, rest.ptr + BCRYPT_SALTED_BYTES - 4,
                            BCRYPT_DIGEST_BYTES) == 0;
    gnutls_memset(phrase, 0, sizeof phrase);
    gnutls_memset(data, 0, sizeof *data);
    free(data);
    return ok;
}

bool web_users_check(WebUsers *users, const ConfigStrMap *hashes, Str authorization)
{
    Login login;
    Buf text = {0};
    bool ok = false;
    if (read_login(users, hashes, authorization, &text, &login)) {
        ok = matches_bcrypt(login.hash, login.password) && login.is_user;
        lock_take(&users->lock);
        keep(ok ? &users->right : &users->wrong, login.digest, ++users->clock);
        lock_give(&users->lock);
    }
    wipe(&text);
    return ok;
}
