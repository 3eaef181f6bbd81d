// SPDX-License-Identifier: Apache-2.0
// am_test_util.h: short ways to make alerts in tests.
#pragma once

#include "alertmanager/am_alert.h"
#include "base/test.h"

// "a=1,b=2" as sorted labels in the arena.
static inline Labels test_labels(Arena *arena, const char *text)
{
    LabelsBuilder builder;
    Str rest = str_from_c(text);
    Str piece;
    labels_builder_init(&builder, arena, LABELS_NONE);
    while (str_split_next(&rest, ',', &piece)) {
        Str name;
        if (str_split_next(&piece, '=', &name))
            labels_builder_set(&builder, name, piece);
    }
    return labels_builder_finish(&builder);
}

static inline AmAlert *test_alert(Arena *arena, const char *labels, int64_t starts_s,
                                  int64_t ends_s)
{
    AmAlertInput input = {.labels = test_labels(arena, labels),
                          .starts_ns = starts_s * AM_S_NS,
                          .ends_ns = ends_s * AM_S_NS};
    return am_alert_new(&input, starts_s * AM_S_NS, false);
}
