// SPDX-License-Identifier: Apache-2.0
// The tree is built from libyaml's events, so that what reads as what is as in yaml.v2, which was made from libyaml. An alias points at its anchor's node, so it costs nothing here; what
// whoever walks the tree would see is counted, and limited.
#include "codec/yaml.h"

#include <yaml.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/number.h"
#define KEYS_COMPARED_MAX 16 // more in one mapping are looked up in a map instead

typedef struct Parser {
    yaml_parser_t yaml;
    Str file_name;
    Arena *arena;
    Error *err;
    Map anchors;     // Str to Anchor
    Buf nodes;       // YamlNode *: children of the collections still open
    size_t expanded; // nodes, aliases counted with all they stand for
    bool first_only; // stop before a second document
    int next_line;   // where that begins; 0: there is none
} Parser;

typedef struct Anchor {
    YamlNode *node;
    size_t weight; // nodes below and including it, expanded
    size_t depth;  // levels of nesting inside
    bool complete;
} Anchor;

static bool fail_at(const Parser *p, int line, int column, ErrorCode code, const char *what)
{
    return error_set(p->err, code, STR_FMT ":%d:%d: %s", STR_ARG(p->file_name), line, column, what);
}

static bool fail_node(const Parser *p, const YamlNode *node, const char *what)
{
    return fail_at(p, node->line, node->column, ERR_INVALID, what);
}

// What libyaml has to say.
static bool fail_parse(const Parser *p)
{
    const yaml_parser_t *yaml = &p->yaml;
    if (yaml->error == YAML_MEMORY_ERROR)
        out_of_memory(0);
    int line = (int)yaml->problem_mark.line + 1;
    int column = (int)yaml->problem_mark.column + 1;
    if (!yaml->context)
        return fail_at(p, line, column, ERR_INVALID,
                       yaml->problem ? yaml->problem : "malformed YAML");
    return error_set(p->err, ERR_INVALID, STR_FMT ":%d:%d: %s that begins at %zu:%zu: %s",
                     STR_ARG(p->file_name), line, column, yaml->context,
                     yaml->context_mark.line + 1, yaml->context_mark.column + 1,
                     yaml->problem ? yaml->problem : "malformed YAML");
}

static YamlNode *node_new(Parser *p, YamlKind kind, const yaml_event_t *event)
{
    YamlNode *node = ARENA_NEW(p->arena, YamlNode);
    node->kind = kind;
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    return node;
}

static Str str_of(const yaml_char_t *text)
{
    return str_from_c((const char *)text);
}

static bool is_null_word(Str s)
{
    return s.len == 0 || str_is(s, "~") || str_is(s, "null") || str_is(s, "Null") ||
           str_is(s, "NULL");
}

static YamlNode *scalar_new(Parser *p, const yaml_event_t *event)
{
    YamlNode *node = node_new(p, YAML_SCALAR, event);
    node->scalar = arena_str(
        p->arena, str_make((const char *)event->data.scalar.value, event->data.scalar.length));
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!node->quoted && is_null_word(node->scalar))
        node->kind = YAML_NULL;
    return node;
}

static const yaml_char_t *tag_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag;
    default:
        return NULL;
    }
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

// Tags of the core schema say what we would have read anyway, save that !!str keeps a word a string.
static bool apply_tag(const Parser *p, const yaml_event_t *event, YamlNode *node)
{
    static const char *const known[] = {"str", "int", "float", "bool", "null", "map", "seq"};
    if (!tag_of(event))
        return true;
    Str tag = str_of(tag_of(event));
    Str prefix = S("tag:yaml.org,2002:");
    if (str_is(tag, "!")) {
        node->quoted = true;
        node->kind = node->kind == YAML_NULL ? YAML_SCALAR : node->kind;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(known) && str_starts_with(tag, prefix); i++)
        if (str_is(str_skip(tag, prefix.len), known[i])) {
            if (i == 0 && (node->kind == YAML_NULL || node->kind == YAML_SCALAR)) {
                node->kind = YAML_SCALAR;
                node->quoted = true;
            }
            return true;
        }
    return fail_node(p, node, "this tag is not supported");
}

static bool count_nodes(Parser *p, const YamlNode *node, size_t weight)
{
    p->expanded += weight;
    if (p->expanded <= YAML_NODES_MAX)
        return true;
    return fail_at(p, node->line, node->column, ERR_LIMIT, "too many nodes, aliases expanded");
}

static Anchor *anchor_put(Parser *p, const yaml_event_t *event, YamlNode *node)
{
    if (!anchor_of(event))
        return NULL;
    Anchor *anchor = ARENA_NEW(p->arena, Anchor);
    anchor->node = node;
    map_put(&p->anchors, arena_str(p->arena, str_of(anchor_of(event))), anchor);
    return anchor;
}

static bool read_node(Parser *p, const yaml_event_t *event, size_t depth, YamlNode **ret_node,
                      size_t *ret_depth);

static bool read_alias(Parser *p, const yaml_event_t *event, size_t depth, YamlNode **ret_node,
                       size_t *ret_depth)
{
    YamlNode *place = node_new(p, YAML_NULL, event);
    const Anchor *anchor = map_get(&p->anchors, str_of(event->data.alias.anchor));
    if (!anchor)
        return fail_node(p, place, "alias without an anchor");
    if (!anchor->complete)
        return fail_node(p, place, "alias inside its own anchor");
    if (depth + anchor->depth > YAML_DEPTH_MAX)
        return fail_at(p, place->line, place->column, ERR_LIMIT, "nested too deep");
    if (!count_nodes(p, place, anchor->weight))
        return false;
    *ret_node = anchor->node;
    *ret_depth = anchor->depth;
    return true;
}

// The next event; the caller deletes it.
static bool next_event(Parser *p, yaml_event_t *event)
{
    return yaml_parser_parse(&p->yaml, event) || fail_parse(p);
}

// Reads children until `end`; they wait in p->nodes from `begin` on.
static bool read_children(Parser *p, yaml_event_type_t end, const YamlNode *parent, size_t depth,
                          size_t *ret_depth)
{
    if (depth >= YAML_DEPTH_MAX)
        return fail_at(p, parent->line, parent->column, ERR_LIMIT, "nested too deep");
    size_t deepest = 0;
    for (;;) {
        CLEANUP(yaml_event_delete) yaml_event_t event = {0};
        if (!next_event(p, &event))
            return false;
        if (event.type == end) {
            *ret_depth = deepest + 1;
            return true;
        }
        YamlNode *child = NULL;
        size_t child_depth = 0;
        if (!read_node(p, &event, depth + 1, &child, &child_depth))
            return false;
        deepest = MAX(deepest, child_depth);
        buf_add(&p->nodes, &child, sizeof child);
    }
}

static void take_sequence(Parser *p, size_t begin, YamlNode *node)
{
    node->count = (p->nodes.len - begin) / sizeof(YamlNode *);
    node->items = ARENA_ARRAY(p->arena, YamlNode *, node->count);
    if (node->count)
        memcpy(node->items, p->nodes.ptr + begin, node->count * sizeof(YamlNode *));
}

static bool is_merge_key(const YamlNode *key)
{
    return key->kind == YAML_SCALAR && !key->quoted && str_is(key->scalar, "<<");
}

static YamlNode *find_key(const YamlNode *mapping, Str key)
{
    for (size_t i = 0; i < mapping->count; i++)
        if (str_equal(mapping->keys[i]->scalar, key))
            return mapping->items[i];
    return NULL;
}

// The keys of a mapping while it is filled; looked up by hash only where there are many.
typedef struct KeySet {
    Map map;
    bool hashed;
} KeySet;

// The same key that stood earlier in `node`, or NULL.
static const YamlNode *key_before(const KeySet *seen, const YamlNode *node, Str key)
{
    if (seen->hashed)
        return map_get(&seen->map, key);
    for (size_t i = 0; i < node->count; i++)
        if (str_equal(node->keys[i]->scalar, key))
            return node->keys[i];
    return NULL;
}

static void add_pair(KeySet *seen, YamlNode *node, YamlNode *key, YamlNode *item)
{
    if (seen->hashed)
        map_put(&seen->map, key->scalar, key);
    node->keys[node->count] = key;
    node->items[node->count++] = item;
}

static bool fail_duplicate(const Parser *p, const YamlNode *key, const YamlNode *first)
{
    return error_set(
        p->err, ERR_INVALID, STR_FMT ":%d:%d: key \"" STR_FMT "\" already set in map (line %d)",
        STR_ARG(p->file_name), key->line, key->column, STR_ARG(key->scalar), first->line);
}

// Adds the pairs of `from` whose keys are not there yet ("<<", YAML 1.1 merge keys).
static bool merge_from(Parser *p, KeySet *seen, YamlNode *node, const YamlNode *value,
                       const YamlNode *from)
{
    if (from->kind != YAML_MAPPING)
        return fail_node(p, value, "map merge requires map or sequence of maps as the value");
    for (size_t i = 0; i < from->count; i++) {
        if (key_before(seen, node, from->keys[i]->scalar))
            continue;
        add_pair(seen, node, from->keys[i], from->items[i]);
    }
    return true;
}

// How many pairs a mapping may have once its merges are done.
static size_t merged_count(const YamlNode *value)
{
    size_t count = value->kind == YAML_MAPPING ? value->count : 0;
    for (size_t i = 0; value->kind == YAML_SEQUENCE && i < value->count; i++)
        count += value->items[i]->kind == YAML_MAPPING ? value->items[i]->count : 0;
    return count;
}

static bool merge_value(Parser *p, KeySet *seen, YamlNode *node, const YamlNode *value)
{
    if (value->kind != YAML_SEQUENCE)
        return merge_from(p, seen, node, value, value);
    for (size_t i = 0; i < value->count; i++)
        if (!merge_from(p, seen, node, value, value->items[i]))
            return false;
    return true;
}

static bool fill_mapping(Parser *p, KeySet *seen, YamlNode *const *flat, size_t pairs,
                         YamlNode *node)
{
    for (size_t i = 0; i < pairs; i++) {
        YamlNode *key = flat[2 * i];
        if (key->kind != YAML_SCALAR && key->kind != YAML_NULL)
            return fail_node(p, key, "a key must be a scalar");
        if (is_merge_key(key))
            continue;
        const YamlNode *first = key_before(seen, node, key->scalar);
        if (first)
            return fail_duplicate(p, key, first);
        add_pair(seen, node, key, flat[2 * i + 1]);
    }
    for (size_t i = 0; i < pairs; i++)
        if (is_merge_key(flat[2 * i]) && !merge_value(p, seen, node, flat[2 * i + 1]))
            return false;
    return true;
}

static bool take_mapping(Parser *p, size_t begin, YamlNode *node)
{
    size_t pairs = (p->nodes.len - begin) / sizeof(YamlNode *) / 2;
    YamlNode **flat = ARENA_ARRAY(p->arena, YamlNode *, pairs * 2);
    if (pairs)
        memcpy(flat, p->nodes.ptr + begin, pairs * 2 * sizeof *flat);
    size_t room = pairs;
    for (size_t i = 0; i < pairs; i++)
        room += is_merge_key(flat[2 * i]) ? merged_count(flat[2 * i + 1]) : 0;
    if (!count_nodes(p, node, room - pairs))
        return false;
    node->keys = ARENA_ARRAY(p->arena, YamlNode *, room);
    node->items = ARENA_ARRAY(p->arena, YamlNode *, room);

    KeySet seen = {.hashed = room > KEYS_COMPARED_MAX};
    bool ok = fill_mapping(p, &seen, flat, pairs, node);
    map_deinit(&seen.map);
    return ok;
}

static bool read_collection(Parser *p, size_t depth, YamlNode *node, size_t *ret_depth)
{
    size_t begin = p->nodes.len;
    bool is_mapping = node->kind == YAML_MAPPING;
    if (!read_children(p, is_mapping ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, node,
                       depth, ret_depth))
        return false;
    if (is_mapping && !take_mapping(p, begin, node))
        return false;
    if (!is_mapping)
        take_sequence(p, begin, node);
    p->nodes.len = begin;
    return true;
}

static bool read_node(Parser *p, const yaml_event_t *event, size_t depth, YamlNode **ret_node,
                      size_t *ret_depth)
{
    size_t before = p->expanded;
    YamlNode *node;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(p, event, depth, ret_node, ret_depth);
    case YAML_SCALAR_EVENT:
        node = scalar_new(p, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        node = node_new(p, YAML_SEQUENCE, event);
        break;
    case YAML_MAPPING_START_EVENT:
        node = node_new(p, YAML_MAPPING, event);
        break;
    default:
        return error_set(p->err, ERR_INVALID, STR_FMT ": malformed YAML", STR_ARG(p->file_name));
    }
    if (!apply_tag(p, event, node) || !count_nodes(p, node, 1))
        return false;
    Anchor *anchor = anchor_put(p, event, node);
    size_t inside = 0;
    bool is_collection = node->kind == YAML_SEQUENCE || node->kind == YAML_MAPPING;
    if (is_collection && !read_collection(p, depth, node, &inside))
        return false;
    if (anchor) {
        anchor->weight = p->expanded - before;
        anchor->depth = inside;
        anchor->complete = true;
    }
    *ret_node = node;
    *ret_depth = inside;
    return true;
}

static bool read_stream(Parser *p, YamlNode **ret_root)
{
    YamlNode *root = NULL;
    for (bool more = true; more;) {
        CLEANUP(yaml_event_delete) yaml_event_t event = {0};
        size_t depth;
        if (!next_event(p, &event))
            return false;
        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            more = false;
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (root && p->first_only) {
                p->next_line = (int)event.start_mark.line + 1;
                more = false;
                break;
            }
            if (root)
                return fail_at(p, (int)event.start_mark.line + 1, (int)event.start_mark.column + 1,
                               ERR_INVALID, "only one document is allowed");
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        default:
            if (!read_node(p, &event, 0, &root, &depth))
                return false;
        }
    }
    if (!root) {
        root = ARENA_NEW(p->arena, YamlNode);
        root->kind = YAML_NULL;
        root->line = 1;
        root->column = 1;
    }
    *ret_root = root;
    return true;
}

// YAML 1.2, 5.1: no control characters but tab and line breaks. libyaml would take a NUL for the end.
static bool check_characters(Str text, Str file_name, Error *err)
{
    int line = 1;
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\n') {
            line++;
            start = i + 1;
        } else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
            return error_set(err, ERR_INVALID,
                             STR_FMT ":%d:%zu: control characters are not allowed",
                             STR_ARG(file_name), line, i - start + 1);
        }
    }
    return true;
}

static bool parse_text(Str text, Str file_name, bool first_only, Arena *arena, YamlNode **ret_root,
                       int *ret_next_line, Error *err)
{
    if (text.len > YAML_BYTES_MAX)
        return error_set(err, ERR_LIMIT, STR_FMT ": larger than %u bytes", STR_ARG(file_name),
                         YAML_BYTES_MAX);
    if (!str_is_utf8(text))
        return error_set(err, ERR_INVALID, STR_FMT ": not valid UTF-8", STR_ARG(file_name));
    if (!check_characters(text, file_name, err))
        return false;
    Parser p = {.file_name = file_name, .arena = arena, .err = err, .first_only = first_only};
    if (!yaml_parser_initialize(&p.yaml))
        out_of_memory(sizeof p.yaml);
    yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.yaml, (const unsigned char *)(text.len ? text.ptr : ""),
                                 text.len);

    YamlNode *root = NULL;
    bool ok = read_stream(&p, &root);

    yaml_parser_delete(&p.yaml);
    map_deinit(&p.anchors);
    buf_deinit(&p.nodes);
    if (ok) {
        *ret_root = root;
        *ret_next_line = p.next_line;
    }
    return ok;
}

bool yaml_parse(Str text, Str file_name, Arena *arena, YamlNode **ret_root, Error *err)
{
    int next_line;
    return parse_text(text, file_name, false, arena, ret_root, &next_line, err);
}

bool yaml_parse_first(Str text, Str file_name, Arena *arena, YamlNode **ret_root,
                      int *ret_next_line, Error *err)
{
    return parse_text(text, file_name, true, arena, ret_root, ret_next_line, err);
}

YamlNode *yaml_get(const YamlNode *mapping, Str key)
{
    return mapping && mapping->kind == YAML_MAPPING ? find_key(mapping, key) : NULL;
}

static bool is_plain(const YamlNode *node)
{
    return node && node->kind == YAML_SCALAR && !node->quoted;
}

bool yaml_bool(const YamlNode *node, bool *ret_value)
{
    static const char *const yes[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                      "True", "TRUE", "on",  "On",  "ON"};
    static const char *const no[] = {"n",     "N",     "no",  "No",  "NO", "false",
                                     "False", "FALSE", "off", "Off", "OFF"};
    if (!is_plain(node))
        return false;
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        if (str_is(node->scalar, yes[i]) || str_is(node->scalar, no[i])) {
            *ret_value = str_is(node->scalar, yes[i]);
            return true;
        }
    return false;
}

static bool digits_of(Str text, unsigned base, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 99;
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_value = value;
    return true;
}

// Without the underscores that YAML 1.1 allows between digits; false if it is too long to be a number.
static bool without_underscores(Str text, char out[64], Str *ret_text)
{
    size_t len = 0;
    if (text.len == 0 || text.len > 63 || text.ptr[0] == '_')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != '_')
            out[len++] = text.ptr[i];
    *ret_text = str_make(out, len);
    return true;
}

static bool parse_i64(Str scalar, int64_t *ret_value)
{
    char room[64];
    Str text;
    if (!without_underscores(scalar, room, &text))
        return false;
    bool negative = str_starts_with(text, S("-"));
    if (negative || str_starts_with(text, S("+")))
        text = str_skip(text, 1);
    unsigned base = 10;
    size_t prefix = 0;
    if (str_starts_with(text, S("0x")) || str_starts_with(text, S("0X")))
        base = 16, prefix = 2;
    else if (str_starts_with(text, S("0b")) || str_starts_with(text, S("0B")))
        base = 2, prefix = 2;
    else if (str_starts_with(text, S("0o")) || str_starts_with(text, S("0O")))
        base = 8, prefix = 2;
    else if (text.len > 1 && text.ptr[0] == '0')
        base = 8, prefix = 1;
    uint64_t magnitude;
    if (!digits_of(str_skip(text, prefix), base, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool yaml_i64(const YamlNode *node, int64_t *ret_value)
{
    return is_plain(node) && parse_i64(node->scalar, ret_value);
}

static bool parse_double(Str scalar, double *ret_value)
{
    static const struct {
        const char *word;
        uint64_t bits;
    } words[] = {
        {".inf", 0x7FF0000000000000},  {".Inf", 0x7FF0000000000000},  {".INF", 0x7FF0000000000000},
        {"+.inf", 0x7FF0000000000000}, {"+.Inf", 0x7FF0000000000000}, {"+.INF", 0x7FF0000000000000},
        {"-.inf", 0xFFF0000000000000}, {"-.Inf", 0xFFF0000000000000}, {"-.INF", 0xFFF0000000000000},
        {".nan", NAN_NORMAL_BITS},     {".NaN", NAN_NORMAL_BITS},     {".NAN", NAN_NORMAL_BITS},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_is(scalar, words[i].word)) {
            *ret_value = double_from_bits(words[i].bits);
            return true;
        }
    int64_t integer;
    if (parse_i64(scalar, &integer)) {
        *ret_value = (double)integer;
        return true;
    }
    char room[64];
    Str text;
    if (!without_underscores(scalar, room, &text))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789+-.eE", text.ptr[i]))
            return false; // Go's words for infinity are strings in YAML
    return number_parse_double(text, ret_value);
}

bool yaml_double(const YamlNode *node, double *ret_value)
{
    return is_plain(node) && parse_double(node->scalar, ret_value);
}

static size_t skip_digits(Str text, size_t at)
{
    while (at < text.len && ((text.ptr[at] >= '0' && text.ptr[at] <= '9') || text.ptr[at] == '_'))
        at++;
    return at;
}

// A number of YAML 1.1 such as 1:20 or 190:20:30.15: ^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$
static bool is_base_60(Str value)
{
    size_t at = value.len && (value.ptr[0] == '-' || value.ptr[0] == '+');
    size_t end = skip_digits(value, at);
    size_t parts = 0;
    if (end == at || value.ptr[at] == '_')
        return false;
    for (at = end; at < value.len && value.ptr[at] == ':'; at = end, parts++) {
        end = skip_digits(value, at + 1);
        size_t digits = end - (at + 1);
        if (digits == 0 || digits > 2 ||
            (digits == 2 && (value.ptr[at + 1] > '5' || value.ptr[at + 2] == '_')))
            return false;
    }
    if (parts && at < value.len && value.ptr[at] == '.')
        at = skip_digits(value, at + 1);
    return parts > 0 && at == value.len;
}

// What begins as a date: 2001-1-2, maybe with a time behind it.
static bool is_date(Str value)
{
    size_t year = skip_digits(value, 0);
    if (year != 4 || year == value.len || value.ptr[year] != '-')
        return false;
    size_t month = skip_digits(value, year + 1);
    size_t months = month - (year + 1);
    if (months < 1 || months > 2 || month == value.len || value.ptr[month] != '-')
        return false;
    size_t days = skip_digits(value, month + 1) - (month + 1);
    return days == 1 || days == 2;
}

// True if the plain word would be read back as something other than a string.
static bool resolves_to_other(Str value)
{
    YamlNode node = {.kind = YAML_SCALAR, .scalar = value};
    bool boolean;
    double number;
    if (is_null_word(value) || yaml_bool(&node, &boolean) || parse_double(value, &number) ||
        str_is(value, "<<") || str_is(value, "="))
        return true;
    return is_base_60(value) || is_date(value);
}

// The rules for plain scalars in block context, as the emitter of yaml.v2 has them.
static bool plain_allowed(Str value)
{
    if (value.len == 0 || value.ptr[0] == ' ' || value.ptr[value.len - 1] == ' ')
        return false;
    if (str_starts_with(value, S("---")) || str_starts_with(value, S("...")))
        return false;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        char next = i + 1 < value.len ? value.ptr[i + 1] : ' ';
        bool next_blank = next == ' ' || next == '\t';
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        if (i == 0 && (strchr("#,[]{}&*!|>'\"%@`", c) || (strchr("-?:", c) && next_blank)))
            return false;
        if (c == ':' && next_blank)
            return false;
        if (c == '#' && i > 0 && value.ptr[i - 1] == ' ')
            return false;
    }
    return true;
}

static bool needs_escapes(Str value)
{
    if (!str_is_utf8(value))
        return true;
    for (Str rest = value; rest.len;) {
        uint32_t rune;
        size_t len = str_rune(rest, &rune);
        if (rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || rune == 0xfeff || rune == 0x2028 ||
            rune == 0x2029)
            return true;
        rest = str_skip(rest, len);
    }
    return false;
}

static void write_double_quoted(Buf *buf, Str value)
{
    buf_add_char(buf, '"');
    for (Str rest = value; rest.len;) {
        uint32_t rune;
        size_t len = str_rune(rest, &rune);
        bool invalid = rune == 0xFFFD && len == 1;
        if (rune == '"' || rune == '\\')
            buf_printf(buf, "\\%c", (int)rune);
        else if (rune == '\n')
            buf_add_c(buf, "\\n");
        else if (rune == '\t')
            buf_add_c(buf, "\\t");
        else if (rune == '\r')
            buf_add_c(buf, "\\r");
        else if (rune < 0x20 || (rune >= 0x7f && rune < 0xa0))
            buf_printf(buf, "\\x%02X", (unsigned)rune);
        else if (invalid || rune == 0xfeff || rune == 0x2028 || rune == 0x2029)
            buf_printf(buf, "\\u%04X", (unsigned)rune);
        else
            buf_add(buf, rest.ptr, len);
        rest = str_skip(rest, len);
    }
    buf_add_char(buf, '"');
}

static void write_single_quoted(Buf *buf, Str value)
{
    buf_add_char(buf, '\'');
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\'')
            buf_add_char(buf, '\'');
        buf_add_char(buf, value.ptr[i]);
    }
    buf_add_char(buf, '\'');
}

void yaml_write_scalar(Buf *buf, Str value)
{
    if (needs_escapes(value) || resolves_to_other(value))
        write_double_quoted(buf, value);
    else if (plain_allowed(value))
        buf_add_str(buf, value);
    else
        write_single_quoted(buf, value);
}

void yaml_write_flow_scalar(Buf *buf, Str value)
{
    bool special = false;
    for (size_t i = 0; i < value.len; i++)
        special |= strchr(",?[]{}:", value.ptr[i]) != NULL;
    if (special && !needs_escapes(value) && !resolves_to_other(value))
        write_single_quoted(buf, value);
    else
        yaml_write_scalar(buf, value);
}
