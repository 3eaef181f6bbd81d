// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/test.h"
#include "codec/yaml.h"

#define WAIT_MS 60000

// Keeps the newest snapshot of each delivery as one line of text.
typedef struct Consumer {
    Lock lock;
    Condition changed;
    Buf text;
    int calls;
} Consumer;

static void describe(Buf *out, const GroupSnapshot *groups)
{
    for (size_t i = 0; i < groups->count; i++) {
        const TargetGroup *group = &groups->groups[i];
        for (size_t k = 0; k < group->target_count; k++) {
            buf_add_str(out, labels_get(group->targets[k], S("__address__")));
            labels_print(out, group->labels);
            buf_add_char(out, '\n');
        }
    }
}

static void take(void *arg, Str job, GroupSnapshot *groups)
{
    Consumer *consumer = arg;
    lock_take(&consumer->lock);
    buf_reset(&consumer->text);
    buf_add_str(&consumer->text, job);
    buf_add_char(&consumer->text, '\n');
    describe(&consumer->text, groups);
    consumer->calls++;
    condition_signal(&consumer->changed);
    lock_give(&consumer->lock);
    group_snapshot_unref(groups);
}

static void consumer_init(Consumer *consumer)
{
    *consumer = (Consumer){0};
    lock_init(&consumer->lock, "consumer", 1);
    condition_init(&consumer->changed);
}

// Waits until the newest delivery is `want`.
static bool wait_for(Consumer *consumer, Str want)
{
    lock_take(&consumer->lock);
    bool in_time = true;
    while (in_time && !str_equal(buf_str(&consumer->text), want))
        in_time = condition_wait_ms(&consumer->changed, &consumer->lock, WAIT_MS);
    bool same = str_equal(buf_str(&consumer->text), want);
    if (!same)
        print_error("delivered: " STR_FMT "\n", STR_ARG(buf_str(&consumer->text)));
    lock_give(&consumer->lock);
    return same;
}

static bool load(Arena *arena, Str folder, Str text, DiscoveryConfigs *configs, Error *err)
{
    ConfigReader reader = {.arena = arena, .file_name = S("c.yml"), .folder = folder};
    YamlNode *root;
    return yaml_parse(text, S("c.yml"), arena, &root, err) &&
           config_decode(&reader, &discovery_configs_table, root, configs, err);
}

static Discovery *start(Consumer *consumer, Registry *registry)
{
    Discovery *discovery = NULL;
    Error err = {0};
    DiscoveryOptions options = {
        .name = S("scrape"), .registry = registry, .changed = take, .arg = consumer};
    CHECK_OK(discovery_new(&options, &discovery, &err), err);
    return discovery;
}

static void write_file(Str folder, const char *name, const char *text)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Error err = {0};
    CHECK_OK(fs_write_atomic(&fs_system, fs_join(&arena, folder, str_from_c(name)),
                             str_from_c(text), &err),
             err);
}

static Str make_folder(Arena *arena)
{
    char *name = str_to_c(arena, S("discovery_test_XXXXXX"));
    CHECK(mkdtemp(name) != NULL);
    char *path = realpath(name, NULL);
    CHECK(path != NULL);
    Str folder = arena_str(arena, str_from_c(path));
    free(path);
    return folder;
}

TEST(discovery, static_groups_come_at_once)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Consumer consumer;
    DiscoveryConfigs configs;
    Error err = {0};
    consumer_init(&consumer);
    CHECK_OK(
        load(&arena, S("/"),
             S("static_configs:\n- targets: [a:1, b:2]\n  labels: {env: x}\n- targets: ['c:3']\n"),
             &configs, &err),
        err);
    Discovery *discovery = start(&consumer, NULL);

    discovery_apply(discovery, &(DiscoveryJob){S("j"), &configs}, 1);

    CHECK_STR(buf_str(&consumer.text), S("j\na:1{env=\"x\"}\nb:2{env=\"x\"}\nc:3{}\n"));
    discovery_free(discovery);
    buf_deinit(&consumer.text);
}

TEST(discovery, an_unchanged_job_is_left_alone)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Consumer consumer;
    DiscoveryConfigs first;
    DiscoveryConfigs second;
    Error err = {0};
    consumer_init(&consumer);
    CHECK_OK(load(&arena, S("/"), S("static_configs: [{targets: ['a:1']}]"), &first, &err), err);
    CHECK_OK(load(&arena, S("/"), S("static_configs: [{targets: ['a:2']}]"), &second, &err), err);
    Discovery *discovery = start(&consumer, NULL);

    discovery_apply(discovery, &(DiscoveryJob){S("j"), &first}, 1);
    discovery_apply(discovery, &(DiscoveryJob){S("j"), &first}, 1);
    CHECK_EQ(consumer.calls, 1);
    discovery_apply(discovery, &(DiscoveryJob){S("j"), &second}, 1);
    CHECK_EQ(consumer.calls, 2);
    discovery_apply(discovery, NULL, 0);
    CHECK_EQ(consumer.calls, 2);

    discovery_free(discovery);
    buf_deinit(&consumer.text);
}

TEST(discovery, files_are_read_and_watched)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Consumer consumer;
    DiscoveryConfigs configs;
    Error err = {0};
    Registry *registry = registry_new();
    consumer_init(&consumer);
    log_setup(LOG_ERROR, LOG_LOGFMT);
    Str folder = make_folder(&arena);
    write_file(folder, "a.yml", "- targets: ['a:1']\n  labels: {env: x}\n");
    write_file(folder, "b.json", "[{\"targets\": [\"b:2\"], \"labels\": {\"n\": \"5\"}}]");
    CHECK_OK(
        load(&arena, folder, S("file_sd_configs:\n- files: ['*.yml', b.json]\n"), &configs, &err),
        err);
    Discovery *discovery = start(&consumer, registry);
    Str b = arena_printf(&arena, "b:2{__meta_filepath=\"" STR_FMT "/b.json\", n=\"5\"}\n",
                         STR_ARG(folder));

    discovery_apply(discovery, &(DiscoveryJob){S("j"), &configs}, 1);
    CHECK(wait_for(&consumer, arena_printf(&arena,
                                           "j\na:1{__meta_filepath=\"" STR_FMT
                                           "/a.yml\", env=\"x\"}\n" STR_FMT,
                                           STR_ARG(folder), STR_ARG(b))));

    write_file(folder, "a.yml", "- targets: ['a:7']\n");
    Str changed = arena_printf(&arena, "j\na:7{__meta_filepath=\"" STR_FMT "/a.yml\"}\n" STR_FMT,
                               STR_ARG(folder), STR_ARG(b));
    CHECK(wait_for(&consumer, changed));

    // A broken file keeps its targets while the rest goes on.
    write_file(folder, "a.yml", "- targets: 'a:8'\n");
    write_file(folder, "c.yml", "- targets: ['c:3']\n");
    CHECK(wait_for(&consumer,
                   arena_printf(&arena, STR_FMT "c:3{__meta_filepath=\"" STR_FMT "/c.yml\"}\n",
                                STR_ARG(changed), STR_ARG(folder))));

    CHECK_OK(fs_unlink(&fs_system, fs_join(&arena, folder, S("a.yml")), &err), err);
    CHECK_OK(fs_unlink(&fs_system, fs_join(&arena, folder, S("c.yml")), &err), err);
    CHECK(wait_for(&consumer, arena_printf(&arena, "j\n" STR_FMT, STR_ARG(b))));

    CLEANUP(buf_deinit) Buf metrics = {0};
    registry_write(registry, REGISTRY_TEXT, &metrics);
    buf_add_char(&metrics, 0);
    CHECK_HAS(metrics.ptr, "prometheus_sd_discovered_targets{name=\"scrape\",config=\"j\"} 1\n");
    CHECK_HAS(metrics.ptr, "prometheus_sd_file_read_errors_total ");
    discovery_free(discovery);
    registry_free(registry);
    CHECK_OK(fs_remove_tree(&fs_system, folder, &err), err);
    buf_deinit(&consumer.text);
}

TEST(discovery, bad_configurations_are_refused)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"no files", STR("file_sd_configs:\n- files: []\n"), "must contain at least one path name"},
        {"unknown end", STR("file_sd_configs:\n- files: [a.txt]\n"),
         "c.yml:2:3: path name \"a.txt\" is not valid for file discovery"},
        {"star in a folder", STR("file_sd_configs:\n- files: ['*/a.yml']\n"),
         "is not valid for file discovery"},
        {"null group", STR("static_configs:\n  - ~\n"), "empty or null section in static_configs"},
        {"unknown key", STR("static_configs:\n- target: [a]\n"),
         "field target not found in static_config, did you mean"},
        {"zero interval", STR("file_sd_configs:\n- files: [a.yml]\n  refresh_interval: 0s\n"),
         "refresh_interval"},
        {"unknown kind", STR("foo_sd_configs: []\n"), "field foo_sd_configs not found"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        DiscoveryConfigs configs;
        Error err = {0};

        CHECK(!load(&arena, S("/"), c->text, &configs, &err));

        CHECK_HAS(err.text, c->want);
    }
}

TEST(discovery, kinds_of_the_original_that_are_missing_are_noted)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    DiscoveryConfigs configs;
    Error err = {0};

    CHECK_OK(load(&arena, S("/"), S("kubernetes_sd_configs:\n- role: x\noci_sd_configs: []\n"),
                  &configs, &err),
             err);

    CHECK_EQ(configs.ignored.count, 1);
    CHECK_STR(configs.ignored.items[0],
              S("c.yml:2: this version has no kubernetes_sd_configs: ignoring"));
}

TEST(discovery, tells_what_it_knows_without_running)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    Str folder = make_folder(&arena);
    DiscoveryConfigs configs;
    DiscoveryAtRest rest;
    Error err = {0};
    write_file(folder, "a.json", "[{\"targets\":[\"x:1\"],\"labels\":{\"k\":\"v\"}}]");
    CHECK_OK(load(&arena, folder,
                  S("static_configs:\n- targets: [s:1]\n"
                    "file_sd_configs:\n- files: [none.yml, '*.json']\n"),
                  &configs, &err),
             err);

    CHECK_OK(discovery_at_rest(&configs, &rest, &err), err);

    describe(&text, rest.groups);
    buf_add_char(&text, '\0');
    CHECK_HAS(text.ptr, "s:1{}\n");
    CHECK_HAS(text.ptr, "x:1{__meta_filepath=");
    CHECK(rest.is_all);
    CHECK_EQ(rest.missing.count, 1);
    CHECK(str_ends_with(rest.missing.items[0], S("/none.yml")));
    group_snapshot_unref(rest.groups);

    write_file(folder, "b.json", "[{\"targets\":1}]");
    CHECK(!discovery_at_rest(&configs, &rest, &err));
    CHECK_HAS(err.text, "checking SD file ");
    CHECK_HAS(err.text, "b.json:1:1");
    CHECK_OK(fs_remove_tree(&fs_system, folder, &err), err);
}

TEST_MAIN(discovery, TEST_ROW(discovery, static_groups_come_at_once),
          TEST_ROW(discovery, an_unchanged_job_is_left_alone),
          TEST_ROW(discovery, files_are_read_and_watched),
          TEST_ROW(discovery, bad_configurations_are_refused),
          TEST_ROW(discovery, kinds_of_the_original_that_are_missing_are_noted),
          TEST_ROW(discovery, tells_what_it_knows_without_running))
