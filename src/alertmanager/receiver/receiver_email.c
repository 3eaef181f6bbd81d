// SPDX-License-Identifier: Apache-2.0
// email: alertmanager.md section 8.2.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alertmanager/am_mail.h"
#include "alertmanager/am_receiver.h"
#include "base/random.h"
#include "net/url.h"

#define SEND_TIMEOUT_MS 60000

typedef struct EmailThreading {
    bool enabled;
    Str thread_by_date;
} EmailThreading;

typedef struct Email {
    AmCommon common;
    Str to, from, hello, smarthost;
    Str auth_username, auth_password, auth_password_file, auth_secret, auth_secret_file,
        auth_identity;
    ConfigStrMap headers;
    Str html, text;
    AmTristate require_tls;
    HttpTlsConfig *tls_config;
    AmTristate force_implicit_tls;
    EmailThreading threading;
} Email;

#define OWNER EmailThreading
static const ConfigField threading_fields[] = {
    AM_FIELD(enabled, CONFIG_BOOL, "mails of one group hang together"),
    AM_FIELD(thread_by_date, CONFIG_STR, "daily or none"),
};
#undef OWNER
static const ConfigTable threading_table =
    CONFIG_TABLE(EmailThreading, "email_threading", threading_fields, NULL);

#define OWNER Email
static const ConfigField fields[] = {
    AM_COMMON_RESOLVED(Email, "false"),
    AM_FIELD(to, CONFIG_STR, "whom it goes to; a template"),
    AM_FIELD(from, CONFIG_STR, "sender"),
    AM_FIELD(hello, CONFIG_STR, "what we call ourselves"),
    AM_FIELD(smarthost, CONFIG_STR, "host:port of the mail server"),
    AM_FIELD(auth_username, CONFIG_STR, "user"),
    AM_FIELD(auth_password, CONFIG_SECRET, "password"),
    AM_FIELD(auth_password_file, CONFIG_STR, "file with it"),
    AM_FIELD(auth_secret, CONFIG_SECRET, "secret of CRAM-MD5"),
    AM_FIELD(auth_secret_file, CONFIG_STR, "file with it"),
    AM_FIELD(auth_identity, CONFIG_STR, "identity of PLAIN"),
    AM_FIELD(headers, CONFIG_STR_MAP, "more header lines; templates"),
    AM_FIELD(html, CONFIG_STR, "the mail as HTML",
             .default_text = "{{ template \"email.default.html\" . }}"),
    AM_FIELD(text, CONFIG_STR, "the mail as text"),
    AM_FIELD(require_tls, CONFIG_CUSTOM, "the server must offer TLS",
             .decode = am_config_decode_tristate, .print = am_config_print_tristate),
    AM_FIELD(tls_config, CONFIG_STRUCT_PTR, "TLS towards the server",
             .table = &http_tls_config_table),
    AM_FIELD(force_implicit_tls, CONFIG_CUSTOM, "TLS from the first byte on",
             .decode = am_config_decode_tristate, .print = am_config_print_tristate),
    AM_FIELD(threading, CONFIG_STRUCT, "how mails hang together", .table = &threading_table),
};
const ConfigTable receiver_email_table =
    CONFIG_TABLE(Email, "email_config", fields, am_receiver_finish);

// "subject" as Subject, "x-my-thing" as X-My-Thing.
static Str canonical(Arena *arena, Str name)
{
    char *out = str_to_c(arena, name);
    bool upper = true;
    for (size_t i = 0; i < name.len; i++) {
        if (upper && out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 32);
        else if (!upper && out[i] >= 'A' && out[i] <= 'Z')
            out[i] = (char)(out[i] + 32);
        upper = out[i] == '-';
    }
    return str_make(out, name.len);
}

static bool has_header(const ConfigStrMap *map, const char *name)
{
    for (size_t i = 0; i < map->count; i++)
        if (str_is(map->keys[i], name))
            return true;
    return false;
}

static bool complete_headers(ConfigReader *reader, Email *email, Error *err)
{
    const char *const names[] = {"From", "Subject", "To"};
    const Str values[] = {email->from, S("{{ template \"email.default.subject\" . }}"), email->to};
    size_t count = email->headers.count;
    ConfigStrMap all = {ARENA_ARRAY(reader->arena, Str, count + 3),
                        ARENA_ARRAY(reader->arena, Str, count + 3), 0};
    for (size_t i = 0; i < count; i++) {
        Str name = canonical(reader->arena, email->headers.keys[i]);
        if (has_header(&all, str_to_c(reader->arena, name)))
            return config_error(reader, email->common.node, err,
                                "duplicate header \"" STR_FMT "\" in email config",
                                STR_ARG(str_sub(name, 0, 100)));
        all.keys[all.count] = name;
        all.values[all.count++] = email->headers.values[i];
    }
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!has_header(&all, names[i])) {
            all.keys[all.count] = str_from_c(names[i]);
            all.values[all.count++] = values[i];
        }
    email->headers = all;
    return true;
}

static bool check_threading(ConfigReader *reader, const Email *email, Error *err)
{
    const EmailThreading *threading = &email->threading;
    if (!threading->enabled)
        return true;
    if (!str_is(threading->thread_by_date, "daily") && !str_is(threading->thread_by_date, "none"))
        return config_error(reader, email->common.node, err,
                            "threading.thread_by_date must be either daily or none");
    if (has_header(&email->headers, "References") || has_header(&email->headers, "In-Reply-To"))
        return config_error(reader, email->common.node, err,
                            "conflicting configuration: threading.enabled conflicts with custom "
                            "References and In-Reply-To headers");
    return true;
}

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Email *email = config;
    const AmCommon *common = &email->common;
    if (email->to.len == 0)
        return config_error(reader, common->node, err, "missing to address in email config");
    if (email->smarthost.len == 0)
        email->smarthost = global->smtp_smarthost;
    if (email->smarthost.len == 0)
        return config_error(reader, common->node, err, "no global SMTP smarthost set");
    if (str_rfind_char(email->smarthost, ':') == STR_NOT_FOUND)
        return config_error(reader, common->node, err,
                            "address " STR_FMT ": missing port in address",
                            STR_ARG(str_sub(email->smarthost, 0, 200)));
    if (email->from.len == 0)
        email->from = global->smtp_from;
    if (email->from.len == 0)
        return config_error(reader, common->node, err, "no global SMTP from set");
    if (email->hello.len == 0)
        email->hello = global->smtp_hello;
    if (email->auth_username.len == 0)
        email->auth_username = global->smtp_auth_username;
    if (!email->auth_password.len && !email->auth_password_file.len) {
        email->auth_password = global->smtp_auth_password;
        email->auth_password_file = global->smtp_auth_password_file;
    }
    if (!email->auth_secret.len && !email->auth_secret_file.len) {
        email->auth_secret = global->smtp_auth_secret;
        email->auth_secret_file = global->smtp_auth_secret_file;
    }
    if (email->auth_identity.len == 0)
        email->auth_identity = global->smtp_auth_identity;
    if (!email->require_tls.is_set)
        email->require_tls = (AmTristate){global->smtp_require_tls, true};
    if (!email->tls_config) {
        email->tls_config = ARENA_NEW(reader->arena, HttpTlsConfig);
        *email->tls_config = global->smtp_tls;
    }
    if (!email->force_implicit_tls.is_set)
        email->force_implicit_tls = global->smtp_force_implicit_tls;
    return complete_headers(reader, email, err) && check_threading(reader, email, err);
}

// ---- a mail ----

// The same when a mail is sent again: mail servers and programs drop what has an id that they know.
static Str message_id(AmSend *send)
{
    char host[256] = "localhost";
    uint64_t random;
    if (send->idempotency.len)
        return arena_printf(send->arena, "<" STR_FMT "@alertmanager>", STR_ARG(send->idempotency));
    random_system(&random, sizeof random);
    (void)gethostname(host, sizeof host - 1);
    return arena_printf(send->arena, "<%lld.%llu@%s>",
                        (long long)clock_now_ms(send->clock) * 1000000, (unsigned long long)random,
                        host);
}

// Fri, 21 Nov 2026 07:36:08 +0000
static Str date_line(AmSend *send)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    CivilTime at = civil_from_s(clock_now_ms(send->clock) / 1000);
    return arena_printf(send->arena, "%s, %02d %s %lld %02d:%02d:%02d +0000", days[at.weekday],
                        at.day, months[at.month - 1], (long long)at.year, at.hour, at.minute,
                        at.second);
}

static Str thread_line(AmSend *send, const Email *email)
{
    Str day = STR_NONE;
    if (str_is(email->threading.thread_by_date, "daily")) {
        CivilTime at = civil_from_s(clock_now_ms(send->clock) / 1000);
        day = arena_printf(send->arena, "%04lld-%02d-%02d", (long long)at.year, at.month, at.day);
    }
    return arena_printf(send->arena, "<alert-" STR_FMT "-" STR_FMT "@alertmanager>",
                        STR_ARG(str_sub(am_send_key(send), 0, 16)), STR_ARG(day));
}

static int by_name(const void *a, const void *b)
{
    return str_compare(((const AmMailHeader *)a)->name, ((const AmMailHeader *)b)->name);
}

static Str write_message(AmSend *send, const Email *email)
{
    CLEANUP(buf_deinit) Buf out = {0};
    uint8_t random[15];
    size_t count = 0;
    AmMailHeader *headers = ARENA_ARRAY(send->arena, AmMailHeader, email->headers.count + 4);
    for (size_t i = 0; i < email->headers.count; i++)
        headers[count++] =
            (AmMailHeader){email->headers.keys[i], am_send_text(send, email->headers.values[i])};
    qsort(headers, count, sizeof *headers, by_name);
    if (!has_header(&email->headers, "Message-Id"))
        headers[count++] = (AmMailHeader){S("Message-Id"), message_id(send)};
    if (email->threading.enabled) {
        headers[count++] = (AmMailHeader){S("References"), thread_line(send, email)};
        headers[count++] = (AmMailHeader){S("In-Reply-To"), thread_line(send, email)};
    }
    headers[count++] = (AmMailHeader){S("Date"), date_line(send)};
    random_system(random, sizeof random);
    char boundary[2 * sizeof random + 1];
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(boundary + 2 * i, 3, "%02x", random[i]);
    Str text = am_send_text(send, email->text);
    Str html = am_send_html(send, email->html);
    am_mail_write(&out, headers, count, text, html, str_from_c(boundary));
    return arena_str(send->arena, buf_str(&out));
}

static AmStep step(AmSend *send, Error *err)
{
    const Email *email = send->config;
    AmMail *mail = ARENA_NEW(send->arena, AmMail);
    SmtpMail *smtp = &mail->smtp;
    Str *from;
    Str *to;
    size_t from_count;
    if (send->step)
        return AM_STEP_DONE; // the mail is out
    send->retry = true;
    if (!am_send_secret(send, email->auth_password, email->auth_password_file, &smtp->password,
                        err) ||
        !am_send_secret(send, email->auth_secret, email->auth_secret_file, &smtp->secret, err) ||
        !url_split_host_port(email->smarthost, &smtp->host, &smtp->port, err))
        return AM_STEP_FAILED;
    send->retry = false;
    if (!am_mail_addresses(am_send_text(send, email->from), send->arena, &from, &from_count, err) ||
        !am_mail_addresses(am_send_text(send, email->to), send->arena, &to, &smtp->to_count, err))
        return AM_STEP_FAILED;
    if (from_count != 1)
        return am_send_fail(send, err, "must be exactly one 'from' address (got: %zu)", from_count);
    smtp->from = from[0];
    smtp->to = to;
    smtp->message = write_message(send, email);
    smtp->hello = email->hello;
    smtp->implicit_tls = email->force_implicit_tls.is_set ? email->force_implicit_tls.value
                                                          : str_is(smtp->port, "465");
    smtp->require_tls = email->require_tls.value;
    smtp->tls = email->tls_config;
    smtp->username = email->auth_username;
    smtp->identity = email->auth_identity;
    smtp->timeout_ms = SEND_TIMEOUT_MS;
    if (!am_send_rendered(send, err))
        return AM_STEP_FAILED;
    send->mail = mail;
    return AM_STEP_MAIL;
}

const AmReceiverKind receiver_email = {"email", &receiver_email_table, complete, step};
