// SPDX-License-Identifier: Apache-2.0
// json_text.h: finds parts of a JSON text without reading it whole: of a large answer, the members and items are cut out as texts, and
// json_read reads them one by one. Brackets and quotes are followed, nothing else is checked: what is cut out must still be read.
//
//     {"status":"success","data":{"result":[ {...}, {...}, ... ]}}
//                                            item   item
#pragma once

#include "base/error.h"
#include "base/str.h"

// The texts of some members of an object, in one go; empty where there is no such member. ERR_INVALID if `object` is no object or is not
// closed. Keys with escapes are not found.
bool json_text_members(Str object, const Str *keys, size_t count, Str *ret_values,
                       Error *err) MUST_CHECK;

typedef struct JsonTextItems {
    Str rest;           // behind the items taken so far
    bool started, done; // an item was taken; the closing bracket was seen
    bool failed;
    Error err;
} JsonTextItems;

// while (json_text_next(&items, &item)) ...; then look at items.failed.
JsonTextItems json_text_items(Str array);
bool json_text_next(JsonTextItems *items, Str *ret_item);
