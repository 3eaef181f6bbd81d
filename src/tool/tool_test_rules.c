// SPDX-License-Identifier: Apache-2.0
// test rules: runs unit tests of rules and tells what is not as expected.
#include "base/clock.h"
#include "base/fs.h"
#include "base/regex.h"
#include "base/timefmt.h"
#include "tool/tool_rule_tests.h"

typedef struct TestOptions {
    FlagStrList run;
    bool debug;
    bool diff;
    bool ignore_unknown_fields;
} TestOptions;

#define FLAG(flag, type, member, about)                                                            \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(TestOptions, member), .help = about         \
    }
static const FlagSpec flags[] = {
    FLAG("run", FLAG_STR_LIST, run,
         "If set, will only run test groups whose names match the regular expression. Can be "
         "specified multiple times."),
    FLAG("debug", FLAG_BOOL, debug, "Enable unit test debugging."),
    FLAG("diff", FLAG_BOOL, diff, "Print a line-by-line difference of what was expected and got."),
    FLAG("ignore-unknown-fields", FLAG_BOOL, ignore_unknown_fields,
         "Ignore unknown fields in the rule files."),
};

// What --junit gets: a suite for each file, a case for each test.
typedef struct Report {
    Buf cases; // of the current suite
    Buf suites;
    size_t case_count;
    size_t failure_count;
} Report;

static void add_xml(Buf *out, Str text)
{
    static const char *const special[128] = {
        ['&'] = "&amp;",  ['<'] = "&lt;",   ['>'] = "&gt;",   ['"'] = "&#34;",
        ['\''] = "&#39;", ['\n'] = "&#xA;", ['\r'] = "&#xD;", ['\t'] = "&#x9;"};
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 128 && special[c])
            buf_add_c(out, special[c]);
        else if (c >= 0x20)
            buf_add_char(out, (char)c);
    }
}

static void add_case(Report *report, Str name, StrList failures)
{
    buf_add_c(&report->cases, "<testcase name=\"");
    add_xml(&report->cases, name);
    buf_add_c(&report->cases, "\">");
    for (size_t i = 0; i < failures.count; i++) {
        buf_add_c(&report->cases, "<failure>");
        add_xml(&report->cases, failures.items[i]);
        buf_add_c(&report->cases, "</failure>");
    }
    buf_add_c(&report->cases, "</testcase>");
    report->case_count++;
    report->failure_count += failures.count;
}

// `abort` is why no test of the file could run, or NULL.
static void end_suite(Report *report, Str path, const char *abort)
{
    if (abort) {
        buf_add_c(&report->cases, "<testcase name=\"global\"><error>");
        add_xml(&report->cases, str_from_c(abort));
        buf_add_c(&report->cases, "</error></testcase>");
    }
    buf_add_c(&report->suites, "<testsuite name=\"");
    add_xml(&report->suites, path);
    buf_printf(&report->suites,
               "\" tests=\"%zu\" failures=\"%zu\" errors=\"%d\" skipped=\"0\" timestamp=\"",
               report->case_count + (abort != NULL), report->failure_count, abort != NULL);
    Buf time = {0};
    buf_add_rfc3339(&time, clock_now_ms(&clock_system) / 1000 * 1000, 0);
    time.len -= time.len > 0; // without the Z
    buf_add_str(&report->suites, buf_str(&time));
    buf_deinit(&time);
    buf_add_c(&report->suites, "\">");
    buf_add_str(&report->suites, buf_str(&report->cases));
    buf_add_c(&report->suites, "</testsuite>");
    buf_reset(&report->cases);
    report->case_count = report->failure_count = 0;
}

static bool write_report(const Report *report, Str path, Error *err)
{
    CLEANUP(buf_deinit) Buf all = {0};
    buf_add_c(&all, "<testsuites>");
    buf_add_str(&all, buf_str(&report->suites));
    buf_add_c(&all, "</testsuites>");
    return fs_write_atomic(&fs_system, path, buf_str(&all), err);
}

static bool is_wanted(Str name, Regex *const *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (regex_search(patterns[i], name))
            return true;
    return count == 0;
}

static void tell_failures(StrList failures)
{
    for (size_t i = 0; i < failures.count; i++) {
        fflush(stdout);
        fprintf(stderr, STR_FMT "\n", STR_ARG(failures.items[i]));
        printf("\n");
    }
}

static void add_all(Arena *arena, StrList *all, StrList more)
{
    all->items = arena_grow(arena, all->items, all->count * sizeof(Str),
                            (all->count + more.count) * sizeof(Str));
    for (size_t i = 0; i < more.count; i++)
        all->items[all->count++] = more.items[i];
}

// All tests of a file; true if all passed.
static bool run_file(const ToolCall *call, Str path, bool with_alerts, Regex *const *patterns,
                     size_t pattern_count, Report *report)
{
    const TestOptions *options = call->options;
    RuleTestOptions run = {call->features, options->diff, options->debug,
                           options->ignore_unknown_fields};
    CLEANUP(arena_deinit) Arena arena = {0};
    RuleTestFile file;
    StrList failures = {0};
    Error err = {0};
    printf("Unit Testing:  " STR_FMT "\n", STR_ARG(path));
    fflush(stdout);
    bool loaded = rule_test_file_load(path, with_alerts, &arena, &file, &err);
    if (!loaded) {
        Str text = arena_str(&arena, str_from_c(err.text));
        add_all(&arena, &failures, (StrList){&text, 1});
    }
    for (size_t i = 0; loaded && i < file.tests.count; i++) {
        const RuleTest *test = (const RuleTest *)file.tests.items + i;
        if (!is_wanted(test->name, patterns, pattern_count))
            continue;
        Str name = test->name.len ? test->name : arena_printf(&arena, "unnamed#%zu", i);
        StrList found = rule_test_run(&file, test, name, &run, &arena);
        add_case(report, name, found);
        add_all(&arena, &failures, found);
    }
    end_suite(report, path, loaded ? NULL : err.text);
    fflush(stdout);
    if (failures.count) {
        fprintf(stderr, "  FAILED:\n");
        tell_failures(failures);
    } else {
        printf("  SUCCESS\n");
    }
    printf("\n");
    fflush(stdout);
    return failures.count == 0;
}

static bool compile_patterns(const TestOptions *options, Arena *arena, Regex ***ret_patterns,
                             Error *err)
{
    Regex **patterns = ARENA_ARRAY(arena, Regex *, options->run.count + 1);
    for (size_t i = 0; i < options->run.count; i++)
        if (!regex_new_search(options->run.items[i], &patterns[i], err)) {
            while (i > 0)
                regex_free(patterns[--i]);
            return error_context(err, "--run");
        }
    *ret_patterns = patterns;
    return true;
}

static int run(ToolCall *call, bool with_alerts)
{
    const TestOptions *options = call->options;
    Report report = {0};
    Regex **patterns;
    Error err = {0};
    bool all_ok = true;
    if (!compile_patterns(options, call->arena, &patterns, &err))
        return tool_fail("%s", err.text);
    for (size_t i = 0; i < call->arg_count; i++)
        all_ok =
            run_file(call, call->args[i], with_alerts, patterns, options->run.count, &report) &&
            all_ok;
    if (call->globals->junit.len && !write_report(&report, call->globals->junit, &err)) {
        (void)tool_fail("failed to write JUnit XML: %s", err.text);
        all_ok = false;
    }
    for (size_t i = 0; i < options->run.count; i++)
        regex_free(patterns[i]);
    buf_deinit(&report.cases);
    buf_deinit(&report.suites);
    return all_ok ? TOOL_OK : TOOL_FAILED;
}

static int run_rules(ToolCall *call)
{
    return run(call, false);
}

static int run_alerts(ToolCall *call)
{
    return run(call, true);
}

static const ToolArg args[] = {
    {"test-rule-file", "The unit test file.", .is_many = true, .is_file = true},
    {0},
};

const ToolVerb tool_test_rules = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(TestOptions),
    .args = args,
    .run = run_rules,
};
const ToolVerb tool_test_alerts = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(TestOptions),
    .args = args,
    .about = "The file is that of `test rules`, with an Alertmanager's configuration and what its "
             "receivers must be told: docs/alerting.md.",
    .run = run_alerts,
};
