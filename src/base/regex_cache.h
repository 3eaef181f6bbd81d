// SPDX-License-Identifier: Apache-2.0
// regex_cache.h: compiled patterns of the last minutes, shared by all who ask for them: dashboards come with the same ones again and again,
// and to compile one takes longer than to match a thousand texts.
// Thread: any.
#pragma once

#include "base/regex.h"

// As regex_new, but maybe shared: regex_cache_give, never regex_free.
bool regex_cache_take(Str pattern, Regex **ret_regex, Error *err) MUST_CHECK;
// Accepts NULL.
void regex_cache_give(Regex *regex);
// Forgets patterns that nobody holds and nobody has taken since the last call.
void regex_cache_trim(void);
