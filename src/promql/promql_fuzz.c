// SPDX-License-Identifier: Apache-2.0
// What was parsed is printed, parsed again and printed the same; the pretty form means the same, too.
#include <stdio.h>
#include <stdlib.h>

#include "promql/ast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The printed form; false if the text does not parse.
static bool print_again(Str query, Buf *printed, Buf *pretty)
{
    static const PromqlFeatures features = {.experimental_functions = true,
                                            .duration_expressions = true,
                                            .extended_range_selectors = true,
                                            .fill_modifiers = true};
    Arena arena = {0};
    Expr *expr;
    Error err = {0};
    bool ok = promql_parse(query, &features, &arena, &expr, &err);
    if (ok) {
        expr_print(printed, expr);
        if (pretty)
            expr_pretty(pretty, expr, 0);
        expr_free_regexes(expr);
    }
    arena_deinit(&arena);
    return ok;
}

static void must_print(Str query, Str want)
{
    Buf got = {0};
    if (!print_again(query, &got, NULL) || !str_equal(buf_str(&got), want)) {
        fprintf(stderr, "read as   " STR_FMT "\nwant      " STR_FMT "\ngot       " STR_FMT "\n",
                STR_ARG(query), STR_ARG(want), STR_ARG(buf_str(&got)));
        abort();
    }
    buf_deinit(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    Buf printed = {0}, pretty = {0};
    if (print_again(str_make((const char *)data, size), &printed, &pretty)) {
        must_print(buf_str(&printed), buf_str(&printed));
        must_print(buf_str(&pretty), buf_str(&printed));
    }
    buf_deinit(&printed);
    buf_deinit(&pretty);
    return 0;
}
