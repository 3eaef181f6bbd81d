// SPDX-License-Identifier: Apache-2.0
// remote_pack_fuzz.c: the bytes say which series with which pairs and values follow each other. What is packed must be the message that
// is written field by field, by the library's word.
#include "remote/remote_pack.h"

#include "base/reader.h"
#include "remote/remote_pack_naive.h"

enum { SERIES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static uint8_t next(const uint8_t **at, const uint8_t *end)
{
    return *at < end ? *(*at)++ : 0;
}

static void make_series(PackPair *both, PackSeries *series, const uint8_t **at, const uint8_t *end)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_abcdefghijkl";
    size_t count = next(at, end) % 16;
    pack_series_drop(both, series);
    for (size_t i = 0; i < count; i++) {
        uint8_t name = next(at, end);
        uint8_t value = next(at, end);
        pack_series_add(both, series,
                        (Label){{text + (name & 7), 1 + (name >> 4)},
                                {text + (value & 7), 1 + (size_t)(value >> 3)}});
    }
}

static double make_value(const uint8_t **at, const uint8_t *end)
{
    uint8_t kind = next(at, end);
    uint64_t bits = 0;
    if (kind & 1)
        return kind >> 4;
    for (int i = 0; i < 8; i++)
        bits |= (uint64_t)(kind >> i & 1 ? next(at, end) : 0) << 8 * i;
    return double_from_bits(bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const uint8_t *at = bytes;
    const uint8_t *end = bytes + len;
    PackSeries *series = X_ARRAY(PackSeries, SERIES);
    PackPair both;
    size_t packed;
    pack_pair_init(&both);
    while (at < end) {
        uint8_t what = next(&at, end);
        PackSeries *one = &series[next(&at, end) % SERIES];
        int64_t t_ms = INT64_C(1700000000000) + (what >> 6);
        switch (what & 7) {
        case 0:
            make_series(&both, one, &at, end);
            break;
        case 1:
            pack_pair_fields(&both, one, (Str){(const char *)at, MIN((size_t)(end - at), 9u)});
            break;
        case 2:
            ASSERT(pack_pair_equal(&both, &packed));
            break;
        case 3: // all that there is, as a scrape brings it
            for (size_t i = 0; i < SERIES; i++)
                pack_pair_sample(&both, &series[i], t_ms, make_value(&at, end));
            break;
        case 4:
            pack_pair_sample(&both, one, (int64_t)((uint64_t)next(&at, end) << (what >> 2)), 1);
            break;
        default:
            pack_pair_sample(&both, one, t_ms, make_value(&at, end));
        }
    }
    ASSERT(pack_pair_equal(&both, &packed));
    pack_pair_deinit(&both);
    free(series);
    return 0;
}
