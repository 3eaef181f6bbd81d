// SPDX-License-Identifier: Apache-2.0
// smtp.h: hands one mail to a mail server, by libcurl.
#pragma once

#include "base/error.h"
#include "net/http_client.h"

typedef struct SmtpMail {
    Str host, port;
    Str hello;         // what we call ourselves
    bool implicit_tls; // TLS from the first byte on
    bool require_tls;  // STARTTLS must be offered
    const HttpTlsConfig *tls;
    Str username; // empty: no authentication
    Str password; // of PLAIN and LOGIN
    Str secret;   // of CRAM-MD5; used where there is no password
    Str identity; // of PLAIN
    Str from;     // addresses alone, without names
    const Str *to;
    size_t to_count;
    Str message; // header and body, lines ended by CR LF
    int64_t timeout_ms;
} SmtpMail;

// The connection that a mail went over.
typedef struct SmtpConnection SmtpConnection;

// Blocks until the server has answered for the mail. *ret_retry (may be written on failure alone) tells whether another try may help: it does not where the server refuses for good.
//
// *ret_connection is always given (NULL without libcurl), and still there: whoever has told what came of the mail says goodbye on it.
//
// A password is not shown to another machine in the clear: ERR_INVALID.
bool smtp_send(const SmtpMail *mail, SmtpConnection **ret_connection, bool *ret_retry,
               Error *err) MUST_CHECK;
// Blocks. Nothing of the mail is used any more. Accepts NULL.
void smtp_goodbye(SmtpConnection *connection);
