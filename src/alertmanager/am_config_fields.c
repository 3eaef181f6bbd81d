// SPDX-License-Identifier: Apache-2.0
// Members of alertmanager.yml that are neither plain texts nor numbers.
#include <stdlib.h>

#include "alertmanager/am_config.h"
#include "base/timefmt.h"
#include "template/template.h"

// ---- URLs ----

static bool is_url_char(unsigned char c)
{
    return c > ' ' && c < 0x7F && !strchr("\"<>\\^`{}|", c);
}

bool am_config_url(const ConfigReader *reader, const YamlNode *node, Str *url, Error *err)
{
    CLEANUP(buf_deinit) Buf out = {0};
    if (url->len == 0)
        return true;
    if (str_is(*url, "<secret>"))
        return true; // a configuration that was printed is read back
    size_t scheme = str_find(*url, S("://"));
    Str name = str_sub(*url, 0, scheme);
    if (scheme == STR_NOT_FOUND ||
        !(str_equal_nocase(name, S("http")) || str_equal_nocase(name, S("https"))))
        return config_error(reader, node, err, "unsupported scheme \"" STR_FMT "\" for URL",
                            STR_ARG(scheme == STR_NOT_FOUND ? S("") : str_sub(name, 0, 50)));
    Str rest = str_skip(*url, scheme + 3);
    if (rest.len == 0 || strchr("/?#", rest.ptr[0]))
        return config_error(reader, node, err, "missing host for URL");
    for (size_t i = 0; i < url->len; i++) {
        unsigned char c = (unsigned char)url->ptr[i];
        if (is_url_char(c))
            buf_add_char(&out, (char)c);
        else
            buf_printf(&out, "%%%02X", c);
    }
    *url = arena_str(reader->arena, buf_str(&out));
    return true;
}

Str am_config_with_slash(Arena *arena, Str url)
{
    if (url.len == 0 || str_ends_with(url, S("/")))
        return url;
    return arena_printf(arena, STR_FMT "/", STR_ARG(url));
}

// ---- Go durations ----

bool am_config_decode_go_duration(ConfigReader *reader, const YamlNode *node, void *member,
                                  Error *err)
{
    int64_t ms;
    Error why = {0};
    if (node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_SCALAR || !go_duration_parse(node->scalar, &ms, &why))
        return config_error(reader, node, err, "%s",
                            why.text[0] ? why.text : "a duration must be a string");
    *(int64_t *)member = ms * 1000000;
    return true;
}

void am_config_print_go_duration(Buf *buf, int indent, const char *key, const void *member)
{
    TemplateValue value = template_duration(*(const int64_t *)member);
    buf_printf(buf, "%*s%s: ", indent, "", key);
    template_print(buf, &value);
    buf_add_char(buf, '\n');
}

// ---- true, false, not said ----

bool am_config_decode_tristate(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    AmTristate *state = member;
    if (node->kind == YAML_NULL)
        return true;
    if (!yaml_bool(node, &state->value))
        return config_error(reader, node, err, "must be true or false");
    state->is_set = true;
    return true;
}

void am_config_print_tristate(Buf *buf, int indent, const char *key, const void *member)
{
    const AmTristate *state = member;
    if (state->is_set)
        buf_printf(buf, "%*s%s: %s\n", indent, "", key, state->value ? "true" : "false");
}

// ---- trees ----

bool am_config_decode_node(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    (void)reader;
    (void)err;
    *(const YamlNode **)member = node->kind == YAML_NULL ? NULL : node;
    return true;
}

static void print_tree(Buf *buf, int indent, const YamlNode *node);

static int by_key(const void *a, const void *b, void *node)
{
    const YamlNode *map = node;
    return str_compare(map->keys[*(const size_t *)a]->scalar,
                       map->keys[*(const size_t *)b]->scalar);
}

static bool is_text(const YamlNode *node)
{
    bool boolean;
    int64_t integer;
    double number;
    return !yaml_bool(node, &boolean) && !yaml_i64(node, &integer) && !yaml_double(node, &number);
}

static void print_scalar(Buf *buf, const YamlNode *node)
{
    if (node->kind == YAML_NULL)
        buf_add_c(buf, "null");
    else if (node->quoted || is_text(node))
        yaml_write_scalar(buf, node->scalar);
    else
        buf_add_str(buf, node->scalar);
}

static void print_pairs(Buf *buf, int indent, const YamlNode *map, bool first_inline)
{
    size_t *order = x_calloc(map->count + 1, sizeof *order);
    for (size_t i = 0; i < map->count; i++)
        order[i] = i;
    if (map->count > 1)
        qsort_r(order, map->count, sizeof *order, by_key, (void *)(uintptr_t)map);
    for (size_t i = 0; i < map->count; i++) {
        if (i || !first_inline)
            buf_printf(buf, "%*s", indent, "");
        print_scalar(buf, map->keys[order[i]]);
        buf_add_char(buf, ':');
        print_tree(buf, indent + 2, map->items[order[i]]);
    }
    free(order);
}

// What stands behind "key:": a scalar on the line, or a block below.
static void print_tree(Buf *buf, int indent, const YamlNode *node)
{
    if (node->kind == YAML_MAPPING && node->count) {
        buf_add_char(buf, '\n');
        print_pairs(buf, indent, node, false);
        return;
    }
    if (node->kind == YAML_SEQUENCE && node->count) {
        buf_add_char(buf, '\n');
        for (size_t i = 0; i < node->count; i++) {
            const YamlNode *item = node->items[i];
            buf_printf(buf, "%*s-", indent - 2, "");
            if (item->kind == YAML_MAPPING && item->count) {
                buf_add_char(buf, ' ');
                print_pairs(buf, indent, item, true);
            } else {
                print_tree(buf, indent, item);
            }
        }
        return;
    }
    buf_add_char(buf, ' ');
    if (node->kind == YAML_MAPPING)
        buf_add_c(buf, "{}");
    else if (node->kind == YAML_SEQUENCE)
        buf_add_c(buf, "[]");
    else
        print_scalar(buf, node);
    buf_add_char(buf, '\n');
}

void am_config_print_node(Buf *buf, int indent, const char *key, const void *member)
{
    const YamlNode *node = *(const YamlNode *const *)member;
    if (!node || ((node->kind == YAML_MAPPING || node->kind == YAML_SEQUENCE) && node->count == 0))
        return;
    buf_printf(buf, "%*s%s:", indent, "", key);
    print_tree(buf, indent + 2, node);
}
