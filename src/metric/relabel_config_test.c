// SPDX-License-Identifier: Apache-2.0
#include "metric/relabel_config.h"

#include "base/test.h"

static bool decode(Arena *arena, Str text, ConfigReader *reader, RelabelRule *ret_rule, Error *err)
{
    YamlNode *root;

    *reader = (ConfigReader){.arena = arena, .file_name = S("p.yml")};
    return yaml_parse(text, reader->file_name, arena, &root, err) &&
           config_decode(reader, &relabel_rule_table, root, ret_rule, err);
}

TEST(relabel_config, reads_and_prints_back)
{
    static const struct {
        const char *name;
        Str text;
        Str want;
    } cases[] = {
        {"defaults", STR("target_label: a\n"),
         STR("separator: ;\ntarget_label: a\nreplacement: $1\naction: replace\n")},
        {"all",
         STR("source_labels: [a, b]\nseparator: '-'\nregex: x(.*)\nmodulus: 8\n"
             "target_label: c\nreplacement: z-1\naction: HashMod\n"),
         STR("source_labels: [a, b]\nseparator: '-'\nregex: x(.*)\nmodulus: 8\ntarget_label: c\n"
             "replacement: z-1\naction: hashmod\n")},
        {"no regex is the empty one", STR("source_labels: [a]\nregex:\naction: keep\n"),
         STR("source_labels: [a]\nseparator: ;\nregex: null\nreplacement: $1\naction: keep\n")},
        {"labeldrop", STR("regex: tmp_.*\naction: labeldrop\n"),
         STR("separator: ;\nregex: tmp_.*\nreplacement: $1\naction: labeldrop\n")},
        {"empty replacement", STR("target_label: a\nreplacement: ''\n"),
         STR("separator: ;\ntarget_label: a\nreplacement: \"\"\naction: replace\n")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        ConfigReader reader;
        RelabelRule rule;
        Error err = {0};
        Buf buf = {0};
        CHECK_OK(decode(&arena, c->text, &reader, &rule, &err), err);
        config_print(&buf, 0, &relabel_rule_table, &rule);
        CHECK_STR(buf_str(&buf), c->want);
        CHECK(rule.regex != NULL);
        buf_deinit(&buf);
        config_release(&reader);
    }
    arena_deinit(&arena);
}

TEST(relabel_config, mistakes_have_a_place)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"unknown action", STR("target_label: a\naction: remove\n"),
         "p.yml:2:9: action: unknown relabel action \"remove\""},
        {"action is a list", STR("action: [keep]\n"), "p.yml:1:9: action: want the name"},
        {"regex is a mapping", STR("regex: {a: b}\n"), "p.yml:1:8: regex: want a string"},
        {"target missing", STR("source_labels: [a]\n"),
         "p.yml:1:1: relabel configuration for replace action requires 'target_label' value"},
        {"bad regex", STR("action: keep\nregex: (\n"), "p.yml:2:8: regex: "},
        {"unknown key", STR("target: a\n"), "p.yml:1:1: field target not found"},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        ConfigReader reader;
        RelabelRule rule;
        Error err = {0};
        CHECK(!decode(&arena, c->text, &reader, &rule, &err));
        CHECK_HAS(err.text, c->want);
        config_release(&reader);
    }
    arena_deinit(&arena);
}

TEST_MAIN(relabel_config, TEST_ROW(relabel_config, reads_and_prints_back),
          TEST_ROW(relabel_config, mistakes_have_a_place))
