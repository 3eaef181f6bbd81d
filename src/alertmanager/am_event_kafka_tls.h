// SPDX-License-Identifier: Apache-2.0
// am_event_kafka_tls.h: what librdkafka has no setting for: the name that a broker's certificate must have, and the versions of TLS. OpenSSL, which
// the library uses, tells of each connection that is made and of each handshake that begins; there both are set.
//
//     thread of the library:  am_event_kafka_socket() --> SSL_new: is it of such a thread? --> handshake begins: name and versions are set
//
// docs/decisions/0041
#pragma once

#include "net/http_client.h"

typedef struct AmEventKafkaTls {
    const char *server_name;      // NULL: the broker's own
    int min_version, max_version; // OpenSSL's numbers; 0: its own
} AmEventKafkaTls;

// Whether these settings need any of it.
bool am_event_kafka_tls_is_needed(const HttpTlsConfig *config);
// Loads what is needed of OpenSSL. Thread: one at a time.
bool am_event_kafka_tls_init(AmEventKafkaTls *tls, const HttpTlsConfig *config, Arena *arena,
                             Error *err) MUST_CHECK;
// For rd_kafka_conf_set_socket_cb: the socket; TLS on this thread, which is the library's, is made as `tls` says from now on.
int am_event_kafka_tls_socket(const AmEventKafkaTls *tls, int domain, int type, int protocol);
