// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_rule_tests.h"

#define DIFF_LINES_MAX 2000 // above, all expected lines are told before all that came

static Str *lines_of(Str text, Arena *arena, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    Str *lines = ARENA_ARRAY(arena, Str, count + 2);
    count = 0;
    while (str_split_next(&text, '\n', &lines[count]))
        count++;
    *ret_count = count;
    return lines;
}

static void add_line(Buf *out, const char *mark, Str line)
{
    buf_printf(out, "\n        %s " STR_FMT, mark, STR_ARG(line));
}

void rule_test_diff(Str expected, Str got, Arena *arena, Buf *out)
{
    size_t a_count;
    size_t b_count;
    const Str *a = lines_of(expected, arena, &a_count);
    const Str *b = lines_of(got, arena, &b_count);
    size_t i = 0;
    size_t k = 0;
    if (a_count > DIFF_LINES_MAX || b_count > DIFF_LINES_MAX) {
        while (i < a_count)
            add_line(out, "-", a[i++]);
        while (k < b_count)
            add_line(out, "+", b[k++]);
        return;
    }
    // common[i][k]: lines that a from i on and b from k on have in common.
    size_t width = b_count + 1;
    uint16_t *common = arena_zalloc(arena, (a_count + 1) * width * sizeof *common);
    for (i = a_count; i-- > 0;)
        for (k = b_count; k-- > 0;)
            common[i * width + k] =
                str_equal(a[i], b[k]) ? (uint16_t)(common[(i + 1) * width + k + 1] + 1)
                                      : MAX(common[(i + 1) * width + k], common[i * width + k + 1]);
    for (i = k = 0; i < a_count || k < b_count;) {
        if (i < a_count && k < b_count && str_equal(a[i], b[k])) {
            add_line(out, " ", a[i++]);
            k++;
        } else if (k == b_count ||
                   (i < a_count && common[(i + 1) * width + k] >= common[i * width + k + 1])) {
            add_line(out, "-", a[i++]);
        } else {
            add_line(out, "+", b[k++]);
        }
    }
}
