// SPDX-License-Identifier: Apache-2.0
// Any text: what is read can be linted and encoded, and is read again the same when it is written out.
#include "tool/tool_lint.h"
#include "tool/tool_write_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_quoted(Buf *out, Str text)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, text.ptr[i] == '\n' ? '\\' : text.ptr[i]);
        if (text.ptr[i] == '\n')
            buf_add_char(out, 'n');
    }
    buf_add_char(out, '"');
}

// The plain metrics of the page: those that are one line each.
static size_t write_plain(const Page *page, Buf *out)
{
    size_t lines = 0;
    for (size_t f = 0; f < page->count; f++) {
        const PageFamily *family = page->items[f];
        if (family->type == PAGE_SUMMARY || family->type == PAGE_HISTOGRAM ||
            family->type == PAGE_GAUGE_HISTOGRAM)
            continue;
        for (size_t i = 0; i < family->metric_count; i++, lines++) {
            buf_add_char(out, '{');
            add_quoted(out, family->name);
            for (size_t k = 0; k < family->metrics[i].label_count; k++) {
                buf_add_char(out, ',');
                add_quoted(out, family->metrics[i].labels[k].name);
                buf_add_char(out, '=');
                add_quoted(out, family->metrics[i].labels[k].value);
            }
            buf_add_c(out, "} 1\n");
        }
    }
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena arena = {0};
    Buf out = {0};
    Error err = {0};
    Page page;
    LintProblems problems;
    if (page_read((Str){(const char *)data, size}, &arena, &page, &err)) {
        lint_page(&page, &arena, &problems);
        for (int message = WRITE_V1; message <= WRITE_V2; message++) {
            WriteRequestOptions options = {.message = (WriteMessage)message, .now_ms = 1};
            buf_reset(&out);
            (void)write_request_encode(&page, &options, &out, &err); // too many labels are refused
        }
        buf_reset(&out);
        size_t lines = write_plain(&page, &out);
        Page again;
        ASSERT(page_read(buf_str(&out), &arena, &again, &err));
        size_t lines_again = 0;
        for (size_t f = 0; f < again.count; f++)
            lines_again += again.items[f]->metric_count;
        ASSERT(lines_again == lines);
    } else {
        ASSERT(err.code == ERR_INVALID);
    }
    buf_deinit(&out);
    arena_deinit(&arena);
    return 0;
}
