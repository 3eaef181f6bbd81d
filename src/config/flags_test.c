// SPDX-License-Identifier: Apache-2.0
#include "config/flags.h"

#include "base/test.h"

typedef struct Options {
    Str address;
    FlagStrList features;
    int64_t timeout_ms;
    int64_t count;
    bool lifecycle;
    int level;
} Options;

static const char *const levels[] = {"debug", "info", NULL};

static const FlagSpec specs[] = {
    {.name = "web.listen-address",
     .kind = FLAG_STR,
     .offset = offsetof(Options, address),
     .default_text = "0.0.0.0:9090",
     .help = "Where to listen."},
    {.name = "enable-feature",
     .kind = FLAG_STR_LIST,
     .offset = offsetof(Options, features),
     .help = "Features."},
    {.name = "timeout",
     .kind = FLAG_DURATION,
     .offset = offsetof(Options, timeout_ms),
     .default_text = "2m",
     .help = "How long.",
     .short_name = 't'},
    {.name = "count",
     .kind = FLAG_I64,
     .offset = offsetof(Options, count),
     .default_text = "3",
     .help = "How many.",
     .min = 1,
     .max = 10},
    {.name = "lifecycle",
     .kind = FLAG_BOOL,
     .offset = offsetof(Options, lifecycle),
     .help = "Switch."},
    {.name = "log.level",
     .kind = FLAG_ENUM,
     .offset = offsetof(Options, level),
     .default_text = "info",
     .help = "Level.",
     .words = levels},
};
static const FlagTable table = {"narthex test", "Tests flags.", NULL, specs, COUNT_OF(specs)};

static bool parse(const char *line, Arena *arena, Options *options, FlagResult *result, Error *err)
{
    char *argv[16];
    int argc = 0;
    Str rest = str_from_c(line);
    Str word;
    while (str_split_next(&rest, ' ', &word))
        argv[argc++] = str_to_c(arena, word);
    *options = (Options){0};
    return flags_parse(&table, argc, argv, arena, options, result, err);
}

TEST(flags, take_every_form_of_a_value)
{
    static const struct {
        const char *name;
        const char *line;
        const char *address;
        int64_t timeout_ms;
        size_t features;
        bool lifecycle;
        int level;
    } cases[] = {
        {"defaults", "", "0.0.0.0:9090", 120000, 0, false, 1},
        {"equals", "--web.listen-address=:1 --timeout=5s", ":1", 5000, 0, false, 1},
        {"next argument", "--web.listen-address :2 --log.level debug", ":2", 120000, 0, false, 0},
        {"switch", "--lifecycle", "0.0.0.0:9090", 120000, 0, true, 1},
        {"switched off again", "--lifecycle --no-lifecycle", "0.0.0.0:9090", 120000, 0, false, 1},
        {"switch with a value", "--lifecycle=true", "0.0.0.0:9090", 120000, 0, true, 1},
        {"many", "--enable-feature=a --enable-feature=b,c", "0.0.0.0:9090", 120000, 2, false, 1},
        {"short", "-t 7s", "0.0.0.0:9090", 7000, 0, false, 1},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        Options options;
        FlagResult result;
        Error err = {0};

        CHECK_OK(parse(c->line, &arena, &options, &result, &err), err);

        CHECK_STR(options.address, str_from_c(c->address));
        CHECK_EQ(options.timeout_ms, c->timeout_ms);
        CHECK_EQ(options.features.count, c->features);
        CHECK_EQ(options.lifecycle, c->lifecycle);
        CHECK_EQ(options.level, c->level);
        arena_deinit(&arena);
    }
}

TEST(flags, tell_what_is_wrong)
{
    static const struct {
        const char *name;
        const char *line;
        const char *want;
    } cases[] = {
        {"a near miss is suggested", "--web.listen-adress=:1",
         "did you mean '--web.listen-address'"},
        {"nothing near", "--zzzzzzzzzzz", "unknown long flag '--zzzzzzzzzzz'"},
        {"value missing", "--timeout", "expected argument for flag '--timeout'"},
        {"bad duration", "--timeout=5x", "flag --timeout: invalid value \"5x\""},
        {"out of range", "--count=11", "out of range"},
        {"bad word", "--log.level=loud", "must be one of: debug, info"},
        {"stray argument", "stray", "unexpected argument \"stray\""},
        {"bad switch", "--lifecycle=maybe", "must be true or false"},
        {"missing file", "@/nonexistent/file", "arguments from a file"},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        Options options;
        FlagResult result;
        Error err = {0};

        CHECK(!parse(c->line, &arena, &options, &result, &err));

        CHECK_HAS(err.text, c->want);
        arena_deinit(&arena);
    }
}

TEST(flags, tell_whether_the_next_argument_is_their_value)
{
    static const struct {
        const char *name;
        const char *arg;
        bool known;
        bool takes;
    } cases[] = {
        {"value behind", "--timeout", true, true},
        {"value inside", "--timeout=5s", true, false},
        {"switch", "--lifecycle", true, false},
        {"switch off", "--no-lifecycle", true, false},
        {"short", "-t", true, true},
        {"short with its value", "-t5s", true, false},
        {"help is known everywhere", "--help", true, false},
        {"unknown", "--zzzzzzzzzzz", false, false},
        {"unknown short", "-z", false, false},
    };

    EACH_CASE(c, cases) {
        bool takes = false;
        Error err = {0};

        bool known = flags_takes_next(&table, str_from_c(c->arg), &takes, &err);

        CHECK_EQ(known, c->known);
        CHECK_EQ(takes, c->takes);
    }
}

TEST(flags, must_be_given_where_the_table_says_so)
{
    static const FlagSpec required[] = {{.name = "match",
                                         .kind = FLAG_STR_LIST,
                                         .offset = offsetof(Options, features),
                                         .help = "Selector.",
                                         .required = true}};
    static const FlagTable needs = {"narthex test", "Tests flags.", NULL, required, 1};
    char *argv[] = {(char[]){"--match=up"}};
    CLEANUP(arena_deinit) Arena arena = {0};
    Options options = {0};
    FlagResult result;
    Error err = {0};

    CHECK(!flags_parse(&needs, 0, argv, &arena, &options, &result, &err));
    CHECK_HAS(err.text, "required flag --match not provided");
    CHECK_OK(flags_parse(&needs, 1, argv, &arena, &options, &result, &err), err);
}

TEST(flags, help_lists_every_flag)
{
    Buf help = {0};

    flags_help(&table, &help);
    buf_add_char(&help, '\0');

    for (size_t i = 0; i < COUNT_OF(specs); i++)
        CHECK_HAS(help.ptr, specs[i].name);
    CHECK_HAS(help.ptr, "[no-]lifecycle");
    buf_deinit(&help);
}

TEST_MAIN(flags, TEST_ROW(flags, take_every_form_of_a_value), TEST_ROW(flags, tell_what_is_wrong),
          TEST_ROW(flags, tell_whether_the_next_argument_is_their_value),
          TEST_ROW(flags, must_be_given_where_the_table_says_so),
          TEST_ROW(flags, help_lists_every_flag))
