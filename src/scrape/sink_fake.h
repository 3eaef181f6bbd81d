// SPDX-License-Identifier: Apache-2.0
// sink_fake.h: a Sink for this room's tests: it keeps committed samples as lines of text, and can be told to misbehave.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/map.h"
#include "base/number.h"
#include "metric/sink.h"

typedef struct SinkFake SinkFake;

typedef struct SinkFakeAppender {
    Appender appender;
    SinkFake *fake;
    Buf lines;
} SinkFakeAppender;

struct SinkFake {
    Sink sink;
    Lock lock;
    Condition committed;
    Arena arena;
    Map refs;         // labels as text to ref
    Str names[10000]; // by ref
    int64_t newest[10000];
    size_t count;         // of series, gone ones included
    SeriesRef gone_below; // refs below are APPEND_GONE
    Buf lines;            // committed
    int commits;
    int rollbacks;
    bool refuse_commit;
};

static inline SeriesRef sink_fake_series(Appender *appender, Labels labels, bool *ret_created,
                                         Error *err)
{
    SinkFake *fake = ((SinkFakeAppender *)appender)->fake;
    CLEANUP(buf_deinit) Buf text = {0};
    labels_print_metric(&text, labels);
    lock_take(&fake->lock);
    size_t ref = (size_t)map_get(&fake->refs, buf_str(&text));
    *ret_created = ref == 0 || ref < fake->gone_below;
    if (*ret_created && fake->count + 1 >= COUNT_OF(fake->names)) {
        ref = 0;
        error_set(err, ERR_LIMIT, "too many series");
    } else if (*ret_created) {
        ref = ++fake->count;
        fake->names[ref] = arena_str(&fake->arena, buf_str(&text));
        fake->newest[ref] = INT64_MIN;
        map_put(&fake->refs, fake->names[ref], (void *)ref);
    }
    lock_give(&fake->lock);
    return ref;
}

static inline AppendStatus sink_fake_judge(SinkFake *fake, const SinkSample *sample)
{
    if (sample->ref < fake->gone_below)
        return APPEND_GONE;
    if (sample->t_ms == fake->newest[sample->ref])
        return APPEND_DUPLICATE;
    return sample->t_ms < fake->newest[sample->ref] ? APPEND_OUT_OF_ORDER : APPEND_OK;
}

static inline size_t sink_fake_append(Appender *appender, SinkSample *samples, size_t count)
{
    SinkFakeAppender *mine = (SinkFakeAppender *)appender;
    SinkFake *fake = mine->fake;
    size_t taken = 0;
    lock_take(&fake->lock);
    for (size_t i = 0; i < count; i++) {
        ASSERT(samples[i].ref > 0 && samples[i].ref <= fake->count);
        samples[i].status = sink_fake_judge(fake, &samples[i]);
        if (samples[i].status != APPEND_OK)
            continue;
        taken++;
        fake->newest[samples[i].ref] = samples[i].t_ms;
        buf_add_str(&mine->lines, fake->names[samples[i].ref]);
        buf_add_char(&mine->lines, ' ');
        if (samples[i].histogram)
            histogram_print(&mine->lines, samples[i].histogram);
        else if (is_stale_nan(samples[i].value))
            buf_add_c(&mine->lines, "stale");
        else
            buf_add_double_g(&mine->lines, samples[i].value);
        buf_add_c(&mine->lines, " @");
        buf_add_i64(&mine->lines, samples[i].t_ms);
        if (samples[i].start_ms)
            buf_printf(&mine->lines, " since %lld", (long long)samples[i].start_ms);
        buf_add_char(&mine->lines, '\n');
    }
    lock_give(&fake->lock);
    return taken;
}

static inline void sink_fake_end(SinkFakeAppender *mine)
{
    buf_deinit(&mine->lines);
    free(mine);
}

static inline bool sink_fake_commit(Appender *appender, Error *err)
{
    SinkFakeAppender *mine = (SinkFakeAppender *)appender;
    SinkFake *fake = mine->fake;
    lock_take(&fake->lock);
    bool ok = !fake->refuse_commit;
    if (ok)
        buf_add_str(&fake->lines, buf_str(&mine->lines));
    fake->commits++;
    condition_broadcast(&fake->committed);
    lock_give(&fake->lock);
    sink_fake_end(mine);
    return ok || error_set(err, ERR_IO, "disk full");
}

static inline void sink_fake_rollback(Appender *appender)
{
    SinkFakeAppender *mine = (SinkFakeAppender *)appender;
    lock_take(&mine->fake->lock);
    mine->fake->rollbacks++;
    // Times of what is taken back do not count as the newest any more.
    for (size_t i = 0; i <= mine->fake->count; i++)
        mine->fake->newest[i] = INT64_MIN;
    lock_give(&mine->fake->lock);
    sink_fake_end(mine);
}

static inline Appender *sink_fake_begin(Sink *sink)
{
    SinkFakeAppender *mine = X_NEW(SinkFakeAppender);
    mine->fake = (SinkFake *)sink;
    mine->appender = (Appender){
        .series = sink_fake_series,
        .append = sink_fake_append,
        .commit = sink_fake_commit,
        .rollback = sink_fake_rollback,
    };
    return &mine->appender;
}

static inline SinkFake *sink_fake_new(void)
{
    SinkFake *fake = X_NEW(SinkFake);
    fake->sink.begin = sink_fake_begin;
    lock_init(&fake->lock, "fake sink", 800);
    condition_init(&fake->committed);
    return fake;
}

static inline void sink_fake_free(SinkFake *fake)
{
    map_deinit(&fake->refs);
    arena_deinit(&fake->arena);
    buf_deinit(&fake->lines);
    condition_deinit(&fake->committed);
    lock_deinit(&fake->lock);
    free(fake);
}
