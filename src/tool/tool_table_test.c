// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_table.h"

#include "base/test.h"

TEST(tool_table, aligns_as_go_does)
{
    static const struct {
        const char *name;
        Str text, want;
    } cases[] = {
        {"nothing", STR(""), STR("")},
        {"a line without columns", STR("abc\n"), STR("abc\n")},
        {"columns are as wide as their widest cell", STR("ID\tComment\t\nxyz\tc\t\n"),
         STR("ID   Comment  \nxyz  c        \n")},
        {"runes count, not bytes", STR("é\tx\nab\ty\n"), STR("é   x\nab  y\n")},
        {"an empty column keeps its padding", STR("a\t\tb\nc\t\td\n"), STR("a    b\nc    d\n")},
        {"a line without the column ends it", STR("long\tx\n\na\ty\n"), STR("long  x\n\na  y\n")},
        {"the last cell of a line is in no column", STR("a\tlonger\nb\tc\t\n"),
         STR("a  longer\nb  c  \n")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};

        tool_table_align(&out, c->text);

        CHECK_STR(buf_str(&out), c->want);
    }
}

TEST_MAIN(tool_table, TEST_ROW(tool_table, aligns_as_go_does))
