// SPDX-License-Identifier: Apache-2.0
#include "codec/xml_reader.h"

#include "base/buf.h"

#define XML_DEPTH_MAX 64

typedef struct XmlReader {
    Str text;
    size_t at;
    Arena *arena;
    Error *err;
} XmlReader;

// The members of one element while it is read.
typedef struct Members {
    Str *keys;
    JsonValue *items;
    size_t count;
    size_t cap;
} Members;

static bool fail(XmlReader *xml, const char *what)
{
    return error_set(xml->err, ERR_INVALID, "byte %zu: %s", xml->at, what);
}

static Str rest_of(const XmlReader *xml)
{
    return str_skip(xml->text, xml->at);
}

static bool take(XmlReader *xml, Str token)
{
    if (!str_starts_with(rest_of(xml), token))
        return false;
    xml->at += token.len;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(XmlReader *xml)
{
    while (xml->at < xml->text.len && is_space(xml->text.ptr[xml->at]))
        xml->at++;
}

static bool skip_past(XmlReader *xml, Str end)
{
    size_t found = str_find(rest_of(xml), end);
    if (found == STR_NOT_FOUND)
        return fail(xml, "unexpected end");
    xml->at += found + end.len;
    return true;
}

static bool is_name_end(char c)
{
    return is_space(c) || c == '=' || c == '/' || c == '>' || c == '<' || c == '"' || c == '\'' ||
           c == '&';
}

// What follows the last ':' of a name.
static Str local_name(Str name)
{
    size_t colon = str_rfind_char(name, ':');
    return colon == STR_NOT_FOUND ? name : str_skip(name, colon + 1);
}

static bool read_name(XmlReader *xml, Str *ret_name)
{
    size_t begin = xml->at;
    while (xml->at < xml->text.len && !is_name_end(xml->text.ptr[xml->at]))
        xml->at++;
    if (xml->at == begin)
        return fail(xml, "expected a name");
    *ret_name = str_sub(xml->text, begin, xml->at - begin);
    return true;
}

// UTF-8 of a character reference; false if there is no such character.
static bool add_rune(Buf *out, uint32_t rune)
{
    if (rune == 0 || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
        return false;
    buf_add_rune(out, rune);
    return true;
}

// The digits of "&#60;" and "&#x3c;", without the marks around them.
static bool parse_reference(Str digits, uint32_t *ret_rune)
{
    uint32_t base = digits.len && (digits.ptr[0] == 'x' || digits.ptr[0] == 'X') ? 16 : 10;
    uint32_t rune = 0;
    if (base == 16)
        digits = str_skip(digits, 1);
    if (digits.len == 0 || digits.len > 8)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        uint32_t digit = str_digit(digits.ptr[i]);
        if (digit >= base)
            return false;
        rune = rune * base + digit;
    }
    *ret_rune = rune;
    return true;
}

static bool add_entity(Buf *out, Str name)
{
    static const struct {
        Str name;
        char c;
    } known[] = {{STR("lt"), '<'},
                 {STR("gt"), '>'},
                 {STR("amp"), '&'},
                 {STR("quot"), '"'},
                 {STR("apos"), '\''}};
    uint32_t rune;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (str_equal(name, known[i].name)) {
            buf_add_char(out, known[i].c);
            return true;
        }
    return str_starts_with(name, S("#")) && parse_reference(str_skip(name, 1), &rune) &&
           add_rune(out, rune);
}

// Text with its entities undone.
static bool add_text(XmlReader *xml, Buf *out, Str raw)
{
    for (;;) {
        size_t amp = str_find_char(raw, '&');
        buf_add_str(out, str_sub(raw, 0, MIN(amp, raw.len)));
        if (amp == STR_NOT_FOUND)
            return true;
        raw = str_skip(raw, amp + 1);
        size_t end = str_find_char(raw, ';');
        if (end == STR_NOT_FOUND || !add_entity(out, str_sub(raw, 0, end)))
            return fail(xml, "unknown entity in what stands before");
        raw = str_skip(raw, end + 1);
    }
}

static JsonValue *add_member(XmlReader *xml, Members *members, Str key)
{
    if (members->count == members->cap) {
        size_t cap = members->cap ? members->cap * 2 : 4;
        members->keys =
            arena_grow(xml->arena, members->keys, members->cap * sizeof(Str), cap * sizeof(Str));
        members->items = arena_grow(xml->arena, members->items, members->cap * sizeof(JsonValue),
                                    cap * sizeof(JsonValue));
        members->cap = cap;
    }
    members->keys[members->count] = key;
    JsonValue *item = &members->items[members->count++];
    *item = (JsonValue){.kind = JSON_STRING};
    return item;
}

static bool read_attribute(XmlReader *xml, Members *members)
{
    Str name;
    if (!read_name(xml, &name))
        return false;
    skip_space(xml);
    if (!take(xml, S("=")))
        return fail(xml, "expected = behind an attribute's name");
    skip_space(xml);
    char quote = xml->at < xml->text.len ? xml->text.ptr[xml->at] : 0;
    if (quote != '"' && quote != '\'')
        return fail(xml, "expected a quoted value");
    xml->at++;
    size_t end = str_find_char(rest_of(xml), quote);
    if (end == STR_NOT_FOUND)
        return fail(xml, "unexpected end in a value");
    Str raw = str_sub(rest_of(xml), 0, end);
    xml->at += end + 1;
    if (str_is(name, "xmlns") || str_starts_with(name, S("xmlns:")))
        return true;
    CLEANUP(buf_deinit) Buf value = {0};
    if (!add_text(xml, &value, raw))
        return false;
    Str key = arena_printf(xml->arena, "@" STR_FMT, STR_ARG(local_name(name)));
    add_member(xml, members, key)->str = arena_str(xml->arena, buf_str(&value));
    return true;
}

// The rest of a start tag behind its name; *ret_empty if it ends in "/>".
static bool read_attributes(XmlReader *xml, Members *members, bool *ret_empty)
{
    for (;;) {
        skip_space(xml);
        if (take(xml, S("/>"))) {
            *ret_empty = true;
            return true;
        }
        if (take(xml, S(">"))) {
            *ret_empty = false;
            return true;
        }
        if (!read_attribute(xml, members))
            return false;
    }
}

// Comments and processing instructions; *ret_skipped tells whether there was one.
static bool skip_remark(XmlReader *xml, bool *ret_skipped)
{
    *ret_skipped = true;
    if (take(xml, S("<!--")))
        return skip_past(xml, S("-->"));
    if (take(xml, S("<?")))
        return skip_past(xml, S("?>"));
    *ret_skipped = false;
    return true;
}

static bool read_element(XmlReader *xml, int depth, Str *ret_name, JsonValue *value);

// One piece of an element's inside: text, CDATA, a remark or a child. *ret_end at the end tag.
static bool read_piece(XmlReader *xml, int depth, Members *members, Buf *text, bool *ret_end)
{
    Str rest = rest_of(xml);
    bool skipped;
    *ret_end = false;
    if (rest.len == 0)
        return fail(xml, "unexpected end");
    if (rest.ptr[0] != '<') {
        size_t end = MIN(str_find_char(rest, '<'), rest.len);
        xml->at += end;
        return add_text(xml, text, str_sub(rest, 0, end));
    }
    if (take(xml, S("<![CDATA["))) {
        size_t begin = xml->at;
        if (!skip_past(xml, S("]]>")))
            return false;
        buf_add_str(text, str_sub(xml->text, begin, xml->at - 3 - begin));
        return true;
    }
    if (take(xml, S("</"))) {
        *ret_end = true;
        return true;
    }
    if (!skip_remark(xml, &skipped) || skipped)
        return skipped;
    Str name;
    JsonValue child;
    if (!read_element(xml, depth + 1, &name, &child))
        return false;
    *add_member(xml, members, name) = child;
    return true;
}

static bool read_inside(XmlReader *xml, int depth, Str name, Members *members, Buf *text)
{
    Str end_name;
    for (bool ended = false; !ended;)
        if (!read_piece(xml, depth, members, text, &ended))
            return false;
    if (!read_name(xml, &end_name))
        return false;
    if (!str_equal(name, end_name))
        return fail(xml, "an end tag does not match its start");
    skip_space(xml);
    return take(xml, S(">")) || fail(xml, "expected >");
}

static bool read_element(XmlReader *xml, int depth, Str *ret_name, JsonValue *value)
{
    Members members = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    Str name;
    bool empty;
    if (depth > XML_DEPTH_MAX)
        return fail(xml, "nested too deep");
    if (!take(xml, S("<")) || str_starts_with(rest_of(xml), S("!")))
        return fail(xml, "expected an element");
    if (!read_name(xml, &name) || !read_attributes(xml, &members, &empty))
        return false;
    size_t attributes = members.count;
    if (!empty && !read_inside(xml, depth, name, &members, &text))
        return false;
    Str inner = arena_str(xml->arena, buf_str(&text));
    *ret_name = local_name(name);
    if (members.count == 0) {
        *value = (JsonValue){.kind = JSON_STRING, .str = inner};
        return true;
    }
    if (members.count == attributes)
        add_member(xml, &members, S("#text"))->str = inner;
    *value = (JsonValue){
        .kind = JSON_OBJECT, .items = members.items, .keys = members.keys, .count = members.count};
    return true;
}

static bool skip_remarks(XmlReader *xml)
{
    for (bool skipped = true; skipped;) {
        skip_space(xml);
        if (!skip_remark(xml, &skipped))
            return false;
    }
    return true;
}

bool xml_read(Str text, Arena *arena, JsonValue **ret_root, Error *err)
{
    XmlReader xml = {.text = text, .arena = arena, .err = err};
    JsonValue *root = ARENA_NEW(arena, JsonValue);
    Str name;
    if (str_starts_with(text, S("\xef\xbb\xbf")))
        xml.at = 3;
    if (!str_is_utf8(text))
        return fail(&xml, "not UTF-8");
    if (!skip_remarks(&xml) || !read_element(&xml, 1, &name, root) || !skip_remarks(&xml))
        return false;
    if (xml.at != text.len)
        return fail(&xml, "something stands behind the end");
    *ret_root = root;
    return true;
}
