// SPDX-License-Identifier: Apache-2.0
// discovery_openstack.h: between asking OpenStack's services and making labels of their answers.
#pragma once

#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

enum { OPENSTACK_NONE, OPENSTACK_HYPERVISOR, OPENSTACK_INSTANCE, OPENSTACK_LOADBALANCER };

typedef struct OpenstackConfig {
    Str identity_endpoint, username, userid, password, project_name, project_id, domain_name,
        domain_id, application_credential_name, application_credential_id,
        application_credential_secret, region;
    int role;
    int availability;
    bool all_tenants;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http; // tls_config alone can be configured
} OpenstackConfig;

typedef struct OpenstackState {
    const JsonValue *login;
    Str token;     // a header line
    PageList main; // hypervisors, servers or load balancers
    PageList ports;
    PageList floating_ips;
    PageList listeners;
} OpenstackState;

// The round's end: the groups.
bool openstack_groups(Round *round, Error *err) MUST_CHECK;
