// SPDX-License-Identifier: Apache-2.0
#include "template/template.h"

#include "base/test.h"

static const Label labels_pairs[] = {{STR("instance"), STR("db1:9100")}, {STR("job"), STR("node")}};

static bool expand(Str text, Buf *out, Error *err)
{
    static const TemplateOptions options = {.tables = template_prometheus_tables,
                                            .missing_key = TEMPLATE_MISSING_ZERO};
    TemplateAlertData data = {.labels = {labels_pairs, COUNT_OF(labels_pairs)},
                              .external_url = S("http://x"),
                              .value = template_float(0.1234)};
    CLEANUP(arena_deinit) Arena arena = {0};
    TemplateExecution run = {.dot = template_alert_data(&data), .arena = &arena};
    TemplateSet *set = template_set_new(&options);
    bool ok =
        template_set_parse(set, S("x"), text, err) && template_execute(set, S("x"), &run, out, err);

    template_set_free(set);
    return ok;
}

TEST(template, alert_texts_expand)
{
    static const struct {
        const char *name;
        Str text;
        Str want;
    } cases[] = {
        {"labels", STR("{{ $labels.instance }} of {{ .Labels.job }}"), STR("db1:9100 of node")},
        {"no label", STR("[{{ $labels.nope }}]"), STR("[]")},
        {"percentage", STR("{{ $value | humanizePercentage }}"), STR("12.34%")},
        {"printf", STR("{{ printf \"%.1f\" $value }}"), STR("0.1")},
        {"range", STR("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}"),
         STR("instance=db1:9100;job=node;")},
        {"if", STR("{{ if gt $value 0.1 }}high{{ else }}low{{ end }}"), STR("high")},
        {"strip", STR("{{ stripPort $labels.instance | toUpper }}"), STR("DB1")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};
        CLEANUP(buf_deinit) Buf text = {0};
        Error err = {0};
        buf_add_c(&text, TEMPLATE_ALERT_PREFIX);
        buf_add_str(&text, c->text);

        bool ok = expand(buf_str(&text), &out, &err);

        CHECK_OK(ok, err);
        CHECK_STR(buf_str(&out), c->want);
    }
}

TEST(template, faults_are_told_as_go_does)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"parse", STR("a\n{{ .x"), "template: x:2: unclosed action"},
        {"function", STR("{{ nope }}"), "template: x:1: function \"nope\" not defined"},
        {"field", STR("{{ .Nope }}"),
         "template: x:1:3: executing \"x\" at <.Nope>: can't evaluate field Nope in type struct { "
         "Labels "
         "map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface "
         "{} }"},
        {"call", STR("{{ first (query \"up\") }}"),
         "template: x:1:10: executing \"x\" at <query \"up\">: error calling query: no queries can "
         "be asked here"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};
        Error err = {0};

        bool ok = expand(c->text, &out, &err);

        CHECK(!ok);
        CHECK_STR(str_from_c(err.text), str_from_c(c->want));
    }
}

TEST(template, limits_hold)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"steps", STR("{{ range 1000000000 }}{{ end }}"), "steps"},
        {"output", STR("{{ range 1000000000 }}{{ printf \"%1000d\" . }}{{ end }}"),
         "the output is larger"},
        {"recursion", STR("{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}"),
         "exceeded maximum template depth (200)"},
        {"doubling",
         STR("{{ $x := \"xxxxxxxxxxxxxxxx\" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}"),
         "larger than"},
        {"memory", STR("{{ range 1000000000 }}{{ $x := printf \"%100000d\" 1 }}{{ end }}"),
         "bytes of memory"},
        {"deep values",
         STR("{{ $x := args 1 }}{{ range 1000 }}{{ $x = args $x }}{{ end }}{{ $x }}"),
         "larger than"},
        {"wide values", STR("{{ $x := args }}{{ range 60 }}{{ $x = args $x $x }}{{ end }}{{ $x }}"),
         "larger than"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};
        Error err = {0};

        bool ok = expand(c->text, &out, &err);

        CHECK(!ok);
        CHECK_HAS(err.text, c->want);
        CHECK_EQ(err.code, c->want[0] == 'l' ? err.code : ERR_LIMIT);
        CHECK(out.len <= 16 << 20);
    }
}

TEST(template, nesting_is_bounded)
{
    CLEANUP(buf_deinit) Buf text = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    Error err = {0};
    for (int i = 0; i < 100000; i++)
        buf_add_c(&text, "{{ if ((((1)))) }}");

    bool ok = expand(buf_str(&text), &out, &err);

    CHECK(!ok);
    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK_HAS(err.text, "nested more than 200 deep");
}

TEST(template, a_child_set_hides_what_its_parent_defines)
{
    static const TemplateOptions options = {.tables = NULL};
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    TemplateExecution run = {.dot = template_int(7), .arena = &arena};
    Error err = {0};
    TemplateSet *parent = template_set_new(&options);
    CHECK_OK(template_set_parse(
                 parent, S("file"),
                 S("{{ define \"a\" }}A{{ end }}{{ define \"b\" }}B{{ . }}{{ end }}"), &err),
             err);
    TemplateSet *child = template_set_new_child(parent);
    CHECK_OK(template_set_parse(
                 child, S("x"),
                 S("{{ define \"a\" }}C{{ end }}{{ template \"a\" }}{{ template \"b\" . }}"), &err),
             err);

    CHECK_OK(template_execute(child, S("x"), &run, &out, &err), err);
    CHECK_OK(template_execute(parent, S("a"), &run, &out, &err), err);

    CHECK_STR(buf_str(&out), S("CB7A"));
    CHECK(!template_set_parse(child, S("y"), S("{{ define \"b\" }}D{{ end }}{{ nope }}"), &err));
    buf_reset(&out);
    CHECK_OK(template_execute(child, S("b"), &run, &out, &err), err);
    CHECK_STR(buf_str(&out), S("B7"));
    CHECK(!template_set_has(child, S("y")));
    template_set_free(child);
    template_set_free(parent);
}

TEST(template, places_of_faults_count_from_one)
{
    static const TemplateOptions options = {.tables = NULL};
    static const struct {
        const char *name;
        Str text;
        uint32_t line, column;
    } cases[] = {
        {"a word that is none", STR("a\n  {{ nope }}"), 2, 6},
        {"an end that lacks", STR("{{ if 1 }}"), 1, 11},
        {"a value", STR("\n\nab{{ index 1 2 }}"), 3, 6},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf out = {0};
        TemplateExecution run = {.dot = template_int(7), .arena = &arena};
        TemplatePlace place = {0};
        Error err = {0};
        TemplateSet *set = template_set_new(&options);

        if (!template_set_parse(set, S("a:b"), c->text, &err))
            place = template_set_fault(set);
        else if (!template_execute(set, S("a:b"), &run, &out, &err))
            CHECK(template_error_place(str_from_c(err.text), &place));

        CHECK_STR(place.name, S("a:b"));
        CHECK_EQ(place.line, c->line);
        CHECK_EQ(place.column, c->column);
        template_set_free(set);
    }
    TemplatePlace none;
    CHECK(!template_error_place(S("template: x:1: no column"), &none));
}

TEST_MAIN(template, TEST_ROW(template, limits_hold),
          TEST_ROW(template, places_of_faults_count_from_one),
          TEST_ROW(template, nesting_is_bounded),
          TEST_ROW(template, a_child_set_hides_what_its_parent_defines),
          TEST_ROW(template, alert_texts_expand), TEST_ROW(template, faults_are_told_as_go_does))
