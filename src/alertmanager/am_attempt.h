// SPDX-License-Identifier: Apache-2.0
// am_attempt.h: one try of one integration: its kind's steps, each with a request or a mail in between, until it is done or has failed.
// Notifications (am_notify.c) and test notifications (am_trial.c) make them.
//
// Thread: loop of Am.
#pragma once

#include "alertmanager/am_internal.h"
#include "alertmanager/am_mail.h"

typedef struct AmAttempt AmAttempt;
struct AmAttempt {
    Am *am;
    const AmIntegration *integration;
    int64_t deadline_mono_ns;
    // It is over; err is NULL if it went well. send.retry and send.failure tell more.
    void (*done)(AmAttempt *attempt, const Error *err);
    // A request of about so many bytes is on its way. May be NULL.
    void (*sends)(AmAttempt *attempt, size_t bytes);
    void *arg;
    const Span *span; // requests are below it; NULL: below none
    AmSend send;
    Arena arena; // of what the kind makes
    int requests, http_status;
    // Private.
    HttpCall *call;
    bool is_mailing, is_cancelled, mail_ok, mail_retry;
    Error mail_fault;
};

// `send` has what is given to the kind, but for the arena and the clock. What an attempt before this one has made is gone.
void am_attempt_start(AmAttempt *attempt, const AmSend *send);
// True if a request or a mail is under way: then done() comes, at once or when the mail is through. False: nothing is.
bool am_attempt_cancel(AmAttempt *attempt);
// Forgets what was made. Nothing is under way.
void am_attempt_deinit(AmAttempt *attempt);
