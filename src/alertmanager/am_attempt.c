// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_attempt.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 20)

static void go_on(AmAttempt *attempt);

static int64_t time_left_ms(const AmAttempt *attempt)
{
    int64_t left_ns = attempt->deadline_mono_ns - clock_mono_ns(attempt->am->clock);
    return MAX(left_ns / AM_MS_NS, 1);
}

// A URL may hold a token: what failed is told without it, as by the original.
static void hide_urls(Error *err)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Str rest = str_from_c(err->text);
    size_t at;
    while ((at = str_find(rest, S("\"http"))) != STR_NOT_FOUND) {
        Str url = str_skip(rest, at + 1);
        bool is_url = str_starts_with(url, S("http://")) || str_starts_with(url, S("https://"));
        buf_add_str(&out, str_sub(rest, 0, at + 1));
        rest = is_url ? str_skip(url, MIN(str_find_char(url, '"'), url.len)) : url;
        if (is_url)
            buf_add_c(&out, "<redacted>");
    }
    buf_add_str(&out, rest);
    ErrorCode code = err->code;
    error_set(err, code, STR_FMT, STR_ARG(buf_str(&out)));
}

static const HttpResponse *without_urls(AmAttempt *attempt, const HttpResponse *response)
{
    if (!response->err)
        return response;
    HttpResponse *shown = ARENA_NEW(&attempt->arena, HttpResponse);
    Error *err = ARENA_NEW(&attempt->arena, Error);
    *err = *response->err;
    hide_urls(err);
    *shown = *response;
    shown->err = err;
    return shown;
}

static void on_response(void *arg, const HttpResponse *response)
{
    AmAttempt *attempt = arg;
    response = without_urls(attempt, response);
    attempt->call = NULL;
    attempt->send.response = response;
    attempt->http_status = response->status;
    if (response->err && attempt->is_cancelled) {
        attempt->done(attempt, response->err);
        return;
    }
    attempt->send.step++;
    go_on(attempt);
}

static void send_request(AmAttempt *attempt)
{
    AmSend *send = &attempt->send;
    HttpCallOptions *request = &send->request;
    int64_t left_ms = time_left_ms(attempt);
    am_send_header(send, "User-Agent", S("Alertmanager/" AM_VERSION));
    request->headers = send->headers;
    request->header_count = send->header_count;
    request->timeout_ms = send->timeout_ms ? MIN(send->timeout_ms, left_ms) : left_ms;
    request->body_bytes_max = ANSWER_BYTES_MAX;
    request->done = on_response;
    request->arg = attempt;
    request->span = attempt->span;
    attempt->requests++;
    if (attempt->sends)
        attempt->sends(attempt, request->body.len + attempt->arena.held_bytes);
    attempt->call = http_call(attempt->integration->client, request);
}

static void mail_done(void *arg)
{
    AmAttempt *attempt = arg;
    attempt->is_mailing = false;
    attempt->send.step++;
    if (attempt->mail_ok && !attempt->is_cancelled) {
        go_on(attempt);
        return;
    }
    attempt->send.retry = attempt->mail_retry;
    attempt->done(attempt, &attempt->mail_fault);
}

// On a thread of the pool.
static void send_mail(void *arg)
{
    AmAttempt *attempt = arg;
    SmtpConnection *connection;
    attempt->mail_retry = true;
    attempt->mail_ok = smtp_send(&attempt->send.mail->smtp, &connection, &attempt->mail_retry,
                                 &attempt->mail_fault);
    loop_post(attempt->am->loop, mail_done, attempt);
    // What came of the mail is known; nothing waits for the goodbye.
    smtp_goodbye(connection);
}

static void start_mail(AmAttempt *attempt)
{
    SmtpMail *smtp = &attempt->send.mail->smtp;
    smtp->timeout_ms = MIN(smtp->timeout_ms, time_left_ms(attempt));
    attempt->requests++;
    attempt->is_mailing = true;
    attempt->mail_fault = (Error){0};
    thread_pool_add(attempt->am->mail_pool, send_mail, attempt);
}

static void go_on(AmAttempt *attempt)
{
    Error err = {0};
    AmSend *send = &attempt->send;
    send->header_count = 0;
    send->request = (HttpCallOptions){0};
    switch (attempt->integration->kind->step(send, &err)) {
    case AM_STEP_REQUEST:
        send_request(attempt);
        break;
    case AM_STEP_MAIL:
        start_mail(attempt);
        break;
    case AM_STEP_DONE:
        attempt->done(attempt, NULL);
        break;
    case AM_STEP_FAILED:
        attempt->done(attempt, &err);
        break;
    }
}

void am_attempt_start(AmAttempt *attempt, const AmSend *send)
{
    arena_reset(&attempt->arena);
    attempt->send = *send;
    attempt->send.arena = &attempt->arena;
    attempt->send.clock = attempt->am->clock;
    go_on(attempt);
}

bool am_attempt_cancel(AmAttempt *attempt)
{
    attempt->is_cancelled = true;
    bool is_under_way = attempt->is_mailing || attempt->call;
    if (attempt->call)
        http_call_cancel(attempt->call);
    return is_under_way;
}

void am_attempt_deinit(AmAttempt *attempt)
{
    arena_deinit(&attempt->arena);
}
