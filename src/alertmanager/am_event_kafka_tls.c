// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_event_kafka_tls.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/library.h"
#include "base/macros.h"

// What is used of OpenSSL. librdkafka has loaded it, and a search in a library goes on in those that it needs.
static struct {
    __typeof__(&CRYPTO_get_ex_new_index) get_ex_new_index;
    __typeof__(&SSL_set_info_callback) set_info_callback;
    __typeof__(&SSL_ctrl) ctrl;
    __typeof__(&SSL_set_security_level) set_security_level;
    __typeof__(&X509_VERIFY_PARAM_set1_host) set1_host;
    __typeof__(&X509_VERIFY_PARAM_set1_ip) set1_ip;
    __typeof__(&SSL_get0_param) get0_param;
    __typeof__(&X509_VERIFY_PARAM_set1_ip_asc) set1_ip_asc;
} openssl;

// Of the client that this thread connects for. It outlives the client's threads.
static _Thread_local const AmEventKafkaTls *tls_of_thread;

bool am_event_kafka_tls_is_needed(const HttpTlsConfig *config)
{
    return config && (config->server_name.len || config->min_version || config->max_version);
}

static bool is_address(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

// As the original: a name is sent and must stand in the certificate, an address must stand there alone. What the library has asked for is
// the broker's own, and would stay beside it.
static void set_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = openssl.get0_param(ssl);
    // The macro of OpenSSL takes away a const; it makes a copy.
    void *sent = is_address(name) ? NULL : (void *)(uintptr_t)name;
    bool ok = openssl.ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, sent);
    ok = openssl.set1_ip(param, NULL, 0) && ok;
    ok = openssl.set1_host(param, sent, 0) && ok;
    if (!sent)
        ok = openssl.set1_ip_asc(param, name) && ok;
    // It fails without memory alone; nothing may be checked by another name then.
    if (!ok)
        abort();
}

static void on_handshake(const SSL *begun, int where, int value)
{
    const AmEventKafkaTls *tls = tls_of_thread;
    SSL *ssl = (SSL *)(uintptr_t)begun;
    (void)value;
    if (!(where & SSL_CB_HANDSHAKE_START) || !tls)
        return;
    // Debian's OpenSSL has no TLS 1.0 and 1.1 above this level. Whoever names them wants them.
    if (tls->min_version && tls->min_version < TLS1_2_VERSION)
        openssl.set_security_level(ssl, 0);
    (void)openssl.ctrl(ssl, SSL_CTRL_SET_MIN_PROTO_VERSION, tls->min_version, NULL);
    (void)openssl.ctrl(ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, tls->max_version, NULL);
    if (tls->server_name)
        set_name(ssl, tls->server_name);
}

// OpenSSL calls it for each connection of the process, whoever makes it.
static void on_new(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long number, void *arg)
{
    (void)ptr, (void)data, (void)index, (void)number, (void)arg;
    if (tls_of_thread)
        openssl.set_info_callback(parent, on_handshake);
}

static bool load(Error *err)
{
    static bool is_loaded; // loop thread
    static const Library library = {.file = "librdkafka.so.1",
                                    .needed_by = "server_name, min_version and max_version of "
                                                 "kafka_outputs need",
                                    .package = "librdkafka1",
                                    .code = ERR_UNAVAILABLE};
    static const LibrarySymbol symbols[] = {
        {"CRYPTO_get_ex_new_index", &openssl.get_ex_new_index},
        {"SSL_set_info_callback", &openssl.set_info_callback},
        {"SSL_ctrl", &openssl.ctrl},
        {"SSL_set_security_level", &openssl.set_security_level},
        {"X509_VERIFY_PARAM_set1_host", &openssl.set1_host},
        {"X509_VERIFY_PARAM_set1_ip", &openssl.set1_ip},
        {"SSL_get0_param", &openssl.get0_param},
        {"X509_VERIFY_PARAM_set1_ip_asc", &openssl.set1_ip_asc},
    };
    if (is_loaded)
        return true;
    if (!library_load(&library, symbols, COUNT_OF(symbols), err))
        return false;
    if (openssl.get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, on_new, NULL, NULL) < 0)
        return error_set(err, ERR_UNAVAILABLE, "kafka: OpenSSL does not tell of its connections");
    is_loaded = true;
    return true;
}

bool am_event_kafka_tls_init(AmEventKafkaTls *tls, const HttpTlsConfig *config, Arena *arena,
                             Error *err)
{
    static const int versions[] = {0, TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    if (!load(err))
        return false;
    // As in the original, nothing below 1.2 unless it is asked for.
    tls->min_version = config->min_version ? versions[config->min_version] : TLS1_2_VERSION;
    tls->max_version = versions[config->max_version];
    tls->server_name = config->server_name.len ? str_to_c(arena, config->server_name) : NULL;
    return true;
}

int am_event_kafka_tls_socket(const AmEventKafkaTls *tls, int domain, int type, int protocol)
{
    tls_of_thread = tls;
    return socket(domain, type | SOCK_CLOEXEC, protocol);
}
