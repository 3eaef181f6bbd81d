// SPDX-License-Identifier: Apache-2.0
// am_inhibit.h: alerts that keep others from being notified: alertmanager.md section 6.
//
// Per rule one source stands for each combination of values of the `equal` labels: the one that ends last.
// Thread: belongs to the lock of Am.
#pragma once

#include "alertmanager/am_alert.h"
#include "alertmanager/am_config.h"

typedef struct AmInhibitor AmInhibitor;

// `config` must outlive it.
bool am_inhibitor_new(const AmConfig *config, AmInhibitor **ret_inhibitor, Error *err) MUST_CHECK;
void am_inhibitor_free(AmInhibitor *inhibitor); // accepts NULL

// Notes an alert that came in or changed.
void am_inhibitor_note(AmInhibitor *inhibitor, AmAlert *alert);
// The fingerprint of the alert that inhibits these labels now; false if none does.
bool am_inhibitor_mutes(const AmInhibitor *inhibitor, Labels labels, int64_t now_ns,
                        uint64_t *ret_source);
// The same, and which of the configuration's rules it is. It is a span where this thread's is recorded.
bool am_inhibitor_mutes_by(const AmInhibitor *inhibitor, Labels labels, int64_t now_ns,
                           uint64_t *ret_source, size_t *ret_rule);
// Forgets sources that are resolved.
void am_inhibitor_collect(AmInhibitor *inhibitor, int64_t now_ns);
size_t am_inhibitor_rules(const AmInhibitor *inhibitor);
