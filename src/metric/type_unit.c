// SPDX-License-Identifier: Apache-2.0
#include "metric/type_unit.h"

Label *type_unit_replace(const Label *pairs, size_t *count, Metadata metadata, Arena *arena)
{
    const Label own[] = {
        {LABEL_TYPE, metadata.type == METRIC_UNKNOWN ? STR_NONE : metric_type_name(metadata.type)},
        {LABEL_UNIT, metadata.unit}};
    Label *made = ARENA_ARRAY(arena, Label, *count + COUNT_OF(own));
    size_t total = 0, next = 0;
    for (size_t i = 0; i < *count; i++) {
        if (str_equal(pairs[i].name, LABEL_TYPE) || str_equal(pairs[i].name, LABEL_UNIT))
            continue;
        for (; next < COUNT_OF(own) && str_compare(own[next].name, pairs[i].name) < 0; next++)
            if (own[next].value.len)
                made[total++] = own[next];
        made[total++] = pairs[i];
    }
    for (; next < COUNT_OF(own); next++)
        if (own[next].value.len)
            made[total++] = own[next];
    *count = total;
    return made;
}
