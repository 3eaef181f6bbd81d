// SPDX-License-Identifier: Apache-2.0
#include "base/test.h"
#include "tool/tool_command.h"

static bool plan_line(const char *line, Arena *arena, ToolPlan *plan, Error *err)
{
    char *argv[32];
    int argc = 0;
    Str rest = str_from_c(line);
    Str word;
    while (rest.len && str_split_next(&rest, ' ', &word))
        argv[argc++] = str_to_c(arena, word);
    return tool_plan("promtool", argc, argv, arena, plan, err);
}

TEST(tool, takes_flags_before_between_and_behind_command_words)
{
    static const struct {
        const char *name;
        const char *line;
        const char *command;
        size_t arg_count;
        int64_t lookback_ms;
        bool experimental;
        bool extended_ranges;
    } cases[] = {
        {"plain", "check config /dev/null", "check config", 1, 300000, false, false},
        {"root's flag in front", "--experimental check config /dev/null", "check config", 1, 300000,
         true, false},
        {"root's flag behind", "check config /dev/null --experimental", "check config", 1, 300000,
         true, false},
        {"root's flag with a value in the next argument",
         "--enable-feature promql-extended-range-selectors check config /dev/null", "check config",
         1, 300000, false, true},
        {"features with commas",
         "check --enable-feature=promql-delayed-name-removal,promql-extended-range-selectors "
         "config /dev/null",
         "check config", 1, 300000, false, true},
        {"the group's flag between", "check --query.lookback-delta=1h config /dev/null",
         "check config", 1, 3600000, false, false},
        {"the group's flag behind", "check config /dev/null --query.lookback-delta 90s",
         "check config", 1, 90000, false, false},
        {"many arguments around a flag", "check config /dev/null --lint-fatal /dev/zero",
         "check config", 2, 300000, false, false},
        {"no arguments", "check healthy --url http://x", "check healthy", 0, 300000, false, false},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        ToolPlan plan = {0};
        Error err = {0};

        CHECK_OK(plan_line(c->line, &arena, &plan, &err), err);

        CHECK(plan.command != NULL);
        CHECK_STR(str_from_c(plan.command->path), str_from_c(c->command));
        CHECK_EQ(plan.call.arg_count, c->arg_count);
        CHECK_EQ(plan.call.globals->lookback_delta_ms, c->lookback_ms);
        CHECK_EQ(plan.call.globals->experimental, c->experimental);
        CHECK_EQ(plan.call.features.extended_range_selectors, c->extended_ranges);
        arena_deinit(&arena);
    }
}

TEST(tool, tells_what_it_did_not_understand)
{
    static const struct {
        const char *name;
        const char *line;
        const char *want;
    } cases[] = {
        {"unknown command", "chek config",
         "expected command but got \"chek\", did you mean \"check\""},
        {"unknown command of a group", "check confg",
         "expected command but got \"confg\", did you mean \"config\""},
        {"nothing near", "zzzzzzzz", "expected command but got \"zzzzzzzz\", try --help"},
        {"group alone", "check", "must select a subcommand of 'check'"},
        {"unknown flag of the root", "--expermental check config", "did you mean '--experimental'"},
        {"unknown flag of the command", "check config --lnt=all /dev/null",
         "did you mean '--lint'"},
        {"a command's flag before its words", "--lint=all check config",
         "unknown long flag '--lint'"},
        {"argument missing", "check config", "required argument 'config-files' not provided"},
        {"argument too many", "check ready now", "unexpected now"},
        {"no such file", "check config /nonexistent/x", "path '/nonexistent/x' does not exist"},
        {"a folder", "check config /", "'/' is a directory"},
        {"unknown short flag", "-x check", "unknown short flag '-x'"},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        ToolPlan plan = {0};
        Error err = {0};

        CHECK(!plan_line(c->line, &arena, &plan, &err));

        CHECK_HAS(err.text, c->want);
        arena_deinit(&arena);
    }
}

TEST(tool, helps_at_every_level)
{
    static const struct {
        const char *name;
        const char *line;
        const char *want;
        const char *want_too;
    } cases[] = {
        {"nothing at all", "", "usage: promtool [<flags>] <command>", "check config"},
        {"root", "--help", "--[no-]experimental", "check config"},
        {"group", "check --help", "usage: promtool check [<flags>] <command>",
         "--query.lookback-delta"},
        {"command", "check config --help",
         "usage: promtool check config [<flags>] <config-files>...", "--[no-]lint-fatal"},
        {"the word help", "help check config", "usage: promtool check config", "<config-files>"},
        {"before the words are complete", "-h check config", "usage: promtool check config",
         "<config-files>"},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        ToolPlan plan = {0};
        Error err = {0};
        Buf page = {0};

        CHECK_OK(plan_line(c->line, &arena, &plan, &err), err);
        CHECK(plan.help);
        tool_help(&plan, &arena, &page);
        buf_add_char(&page, '\0');

        CHECK_HAS(page.ptr, c->want);
        CHECK_HAS(page.ptr, c->want_too);
        buf_deinit(&page);
        arena_deinit(&arena);
    }
}

TEST(tool, table_of_commands_is_whole)
{
    for (size_t i = 0; i < tool_command_count; i++) {
        const ToolCommand *command = &tool_commands[i];
        const ToolGroup *groups[8];

        CHECK(command->verb->run != NULL);
        CHECK(command->verb->flag_count == 0 || command->verb->options_bytes > 0);
        // Each first word is a group, so that its help has a summary, or the command itself.
        CHECK(!strchr(command->path, ' ') ||
              tool_groups_of(str_from_c(command->path), (int)command->family, groups,
                             COUNT_OF(groups)) >= 2);
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(command->path, tool_commands[k].path) != 0);
    }
}

TEST_MAIN(tool, TEST_ROW(tool, takes_flags_before_between_and_behind_command_words),
          TEST_ROW(tool, tells_what_it_did_not_understand), TEST_ROW(tool, helps_at_every_level),
          TEST_ROW(tool, table_of_commands_is_whole))
