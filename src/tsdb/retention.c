// SPDX-License-Identifier: Apache-2.0
#include "tsdb/retention.h"

RetentionChoice retention_choose(const RetentionBlock *oldest_first, size_t count,
                                 RetentionLimits limits, uint64_t other_bytes)
{
    RetentionChoice choice = {0, 0};
    uint64_t bytes = other_bytes;

    if (count == 0)
        return choice;
    int64_t newest = oldest_first[count - 1].max_t_ms;
    if (limits.keep_ms > 0)
        while (choice.by_time < count - 1 &&
               (uint64_t)newest - (uint64_t)oldest_first[choice.by_time].max_t_ms >=
                   (uint64_t)limits.keep_ms)
            choice.by_time++;

    for (size_t i = choice.by_time; i < count; i++)
        bytes += oldest_first[i].bytes;
    choice.by_size = choice.by_time;
    if (limits.bytes_max > 0)
        while (choice.by_size < count - 1 && bytes > limits.bytes_max)
            bytes -= oldest_first[choice.by_size++].bytes;
    return choice;
}
