// SPDX-License-Identifier: Apache-2.0
#include "client/registry.h"

#include "base/test.h"
#include "base/thread.h"

static void collect_disks(void *arg, Collection *collection)
{
    (void)arg;
    collection_family(collection, "disk_bytes", FAMILY_GAUGE, "Size.");
    const Str b[] = {STR("disk"), STR("b")};
    const Str a[] = {STR("disk"), STR("a\"\\\n")};
    collection_add(collection, b, 1, 2);
    collection_add(collection, a, 1, 1.5);
}

static Registry *sample_registry(void)
{
    static const char *const code[] = {"code", NULL};
    static const double bounds[] = {0.5, 1};
    Registry *registry = registry_new();
    Family *requests = registry_counter(registry, "requests_total", "Requests.", code);
    const Str ok = STR("200");
    const Str gone = STR("410");
    counter_add(counter_of(requests, &ok), 2);
    counter_add(counter_of(requests, &ok), 0.5);
    counter_inc(counter_of(requests, &gone));
    Family *took = registry_histogram(registry, "took_seconds", "Time\nspent.", NULL, bounds, 2);
    histogram_observe(histogram_of(took, NULL), 0.5);
    histogram_observe(histogram_of(took, NULL), 0.75);
    histogram_observe(histogram_of(took, NULL), 7);
    registry_gauge(registry, "up", "Up.", NULL);
    registry_collector(registry, collect_disks, NULL);
    return registry;
}

TEST(registry, writes_text_sorted)
{
    Registry *registry = sample_registry();
    CLEANUP(buf_deinit) Buf out = {0};

    registry_write(registry, REGISTRY_TEXT, &out);

    CHECK_STR(buf_str(&out), S("# HELP disk_bytes Size.\n"
                               "# TYPE disk_bytes gauge\n"
                               "disk_bytes{disk=\"a\\\"\\\\\\n\"} 1.5\n"
                               "disk_bytes{disk=\"b\"} 2\n"
                               "# HELP requests_total Requests.\n"
                               "# TYPE requests_total counter\n"
                               "requests_total{code=\"200\"} 2.5\n"
                               "requests_total{code=\"410\"} 1\n"
                               "# HELP took_seconds Time\\nspent.\n"
                               "# TYPE took_seconds histogram\n"
                               "took_seconds_bucket{le=\"0.5\"} 1\n"
                               "took_seconds_bucket{le=\"1\"} 2\n"
                               "took_seconds_bucket{le=\"+Inf\"} 3\n"
                               "took_seconds_sum 8.25\n"
                               "took_seconds_count 3\n"
                               "# HELP up Up.\n"
                               "# TYPE up gauge\n"
                               "up 0\n"));
    registry_free(registry);
}

TEST(registry, writes_openmetrics)
{
    Registry *registry = sample_registry();
    CLEANUP(buf_deinit) Buf out = {0};

    registry_write(registry, REGISTRY_OPENMETRICS, &out);
    buf_add_char(&out, 0);

    CHECK_HAS(out.ptr, "# TYPE requests counter\nrequests_total{code=\"200\"} 2.5\n");
    CHECK_HAS(out.ptr, "took_seconds_bucket{le=\"1.0\"} 2\n");
    CHECK_HAS(out.ptr, "up 0\n# EOF\n");
    registry_free(registry);
}

TEST(registry, removed_children_are_not_shown)
{
    static const char *const names[] = {"job", NULL};
    Registry *registry = registry_new();
    Family *family = registry_gauge(registry, "targets", "Targets.", names);
    const Str a = STR("a");
    gauge_set(gauge_of(family, &a), 3);
    family_remove(family, &a);
    family_remove(family, &a);
    CLEANUP(buf_deinit) Buf out = {0};

    registry_write(registry, REGISTRY_TEXT, &out);

    CHECK_EQ(out.len, 0);
    registry_free(registry);
}

TEST(registry, same_name_gives_the_same_family)
{
    Registry *registry = registry_new();

    Family *first = registry_counter(registry, "a_total", "A.", NULL);
    Family *second = registry_counter(registry, "a_total", "A.", NULL);

    CHECK(first == second);
    registry_free(registry);
}

static void count_up(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        counter_inc(arg);
        counter_add(arg, 0.5);
    }
}

TEST(registry, additions_from_many_threads_add_up)
{
    Registry *registry = registry_new();
    Counter *counter = counter_of(registry_counter(registry, "a_total", "A.", NULL), NULL);
    Thread threads[4];
    Error err;

    for (size_t i = 0; i < COUNT_OF(threads); i++)
        CHECK_OK(thread_start(&threads[i], "count", count_up, counter, &err), err);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        thread_join(&threads[i]);

    CHECK_DOUBLE(counter_value(counter), 60000);
    registry_free(registry);
}

TEST(registry, process_metrics_tell_of_this_process)
{
    Registry *registry = registry_new();
    registry_process_metrics(registry);
    registry_build_info(registry, "prometheus_build_info", "1.2.3");
    CLEANUP(buf_deinit) Buf out = {0};

    registry_write(registry, REGISTRY_TEXT, &out);
    buf_add_char(&out, 0);

    static const char *const names[] = {"process_cpu_seconds_total ",
                                        "process_network_receive_bytes_total ",
                                        "process_network_transmit_bytes_total ",
                                        "process_open_fds ",
                                        "process_max_fds ",
                                        "process_virtual_memory_bytes ",
                                        "process_virtual_memory_max_bytes ",
                                        "process_resident_memory_bytes ",
                                        "process_start_time_seconds 1",
                                        "prometheus_build_info{version=\"1.2.3\"} 1\n"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        CHECK_HAS(out.ptr, names[i]);
    registry_free(registry);
}

TEST_MAIN(registry, TEST_ROW(registry, writes_text_sorted), TEST_ROW(registry, writes_openmetrics),
          TEST_ROW(registry, removed_children_are_not_shown),
          TEST_ROW(registry, same_name_gives_the_same_family),
          TEST_ROW(registry, additions_from_many_threads_add_up),
          TEST_ROW(registry, process_metrics_tell_of_this_process))
