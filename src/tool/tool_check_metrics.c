// SPDX-License-Identifier: Apache-2.0
// check metrics: a page from standard input, linted, and counted with --extended.
#include <stdlib.h>
#include <unistd.h>

#include "tool/tool_command.h"
#include "tool/tool_lint.h"

#define PADDING 4 // blanks behind the widest cell of a column

typedef struct MetricsOptions {
    bool extended;
    Str lint;
} MetricsOptions;

static const FlagSpec flags[] = {
    {.name = "extended",
     .kind = FLAG_BOOL,
     .offset = offsetof(MetricsOptions, extended),
     .help = "Print extended information related to the cardinality of the metrics."},
    {.name = "lint",
     .kind = FLAG_STR,
     .offset = offsetof(MetricsOptions, lint),
     .default_text = "all",
     .help = "Linting checks to apply for metrics: all or none."},
};

typedef struct Row {
    Str name;
    Str cardinality;
    Str percentage;
    size_t count;
} Row;

// Series that a family makes. As the original, all histograms of a family are taken to have as many buckets as the first.
static size_t cardinality_of(const PageFamily *family)
{
    size_t each = 1;
    if (family->type == PAGE_HISTOGRAM || family->type == PAGE_SUMMARY)
        each = 2 + family->metrics[0].part_count;
    return family->metric_count * each;
}

static int compare_rows(const void *a, const void *b)
{
    const Row *one = a;
    const Row *other = b;
    if (one->count != other->count)
        return one->count > other->count ? -1 : 1;
    return str_compare(one->name, other->name);
}

static size_t columns_of(Str text)
{
    size_t columns = 0;
    for (size_t i = 0; i < text.len; i++)
        columns += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return columns;
}

static void add_cell(Buf *out, Str text, size_t width)
{
    buf_add_str(out, text);
    buf_printf(out, "%*s", (int)(width - columns_of(text)), "");
}

static void print_rows(const Row *rows, size_t count)
{
    CLEANUP(buf_deinit) Buf out = {0};
    size_t widths[3] = {0};
    for (size_t i = 0; i < count; i++) {
        widths[0] = MAX(widths[0], columns_of(rows[i].name) + PADDING);
        widths[1] = MAX(widths[1], rows[i].cardinality.len + PADDING);
        widths[2] = MAX(widths[2], rows[i].percentage.len + PADDING);
    }
    for (size_t i = 0; i < count; i++) {
        add_cell(&out, rows[i].name, widths[0]);
        add_cell(&out, rows[i].cardinality, widths[1]);
        add_cell(&out, rows[i].percentage, widths[2]);
        buf_add_char(&out, '\n');
    }
    tool_write(buf_str(&out));
}

static void print_cardinality(const Page *page, Arena *arena)
{
    Row *rows = ARENA_ARRAY(arena, Row, page->count + 2);
    size_t total = 0;
    rows[0] = (Row){S("Metric"), S("Cardinality"), S("Percentage"), 0};
    for (size_t i = 0; i < page->count; i++) {
        rows[i + 1] = (Row){.name = page->items[i]->name, .count = cardinality_of(page->items[i])};
        total += rows[i + 1].count;
    }
    qsort(rows + 1, page->count, sizeof *rows, compare_rows);
    for (size_t i = 1; i <= page->count; i++) {
        rows[i].cardinality = arena_printf(arena, "%zu", rows[i].count);
        rows[i].percentage =
            arena_printf(arena, "%.2f%%", (double)rows[i].count / (double)total * 100);
    }
    rows[page->count + 1] = (Row){S("Total"), arena_printf(arena, "%zu", total), S("100%"), 0};
    print_rows(rows, page->count + 2);
}

static int run(ToolCall *call)
{
    const MetricsOptions *options = call->options;
    bool lints = !str_is(options->lint, "none");
    Error err = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    Page page;
    LintProblems problems = {0};
    if (!options->extended && !lints)
        return tool_fail("error: at least one of --extended or linting must be enabled\n"
                         "Use --extended for cardinality analysis, or remove --lint=none to enable "
                         "linting");
    if (!tool_read_stdin(PAGE_BYTES_MAX, &text, &err) ||
        !page_read(buf_str(&text), call->arena, &page, &err))
        return tool_fail(
            "%s: %s", lints ? "error while linting" : "error while parsing text to metric families",
            err.text);
    if (lints)
        lint_page(&page, call->arena, &problems);
    for (size_t i = 0; i < problems.count; i++)
        fprintf(stderr, STR_FMT " " STR_FMT "\n", STR_ARG(problems.items[i].metric),
                STR_ARG(problems.items[i].text));
    if (options->extended)
        print_cardinality(&page, call->arena);
    return problems.count ? TOOL_LINT : TOOL_OK;
}

const ToolVerb tool_check_metrics = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(MetricsOptions),
    .about = "Examples:\n\n"
             "  $ cat metrics.prom | promtool check metrics\n\n"
             "  $ curl -s http://localhost:9090/metrics | promtool check metrics --extended\n\n"
             "  $ curl -s http://localhost:9100/metrics | promtool check metrics --extended "
             "--lint=none",
    .run = run,
};
