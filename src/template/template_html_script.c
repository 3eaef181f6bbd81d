// SPDX-License-Identifier: Apache-2.0
// Scripts and styles in a page: just enough of their lexers to know strings, comments, regular expressions and URLs.
#include "template/template_html_internal.h"

static size_t find_any(Str s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] && strchr(set, s.ptr[i]))
            return i;
    return STR_NOT_FOUND;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_identifier(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '$' ||
           c == '_' || (c & 0x80);
}

// ---- JavaScript

// Whether a '/' behind these tokens would divide.
static bool divides_after(Str s, bool before)
{
    static const char *const words[] = {"break", "case",    "continue", "delete",     "do",
                                        "else",  "finally", "in",       "instanceof", "return",
                                        "throw", "try",     "typeof",   "void"};

    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    if (s.len == 0)
        return before;

    char last = s.ptr[s.len - 1];
    if (last == '+' || last == '-') {
        size_t run = 1;
        while (run < s.len && s.ptr[s.len - 1 - run] == last)
            run++;
        return run % 2 == 0; // x++ / y, but x + /y/
    }
    if (last == '.')
        return s.len > 1 && s.ptr[s.len - 2] >= '0' && s.ptr[s.len - 2] <= '9';
    if (strchr(",<>=*%&|^?!~([:;{}", last))
        return false;
    size_t begin = s.len;
    while (begin > 0 && is_identifier(s.ptr[begin - 1]))
        begin--;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_is(str_skip(s, begin), words[i]))
            return false;
    return true;
}

static size_t enter(TemplateHtml *html, TemplateHtmlState state, size_t taken)
{
    html->state = state;
    html->slash_divides = false;
    return taken;
}

static size_t step_slash(TemplateHtml *html, Str s, size_t at)
{
    if (at + 1 < s.len && s.ptr[at + 1] == '/')
        return enter(html, TEMPLATE_HTML_JS_LINE_COMMENT, at + 2);
    if (at + 1 < s.len && s.ptr[at + 1] == '*')
        return enter(html, TEMPLATE_HTML_JS_BLOCK_COMMENT, at + 2);
    if (!html->slash_divides)
        return enter(html, TEMPLATE_HTML_JS_REGEXP, at + 1);
    html->slash_divides = false;
    return at + 1;
}

static size_t step_brace(TemplateHtml *html, char brace, size_t taken)
{
    html->slash_divides = false;
    if (html->brace_count == 0)
        return taken;
    uint8_t *open = &html->braces[html->brace_count - 1];
    if (brace == '{') {
        if (*open == UINT8_MAX)
            html->state = TEMPLATE_HTML_LOST;
        else
            ++*open;
        return taken;
    }
    if (*open > 0) {
        --*open;
        return taken;
    }
    html->brace_count--;
    html->state = TEMPLATE_HTML_JS_TEMPLATE;
    return taken;
}

static size_t step_code(TemplateHtml *html, Str s)
{
    size_t at = find_any(s, "\"`'/{}<-#");

    html->slash_divides = divides_after(str_sub(s, 0, at), html->slash_divides);
    if (at == STR_NOT_FOUND)
        return s.len;
    switch (s.ptr[at]) {
    case '"':
        return enter(html, TEMPLATE_HTML_JS_DQ, at + 1);
    case '\'':
        return enter(html, TEMPLATE_HTML_JS_SQ, at + 1);
    case '`':
        return enter(html, TEMPLATE_HTML_JS_TEMPLATE, at + 1);
    case '/':
        return step_slash(html, s, at);
    case '{':
    case '}':
        return step_brace(html, s.ptr[at], at + 1);
    case '<':
        if (str_starts_with(str_skip(s, at), S("<!--")))
            return enter(html, TEMPLATE_HTML_JS_HTML_OPEN, at + 4);
        break;
    case '-':
        if (str_starts_with(str_skip(s, at), S("-->")))
            return enter(html, TEMPLATE_HTML_JS_HTML_CLOSE, at + 3);
        break;
    default:
        if (str_starts_with(str_skip(s, at), S("#!")))
            return enter(html, TEMPLATE_HTML_JS_LINE_COMMENT, at + 2);
    }
    // An operator like any other.
    html->slash_divides = divides_after(str_sub(s, at, 1), html->slash_divides);
    return at + 1;
}

// Inside a string or regular expression, up to its end.
static size_t step_quoted(TemplateHtml *html, Str s)
{
    const char *specials = html->state == TEMPLATE_HTML_JS_DQ   ? "\\\""
                           : html->state == TEMPLATE_HTML_JS_SQ ? "\\'"
                                                                : "\\/[]";
    bool in_set = false;

    for (size_t at = 0; at < s.len; at++) {
        size_t found = find_any(str_skip(s, at), specials);
        if (found == STR_NOT_FOUND)
            break;
        at += found;
        if (s.ptr[at] == '\\') {
            at++;
            if (at == s.len)
                return enter(html, TEMPLATE_HTML_LOST, s.len);
        } else if (s.ptr[at] == '[' || s.ptr[at] == ']') {
            in_set = s.ptr[at] == '[';
        } else if (!in_set) {
            html->state = TEMPLATE_HTML_JS;
            html->slash_divides = true;
            return at + 1;
        }
    }
    if (in_set)
        html->state = TEMPLATE_HTML_LOST;
    return s.len;
}

static size_t step_template(TemplateHtml *html, Str s)
{
    for (size_t at = 0; at < s.len; at++) {
        if (s.ptr[at] == '\\') {
            at++;
        } else if (s.ptr[at] == '`') {
            html->state = TEMPLATE_HTML_JS;
            html->slash_divides = true;
            return at + 1;
        } else if (str_starts_with(str_skip(s, at), S("${"))) {
            if (html->brace_count == TEMPLATE_HTML_BRACES_MAX)
                return enter(html, TEMPLATE_HTML_LOST, s.len);
            html->braces[html->brace_count++] = 0;
            return enter(html, TEMPLATE_HTML_JS, at + 2);
        }
    }
    return s.len;
}

static size_t step_block_comment(TemplateHtml *html, Str s, TemplateHtmlState after)
{
    size_t end = str_find(s, S("*/"));

    if (end == STR_NOT_FOUND)
        return s.len;
    html->state = after;
    return end + 2;
}

static size_t step_line_comment(TemplateHtml *html, Str s, const char *ends,
                                TemplateHtmlState after)
{
    size_t end = find_any(s, ends);

    if (end == STR_NOT_FOUND)
        return s.len;
    html->state = after;
    return end;
}

size_t template_html_step_js(TemplateHtml *html, Str s)
{
    switch (html->state) {
    case TEMPLATE_HTML_JS:
        return step_code(html, s);
    case TEMPLATE_HTML_JS_TEMPLATE:
        return step_template(html, s);
    case TEMPLATE_HTML_JS_BLOCK_COMMENT:
        return step_block_comment(html, s, TEMPLATE_HTML_JS);
    case TEMPLATE_HTML_JS_LINE_COMMENT:
    case TEMPLATE_HTML_JS_HTML_OPEN:
    case TEMPLATE_HTML_JS_HTML_CLOSE:
        return step_line_comment(html, s, "\n\r", TEMPLATE_HTML_JS);
    default:
        return step_quoted(html, s);
    }
}

// ---- CSS

// "url" in front of the parenthesis at `at`.
static bool is_url_function(Str s, size_t at)
{
    while (at > 0 && is_space(s.ptr[at - 1]))
        at--;
    if (at < 3 || !str_equal_nocase(str_sub(s, at - 3, 3), S("url")))
        return false;
    return at == 3 || !(is_identifier(s.ptr[at - 4]) || s.ptr[at - 4] == '-');
}

static size_t enter_css(TemplateHtml *html, TemplateHtmlState state, size_t taken)
{
    html->state = state;
    html->url_part = TEMPLATE_HTML_URL_START;
    return taken;
}

static size_t step_style(TemplateHtml *html, Str s)
{
    size_t at = 0;

    for (;; at++) {
        size_t found = find_any(str_skip(s, at), "(\"'/");
        if (found == STR_NOT_FOUND)
            return s.len;
        at += found;
        char c = s.ptr[at];
        char next = at + 1 < s.len ? s.ptr[at + 1] : 0;
        if (c == '"')
            return enter_css(html, TEMPLATE_HTML_CSS_DQ, at + 1);
        if (c == '\'')
            return enter_css(html, TEMPLATE_HTML_CSS_SQ, at + 1);
        if (c == '/' && next == '/')
            return enter_css(html, TEMPLATE_HTML_CSS_LINE_COMMENT, at + 2);
        if (c == '/' && next == '*')
            return enter_css(html, TEMPLATE_HTML_CSS_BLOCK_COMMENT, at + 2);
        if (c == '(' && is_url_function(s, at))
            break;
    }
    for (at++; at < s.len && is_space(s.ptr[at]);)
        at++;
    if (at < s.len && s.ptr[at] == '"')
        return enter_css(html, TEMPLATE_HTML_CSS_DQ_URL, at + 1);
    if (at < s.len && s.ptr[at] == '\'')
        return enter_css(html, TEMPLATE_HTML_CSS_SQ_URL, at + 1);
    return enter_css(html, TEMPLATE_HTML_CSS_URL, at);
}

static void look_at_url(TemplateHtml *html, Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '#' || s.ptr[i] == '?')
            html->url_part = TEMPLATE_HTML_URL_QUERY;
        else if (!is_space(s.ptr[i]) && html->url_part == TEMPLATE_HTML_URL_START)
            html->url_part = TEMPLATE_HTML_URL_PATH;
    }
}

static size_t step_style_string(TemplateHtml *html, Str s)
{
    bool dq = html->state == TEMPLATE_HTML_CSS_DQ || html->state == TEMPLATE_HTML_CSS_DQ_URL;
    bool bare = html->state == TEMPLATE_HTML_CSS_URL;
    const char *ends = bare ? "\\\t\n\f\r )" : dq ? "\\\"" : "\\'";

    for (size_t at = 0; at < s.len; at++) {
        size_t found = find_any(str_skip(s, at), ends);
        if (found == STR_NOT_FOUND)
            break;
        at += found;
        if (s.ptr[at] == '\\') {
            at++;
            if (at == s.len)
                return enter_css(html, TEMPLATE_HTML_LOST, s.len);
            continue;
        }
        html->state = TEMPLATE_HTML_CSS;
        return at + 1;
    }
    look_at_url(html, s);
    return s.len;
}

size_t template_html_step_css(TemplateHtml *html, Str s)
{
    switch (html->state) {
    case TEMPLATE_HTML_CSS:
        return step_style(html, s);
    case TEMPLATE_HTML_CSS_BLOCK_COMMENT:
        return step_block_comment(html, s, TEMPLATE_HTML_CSS);
    case TEMPLATE_HTML_CSS_LINE_COMMENT:
        return step_line_comment(html, s, "\n\f\r", TEMPLATE_HTML_CSS);
    default:
        return step_style_string(html, s);
    }
}
