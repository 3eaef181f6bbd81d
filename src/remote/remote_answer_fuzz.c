// SPDX-License-Identifier: Apache-2.0
// Answers of remote_read endpoints: the first byte chooses the form. What was decoded can be read.
#include "remote/remote_answer.h"

static bool decode(int encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                   SampleColumns *ret_samples, Error *err)
{
    (void)min_t_ms;
    (void)max_t_ms;
    (void)arena;
    *ret_samples = (SampleColumns){0};
    return encoding < 100 || error_set(err, ERR_INVALID, "encoding, %zu bytes", chunk.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    const RemoteInOptions options = {.decode = decode};
    RemoteAnswer answer;
    Error err;
    if (size == 0)
        return 0;
    Str body = {(const char *)data + 1, size - 1};
    Str type = data[0] & 1 ? S("application/x-protobuf") : S("application/x-streamed-protobuf");
    if (!remote_answer_decode(type, body, 1 << 20, LABELS_NONE, &arena, &answer, &err))
        return 0;
    for (size_t i = 0; i < answer.count; i++) {
        SampleColumns columns;
        ASSERT(i == 0 || labels_compare(answer.series[i - 1].labels, answer.series[i].labels) < 0);
        if (!remote_answer_read(&options, &answer.series[i], INT64_MIN, INT64_MAX, &arena, &columns,
                                &err))
            continue;
        for (size_t k = 1; k < columns.count; k++)
            ASSERT(columns.t_ms[k] > columns.t_ms[k - 1]);
    }
    return 0;
}
