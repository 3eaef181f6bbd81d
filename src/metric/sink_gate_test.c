// SPDX-License-Identifier: Apache-2.0
#include "metric/sink_gate.h"

#include "base/test.h"
#include "base/thread.h"

typedef struct Store {
    Sink sink;
    Appender appender;
    int begun; // atomic
} Store;

static Appender *store_begin(Sink *sink)
{
    Store *store = CONTAINER_OF(sink, Store, sink);
    __atomic_add_fetch(&store->begun, 1, __ATOMIC_SEQ_CST);
    return &store->appender;
}

typedef struct Pourer {
    SinkGate *gate;
    Appender *got;
    int started; // atomic
} Pourer;

static void pour(void *arg)
{
    Pourer *p = arg;
    __atomic_store_n(&p->started, 1, __ATOMIC_SEQ_CST);
    p->got = p->gate->sink.begin(&p->gate->sink);
}

static void start(Pourer *pourers, Thread *threads, size_t count, SinkGate *gate)
{
    Error err = {0};

    for (size_t i = 0; i < count; i++) {
        pourers[i] = (Pourer){.gate = gate};
        CHECK_OK(thread_start(&threads[i], "pour", pour, &pourers[i], &err), err);
    }
    for (size_t i = 0; i < count; i++)
        while (!__atomic_load_n(&pourers[i].started, __ATOMIC_SEQ_CST))
            ;
}

TEST(sink_gate, lets_in_when_the_store_is_there)
{
    SinkGate gate;
    Store store = {.sink = {store_begin}};
    Pourer pourers[4];
    Thread threads[4] = {0};

    sink_gate_init(&gate);
    start(pourers, threads, 4, &gate);
    CHECK_EQ(__atomic_load_n(&store.begun, __ATOMIC_SEQ_CST), 0);
    sink_gate_open(&gate, &store.sink);
    for (size_t i = 0; i < 4; i++) {
        thread_join(&threads[i]);
        CHECK(pourers[i].got == &store.appender);
    }
    CHECK(gate.sink.begin(&gate.sink) == &store.appender);
    CHECK_EQ(store.begun, 5);
    sink_gate_close(&gate);
    CHECK(gate.sink.begin(&gate.sink) == &store.appender);
    sink_gate_deinit(&gate);
}

TEST(sink_gate, tells_that_there_will_be_no_store)
{
    SinkGate gate;
    Pourer pourers[2];
    Thread threads[2] = {0};
    SinkSample sample = {.status = APPEND_OK};
    Error err = {0};

    sink_gate_init(&gate);
    start(pourers, threads, 2, &gate);
    sink_gate_close(&gate);
    for (size_t i = 0; i < 2; i++) {
        thread_join(&threads[i]);
        Appender *app = pourers[i].got;
        CHECK_EQ(app->series(app, LABELS_NONE, NULL, &err), 0);
        CHECK_EQ(err.code, ERR_UNAVAILABLE);
        CHECK_EQ(app->append(app, &sample, 1), 0);
        CHECK_EQ(sample.status, APPEND_LIMIT);
        CHECK(!app->commit(app, &err));
    }
    sink_gate_deinit(&gate);
}

TEST_MAIN(sink_gate, TEST_ROW(sink_gate, lets_in_when_the_store_is_there),
          TEST_ROW(sink_gate, tells_that_there_will_be_no_store))
