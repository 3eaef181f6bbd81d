// SPDX-License-Identifier: Apache-2.0
// tool_time.h: times on the command line, as seconds since the epoch. Private to the room.
#pragma once

#include "base/error.h"
#include "base/str.h"

// RFC 3339 or a decimal Unix timestamp.
bool tool_time_parse(Str text, double *ret_seconds, Error *err) MUST_CHECK;
double tool_now_s(void);
