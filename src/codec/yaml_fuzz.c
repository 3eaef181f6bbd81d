// SPDX-License-Identifier: Apache-2.0
// A tree that was read, written in flow style and read again is the same tree.
#include "codec/yaml.h"

#define FUZZ_BYTES_MAX 65536
#define FUZZ_NODES_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_node(Buf *out, const YamlNode *node, size_t *nodes)
{
    if (++*nodes > FUZZ_NODES_MAX)
        return;
    if (node->kind == YAML_NULL) {
        buf_add_c(out, "null");
    } else if (node->kind == YAML_SCALAR) {
        // What is not quoted was not null, and reads back as the same scalar either way.
        yaml_write_flow_scalar(out, node->scalar);
    } else {
        buf_add_char(out, node->kind == YAML_MAPPING ? '{' : '[');
        for (size_t i = 0; i < node->count; i++) {
            if (i)
                buf_add_c(out, ", ");
            if (node->kind == YAML_MAPPING) {
                yaml_write_flow_scalar(out, node->keys[i]->scalar);
                buf_add_c(out, ": ");
            }
            write_node(out, node->items[i], nodes);
        }
        buf_add_char(out, node->kind == YAML_MAPPING ? '}' : ']');
    }
}

static bool has_long_key(const YamlNode *node, size_t *nodes)
{
    if (++*nodes > FUZZ_NODES_MAX)
        return true;
    for (size_t i = 0; i < node->count; i++)
        if ((node->kind == YAML_MAPPING && node->keys[i]->scalar.len > 150) ||
            has_long_key(node->items[i], nodes))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf first = {0};
    CLEANUP(buf_deinit) Buf second = {0};
    YamlNode *root = NULL;
    Error err = {0};
    size_t nodes = 0;
    if (size > FUZZ_BYTES_MAX ||
        !yaml_parse(str_make((const char *)data, size), S("fuzz.yml"), &arena, &root, &err)) {
        ASSERT(size > FUZZ_BYTES_MAX || err.text[0]);
        return 0;
    }
    // A simple key ends within 1024 characters (YAML 1.2, 7.4), escapes included.
    if (has_long_key(root, &nodes))
        return 0;
    nodes = 0;
    write_node(&first, root, &nodes);
    if (nodes > FUZZ_NODES_MAX)
        return 0;
    bool ok = yaml_parse(buf_str(&first), S("again.yml"), &arena, &root, &err);
    ASSERT(ok);
    nodes = 0;
    write_node(&second, root, &nodes);
    ASSERT(str_equal(buf_str(&first), buf_str(&second)));
    return 0;
}
