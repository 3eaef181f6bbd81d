// SPDX-License-Identifier: Apache-2.0
// am_mail.h: the text of a mail: header lines and two alternatives, as RFC 5322, 2045 and 2047 want it.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "net/smtp.h"

// What a step of the email kind gives to be sent.
typedef struct AmMail {
    SmtpMail smtp;
} AmMail;

typedef struct AmMailHeader {
    Str name, value;
} AmMailHeader;

// "a@b.c, Someone <d@e.f>": the addresses alone, in the arena.
bool am_mail_addresses(Str text, Arena *arena, Str **ret_list, size_t *ret_count,
                       Error *err) MUST_CHECK;

// `headers` are written in order, values encoded where they are not plain ASCII. A part that is empty is left out.
void am_mail_write(Buf *out, const AmMailHeader *headers, size_t count, Str text, Str html,
                   Str boundary);
