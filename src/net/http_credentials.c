// SPDX-License-Identifier: Apache-2.0
#include "net/http_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "codec/compress.h"

enum {
    SECRET_BYTES_MAX = 1 << 20,
    PEM_BYTES_MAX = 16 << 20,
    PATH_BYTES = 40,
};
static const int64_t LOOK_EVERY_NS = 1000000000;

// A value that stands in the configuration or in a file.
typedef struct Value {
    Str text;   // inline, or the file's content
    char *path; // NULL: inline
    size_t bytes_max;
    const char *what;
    Buf content;
    struct timespec modified;
    off_t size;
    ino_t inode;
} Value;

// The memory file of one piece of TLS material; the one before lives on for connections being made.
typedef struct Pem {
    Value value;
    int fd, fd_before;
    char path[PATH_BYTES];
} Pem;

struct HttpCredentials {
    const HttpClientConfig *config;
    Arena arena;
    Value username, password, authorization;
    Value *header_files; // those of all http_headers, in order
    size_t header_file_count;
    Pem pems[HTTP_PEM_COUNT];
    bool has_loaded;
    int64_t looked_ns;
    uint64_t generation;
    Buf lines;
};

static void value_init(HttpCredentials *c, Value *value, const char *what, Str inline_text,
                       Str path, size_t bytes_max)
{
    *value = (Value){.text = inline_text, .what = what, .bytes_max = bytes_max};
    if (path.len)
        value->path = str_to_c(&c->arena, path);
}

static bool value_load(Value *value, bool *ret_changed, Error *err)
{
    if (!value->path)
        return true;
    struct stat st;
    if (stat(value->path, &st) != 0)
        return error_set_errno(err, errno, "unable to read %s %s", value->what, value->path);
    if (value->content.ptr && st.st_mtim.tv_sec == value->modified.tv_sec &&
        st.st_mtim.tv_nsec == value->modified.tv_nsec && st.st_size == value->size &&
        st.st_ino == value->inode)
        return true;

    Arena arena = {0};
    Str bytes;
    if (!fs_read_file(&fs_system, str_from_c(value->path), &arena, value->bytes_max, &bytes, err)) {
        arena_deinit(&arena);
        return error_context(err, "unable to read %s", value->what);
    }
    buf_reset(&value->content);
    buf_add_str(&value->content, bytes);
    buf_add_char(&value->content, '\0'); // also makes an empty file's content non-NULL
    value->text = str_make(value->content.ptr, bytes.len);
    value->modified = st.st_mtim;
    value->size = st.st_size;
    value->inode = st.st_ino;
    arena_deinit(&arena);
    *ret_changed = true;
    return true;
}

static void value_deinit(Value *value)
{
    if (value->content.ptr)
        explicit_bzero(value->content.ptr, value->content.cap);
    buf_deinit(&value->content);
}

HttpCredentials *http_credentials_new(const HttpClientConfig *config)
{
    HttpCredentials *c = X_NEW(HttpCredentials);
    c->config = config;
    arena_init(&c->arena);
    const HttpBasicAuth *basic = config->basic_auth;
    if (basic) {
        value_init(c, &c->username, "basic auth username file", basic->username,
                   basic->username_file, SECRET_BYTES_MAX);
        value_init(c, &c->password, "basic auth password file", basic->password,
                   basic->password_file, SECRET_BYTES_MAX);
    }
    const HttpAuthorization *auth = config->authorization;
    if (auth)
        value_init(c, &c->authorization, "authorization credentials file", auth->credentials,
                   auth->credentials_file, SECRET_BYTES_MAX);

    const HttpTlsConfig *tls = &config->tls_config;
    value_init(c, &c->pems[HTTP_PEM_CA].value, "CA file", tls->ca, tls->ca_file, PEM_BYTES_MAX);
    value_init(c, &c->pems[HTTP_PEM_CERT].value, "certificate file", tls->cert, tls->cert_file,
               PEM_BYTES_MAX);
    value_init(c, &c->pems[HTTP_PEM_KEY].value, "key file", tls->key, tls->key_file, PEM_BYTES_MAX);
    for (int i = 0; i < HTTP_PEM_COUNT; i++)
        c->pems[i].fd = c->pems[i].fd_before = -1;

    const HttpHeaderConfig *headers = config->http_headers.items;
    for (size_t h = 0; h < config->http_headers.count; h++)
        c->header_file_count += headers[h].files.count;
    c->header_files = ARENA_ARRAY(&c->arena, Value, MAX(c->header_file_count, 1u));
    size_t n = 0;
    for (size_t h = 0; h < config->http_headers.count; h++)
        for (size_t f = 0; f < headers[h].files.count; f++)
            value_init(c, &c->header_files[n++], "http header file", STR_NONE,
                       headers[h].files.items[f], SECRET_BYTES_MAX);
    return c;
}

void http_credentials_free(HttpCredentials *c)
{
    if (!c)
        return;
    value_deinit(&c->username);
    value_deinit(&c->password);
    value_deinit(&c->authorization);
    for (size_t i = 0; i < c->header_file_count; i++)
        value_deinit(&c->header_files[i]);
    for (int i = 0; i < HTTP_PEM_COUNT; i++) {
        value_deinit(&c->pems[i].value);
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
    buf_add_str(&plain, c->username.path ? str_trim(c->username.text) : c->username.text);
    buf_add_char(&plain, ':');
    buf_add_str(&plain, c->password.path ? str_trim(c->password.text) : c->password.text);
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
    Str token = c->authorization.path ? str_trim(c->authorization.text) : c->authorization.text;
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
            add_line(lines, headers[h].name, str_trim(c->header_files[file++].text));
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
        if (!value_load(&pem->value, &changed, err))
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
    if (!value_load(&c->username, &changed, err) || !value_load(&c->password, &changed, err) ||
        !value_load(&c->authorization, &changed, err))
        return false;
    for (size_t i = 0; i < c->header_file_count; i++)
        if (!value_load(&c->header_files[i], &changed, err))
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
