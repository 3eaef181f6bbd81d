// SPDX-License-Identifier: Apache-2.0
// The notifier against HTTP servers that write down what they are sent.
#include "rules/notifier.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/test.h"
#include "codec/json_reader.h"
#include "net/http_server.h"

// A receiver: keeps bodies; may be slow or refuse.
typedef struct Receiver {
    HttpServer *server;
    int port;
    Lock lock;
    Condition came;
    Arena arena;
    Str bodies[200];
    Str authorization, content_type, path;
    size_t count;
    _Atomic int status;
    _Atomic bool closed; // requests wait
} Receiver;

static void receive(void *arg, HttpRequest *request)
{
    Receiver *receiver = arg;
    while (receiver->closed && !http_client_gone(request))
        usleep(1000);
    lock_take(&receiver->lock);
    receiver->bodies[receiver->count++] = arena_str(&receiver->arena, request->body);
    receiver->authorization = arena_str(&receiver->arena, http_header(request, S("Authorization")));
    receiver->content_type = arena_str(&receiver->arena, http_header(request, S("Content-Type")));
    receiver->path = arena_str(&receiver->arena, request->path);
    int status = receiver->status; // before the test, which waits for this body, sets another
    condition_signal(&receiver->came);
    lock_give(&receiver->lock);
    http_reply(request, status, S("text/plain"), S("ok"));
}

static Receiver *receiver_new(void)
{
    Receiver *receiver = X_NEW(Receiver);
    HttpServerOptions options;
    Error err;
    lock_init(&receiver->lock, "receiver", 500);
    condition_init(&receiver->came);
    receiver->status = 200;
    http_server_options_default(&options);
    options.listen_address = S("127.0.0.1:0");
    options.workers = 2;
    options.handle = receive;
    options.arg = receiver;
    CHECK_OK(http_server_start(&options, &receiver->server, &receiver->port, &err), err);
    return receiver;
}

static void receiver_free(Receiver *receiver)
{
    receiver->closed = false;
    http_server_stop(receiver->server);
    condition_deinit(&receiver->came);
    lock_deinit(&receiver->lock);
    arena_deinit(&receiver->arena);
    free(receiver);
}

static void wait_for(Receiver *receiver, size_t count)
{
    lock_take(&receiver->lock);
    for (int i = 0; i < 600 && receiver->count < count; i++)
        (void)condition_wait_ms(&receiver->came, &receiver->lock, 100);
    size_t got = receiver->count;
    lock_give(&receiver->lock);
    CHECK(got >= count);
}

// A configuration, counted as the server's generations are.
typedef struct Generation {
    int refs;
    Arena arena;
    ConfigReader reader;
    AlertingConfig alerting;
    NotifierConfig config;
} Generation;

static void generation_ref(void *owner)
{
    __atomic_add_fetch(&((Generation *)owner)->refs, 1, __ATOMIC_RELAXED);
}

static void generation_unref(void *owner)
{
    Generation *g = owner;
    if (__atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    config_release(&g->reader);
    arena_deinit(&g->arena);
    free(g);
}

static void apply(Notifier *notifier, const char *yaml, const Label *external, size_t count)
{
    Generation *g = X_NEW(Generation);
    YamlNode *root;
    Error err = {0};
    g->refs = 1;
    g->reader = (ConfigReader){.arena = &g->arena, .file_name = S("prometheus.yml")};
    Str text = arena_str(&g->arena, str_from_c(yaml));
    CHECK_OK(yaml_parse(text, S("prometheus.yml"), &g->arena, &root, &err), err);
    CHECK_OK(config_decode(&g->reader, &alerting_config_table, root, &g->alerting, &err), err);
    g->config = (NotifierConfig){
        .alerting = &g->alerting,
        .external_labels = labels_copy(&g->arena, (Labels){external, count}),
        .owner = g,
        .ref = generation_ref,
        .unref = generation_unref,
    };
    notifier_apply(notifier, &g->config);
    generation_unref(g);
}

static Notifier *start(size_t capacity, size_t batch, Registry *registry)
{
    return notifier_new(
        &(NotifierOptions){.registry = registry, .queue_capacity = capacity, .batch_size = batch});
}

static void send_named(Notifier *notifier, const char *name)
{
    const Label labels[] = {{STR("alertname"), str_from_c(name)}, {STR("job"), STR("own")}};
    const Label annotations[] = {{STR("summary"), STR("a < b")}};
    NotifierAlert alert = {.labels = {labels, 2},
                           .annotations = {annotations, 1},
                           .starts_at_ms = 1500,
                           .ends_at_ms = 241500,
                           .generator_url = S("http://h/graph?g0.expr=up&g0.tab=1")};
    notifier_send(notifier, &alert, 1);
}

static char *text_of(const char *fmt, ...) PRINTF(1, 2);
static char *text_of(const char *fmt, ...)
{
    static char text[4000];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return text;
}

static char *one_static(const Receiver *receiver, const char *more)
{
    return text_of("alertmanagers:\n- static_configs: [{targets: ['127.0.0.1:%d']}]\n%s",
                   receiver->port, more);
}

TEST(notifier, posts_what_an_alertmanager_takes)
{
    Receiver *receiver = receiver_new();
    Notifier *notifier = start(100, 10, NULL);
    const Label external[] = {{STR("dc"), STR("east")}, {STR("job"), STR("external")}};
    apply(notifier,
          text_of("alertmanagers:\n- static_configs:\n  - targets: ['127.0.0.1:%d']\n"
                  "  path_prefix: /am/\n  basic_auth: {username: u, password: p}\n",
                  receiver->port),
          external, 2);

    send_named(notifier, "A");
    wait_for(receiver, 1);

    CHECK_STR(receiver->bodies[0],
              S("[{\"annotations\":{\"summary\":\"a \\u003c b\"},"
                "\"endsAt\":\"1970-01-01T00:04:01.500Z\",\"startsAt\":\"1970-01-01T00:00:01.500Z\","
                "\"generatorURL\":\"http://h/graph?g0.expr=up\\u0026g0.tab=1\","
                "\"labels\":{\"alertname\":\"A\",\"dc\":\"east\",\"job\":\"own\"}}]"));
    CHECK_STR(receiver->path, S("/am/api/v2/alerts"));
    CHECK_STR(receiver->content_type, S("application/json"));
    CHECK_STR(receiver->authorization, S("Basic dTpw"));
    notifier_free(notifier, true);
    receiver_free(receiver);
}

TEST(notifier, relabels_for_all_and_for_each_set)
{
    Receiver *one = receiver_new();
    Receiver *two = receiver_new();
    Notifier *notifier = start(100, 10, NULL);
    apply(notifier,
          text_of("alert_relabel_configs:\n"
                  "- {source_labels: [alertname], regex: Drop, action: drop}\n"
                  "- {target_label: all, replacement: 'yes'}\n"
                  "alertmanagers:\n"
                  "- static_configs: [{targets: ['127.0.0.1:%d']}]\n"
                  "- static_configs: [{targets: ['127.0.0.1:%d']}]\n"
                  "  alert_relabel_configs:\n"
                  "  - {source_labels: [alertname], regex: NotTwo, action: drop}\n"
                  "  - {regex: job, action: labeldrop}\n",
                  one->port, two->port),
          NULL, 0);

    send_named(notifier, "Drop");
    send_named(notifier, "NotTwo");
    send_named(notifier, "Both");
    wait_for(one, 1);
    wait_for(two, 1);
    notifier_free(notifier, true);

    CLEANUP(buf_deinit) Buf all = {0};
    for (size_t i = 0; i < one->count; i++)
        buf_add_str(&all, one->bodies[i]);
    CHECK_EQ(str_find(buf_str(&all), S("Drop\"")), STR_NOT_FOUND);
    CHECK(str_find(buf_str(&all), S("\"labels\":{\"alertname\":\"NotTwo\",\"all\":\"yes\","
                                    "\"job\":\"own\"}")) != STR_NOT_FOUND);
    CHECK(str_find(buf_str(&all), S("\"Both\"")) != STR_NOT_FOUND);
    CHECK_EQ(two->count, 1);
    CHECK(str_find(two->bodies[0], S("\"labels\":{\"alertname\":\"Both\",\"all\":\"yes\"}")) !=
          STR_NOT_FOUND);
    receiver_free(one);
    receiver_free(two);
}

static void note_here(void *arg, const NotifierAlert *alerts, size_t count)
{
    Buf *seen = arg;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < alerts[i].labels.count; k++)
            buf_printf(seen, STR_FMT "=" STR_FMT ",", STR_ARG(alerts[i].labels.pairs[k].name),
                       STR_ARG(alerts[i].labels.pairs[k].value));
        buf_printf(seen, "%d;", (int)alerts[i].annotations.count);
    }
}

TEST(notifier, an_alertmanager_in_the_process_gets_what_all_get)
{
    CLEANUP(buf_deinit) Buf seen = {0};
    const Label external[] = {{STR("dc"), STR("east")}};
    Notifier *notifier = notifier_new(&(NotifierOptions){
        .queue_capacity = 10, .batch_size = 10, .here = note_here, .here_arg = &seen});
    apply(notifier,
          "alert_relabel_configs:\n"
          "- {source_labels: [alertname], regex: Drop, action: drop}\n"
          "- {regex: job, action: labeldrop}\n",
          external, 1);

    send_named(notifier, "Drop");
    send_named(notifier, "A");
    notifier_free(notifier, true);

    CHECK_STR(buf_str(&seen), S("alertname=A,dc=east,1;"));
}

TEST(notifier, a_slow_receiver_fills_only_its_own_queue)
{
    Registry *registry = registry_new();
    Receiver *slow = receiver_new();
    Receiver *fast = receiver_new();
    Notifier *notifier = start(5, 2, registry);
    slow->closed = true;
    apply(notifier,
          text_of("alertmanagers:\n- static_configs:\n"
                  "  - targets: ['127.0.0.1:%d', '127.0.0.1:%d', '127.0.0.1:%d']\n"
                  "  timeout: 10m\n",
                  slow->port, fast->port, fast->port),
          NULL, 0);

    for (int i = 0; i < 12; i++) {
        char name[16];
        snprintf(name, sizeof name, "A%d", i);
        send_named(notifier, name);
        wait_for(fast, (size_t)i + 1);
    }
    slow->closed = false;
    notifier_free(notifier, true);

    // One was under way, the newest five were kept, in batches of two; the queue's gauge is that of the end.
    CHECK_EQ(slow->count, 4);
    CHECK(str_find(slow->bodies[0], S("\"A0\"")) != STR_NOT_FOUND);
    CHECK(str_find(slow->bodies[1], S("\"A7\"")) != STR_NOT_FOUND);
    CHECK(str_find(slow->bodies[1], S("\"A8\"")) != STR_NOT_FOUND);
    CHECK(str_find(slow->bodies[3], S("\"A11\"")) != STR_NOT_FOUND);
    registry_free(registry);
    receiver_free(slow);
    receiver_free(fast);
}

TEST(notifier, failures_are_counted)
{
    Registry *registry = registry_new();
    Receiver *receiver = receiver_new();
    Notifier *notifier = start(100, 10, registry);
    CLEANUP(buf_deinit) Buf metrics = {0};
    receiver->status = 500;
    apply(notifier,
          text_of("alertmanagers:\n- static_configs: [{targets: ['127.0.0.1:%d']}]\n"
                  "- static_configs: [{targets: ['127.0.0.1:1']}]\n  relabel_configs:\n"
                  "  - {action: drop}\n",
                  receiver->port),
          NULL, 0);
    send_named(notifier, "A");
    wait_for(receiver, 1);
    Arena arena = {0};
    StrList active;
    StrList dropped;
    // The answer is taken in by the loop: a list asked of it afterwards comes after that.
    receiver->status = 200;
    send_named(notifier, "B");
    wait_for(receiver, 2);
    notifier_targets(notifier, &arena, &active, &dropped);
    for (int i = 0; i < 6000; i++) {
        buf_reset(&metrics);
        registry_write(registry, REGISTRY_TEXT, &metrics);
        if (str_find(buf_str(&metrics), S("_sent_total{alertmanager=\"http://127.0.0.1:")) !=
                STR_NOT_FOUND &&
            str_find(buf_str(&metrics), S("/api/v2/alerts\"} 2\n")) != STR_NOT_FOUND)
            break;
        usleep(10000);
    }

    CHECK_EQ(active.count, 1);
    CHECK_STR(active.items[0],
              arena_printf(&arena, "http://127.0.0.1:%d/api/v2/alerts", receiver->port));
    CHECK_EQ(dropped.count, 1);
    CHECK_STR(dropped.items[0], S("http://127.0.0.1:1/api/v2/alerts"));
    const char *wants[] = {
        "prometheus_notifications_sent_total{alertmanager=\"%s\"} 2\n",
        "prometheus_notifications_errors_total{alertmanager=\"%s\"} 1\n",
        "prometheus_notifications_dropped_total{alertmanager=\"%s\"} 1\n",
        "prometheus_notifications_queue_length{alertmanager=\"%s\"} 0\n",
        "prometheus_notifications_latency_seconds_count{alertmanager=\"%s\"} 1\n"};
    for (size_t i = 0; i < COUNT_OF(wants); i++) {
        CLEANUP(buf_deinit) Buf want = {0};
        size_t at = str_find(str_from_c(wants[i]), S("%s"));
        buf_add(&want, wants[i], at);
        buf_add_str(&want, active.items[0]);
        buf_add_c(&want, wants[i] + at + 2);
        CHECK(str_find(buf_str(&metrics), buf_str(&want)) != STR_NOT_FOUND);
    }
    arena_deinit(&arena);
    notifier_free(notifier, false);
    registry_free(registry);
    receiver_free(receiver);
}

TEST(notifier, a_reload_keeps_queues)
{
    Receiver *receiver = receiver_new();
    Notifier *notifier = start(100, 100, NULL);
    receiver->closed = true;
    apply(notifier, one_static(receiver, ""), NULL, 0);
    send_named(notifier, "First");
    send_named(notifier, "Second");
    send_named(notifier, "Third");

    apply(notifier, one_static(receiver, ""), NULL, 0);
    apply(notifier, one_static(receiver, "  timeout: 7s\n"), NULL, 0);
    receiver->closed = false;
    notifier_free(notifier, true);

    CLEANUP(buf_deinit) Buf all = {0};
    lock_take(&receiver->lock); // the server may still be busy with one that the reload gave up
    for (size_t i = 0; i < receiver->count; i++)
        buf_add_str(&all, receiver->bodies[i]);
    lock_give(&receiver->lock);
    CHECK(str_find(buf_str(&all), S("\"Second\"")) != STR_NOT_FOUND);
    CHECK(str_find(buf_str(&all), S("\"Third\"")) != STR_NOT_FOUND);
    receiver_free(receiver);
}

TEST(notifier, an_end_without_draining_does_not_wait)
{
    Receiver *receiver = receiver_new();
    Notifier *notifier = start(100, 1, NULL);
    receiver->closed = true;
    apply(notifier,
          text_of("alertmanagers:\n- static_configs: [{targets: ['127.0.0.1:%d']}]\n",
                  receiver->port),
          NULL, 0);
    for (int i = 0; i < 10; i++)
        send_named(notifier, "A");

    notifier_free(notifier, false);

    lock_take(&receiver->lock); // the server may still be busy with the one that was under way
    CHECK(receiver->count <= 1);
    lock_give(&receiver->lock);
    receiver_free(receiver);
}

TEST(notifier, configurations_are_checked)
{
    static const struct {
        const char *name;
        const char *yaml;
        const char *want;
    } cases[] = {
        {"old API", "alertmanagers: [{api_version: v1}]",
         "prometheus.yml:1:17: expected Alertmanager api version to be one of [v2] but got v1"},
        {"scheme", "alertmanagers: [{scheme: ftp}]", "neither http nor https"},
        {"address", "alertmanagers: [{static_configs: [{targets: ['http://x']}]}]",
         "\"http://x\" is not a valid hostname"},
        {"two ways in", "alertmanagers: [{basic_auth: {username: a}, authorization: {}}]",
         "at most one of basic_auth"},
        {"nothing", "alertmanagers: [ null ]", "empty or null alertmanager_config"},
        {"unknown", "alertmanager: []", "field alertmanager not found in alerting"},
    };
    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        ConfigReader reader = {.arena = &arena, .file_name = S("prometheus.yml")};
        AlertingConfig config;
        YamlNode *root;
        Error err = {0};
        CHECK_OK(yaml_parse(str_from_c(c->yaml), S("prometheus.yml"), &arena, &root, &err), err);

        CHECK(!config_decode(&reader, &alerting_config_table, root, &config, &err));

        CHECK_HAS(err.text, c->want);
        config_release(&reader);
    }
}

TEST_MAIN(notifier, TEST_ROW(notifier, posts_what_an_alertmanager_takes),
          TEST_ROW(notifier, relabels_for_all_and_for_each_set),
          TEST_ROW(notifier, an_alertmanager_in_the_process_gets_what_all_get),
          TEST_ROW(notifier, a_slow_receiver_fills_only_its_own_queue),
          TEST_ROW(notifier, failures_are_counted), TEST_ROW(notifier, a_reload_keeps_queues),
          TEST_ROW(notifier, an_end_without_draining_does_not_wait),
          TEST_ROW(notifier, configurations_are_checked))
