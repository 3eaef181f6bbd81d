// SPDX-License-Identifier: Apache-2.0
#include "net/http_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec/compress.h"
#include "net/http_secret.h"

enum {
    SECRET_BYTES_MAX = 1 << 20,
    PEM_BYTES_MAX = 16 << 20,
    PATH_BYTES = 40,
};
static const int64_t LOOK_EVERY_NS = 1000000000;

// The memory file of one piece of TLS material; the one before lives on for connections being made.
typedef struct Pem {
    HttpSecret value;
    int fd, fd_before;
    char path[PATH_BYTES];
} Pem;

struct HttpCredentials {
    const HttpClientConfig *config;
    Arena arena;
    HttpSecret username, password, authorization;
    HttpSecret *header_files; // those of all http_headers, in order
    size_t header_file_count;
    Pem pems[HTTP_PEM_COUNT];
    bool has_loaded;
    int64_t looked_ns;
    uint64_t generation;
    Buf lines;
};

HttpCredentials *http_credentials_new(const HttpClientConfig *config)
{
    HttpCredentials *c = X_NEW(HttpCredentials);
    c->config = config;
    arena_init(&c->arena);
    const HttpBasicAuth *basic = config->basic_auth;
    if (basic) {
        http_secret_init(&c->username, "basic auth username file", basic->username,
                         basic->username_file, SECRET_BYTES_MAX);
        http_secret_init(&c->password, "basic auth password file", basic->password,
                         basic->password_file, SECRET_BYTES_MAX);
    }
    const HttpAuthorization *auth = config->authorization;
    if (auth)
        http_secret_init(&c->authorization, "authorization credentials file", auth->credentials,
                         auth->credentials_file, SECRET_BYTES_MAX);

    const HttpTlsConfig *tls = &config->tls_config;
    http_secret_init(&c->pems[HTTP_PEM_CA].value, "CA file", tls->ca, tls->ca_file, PEM_BYTES_MAX);
    http_secret_init(&c->pems[HTTP_PEM_CERT].value, "certificate file", tls->cert, tls->cert_file,
                     PEM_BYTES_MAX);
    http_secret_init(&c->pems[HTTP_PEM_KEY].value, "key file", tls->key, tls->key_file,
                     PEM_BYTES_MAX);
    for (int i = 0; i < HTTP_PEM_COUNT; i++)
        c->pems[i].fd = c->pems[i].fd_before = -1;

    const HttpHeaderConfig *headers = config->http_headers.items;
    for (size_t h = 0; h < config->http_headers.count; h++)
        c->header_file_count += headers[h].files.count;
    c->header_files = ARENA_ARRAY(&c->arena, HttpSecret, MAX(c->header_file_count, 1u));
    size_t n = 0;
    for (size_t h = 0; h < config->http_headers.count; h++)
        for (size_t f = 0; f < headers[h].files.count; f++)
            http_secret_init(&c->header_files[n++], "http header file", STR_NONE,
                             headers[h].files.items[f], SECRET_BYTES_MAX);
    return c;
}

void http_credentials_free(HttpCredentials *c)
{
    if (!c)
        return;
    http_secret_deinit(&c->username);
    http_secret_deinit(&c->password);
    http_secret_deinit(&c->authorization);
    for (size_t i = 0; i < c->header_file_count; i++)
        http_secret_deinit(&c->header_files[i]);
    for (int i = 0; i < HTTP_PEM_COUNT; i++) {
        http_secret_deinit(&c->pems[i].value);
        if (c->pems[i].fd >= 0)
            close(c->pems[i].fd);
        if (c->pems[i].fd_before >= 0)
            close(c->pems[i].fd_before);
    }
    buf_deinit(&c->lines);
    arena_deinit(&c->arena);
    free(c);
}

static void add_line(Buf *lines, Str name, Str value)
{
    buf_add_str(lines, name);
    buf_add_c(lines, ": ");
    buf_add_str(lines, value);
    buf_add_char(lines, '\0');
}

static void add_basic_line(const HttpCredentials *c, Buf *lines)
{
    Buf plain = {0};
    buf_add_str(&plain, http_secret_text(&c->username));
    buf_add_char(&plain, ':');
    buf_add_str(&plain, http_secret_text(&c->password));
    buf_add_c(lines, "Authorization: Basic ");
    base64_encode(buf_str(&plain), lines);
    buf_add_char(lines, '\0');
    explicit_bzero(plain.ptr, plain.cap);
    buf_deinit(&plain);
}

static void build_lines(HttpCredentials *c)
{
    const HttpClientConfig *config = c->config;
    Buf *lines = &c->lines;
    buf_reset(lines);
    if (config->basic_auth)
        add_basic_line(c, lines);
    Str token = http_secret_text(&c->authorization);
    if (config->authorization && token.len) {
        buf_add_c(lines, "Authorization: ");
        buf_add_str(lines,
                    config->authorization->type.len ? config->authorization->type : S("Bearer"));
        buf_add_char(lines, ' ');
        buf_add_str(lines, token);
        buf_add_char(lines, '\0');
    }
    const HttpHeaderConfig *headers = config->http_headers.items;
    size_t file = 0;
    for (size_t h = 0; h < config->http_headers.count; h++) {
        for (size_t i = 0; i < headers[h].values.count; i++)
            add_line(lines, headers[h].name, headers[h].values.items[i]);
        for (size_t i = 0; i < headers[h].secrets.count; i++)
            add_line(lines, headers[h].name, headers[h].secrets.items[i]);
        for (size_t i = 0; i < headers[h].files.count; i++)
            add_line(lines, headers[h].name, http_secret_text(&c->header_files[file++]));
    }
}

static bool write_all(int fd, Str bytes)
{
    while (bytes.len > 0) {
        ssize_t count = write(fd, bytes.ptr, bytes.len);
        if (count <= 0)
            return false;
        bytes = str_skip(bytes, (size_t)count);
    }
    return true;
}

static bool pem_publish(Pem *pem, Error *err)
{
    int fd = memfd_create("tls", MFD_CLOEXEC);
    if (fd < 0 || !write_all(fd, pem->value.text)) {
        int error_number = errno;
        if (fd >= 0)
            close(fd);
        return error_set_errno(err, error_number, "cannot keep the %s in memory", pem->value.what);
    }
    if (pem->fd_before >= 0)
        close(pem->fd_before);
    pem->fd_before = pem->fd;
    pem->fd = fd;
    snprintf(pem->path, sizeof pem->path, "/proc/self/fd/%d", fd);
    return true;
}

static bool load_pems(HttpCredentials *c, bool *ret_changed, Error *err)
{
    for (int i = 0; i < HTTP_PEM_COUNT; i++) {
        Pem *pem = &c->pems[i];
        bool changed = false;
        if (!http_secret_load(&pem->value, &changed, err))
            return false;
        if (pem->value.text.len == 0 || (pem->fd >= 0 && !changed))
            continue;
        if (!pem_publish(pem, err))
            return false;
        *ret_changed = true;
    }
    return true;
}

bool http_credentials_refresh(HttpCredentials *c, int64_t now_ns, Error *err)
{
    if (c->has_loaded && now_ns - c->looked_ns < LOOK_EVERY_NS)
        return true;
    bool changed = !c->has_loaded;
    if (!http_secret_load(&c->username, &changed, err) ||
        !http_secret_load(&c->password, &changed, err) ||
        !http_secret_load(&c->authorization, &changed, err))
        return false;
    for (size_t i = 0; i < c->header_file_count; i++)
        if (!http_secret_load(&c->header_files[i], &changed, err))
            return false;
    if (!load_pems(c, &changed, err))
        return false;
    if (changed) {
        build_lines(c);
        c->generation++;
    }
    c->has_loaded = true;
    c->looked_ns = now_ns;
    return true;
}

uint64_t http_credentials_generation(const HttpCredentials *c)
{
    return c->generation;
}

Str http_credentials_lines(const HttpCredentials *c)
{
    return buf_str(&c->lines);
}

const char *http_credentials_pem_path(const HttpCredentials *c, HttpPemKind kind)
{
    return c->pems[kind].fd >= 0 ? c->pems[kind].path : NULL;
}
