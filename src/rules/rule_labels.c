// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>
#include <stdlib.h>

#include "rules/rules_internal.h"

static size_t bytes_of(Labels labels)
{
    size_t bytes = labels.count * sizeof(Label);
    for (size_t i = 0; i < labels.count; i++)
        bytes += labels.pairs[i].name.len + labels.pairs[i].value.len;
    return bytes;
}

static Str put(char **at, Str text)
{
    Str copy = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

RuleLabels *rule_labels_new(Labels labels)
{
    RuleLabels *copy = x_malloc(sizeof *copy + bytes_of(labels));
    Label *pairs = (Label *)(void *)(copy + 1);
    char *at = (char *)(pairs + labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        pairs[i].name = put(&at, labels.pairs[i].name);
        pairs[i].value = put(&at, labels.pairs[i].value);
    }
    copy->labels = (Labels){pairs, labels.count};
    atomic_init(&copy->refs, 1);
    return copy;
}

RuleLabels *rule_labels_ref(RuleLabels *labels)
{
    atomic_fetch_add_explicit(&labels->refs, 1, memory_order_relaxed);
    return labels;
}

void rule_labels_unref(RuleLabels *labels)
{
    if (labels && atomic_fetch_sub_explicit(&labels->refs, 1, memory_order_acq_rel) == 1)
        free(labels);
}

Hash128 rule_labels_hash(Labels labels, Buf *scratch)
{
    buf_reset(scratch);
    for (size_t i = 0; i < labels.count; i++) {
        const Label *pair = &labels.pairs[i];
        uint32_t lens[2] = {(uint32_t)pair->name.len, (uint32_t)pair->value.len};
        char *at = buf_reserve(scratch, sizeof lens + pair->name.len + pair->value.len);
        memcpy(at, lens, sizeof lens);
        at += sizeof lens;
        (void)put(&at, pair->name);
        (void)put(&at, pair->value);
        scratch->len += sizeof lens + pair->name.len + pair->value.len;
    }
    return str_hash128(buf_str(scratch));
}
