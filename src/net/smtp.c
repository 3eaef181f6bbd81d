// SPDX-License-Identifier: Apache-2.0
#include "net/smtp.h"

#include "base/clock.h"
#include "net/http_client_internal.h"
#include "net/http_credentials.h"
#include "net/url.h"

#define CONNECT_TIMEOUT_MS 10000L

typedef struct Upload {
    Str rest;
} Upload;

static size_t read_message(char *out, size_t size, size_t count, void *arg)
{
    Upload *upload = arg;
    size_t bytes = MIN(size * count, upload->rest.len);
    memcpy(out, upload->rest.ptr, bytes);
    upload->rest = str_skip(upload->rest, bytes);
    return bytes;
}

static bool is_local(Str host)
{
    return str_is(host, "localhost") || str_is(host, "127.0.0.1") || str_is(host, "::1");
}

// Which mechanisms may be used; NULL if none may.
static const char *mechanisms(const SmtpMail *mail)
{
    bool safe = mail->implicit_tls || mail->require_tls || is_local(mail->host);
    if (mail->password.len == 0)
        return mail->secret.len ? "AUTH=CRAM-MD5" : NULL;
    return safe ? "AUTH=PLAIN;AUTH=LOGIN" : NULL;
}

static void set_tls(CURL *curl, const SmtpMail *mail, const HttpCredentials *credentials)
{
    const HttpTlsConfig *tls = mail->tls;
    if (mail->require_tls && !mail->implicit_tls)
        curl_lib_set(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
    if (!tls)
        return;
    if (tls->insecure_skip_verify) {
        curl_lib_set(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_lib_set(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    const char *ca = http_credentials_pem_path(credentials, HTTP_PEM_CA);
    if (ca)
        curl_lib_set(curl, CURLOPT_CAINFO, ca);
    curl_lib_set(curl, CURLOPT_SSLCERT, http_credentials_pem_path(credentials, HTTP_PEM_CERT));
    curl_lib_set(curl, CURLOPT_SSLKEY, http_credentials_pem_path(credentials, HTTP_PEM_KEY));
    curl_lib_set(curl, CURLOPT_SSLVERSION, http_curl_tls_versions(tls));
}

// smtp://host:port/hello; the host of the certificate is the one asked for, so that a server_name is resolved to the real one.
static void set_url(CURL *curl, const SmtpMail *mail, Arena *arena, struct curl_slist **connect_to)
{
    CLEANUP(buf_deinit) Buf url = {0};
    Str host = mail->tls && mail->tls->server_name.len ? mail->tls->server_name : mail->host;
    buf_add_c(&url, mail->implicit_tls ? "smtps://" : "smtp://");
    url_add_host_port(&url, host, mail->port);
    buf_add_char(&url, '/');
    url_add_path_escaped(&url, mail->hello);
    curl_lib_set(curl, CURLOPT_URL, str_to_c(arena, buf_str(&url)));
    if (!str_equal(host, mail->host)) {
        CLEANUP(buf_deinit) Buf to = {0};
        buf_add_c(&to, "::");
        url_add_host_port(&to, mail->host, mail->port);
        *connect_to = curl_lib.slist_append(NULL, str_to_c(arena, buf_str(&to)));
        curl_lib_set(curl, CURLOPT_CONNECT_TO, *connect_to);
    }
}

static void set_login(CURL *curl, const SmtpMail *mail, const char *how, Arena *arena)
{
    curl_lib_set(curl, CURLOPT_USERNAME, str_to_c(arena, mail->username));
    curl_lib_set(curl, CURLOPT_PASSWORD,
                 str_to_c(arena, mail->password.len ? mail->password : mail->secret));
    curl_lib_set(curl, CURLOPT_LOGIN_OPTIONS, how);
    if (mail->identity.len)
        curl_lib_set(curl, CURLOPT_SASL_AUTHZID, str_to_c(arena, mail->identity));
}

static bool send_with(CURL *curl, const SmtpMail *mail, const HttpCredentials *credentials,
                      Arena *arena, bool *ret_retry, Error *err)
{
    Upload upload = {mail->message};
    struct curl_slist *to = NULL;
    struct curl_slist *connect_to = NULL;
    char fault[CURL_ERROR_SIZE] = "";
    const char *how = mail->username.len ? mechanisms(mail) : NULL;
    if (mail->username.len && !how) {
        *ret_retry = false;
        return error_set(err, ERR_INVALID,
                         mail->password.len ? "unencrypted connection: the password is not sent"
                                            : "no password and no secret for the user");
    }
    set_url(curl, mail, arena, &connect_to);
    set_tls(curl, mail, credentials);
    if (how)
        set_login(curl, mail, how, arena);
    for (size_t i = 0; i < mail->to_count; i++)
        to = curl_lib.slist_append(to, str_to_c(arena, mail->to[i]));
    curl_lib_set(curl, CURLOPT_MAIL_FROM, str_to_c(arena, mail->from));
    curl_lib_set(curl, CURLOPT_MAIL_RCPT, to);
    curl_lib_set(curl, CURLOPT_READFUNCTION, read_message);
    curl_lib_set(curl, CURLOPT_READDATA, &upload);
    curl_lib_set(curl, CURLOPT_UPLOAD, 1L);
    curl_lib_set(curl, CURLOPT_NOSIGNAL, 1L);
    curl_lib_set(curl, CURLOPT_PROXY, "");
    curl_lib_set(curl, CURLOPT_ERRORBUFFER, fault);
    curl_lib_set(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_lib_set(curl, CURLOPT_TIMEOUT_MS, (long)mail->timeout_ms);
    CURLcode rc = curl_lib.easy_perform(curl);
    long status = 0;
    curl_lib.easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    // The connection outlives them.
    curl_lib_set(curl, CURLOPT_MAIL_RCPT, NULL);
    curl_lib_set(curl, CURLOPT_CONNECT_TO, NULL);
    curl_lib_set(curl, CURLOPT_READDATA, NULL);
    curl_lib_set(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_lib.slist_free_all(to);
    curl_lib.slist_free_all(connect_to);
    if (rc == CURLE_OK)
        return true;
    // 5yz is a refusal for good, but who knows the configuration of mail servers tries again.
    *ret_retry = rc != CURLE_URL_MALFORMAT && rc != CURLE_LOGIN_DENIED;
    return error_set(err, ERR_UNAVAILABLE, "smtp: %s (status %ld)",
                     *fault ? fault : curl_lib.easy_strerror(rc), status);
}

bool smtp_send(const SmtpMail *mail, SmtpConnection **ret_connection, bool *ret_retry, Error *err)
{
    Arena arena = {0};
    *ret_connection = NULL;
    if (!curl_lib_load(err))
        return false;
    CURL *curl = curl_lib.easy_init();
    // libcurl keeps the connection until its handle goes.
    *ret_connection = (SmtpConnection *)curl;
    if (!curl)
        return error_set(err, ERR_UNAVAILABLE, "libcurl does not start");
    // TLS material alone: what stands in files is read now, what stands in the configuration becomes one.
    HttpClientConfig config = {0};
    if (mail->tls)
        config.tls_config = *mail->tls;
    HttpCredentials *credentials = http_credentials_new(&config);
    bool ok = http_credentials_refresh(credentials, clock_mono_ns(&clock_system), err) &&
              send_with(curl, mail, credentials, &arena, ret_retry, err);
    http_credentials_free(credentials);
    arena_deinit(&arena);
    return ok;
}

void smtp_goodbye(SmtpConnection *connection)
{
    if (connection)
        curl_lib.easy_cleanup(connection);
}
