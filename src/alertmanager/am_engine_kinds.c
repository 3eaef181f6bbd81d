// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_engine.h"

static const AmEngineKind *const kinds[] = {&am_engine_postgres};

const AmEngineKind *am_engine_kind_of(Str url)
{
    size_t end = str_find(url, S("://"));
    for (size_t i = 0; end != STR_NOT_FOUND && i < COUNT_OF(kinds); i++)
        for (const char *const *scheme = kinds[i]->schemes; *scheme; scheme++)
            if (str_is(str_sub(url, 0, end), *scheme))
                return kinds[i];
    return NULL;
}
