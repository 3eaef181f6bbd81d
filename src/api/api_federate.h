// SPDX-License-Identifier: Apache-2.0
// api_federate.h: what the two formats of federation share. Private to the room.
#pragma once

#include "api/api_internal.h"

typedef struct FederateSample {
    Labels labels;
    Str name;
    int64_t t_ms;
    double value;
    const Histogram *histogram;
    size_t order; // keeps the sort stable
} FederateSample;

typedef struct Federation {
    ApiCall *call;
    Labels external; // with an empty "instance" if there is none
    bool utf8;       // the client takes quoted names
    bool protobuf;   // and likes protobuf better than text
    FederateSample *samples;
    size_t count;
    size_t cap;
} Federation;

// Of a histogram with custom buckets: what lies at or below each bound. A bucket's index is the place of its upper bound; the one behind
// all bounds is +Inf.
double *federate_custom_counts(const Federation *f, const Histogram *h);

// Go's model.EscapeName with the underscores scheme.
void federate_add_underscored(Buf *buf, Str name, bool colon_ok);

// An Accept header that names delimited protobuf with no less weight than text.
bool federate_wants_protobuf(Str accept);
// Messages io.prometheus.client.MetricFamily, each behind its length.
void federate_write_protobuf(Federation *f);
