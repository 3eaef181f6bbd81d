// SPDX-License-Identifier: Apache-2.0
// remote_write_bench.c: a sender that comes again and again with the same series costs no label work: samples per second on
// one core, first round (labels read, sorted, checked) and later rounds (found by hash).
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "remote/remote.h"
#include "remote/remote_fake_sink.h"

enum { SERIES = 20000, SERIES_PER_REQUEST = 2000, ROUNDS = 50 };

static SeriesRef null_series(Appender *appender, Labels labels, bool *ret_created, Error *err)
{
    (void)appender;
    (void)err;
    *ret_created = false;
    return labels_hash(labels) | 1;
}

static size_t null_append(Appender *appender, SinkSample *samples, size_t count)
{
    (void)appender;
    for (size_t i = 0; i < count; i++)
        samples[i].status = APPEND_OK;
    return count;
}

static bool null_commit(Appender *appender, Error *err)
{
    (void)appender;
    (void)err;
    return true;
}

static void null_rollback(Appender *appender)
{
    (void)appender;
}

static Appender null_appender = {null_series,   null_append, fake_metadata,
                                 fake_exemplar, null_commit, null_rollback};

static Appender *null_begin(Sink *sink)
{
    (void)sink;
    return &null_appender;
}

static void add_label(Buf *m, const char *name, const char *value)
{
    size_t label = proto_begin(m, 1);
    proto_add_bytes(m, 1, str_from_c(name));
    proto_add_bytes(m, 2, str_from_c(value));
    proto_end(m, label);
}

static void build(Buf *body, int first, int64_t t_ms)
{
    Buf m = {0};
    for (int i = first; i < first + SERIES_PER_REQUEST; i++) {
        char pod[64];
        size_t series = proto_begin(&m, 1);
        snprintf(pod, sizeof pod, "deployment-%d-7c9f8d6b5-%05d", i % 97, i);
        add_label(&m, "__name__", "container_cpu_usage_seconds_total");
        add_label(&m, "cluster", "production-eu-1");
        add_label(&m, "container", "main");
        add_label(&m, "instance", "10.1.2.3:9100");
        add_label(&m, "job", "kubelet");
        add_label(&m, "namespace", "monitoring");
        add_label(&m, "pod", pod);
        size_t sample = proto_begin(&m, 2);
        proto_add_double(&m, 1, i * 0.1);
        proto_add_varint(&m, 2, (uint64_t)t_ms);
        proto_end(&m, sample);
        proto_end(&m, series);
    }
    buf_reset(body);
    snappy_encode(buf_str(&m), body);
    buf_deinit(&m);
}

// Of this process: a busy machine does not count.
static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(void)
{
    Sink sink = {null_begin};
    Buf bodies[SERIES / SERIES_PER_REQUEST] = {0};
    RemoteWrite *remote = remote_write_new(
        &(RemoteWriteOptions){.clock = &clock_system, .accept_v1 = true, .accept_v2 = true});
    int64_t now_ms = clock_now_ms(&clock_system);
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        build(&bodies[i], (int)i * SERIES_PER_REQUEST, now_ms);

    Arena arena = {0};
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_ns = cpu_ns();
        for (size_t i = 0; i < COUNT_OF(bodies); i++) {
            RemoteWriteAnswer answer;
            arena_reset(&arena);
            remote_write_handle(remote, &sink, &(RemoteWriteRequest){.body = buf_str(&bodies[i])},
                                &arena, &answer);
            ASSERT(answer.status == 204);
        }
        double took_ns = (double)(cpu_ns() - start_ns);
        if (round == 0 || round == ROUNDS - 1)
            printf("%s round: %.1f ns per series with one sample, %.2f million samples/s\n",
                   round ? "later" : "first", took_ns / SERIES, SERIES / took_ns * 1e3);
    }
    arena_deinit(&arena);
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        buf_deinit(&bodies[i]);
    remote_write_free(remote);
    return 0;
}
