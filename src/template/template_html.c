// SPDX-License-Identifier: Apache-2.0
// The walk through a page, as html/template's contexts go.
#include "template/template_html_internal.h"

#define ATTR_NAME_BYTES_MAX 64

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alphanumeric(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

static size_t skip_space(Str s, size_t at)
{
    while (at < s.len && is_space(s.ptr[at]))
        at++;
    return at;
}

static void lower(Str s, char *out, size_t max, Str *ret)
{
    size_t len = MIN(s.len, max);

    for (size_t i = 0; i < len; i++)
        out[i] = (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] + 32 : s.ptr[i]);
    *ret = str_make(out, len);
}

// ---- text and tags

static const struct {
    const char *name;
    TemplateHtmlElement element;
    TemplateHtmlState content;
} elements[] = {
    {"script", TEMPLATE_HTML_ELEMENT_SCRIPT, TEMPLATE_HTML_JS},
    {"style", TEMPLATE_HTML_ELEMENT_STYLE, TEMPLATE_HTML_CSS},
    {"textarea", TEMPLATE_HTML_ELEMENT_TEXTAREA, TEMPLATE_HTML_RCDATA},
    {"title", TEMPLATE_HTML_ELEMENT_TITLE, TEMPLATE_HTML_RCDATA},
};

static TemplateHtmlElement element_of(Str name)
{
    for (size_t i = 0; i < COUNT_OF(elements); i++)
        if (str_equal_nocase(name, str_from_c(elements[i].name)))
            return elements[i].element;
    return TEMPLATE_HTML_ELEMENT_OTHER;
}

static size_t tag_name_end(Str s, size_t at)
{
    if (at >= s.len || !is_letter(s.ptr[at]))
        return at;
    for (at++; at < s.len;) {
        if (is_alphanumeric(s.ptr[at]))
            at++;
        else if ((s.ptr[at] == ':' || s.ptr[at] == '-') && at + 1 < s.len &&
                 is_alphanumeric(s.ptr[at + 1]))
            at += 2;
        else
            break;
    }
    return at;
}

static size_t step_text(TemplateHtml *html, Str s)
{
    for (size_t from = 0; from < s.len;) {
        size_t at = str_find_char(str_skip(s, from), '<');
        if (at == STR_NOT_FOUND || from + at + 1 == s.len)
            return s.len;
        at += from + 1;
        if (str_starts_with(str_skip(s, at), S("!--"))) {
            html->state = TEMPLATE_HTML_COMMENT;
            return at + 3;
        }
        bool closes = s.ptr[at] == '/';
        if (closes && ++at == s.len)
            return s.len;
        size_t end = tag_name_end(s, at);
        if (end > at) {
            html->element =
                closes ? TEMPLATE_HTML_ELEMENT_OTHER : element_of(str_sub(s, at, end - at));
            html->state = TEMPLATE_HTML_TAG;
            return end;
        }
        from = at;
    }
    return s.len;
}

// The end of an attribute's name; *ret_ok is false at a character that no name has.
static size_t attr_name_end(Str s, size_t at, bool *ret_ok)
{
    *ret_ok = true;
    for (; at < s.len; at++) {
        char c = s.ptr[at];
        if (is_space(c) || c == '=' || c == '>')
            break;
        if (c == '\'' || c == '"' || c == '<') {
            *ret_ok = false;
            break;
        }
    }
    return at;
}

static size_t step_tag(TemplateHtml *html, Str s)
{
    size_t at = skip_space(s, 0);
    bool ok;
    char buffer[ATTR_NAME_BYTES_MAX];
    Str name;

    if (at == s.len)
        return at;
    if (s.ptr[at] == '>') {
        html->state = TEMPLATE_HTML_TEXT;
        html->slash_divides = false;
        for (size_t i = 0; i < COUNT_OF(elements); i++)
            if (elements[i].element == html->element)
                html->state = elements[i].content;
        return at + 1;
    }
    size_t end = attr_name_end(s, at, &ok);
    if (!ok || end == at) {
        html->state = TEMPLATE_HTML_LOST;
        return s.len;
    }
    lower(str_sub(s, at, end - at), buffer, sizeof buffer, &name);
    html->attr = template_html_attr_of(name);
    if (html->element == TEMPLATE_HTML_ELEMENT_SCRIPT && str_is(name, "type"))
        html->attr = TEMPLATE_HTML_ATTR_SCRIPT_TYPE;
    html->state = end == s.len ? TEMPLATE_HTML_ATTR_NAME : TEMPLATE_HTML_AFTER_NAME;
    return end;
}

static size_t step_attr_name(TemplateHtml *html, Str s)
{
    bool ok;
    size_t end = attr_name_end(s, 0, &ok);

    if (!ok) {
        html->state = TEMPLATE_HTML_LOST;
        return s.len;
    }
    if (end < s.len)
        html->state = TEMPLATE_HTML_AFTER_NAME;
    return end;
}

static size_t step_after_name(TemplateHtml *html, Str s)
{
    size_t at = skip_space(s, 0);

    if (at == s.len)
        return at;
    if (s.ptr[at] == '=') {
        html->state = TEMPLATE_HTML_BEFORE_VALUE;
        return at + 1;
    }
    html->state = TEMPLATE_HTML_TAG;
    return at;
}

static TemplateHtmlState value_state(TemplateHtmlAttr attr)
{
    switch (attr) {
    case TEMPLATE_HTML_ATTR_SCRIPT:
        return TEMPLATE_HTML_JS;
    case TEMPLATE_HTML_ATTR_STYLE:
        return TEMPLATE_HTML_CSS;
    case TEMPLATE_HTML_ATTR_URL:
        return TEMPLATE_HTML_URL;
    case TEMPLATE_HTML_ATTR_SRCSET:
        return TEMPLATE_HTML_SRCSET;
    default:
        return TEMPLATE_HTML_ATTR;
    }
}

static size_t step_before_value(TemplateHtml *html, Str s)
{
    size_t at = skip_space(s, 0);

    if (at == s.len)
        return at;
    html->delim = s.ptr[at] == '"'    ? TEMPLATE_HTML_DELIM_DQ
                  : s.ptr[at] == '\'' ? TEMPLATE_HTML_DELIM_SQ
                                      : TEMPLATE_HTML_DELIM_SPACE;
    html->state = value_state(html->attr);
    html->url_part = TEMPLATE_HTML_URL_START;
    html->slash_divides = false;
    return at + (html->delim != TEMPLATE_HTML_DELIM_SPACE);
}

static size_t step_comment(TemplateHtml *html, Str s)
{
    size_t end = str_find(s, S("-->"));

    if (end == STR_NOT_FOUND)
        return s.len;
    *html = (TemplateHtml){0};
    return end + 3;
}

static void step_url(TemplateHtml *html, Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '#' || s.ptr[i] == '?')
            html->url_part = TEMPLATE_HTML_URL_QUERY;
        else if (!is_space(s.ptr[i]) && html->url_part == TEMPLATE_HTML_URL_START)
            html->url_part = TEMPLATE_HTML_URL_PATH;
    }
}

// One step of what is not an attribute's delimiter or the end of a script. At least one byte, or a change of state.
static size_t step(TemplateHtml *html, Str s)
{
    switch (html->state) {
    case TEMPLATE_HTML_TEXT:
        return step_text(html, s);
    case TEMPLATE_HTML_TAG:
        return step_tag(html, s);
    case TEMPLATE_HTML_ATTR_NAME:
        return step_attr_name(html, s);
    case TEMPLATE_HTML_AFTER_NAME:
        return step_after_name(html, s);
    case TEMPLATE_HTML_BEFORE_VALUE:
        return step_before_value(html, s);
    case TEMPLATE_HTML_COMMENT:
        return step_comment(html, s);
    case TEMPLATE_HTML_URL:
        step_url(html, s);
        return s.len;
    case TEMPLATE_HTML_RCDATA:
    case TEMPLATE_HTML_ATTR:
    case TEMPLATE_HTML_SRCSET:
    case TEMPLATE_HTML_LOST:
        return s.len;
    default:
        return html->state < TEMPLATE_HTML_CSS ? template_html_step_js(html, s)
                                               : template_html_step_css(html, s);
    }
}

// ---- attribute values

static const struct {
    Str entity;
    char c;
} entities[] = {
    {STR("&quot;"), '"'},  {STR("&#34;"), '"'}, {STR("&apos;"), '\''}, {STR("&#39;"), '\''},
    {STR("&#x27;"), '\''}, {STR("&amp;"), '&'}, {STR("&lt;"), '<'},    {STR("&gt;"), '>'},
};

// The characters that matter to scripts and styles, out of their entities.
static void unescape(Buf *out, Str s)
{
    for (size_t at = 0; at < s.len;) {
        size_t i = COUNT_OF(entities);
        if (s.ptr[at] == '&')
            for (i = 0; i < COUNT_OF(entities); i++)
                if (str_starts_with(str_skip(s, at), entities[i].entity))
                    break;
        buf_add_char(out, i < COUNT_OF(entities) ? entities[i].c : s.ptr[at]);
        at += i < COUNT_OF(entities) ? entities[i].entity.len : 1;
    }
}

static size_t value_end(const TemplateHtml *html, Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool ends = html->delim == TEMPLATE_HTML_DELIM_DQ   ? c == '"'
                    : html->delim == TEMPLATE_HTML_DELIM_SQ ? c == '\''
                                                            : is_space(c) || c == '>';
        if (ends)
            return i;
    }
    return s.len;
}

// A script of one of these types is a script; anything else is text that the page carries.
static bool is_js_type(Str type)
{
    static const char *const types[] = {"application/ecmascript",
                                        "application/javascript",
                                        "application/json",
                                        "application/ld+json",
                                        "application/x-ecmascript",
                                        "application/x-javascript",
                                        "module",
                                        "text/ecmascript",
                                        "text/javascript",
                                        "text/javascript1.0",
                                        "text/javascript1.1",
                                        "text/javascript1.2",
                                        "text/javascript1.3",
                                        "text/javascript1.4",
                                        "text/javascript1.5",
                                        "text/jscript",
                                        "text/livescript",
                                        "text/x-ecmascript",
                                        "text/x-javascript"};

    type = str_trim(str_sub(type, 0, str_find_char(type, ';')));
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (str_equal_nocase(type, str_from_c(types[i])))
            return true;
    return false;
}

static size_t step_value(TemplateHtml *html, Str s)
{
    size_t end = value_end(html, s);

    if (end == s.len) {
        Buf plain = {0};
        unescape(&plain, s);
        Str rest = buf_str(&plain);
        while (rest.len) {
            TemplateHtmlState before = html->state;
            size_t taken = step(html, rest);
            if (taken == 0 && html->state == before)
                break;
            rest = str_skip(rest, taken);
        }
        buf_deinit(&plain);
        return s.len;
    }

    TemplateHtmlElement element = html->element;
    if (html->attr == TEMPLATE_HTML_ATTR_SCRIPT_TYPE && !is_js_type(str_sub(s, 0, end)))
        element = TEMPLATE_HTML_ELEMENT_OTHER;
    size_t taken = end + (html->delim != TEMPLATE_HTML_DELIM_SPACE);
    *html = (TemplateHtml){.state = TEMPLATE_HTML_TAG, .element = element};
    return taken;
}

// ---- the end of scripts, styles, text areas

// Where "</script" and the like begins; s.len if nowhere.
static size_t special_end(const TemplateHtml *html, Str s)
{
    const char *name = NULL;

    for (size_t i = 0; i < COUNT_OF(elements); i++)
        if (elements[i].element == html->element)
            name = elements[i].name;
    if (!name || html->state < TEMPLATE_HTML_RCDATA)
        return s.len;
    size_t len = strlen(name);
    for (size_t i = 0; i + 2 + len < s.len; i++) {
        char behind = s.ptr[i + 2 + len];
        if (s.ptr[i] == '<' && s.ptr[i + 1] == '/' &&
            str_equal_nocase(str_sub(s, i + 2, len), str_make(name, len)) &&
            (is_space(behind) || behind == '>' || behind == '/'))
            return i;
    }
    return s.len;
}

// Moves over the next piece of text; may take nothing, if the state changes.
static size_t advance(TemplateHtml *html, Str s)
{
    if (html->delim != TEMPLATE_HTML_DELIM_NONE)
        return step_value(html, s);

    size_t end = special_end(html, s);
    if (end == 0) {
        *html = (TemplateHtml){0};
        return 0;
    }
    return step(html, str_sub(s, 0, end));
}

// ---- writing text

// A '<' that begins no tag is written so that it cannot begin one together with a value.
static void escape_angles(Buf *out, Str s, size_t from, size_t to, bool leaves, size_t *written)
{
    size_t end = to;

    if (leaves)
        for (size_t i = to; i > from; i--)
            if (s.ptr[i - 1] == '<') {
                end = i - 1;
                break;
            }
    for (size_t i = from; i < end; i++) {
        if (s.ptr[i] != '<' || str_equal_nocase(str_sub(s, i, 9), S("<!doctype")))
            continue;
        buf_add_str(out, str_sub(s, *written, i - *written));
        buf_add_c(out, "&lt;");
        *written = i + 1;
    }
}

static size_t comment_mark_bytes(TemplateHtmlState state)
{
    return state == TEMPLATE_HTML_COMMENT || state == TEMPLATE_HTML_JS_HTML_OPEN ? 4
           : state == TEMPLATE_HTML_JS_HTML_CLOSE                                ? 3
                                                                                 : 2;
}

// A comment counts as white space, in JavaScript as a line's end if it has one.
static void write_for_comment(Buf *out, TemplateHtmlState state, Str comment)
{
    if (state == TEMPLATE_HTML_JS_BLOCK_COMMENT)
        buf_add_char(out, str_find_char(comment, '\n') != STR_NOT_FOUND ||
                                  str_find_char(comment, '\r') != STR_NOT_FOUND
                              ? '\n'
                              : ' ');
    else if (state == TEMPLATE_HTML_CSS_BLOCK_COMMENT)
        buf_add_char(out, ' ');
}

void template_html_text(TemplateHtml *html, Buf *out, Str s)
{
    size_t at = 0;
    size_t written = 0;

    while (at < s.len) {
        TemplateHtml before = *html;
        size_t end = at + advance(html, str_skip(s, at));
        bool leaves = html->state != before.state;

        if (before.state == TEMPLATE_HTML_TEXT || before.state == TEMPLATE_HTML_RCDATA) {
            escape_angles(out, s, at, end, leaves, &written);
        } else if (template_html_is_comment(before.state) && !before.delim) {
            write_for_comment(out, before.state, str_sub(s, at, end - at));
            written = end;
        }
        if (leaves && template_html_is_comment(html->state) && !html->delim) {
            size_t mark = comment_mark_bytes(html->state);
            buf_add_str(out, str_sub(s, written, end - mark - written));
            written = end;
        }
        if (end == at && !leaves)
            break; // nothing can be made of it: the rest is written as it is
        at = end;
    }
    if (!template_html_is_comment(html->state) || html->delim)
        buf_add_str(out, str_skip(s, written));
}
