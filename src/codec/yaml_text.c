// SPDX-License-Identifier: Apache-2.0
#include "codec/yaml_text.h"

#include "base/buf.h"

Str yaml_single_quoted(Arena *arena, Str text, size_t at)
{
    char *out = arena_alloc(arena, text.len - at);
    size_t len = 0;
    for (at++; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '\'') {
            if (at + 1 >= text.len || text.ptr[at + 1] != '\'')
                break;
            at++;
        }
        if (c != '\n' && c != '\r') {
            out[len++] = c;
            continue;
        }
        size_t breaks = 0;
        while (len && (out[len - 1] == ' ' || out[len - 1] == '\t'))
            len--;
        for (; at < text.len && strchr(" \t\r\n", text.ptr[at]); at++)
            breaks += text.ptr[at] == '\n';
        at--;
        if (breaks <= 1)
            out[len++] = ' ';
        for (; breaks > 1; breaks--)
            out[len++] = '\n';
    }
    return str_make(out, len);
}

// Reads "2-", "+", ... and says whether nothing but a comment follows.
static bool read_indicators(Str rest, YamlBlock *block)
{
    size_t i = 0;
    for (; i < rest.len &&
           (rest.ptr[i] == '-' || rest.ptr[i] == '+' || (rest.ptr[i] >= '1' && rest.ptr[i] <= '9'));
         i++) {
        if (rest.ptr[i] == '-' || rest.ptr[i] == '+')
            block->chomp = rest.ptr[i] == '-' ? -1 : 1;
        else
            block->indicator = rest.ptr[i] - '0';
    }
    bool blank = i == rest.len || rest.ptr[i] == ' ' || rest.ptr[i] == '\t' || rest.ptr[i] == '\r';
    Str behind = str_trim(str_skip(rest, i));
    return blank && (behind.len == 0 || behind.ptr[0] == '#');
}

YamlBlock yaml_block_header(Str text, size_t at)
{
    size_t end = at > 0 && text.ptr[at - 1] == '\n' ? at - 1 : at;
    size_t begin = end;
    while (begin > 0 && text.ptr[begin - 1] != '\n')
        begin--;
    Str line = str_sub(text, begin, end - begin);
    for (size_t i = 0; i < line.len; i++) {
        bool mark = line.ptr[i] == '|' || line.ptr[i] == '>';
        bool apart = i == 0 || line.ptr[i - 1] == ' ' || line.ptr[i - 1] == '\t';
        YamlBlock block = {.folded = line.ptr[i] == '>'};
        if (mark && apart && read_indicators(str_skip(line, i + 1), &block))
            return block;
    }
    return (YamlBlock){0};
}

static size_t count_blanks(Str line)
{
    size_t blanks = 0;
    while (blanks < line.len && line.ptr[blanks] == ' ')
        blanks++;
    return blanks;
}

// One line without its break; *ret_broken tells whether it had one.
static bool next_line(Str *rest, Str *ret_line, bool *ret_broken)
{
    if (rest->len == 0)
        return false;
    size_t end = str_find_char(*rest, '\n');
    *ret_broken = end != STR_NOT_FOUND;
    Str line = str_sub(*rest, 0, end);
    *rest = str_skip(*rest, line.len + *ret_broken);
    if (str_ends_with(line, S("\r")))
        line.len--;
    *ret_line = line;
    return true;
}

size_t yaml_block_indent(Str lines, size_t *ret_line)
{
    Str line;
    bool broken;
    for (*ret_line = 0; next_line(&lines, &line, &broken); ++*ret_line) {
        size_t blanks = count_blanks(line);
        if (blanks < line.len)
            return blanks;
    }
    return SIZE_MAX;
}

static bool starts_blank(Str line)
{
    return line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
}

// A break between two folded lines is a blank, unless one of them is indented further.
Str yaml_block_text(Arena *arena, Str lines, YamlBlock block, size_t indent)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Str line;
    bool broken;
    bool pending_break = false; // of the line before
    bool before_blank = false;  // the line before was indented further
    size_t empty = 0;           // lines since then
    while (next_line(&lines, &line, &broken)) {
        size_t blanks = count_blanks(line);
        if (blanks == line.len && line.len <= indent) {
            empty += broken;
            continue;
        }
        if (blanks < indent)
            break; // a comment behind the scalar
        line = str_skip(line, indent);
        bool fold = block.folded && pending_break && !before_blank && !starts_blank(line);
        if (fold && empty == 0)
            buf_add_char(&out, ' ');
        else if (!fold && pending_break)
            buf_add_char(&out, '\n');
        for (; empty > 0; empty--)
            buf_add_char(&out, '\n');
        before_blank = starts_blank(line);
        buf_add_str(&out, line);
        pending_break = broken;
    }
    if (block.chomp >= 0 && pending_break)
        buf_add_char(&out, '\n');
    for (; block.chomp > 0 && empty > 0; empty--)
        buf_add_char(&out, '\n');
    return arena_str(arena, buf_str(&out));
}
