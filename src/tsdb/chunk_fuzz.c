// SPDX-License-Identifier: Apache-2.0
// Any bytes as a chunk of any encoding: decoding ends in an error or in samples, and those encoded again decode to the same.
#include <stdlib.h>

#include "tsdb/chunk_encode.h"
#include "tsdb/chunk_xor.h"

static bool same_bits(double a, double b)
{
    return chunk_xor_to_bits(a) == chunk_xor_to_bits(b);
}

static void check_same(const SampleColumns *a, const SampleColumns *b)
{
    ASSERT(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const Histogram *x = a->histograms ? a->histograms[i] : NULL,
                        *y = b->histograms ? b->histograms[i] : NULL;
        ASSERT(a->t_ms[i] == b->t_ms[i]);
        ASSERT((x == NULL) == (y == NULL));
        if (x)
            ASSERT(same_bits(x->sum, y->sum));
        else
            ASSERT(same_bits(a->value[i], b->value[i]));
    }
}

// Times rise as appending wants it; integer counts are such as Prometheus writes.
static bool is_plausible(const SampleColumns *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const Histogram *h = c->histograms ? c->histograms[i] : NULL;
        if (i > 0 && c->t_ms[i] <= c->t_ms[i - 1])
            return false;
        if (!h)
            continue;
        double largest = MAX(h->count, h->zero_count), smallest = MIN(h->count, h->zero_count);
        for (uint32_t k = 0; k < h->positive_count; k++) {
            largest = MAX(largest, h->positive_buckets[k]);
            smallest = MIN(smallest, h->positive_buckets[k]);
        }
        for (uint32_t k = 0; k < h->negative_count; k++) {
            largest = MAX(largest, h->negative_buckets[k]);
            smallest = MIN(smallest, h->negative_buckets[k]);
        }
        if (h->is_integer && !(largest < 0x1p53 && smallest >= 0))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    ChunkColumns columns = {.arena = &arena}, again = {.arena = &arena};
    ChunkEncode out = {.arena = &arena};
    Error err = {0};

    if (size < 1)
        return 0;
    // A copy of exact length, so that a sanitizer sees reads behind the end.
    char *copy = (char *)x_malloc(size);
    memcpy(copy, data + 1, size - 1);
    bool ok = chunk_decode((ChunkEncoding)(data[0] % 8), (Str){copy, size - 1}, INT64_MIN,
                           INT64_MAX, &columns, &err);
    free(copy);
    if (!ok) {
        ASSERT(columns.columns.count == 0);
        ASSERT(err.code == ERR_CORRUPT);
        return 0;
    }
    if (!is_plausible(&columns.columns))
        return 0;
    chunk_encode(&out, &columns.columns, 120);
    for (size_t i = 0; i < out.count; i++)
        ASSERT(chunk_decode(out.chunks[i].encoding, out.chunks[i].bytes, INT64_MIN, INT64_MAX,
                            &again, &err));
    check_same(&columns.columns, &again.columns);
    return 0;
}
