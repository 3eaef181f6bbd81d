// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_filter.h"

// A Regex is anchored and its dot takes newlines; the user's own dot must not.
static bool compile(Str pattern, Regex **ret_regex, Error *err)
{
    Regex *alone;
    if (!regex_new(pattern, &alone,
                   err)) // tells of "a)(b", which the brackets below would make good
        return false;
    regex_free(alone);
    CLEANUP(arena_deinit) Arena arena = {0};
    return regex_new(arena_printf(&arena, ".*(?-s:" STR_FMT ").*", STR_ARG(pattern)), ret_regex,
                     err);
}

bool node_filter_init(NodeFilter *filter, const char *include_flag, Str include,
                      const char *exclude_flag, Str exclude, Error *err)
{
    *filter = (NodeFilter){0};
    if (include.len && exclude.len)
        return error_set(err, ERR_INVALID, "flags --%s and --%s are mutually exclusive",
                         include_flag, exclude_flag);
    if (include.len && !compile(include, &filter->include, err))
        return error_context(err, "flag --%s", include_flag);
    if (exclude.len && !compile(exclude, &filter->exclude, err))
        return error_context(err, "flag --%s", exclude_flag);
    return true;
}

void node_filter_deinit(NodeFilter *filter)
{
    regex_free(filter->include);
    regex_free(filter->exclude);
    filter->include = filter->exclude = NULL;
}

bool node_filter_takes(NodeFilter *filter, Str name)
{
    if (!filter->include && !filter->exclude)
        return true;
    uint64_t key = str_hash(name) | 1; // never 0, which is an empty slot
    uint64_t *slot = &filter->memo[(key >> 1) & (NODE_FILTER_MEMO - 1)];
    if ((*slot | 1) == key && *slot > 1)
        return *slot & 1;
    bool takes =
        filter->include ? regex_match(filter->include, name) : !regex_match(filter->exclude, name);
    *slot = takes ? key : key - 1;
    return takes;
}
