// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_time.h"

#include <math.h>
#include <time.h>

#include "base/number.h"
#include "base/timefmt.h"

bool tool_time_parse(Str text, double *ret_seconds, Error *err)
{
    double seconds;
    int64_t t_ms;
    Error why;
    if (number_parse_double(text, &seconds) && isfinite(seconds))
        *ret_seconds = seconds;
    else if (rfc3339_parse(text, &t_ms, &why))
        *ret_seconds = (double)t_ms / 1000;
    else
        return error_set(err, ERR_INVALID, "cannot parse \"" STR_FMT "\" to a valid timestamp",
                         STR_ARG(str_sub(text, 0, 200)));
    return true;
}

double tool_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
