// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_table.h"

#include <stdlib.h>

#define PADDING 2

typedef struct Cell {
    Str text;
    size_t width; // of its column; 0 behind the last tab
} Cell;

typedef struct Line {
    Cell *cells;
    size_t count; // the last is no column's
} Line;

typedef struct Table {
    Cell *cells;
    Line *lines;
    size_t cell_count, line_count;
} Table;

static size_t count_char(Str text, char c)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == c;
    return count;
}

static void cut(Table *table, Str text)
{
    size_t breaks = count_char(text, '\n');
    table->cells = x_calloc(breaks + count_char(text, '\t') + 1, sizeof *table->cells);
    table->lines = x_calloc(breaks + 1, sizeof *table->lines);
    for (;;) {
        Line *line = &table->lines[table->line_count++];
        size_t end = MIN(str_find_char(text, '\n'), text.len);
        Str rest = str_sub(text, 0, end);
        line->cells = &table->cells[table->cell_count];
        for (;;) {
            size_t tab = MIN(str_find_char(rest, '\t'), rest.len);
            table->cells[table->cell_count++].text = str_sub(rest, 0, tab);
            line->count++;
            if (tab == rest.len)
                break;
            rest = str_skip(rest, tab + 1);
        }
        if (end == text.len)
            return;
        text = str_skip(text, end + 1);
    }
}

static size_t runes(Str text)
{
    size_t count = 0;
    uint32_t rune;
    for (size_t at = 0; at < text.len; at += str_rune(str_skip(text, at), &rune))
        count++;
    return count;
}

// Lines from `from` on that have the column, as one block: all get the width of the widest.
static size_t set_widths(Table *table, size_t from, size_t column)
{
    size_t width = 0;
    size_t end = from;
    for (; end < table->line_count && column + 1 < table->lines[end].count; end++)
        width = MAX(width, runes(table->lines[end].cells[column].text) + PADDING);
    for (size_t i = from; i < end; i++)
        table->lines[i].cells[column].width = width;
    return end;
}

static void measure(Table *table)
{
    size_t columns = 0;
    for (size_t i = 0; i < table->line_count; i++)
        columns = MAX(columns, table->lines[i].count);
    for (size_t column = 0; column + 1 < columns; column++)
        for (size_t i = 0; i < table->line_count;)
            i = column + 1 < table->lines[i].count ? set_widths(table, i, column) : i + 1;
}

static void print_cell(Buf *out, const Cell *cell)
{
    buf_add_str(out, cell->text);
    for (size_t width = runes(cell->text); width < cell->width; width++)
        buf_add_char(out, ' ');
}

void tool_table_align(Buf *out, Str text)
{
    Table table = {0};
    cut(&table, text);
    measure(&table);
    for (size_t i = 0; i < table.line_count; i++) {
        if (i)
            buf_add_char(out, '\n');
        for (size_t c = 0; c < table.lines[i].count; c++)
            print_cell(out, &table.lines[i].cells[c]);
    }
    free(table.cells);
    free(table.lines);
}
