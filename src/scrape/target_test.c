// SPDX-License-Identifier: Apache-2.0
#include "scrape/target.h"

#include "base/test.h"
#include "codec/yaml.h"

static void load(Arena *arena, ConfigReader *reader, Str yaml, ScrapeConfig *config)
{
    Error err = {0};
    YamlNode *node;
    ScrapeGlobal global;
    YamlNode none = {.kind = YAML_NULL, .line = 1, .column = 1};
    *reader = (ConfigReader){.arena = arena, .file_name = S("job.yml")};
    CHECK_OK(config_decode(reader, &scrape_global_table, &none, &global, &err), err);
    CHECK_OK(yaml_parse(yaml, S("job.yml"), arena, &node, &err), err);
    CHECK_OK(config_decode(reader, &scrape_config_table, node, config, &err), err);
    CHECK_OK(scrape_config_complete(reader, node, &global, config, &err), err);
}

static Labels one_label(Arena *arena, Str name, Str value)
{
    Label *pair = ARENA_NEW(arena, Label);
    *pair = (Label){name, value};
    return (Labels){pair, value.len > 0};
}

TEST(target, labels_and_url_come_from_config_group_and_own)
{
    static const struct {
        const char *name;
        Str config;
        Str group_name, group_value;
        Str address;
        TargetVerdict want;
        Str want_labels;
        Str want_url;
        const char *want_error;
    } cases[] = {
        {"plain", STR("job_name: j"), STR("env"), STR("x"), STR("h:1"), TARGET_KEPT,
         STR("{env=\"x\", instance=\"h:1\", job=\"j\"}"), STR("http://h:1/metrics"), ""},
        {"group's job wins over the name", STR("job_name: j"), STR("job"), STR("k"), STR("h:1"),
         TARGET_KEPT, STR("{instance=\"h:1\", job=\"k\"}"), STR("http://h:1/metrics"), ""},
        {"parameters are sorted and escaped",
         STR("{job_name: j, params: {b: ['x y', z], a: ['&']}}"), STR(""), STR(""), STR("h:1"),
         TARGET_KEPT, STR("{instance=\"h:1\", job=\"j\"}"),
         STR("http://h:1/metrics?a=%26&b=x+y&b=z"), ""},
        {"a parameter by its label", STR("{job_name: j, params: {b: [x, y]}}"), STR("__param_b"),
         STR("own"), STR("h:1"), TARGET_KEPT, STR("{instance=\"h:1\", job=\"j\"}"),
         STR("http://h:1/metrics?b=own&b=y"), ""},
        {"a new parameter by its label", STR("job_name: j"), STR("__param_t"), STR("1"), STR("h:1"),
         TARGET_KEPT, STR("{instance=\"h:1\", job=\"j\"}"), STR("http://h:1/metrics?t=1"), ""},
        {"path is escaped and gets a slash", STR("{job_name: j, metrics_path: 'a b?c'}"), STR(""),
         STR(""), STR("h:1"), TARGET_KEPT, STR("{instance=\"h:1\", job=\"j\"}"),
         STR("http://h:1/a%20b%3Fc"), ""},
        {"relabelled address",
         STR("{job_name: j, relabel_configs: [{target_label: __address__, replacement: 'g:2'}]}"),
         STR(""), STR(""), STR("h:1"), TARGET_KEPT, STR("{instance=\"g:2\", job=\"j\"}"),
         STR("http://g:2/metrics"), ""},
        {"meta labels go, others with __ stay inside", STR("job_name: j"), STR("__meta_x"),
         STR("y"), STR("h:1"), TARGET_KEPT, STR("{instance=\"h:1\", job=\"j\"}"),
         STR("http://h:1/metrics"), ""},
        {"a socket needs no address", STR("job_name: j"), STR("__unix_socket__"),
         STR("/run/x.sock"), STR(""), TARGET_KEPT, STR("{job=\"j\"}"),
         STR("http://localhost/metrics"), ""},
        {"a socket with an address", STR("job_name: j"), STR("__unix_socket__"), STR("/run/x.sock"),
         STR("h:1"), TARGET_KEPT, STR("{instance=\"h:1\", job=\"j\"}"), STR("http://h:1/metrics"),
         ""},
        {"dropped",
         STR("{job_name: j, relabel_configs: [{source_labels: [env], regex: x, action: drop}]}"),
         STR("env"), STR("x"), STR("h:1"), TARGET_DROPPED, STR(""), STR(""), ""},
        {"no address", STR("job_name: j"), STR("env"), STR("x"), STR(""), TARGET_BAD, STR(""),
         STR(""), "no address"},
        {"address with a path",
         STR("{job_name: j, relabel_configs: [{action: labeldrop, regex: foo}]}"), STR(""), STR(""),
         STR("h:1/x"), TARGET_BAD, STR(""), STR(""), "\"h:1/x\" is not a valid hostname"},
        {"interval by its label", STR("job_name: j"), STR("__scrape_interval__"), STR("5s"),
         STR("h:1"), TARGET_BAD, STR(""), STR(""),
         "scrape timeout cannot be greater than scrape interval (\"10s\" > \"5s\")"},
        {"bad interval", STR("job_name: j"), STR("__scrape_interval__"), STR("5"), STR("h:1"),
         TARGET_BAD, STR(""), STR(""), "error parsing scrape interval"},
        {"zero timeout", STR("job_name: j"), STR("__scrape_timeout__"), STR("0s"), STR("h:1"),
         TARGET_BAD, STR(""), STR(""), "scrape timeout cannot be 0"},
        {"bad switch", STR("job_name: j"), STR("__scrape_native_histograms__"), STR("maybe"),
         STR("h:1"), TARGET_BAD, STR(""), STR(""), "is not a boolean"},
        {"not UTF-8", STR("job_name: j"), STR("env"), STR("\xff"), STR("h:1"), TARGET_BAD, STR(""),
         STR(""), "invalid label value for \"env\""},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf labels = {0};
        ConfigReader reader;
        ScrapeConfig config;
        TargetSpec spec;
        Error err = {0};
        load(&arena, &reader, c->config, &config);

        TargetVerdict got =
            target_build(&config, one_label(&arena, c->group_name, c->group_value),
                         one_label(&arena, S("__address__"), c->address), &arena, &spec, &err);

        CHECK_EQ(got, c->want);
        CHECK_HAS(err.text, c->want_error);
        if (got == TARGET_KEPT) {
            labels_print(&labels, spec.labels);
            CHECK_STR(buf_str(&labels), c->want_labels);
            CHECK_STR(spec.url, c->want_url);
            CHECK_STR(spec.unix_socket, labels_get(spec.all, S("__unix_socket__")));
            // The switches are for relabelling to see, not found by anybody.
            CHECK_EQ(labels_get(spec.discovered, S("__scrape_native_histograms__")).len, 0);
        }
        config_release(&reader);
    }
}

TEST(target, equal_targets_have_equal_hashes)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    ConfigReader reader;
    ScrapeConfig config;
    TargetSpec a, b, c;
    Error err = {0};
    load(&arena, &reader, S("job_name: j"), &config);
    Labels group = one_label(&arena, S("env"), S("x"));

    target_build(&config, group, one_label(&arena, S("__address__"), S("h:1")), &arena, &a, &err);
    target_build(&config, group, one_label(&arena, S("__address__"), S("h:1")), &arena, &b, &err);
    target_build(&config, group, one_label(&arena, S("__address__"), S("h:2")), &arena, &c, &err);

    CHECK(a.hash == b.hash);
    CHECK(a.hash != c.hash);
    config_release(&reader);
}

TEST(target, fnv_is_the_known_one)
{
    CHECK(fnv_add(FNV_INIT, S("")) == 0xcbf29ce484222325);
    CHECK(fnv_add(FNV_INIT, S("a")) == 0xaf63dc4c8601ec8c);
    CHECK(fnv_add(FNV_INIT, S("foobar")) == 0x85944171f73967e8);
}

TEST(target, keeps_its_phase)
{
    static const struct {
        const char *name;
        uint64_t hash, seed;
        int64_t now_ns, want_ns;
    } cases[] = {
        {"on the grid", 0, 0, 20, 10},
        {"offset after the grid", 3, 0, 20, 3},
        {"soon", 3, 0, 22, 1},
        {"just missed", 3, 0, 24, 9},
        {"the seed counts", 3, 1, 20, 2},
        {"due now", 3, 0, 23, 10},
        {"before the clock's zero", 3, 0, -1, 4},
    };

    EACH_CASE(c, cases) {
        int64_t phase = target_phase_ns(c->hash, c->seed, 10, 1);
        int64_t got = target_offset_ns(phase, 10, c->now_ns);

        CHECK_EQ(phase, (int64_t)((c->hash ^ c->seed) % 10));
        CHECK_EQ(got, c->want_ns);
        CHECK_EQ((c->now_ns + got) % 10, phase);
    }
}

TEST(target, makes_up_for_what_was_missed_first_without_waiting)
{
    static const struct {
        const char *name;
        int64_t missed_ns, since_ns, grid_ns, want_ns;
    } cases[] = {
        {"the moment itself", 1000, 1000, 400, 0},
        {"the first point, wherever it lies", 1399, 1000, 400, 0},
        {"the second", 1400, 1000, 400, 50},
        {"the second, too", 1799, 1000, 400, 50},
        {"the fourth", 2250, 1000, 400, 150},
    };

    EACH_CASE(c, cases) {
        CHECK_EQ(target_make_up_ns(c->missed_ns, c->since_ns, c->grid_ns), c->want_ns);
    }
}

TEST(target, many_share_a_point_of_their_grid)
{
    static const struct {
        const char *name;
        int64_t interval_ms;
        size_t targets;
        int64_t want_points;
    } cases[] = {
        {"few", 1000, 3, 8},
        {"a hundred", 1000, 100, 8},
        {"enough for a finer one", 1000, 128, 16},
        {"long intervals", 60000, 3, 128},
        {"many", 15000, 10000, 1024},
    };

    EACH_CASE(c, cases) {
        int64_t interval_ns = c->interval_ms * 1000000;
        int64_t grid_ns = target_grid_ns(interval_ns, c->targets);
        bool used[1024] = {0};
        size_t points = 0;

        CHECK_EQ(grid_ns, interval_ns / c->want_points);
        for (uint64_t i = 0; i < 20000; i++) {
            uint64_t hash = i * 0x9e3779b97f4a7c15u;
            int64_t phase_ns = target_phase_ns(hash, 12345, interval_ns, grid_ns);
            CHECK(phase_ns >= 0 && phase_ns < interval_ns);
            int64_t rest_ns =
                (phase_ns - 12345) % grid_ns; // the end of the interval may be cut off
            CHECK(rest_ns < c->want_points);
            points += !used[phase_ns / grid_ns];
            used[phase_ns / grid_ns] = true;
        }
        CHECK_EQ((int64_t)points, c->want_points);
    }
}

TEST_MAIN(target, TEST_ROW(target, labels_and_url_come_from_config_group_and_own),
          TEST_ROW(target, equal_targets_have_equal_hashes), TEST_ROW(target, fnv_is_the_known_one),
          TEST_ROW(target, keeps_its_phase),
          TEST_ROW(target, makes_up_for_what_was_missed_first_without_waiting),
          TEST_ROW(target, many_share_a_point_of_their_grid))
