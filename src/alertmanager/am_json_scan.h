// SPDX-License-Identifier: Apache-2.0
// am_json_scan.h: where the first value of a text ends, or what is wrong with it. Private to am_json.c.
#pragma once

#include "base/error.h"
#include "base/str.h"

// Fails ERR_INVALID in the words of Go's encoding/json.
bool am_json_scan(Str text, size_t *ret_end, Error *err) MUST_CHECK;
