// SPDX-License-Identifier: Apache-2.0
// Values in a page. What is filtered out, as a javascript: URL, leaves "ZgotmplZ" behind, as in html/template.
#include "base/number.h"
#include "template/template_builtin.h"
#include "template/template_escape.h"
#include "template/template_fmt.h"
#include "template/template_html_internal.h"

#define FILTERED "ZgotmplZ"

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool contains(Str s, const char *part)
{
    return str_find(s, str_from_c(part)) != STR_NOT_FOUND;
}

// ---- attributes by name

static const char *const url_attrs[] = {"action",   "archive",  "background", "cite",    "classid",
                                        "codebase", "data",     "formaction", "href",    "icon",
                                        "longdesc", "manifest", "poster",     "profile", "src",
                                        "usemap",   "xmlns"};
// Names that a value must not choose: they change what the element does.
static const char *const unsafe_attrs[] = {
    "accept-charset", "async",    "challenge", "charset",    "content",        "crossorigin",
    "defer",          "form",     "enctype",   "formmethod", "formnovalidate", "http-equiv",
    "keytype",        "language", "method",    "novalidate", "pattern",        "rel",
    "sandbox",        "srcdoc",   "type",      "value"};

static bool is_one_of(Str name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(name, names[i]))
            return true;
    return false;
}

// Without data- or a prefix; *ret_is_xmlns: a namespace.
static Str core_name(Str name, bool *ret_is_xmlns)
{
    size_t colon = str_find_char(name, ':');

    *ret_is_xmlns = false;
    if (str_starts_with(name, S("data-")))
        return str_skip(name, 5);
    if (colon == STR_NOT_FOUND)
        return name;
    *ret_is_xmlns = str_is(str_sub(name, 0, colon), "xmlns");
    return str_skip(name, colon + 1);
}

TemplateHtmlAttr template_html_attr_of(Str name)
{
    bool is_xmlns;
    Str core = core_name(name, &is_xmlns);

    if (is_xmlns || is_one_of(core, url_attrs, COUNT_OF(url_attrs)))
        return TEMPLATE_HTML_ATTR_URL;
    if (str_is(core, "style"))
        return TEMPLATE_HTML_ATTR_STYLE;
    if (str_is(core, "srcset"))
        return TEMPLATE_HTML_ATTR_SRCSET;
    if (is_one_of(core, unsafe_attrs, COUNT_OF(unsafe_attrs)))
        return TEMPLATE_HTML_ATTR_PLAIN;
    if (str_starts_with(core, S("on")))
        return TEMPLATE_HTML_ATTR_SCRIPT;
    if (contains(core, "src") || contains(core, "uri") || contains(core, "url"))
        return TEMPLATE_HTML_ATTR_URL;
    return TEMPLATE_HTML_ATTR_PLAIN;
}

static void filter_name(Buf *out, Str s, const TemplateType *type)
{
    Buf small = {0};
    bool ok = s.len > 0;
    bool is_xmlns;

    if (type == &template_type_attr) {
        buf_add_str(out, s);
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        ok &= is_alphanumeric(c);
        buf_add_char(&small, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
    }
    Str name = buf_str(&small);
    Str core = core_name(name, &is_xmlns);
    ok = ok && template_html_attr_of(name) == TEMPLATE_HTML_ATTR_PLAIN &&
         !is_one_of(core, unsafe_attrs, COUNT_OF(unsafe_attrs));
    buf_add_str(out, ok ? name : S(FILTERED));
    buf_deinit(&small);
}

// ---- HTML

// `keep_entities`: an '&' stays, the text is HTML already.
static void escape_plain(Buf *out, Str s, bool keep_entities)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '+')
            buf_add_c(out, "&#43;");
        else if (c == '&' && keep_entities)
            buf_add_char(out, c);
        else
            template_escape_html(out, str_sub(s, i, 1));
    }
}

// For a value without quotes: white space and what could end it as well.
static void escape_unquoted(Buf *out, Str s, bool keep_entities)
{
    if (s.len == 0)
        buf_add_c(out, FILTERED);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == 0)
            buf_add_c(out, "&#xfffd;");
        else if ((c >= '\t' && c <= '\r') || c == ' ' || c == '=' || c == '`')
            buf_printf(out, "&#%d;", c);
        else
            escape_plain(out, str_sub(s, i, 1), keep_entities);
    }
}

// HTML without its tags, for an attribute: the page's own walk tells what is text.
static void strip_tags(Buf *out, Str s)
{
    bool in_tag = false;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        char next = i + 1 < s.len ? s.ptr[i + 1] : 0;
        if (!in_tag && c == '<' && (is_alphanumeric(next) || next == '/' || next == '!'))
            in_tag = true;
        if (!in_tag)
            buf_add_char(out, c);
        if (in_tag && c == '>')
            in_tag = false;
    }
}

// ---- URLs

static bool has_safe_scheme(Str s)
{
    size_t colon = str_find_char(s, ':');
    Str scheme = str_sub(s, 0, colon);

    return colon == STR_NOT_FOUND || str_find_char(scheme, '/') != STR_NOT_FOUND ||
           str_equal_nocase(scheme, S("http")) || str_equal_nocase(scheme, S("https")) ||
           str_equal_nocase(scheme, S("mailto"));
}

// `keep`: what a URL is made of stays, else it becomes one part of it.
static void escape_url(Buf *out, Str s, bool keep)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool escape_here =
            c == '%' && keep && i + 2 < s.len && is_hex(s.ptr[i + 1]) && is_hex(s.ptr[i + 2]);
        bool plain = is_alphanumeric(c) || (c && strchr("-._~", c)) ||
                     (keep && c && strchr("!#$&*+,/:;=?@[]", c)) || escape_here;
        if (plain)
            buf_add_char(out, c);
        else
            buf_printf(out, "%%%02x", (unsigned char)c);
    }
}

static void escape_srcset(Buf *out, Str s, const TemplateType *type)
{
    Str rest = s;
    Str one;

    if (type == &template_type_url) {
        Buf url = {0};
        escape_url(&url, s, true);
        for (size_t i = 0; i < url.len; i++) // a comma would begin another
            buf_add_str(out, url.ptr[i] == ',' ? S("%2c") : str_make(url.ptr + i, 1));
        buf_deinit(&url);
        return;
    }
    for (bool more = false; str_split_next(&rest, ',', &one); more = true) {
        Str trimmed = str_trim(one);
        size_t space = str_find_char(trimmed, ' ');
        Str url = str_sub(trimmed, 0, space);
        bool ok = has_safe_scheme(url);
        for (size_t i = url.len; i < trimmed.len; i++)
            ok &= is_alphanumeric(trimmed.ptr[i]) || trimmed.ptr[i] == ' ' || trimmed.ptr[i] == '.';
        if (more)
            buf_add_char(out, ',');
        if (!ok) {
            buf_add_c(out, "#" FILTERED);
            continue;
        }
        buf_add_str(out, str_sub(one, 0, (size_t)(trimmed.ptr - one.ptr)));
        escape_url(out, url, true);
        buf_add_str(out,
                    str_make(url.ptr + url.len, (size_t)(one.ptr + one.len - (url.ptr + url.len))));
    }
}

// ---- scripts

static bool is_word(char c)
{
    return is_alphanumeric(c) || c == '$' || c == '_' || (c & 0x80);
}

// As JSON, kept apart from key words before and behind.
static void escape_js_value(Buf *out, const TemplateValue *value)
{
    Arena arena = {0};
    Buf json = {.max = out->max};
    Error err = {0};
    TemplateValue shown = *value;

    // What prints itself is a string for a script, too.
    if (value->type && value->type->print && !value->type->json) {
        Buf text = {.max = out->max};
        value->type->print(&text, value);
        shown = template_string(arena_str(&arena, buf_str(&text)));
        buf_deinit(&text);
    }
    if (template_json(&json, &shown, &arena, &err) && json.len) {
        bool pad = is_word(json.ptr[0]) || is_word(json.ptr[json.len - 1]);
        buf_add_c(out, pad ? " " : "");
        buf_add_str(out, buf_str(&json));
        buf_add_c(out, pad ? " " : "");
    } else {
        // The error's text is the value's maker's: no end of the comment can be in it.
        for (char *c = err.text; *c; c++)
            *c = *c == '/' || *c == '<' ? ' ' : *c;
        buf_printf(out, " /* %s */null ", err.text);
    }
    buf_deinit(&json);
    arena_deinit(&arena);
}

static const char *js_string_escape(char c)
{
    switch (c) {
    case 0:
        return "\\u0000";
    case '\t':
        return "\\t";
    case '\n':
        return "\\n";
    case '\v':
        return "\\u000b";
    case '\f':
        return "\\f";
    case '\r':
        return "\\r";
    case '"':
        return "\\u0022";
    case '`':
        return "\\u0060";
    case '&':
        return "\\u0026";
    case '\'':
        return "\\u0027";
    case '+':
        return "\\u002b";
    case '/':
        return "\\/";
    case '<':
        return "\\u003c";
    case '>':
        return "\\u003e";
    case '\\':
        return "\\\\";
    default:
        return NULL;
    }
}

// In a string, a template (which ${ would leave) or a regular expression.
static void escape_js_text(Buf *out, Str s, TemplateHtmlState state)
{
    if (s.len == 0 && state == TEMPLATE_HTML_JS_REGEXP)
        buf_add_c(out, "(?:)");
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        Str rest = str_skip(s, i);
        const char *escaped = js_string_escape(c);
        if (str_starts_with(rest, S("\xe2\x80\xa8")) || str_starts_with(rest, S("\xe2\x80\xa9"))) {
            buf_add_c(out, s.ptr[i + 2] == '\xa8' ? "\\u2028" : "\\u2029");
            i += 2;
        } else if (escaped) {
            buf_add_c(out, escaped);
        } else if (state == TEMPLATE_HTML_JS_TEMPLATE && (c == '$' || c == '{' || c == '}')) {
            buf_printf(out, "\\u%04x", (unsigned)c);
        } else {
            if (state == TEMPLATE_HTML_JS_REGEXP && strchr("$()*-.?[]^{|}", c))
                buf_add_char(out, '\\');
            buf_add_char(out, c);
        }
    }
}

// ---- styles

static void escape_css_text(Buf *out, Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool special = c == 0 || (c && strchr("\t\n\f\r\"&'()+/:;<>{}", c));
        if (c == '\\') {
            buf_add_c(out, "\\\\");
        } else if (!special) {
            buf_add_char(out, c);
        } else {
            char next = i + 1 < s.len ? s.ptr[i + 1] : ' ';
            buf_printf(out, "\\%x", (unsigned)c);
            // The escape would go on with a digit.
            if (is_hex(next) || next == ' ' || (next >= '\t' && next <= '\r'))
                buf_add_char(out, ' ');
        }
    }
}

// A name, number or colour; nothing that could open or end anything.
static void filter_css_value(Buf *out, Str s, const TemplateType *type)
{
    Buf letters = {0};
    bool ok = true;

    if (type == &template_type_css) {
        buf_add_str(out, s);
        return;
    }
    for (size_t i = 0; i < s.len && ok; i++) {
        char c = s.ptr[i];
        ok = c && !strchr("\"'()/;@[\\]`{}<>", c) && !(c == '-' && i > 0 && s.ptr[i - 1] == '-');
        if (is_alphanumeric(c))
            buf_add_char(&letters, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
    }
    ok = ok && !contains(buf_str(&letters), "expression") &&
         !contains(buf_str(&letters), "mozbinding");
    buf_add_str(out, ok ? s : S(FILTERED));
    buf_deinit(&letters);
}

// ---- by place

static void write_url(const TemplateHtml *html, Buf *out, Str s, const TemplateType *type)
{
    bool is_url = type == &template_type_url;
    bool in_css_string = html->state == TEMPLATE_HTML_CSS_DQ || html->state == TEMPLATE_HTML_CSS_SQ;

    if (html->url_part == TEMPLATE_HTML_URL_QUERY) {
        if (type == &template_type_query)
            buf_add_str(out, s);
        else
            escape_url(out, s, is_url);
        return;
    }
    if (html->url_part == TEMPLATE_HTML_URL_START && !is_url && !has_safe_scheme(s))
        s = S("#" FILTERED);
    if (in_css_string)
        escape_css_text(out, s);
    else
        escape_url(out, s, true);
}

// An action between attributes makes a name of one, one behind '=' a value without quotes.
static void enter_place(TemplateHtml *html)
{
    if (html->state == TEMPLATE_HTML_TAG || html->state == TEMPLATE_HTML_AFTER_NAME) {
        html->state = TEMPLATE_HTML_ATTR_NAME;
        html->attr = TEMPLATE_HTML_ATTR_PLAIN;
    } else if (html->state == TEMPLATE_HTML_BEFORE_VALUE) {
        static const TemplateHtmlState states[] = {
            [TEMPLATE_HTML_ATTR_PLAIN] = TEMPLATE_HTML_ATTR,
            [TEMPLATE_HTML_ATTR_SCRIPT] = TEMPLATE_HTML_JS,
            [TEMPLATE_HTML_ATTR_SCRIPT_TYPE] = TEMPLATE_HTML_ATTR,
            [TEMPLATE_HTML_ATTR_STYLE] = TEMPLATE_HTML_CSS,
            [TEMPLATE_HTML_ATTR_URL] = TEMPLATE_HTML_URL,
            [TEMPLATE_HTML_ATTR_SRCSET] = TEMPLATE_HTML_SRCSET,
        };
        html->state = states[html->attr];
        html->delim = TEMPLATE_HTML_DELIM_SPACE;
        html->attr = TEMPLATE_HTML_ATTR_PLAIN;
        html->url_part = TEMPLATE_HTML_URL_START;
        html->slash_divides = false;
    }
}

// The inner layer: scripts, styles, URLs. False if there is none and the text goes to HTML's layer as it is.
static bool write_inner(TemplateHtml *html, Buf *out, Str s, const TemplateValue *value)
{
    switch (html->state) {
    case TEMPLATE_HTML_URL:
    case TEMPLATE_HTML_CSS_DQ:
    case TEMPLATE_HTML_CSS_SQ:
    case TEMPLATE_HTML_CSS_DQ_URL:
    case TEMPLATE_HTML_CSS_SQ_URL:
    case TEMPLATE_HTML_CSS_URL:
        write_url(html, out, s, value->type);
        return true;
    case TEMPLATE_HTML_SRCSET:
        escape_srcset(out, s, value->type);
        return true;
    case TEMPLATE_HTML_JS:
        if (value->type == &template_type_js)
            buf_add_str(out, s);
        else
            escape_js_value(out, value);
        html->slash_divides = true;
        return true;
    case TEMPLATE_HTML_JS_DQ:
    case TEMPLATE_HTML_JS_SQ:
    case TEMPLATE_HTML_JS_TEMPLATE:
    case TEMPLATE_HTML_JS_REGEXP:
        escape_js_text(out, s, html->state);
        return true;
    case TEMPLATE_HTML_CSS:
        filter_css_value(out, s, value->type);
        return true;
    case TEMPLATE_HTML_ATTR_NAME:
        filter_name(out, s, value->type);
        return true;
    default:
        return template_html_is_comment(html->state);
    }
}

static void write_text(const TemplateHtml *html, Buf *out, Str s, bool is_html)
{
    Buf stripped = {0};

    if (is_html && html->state == TEMPLATE_HTML_TEXT) {
        buf_add_str(out, s);
        return;
    }
    if (is_html && html->delim) {
        strip_tags(&stripped, s);
        s = buf_str(&stripped);
    }
    if (html->delim == TEMPLATE_HTML_DELIM_SPACE)
        escape_unquoted(out, s, is_html);
    else
        escape_plain(out, s, is_html);
    buf_deinit(&stripped);
}

bool template_html_value(TemplateHtml *html, Buf *out, const TemplateValue *value, Buf *scratch,
                         Error *err)
{
    Buf inner = {.max = scratch->max};

    if (html->state == TEMPLATE_HTML_LOST)
        return error_set(err, ERR_INVALID,
                         "html/template: the text before it makes no sense as HTML");
    enter_place(html);
    buf_reset(scratch);
    if (value->type)
        template_print(scratch, value);
    Str s = buf_str(scratch);
    bool layered = write_inner(html, &inner, s, value);
    bool done = !layered && value->type == &template_type_escaped &&
                html->delim != TEMPLATE_HTML_DELIM_SPACE;
    if (done)
        buf_add_str(out, s);
    else if (layered && !html->delim)
        buf_add_str(out, buf_str(&inner));
    else
        write_text(html, out, layered ? buf_str(&inner) : s,
                   !layered && value->type == &template_type_html);
    out->failed |= scratch->failed || inner.failed;
    buf_deinit(&inner);
    return true;
}
