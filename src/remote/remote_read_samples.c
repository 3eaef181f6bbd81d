// SPDX-License-Identifier: Apache-2.0
// An answer in one piece: ReadResponse {results = 1 {timeseries = 1 {labels = 1, samples = 2, histograms = 4}}}.
#include "base/number.h"
#include "codec/compress.h"
#include "remote/remote_read_internal.h"
#include "remote/remote_request.h"

enum {
    SAMPLE_BYTES_MAX = 24, // tag, length, value, time
    HEAD_BYTES_MAX = 16,   // tag and length of a longer message
};

typedef struct SamplesAnswer {
    const ReadRun *run;
    ReadBuf message;
    uint64_t samples;
} SamplesAnswer;

static void add_sample(Buf *buf, int64_t t_ms, double value)
{
    size_t begin = proto_begin(buf, 2);
    proto_add_double(buf, 1, value);
    proto_add_varint(buf, 2, (uint64_t)t_ms);
    proto_end(buf, begin);
}

static bool add_samples(SamplesAnswer *answer, const SampleColumns *samples, Error *err)
{
    Buf *buf = &answer->message.buf;
    for (size_t i = 0; i < samples->count; i++) {
        const Histogram *histogram = samples->histograms ? samples->histograms[i] : NULL;
        if (!histogram) {
            add_sample(buf, samples->t_ms[i], samples->value[i]);
            continue;
        }
        // Room for the samples behind it was asked for already and must stay.
        size_t rest = (samples->count - i) * SAMPLE_BYTES_MAX;
        if (!read_buf_reserve(&answer->message,
                              rest + remote_histogram_bytes(histogram) + HEAD_BYTES_MAX, err))
            return false;
        remote_histogram_encode(buf, 4, histogram, samples->t_ms[i], 0);
    }
    return true;
}

static bool add_series(void *arg, Labels labels, SampleColumns *samples, Arena *scratch, Error *err)
{
    SamplesAnswer *answer = arg;
    uint64_t most = answer->run->remote->options.samples_max;
    (void)scratch;
    answer->samples += samples->count;
    if (most && answer->samples > most)
        return error_set(err, ERR_LIMIT, "exceeded sample limit (%llu)", (unsigned long long)most);
    if (!read_buf_reserve(&answer->message,
                          read_labels_bytes(labels) + 2 * HEAD_BYTES_MAX +
                              samples->count * SAMPLE_BYTES_MAX,
                          err))
        return false;
    size_t begin = proto_begin(&answer->message.buf, 1);
    read_add_labels(&answer->message.buf, labels);
    if (!add_samples(answer, samples, err))
        return false;
    proto_end(&answer->message.buf, begin);
    return true;
}

static bool add_results(SamplesAnswer *answer, Error *err)
{
    const ReadRun *run = answer->run;
    for (size_t i = 0; i < run->query_count; i++) {
        if (!read_buf_reserve(&answer->message, HEAD_BYTES_MAX, err))
            return false;
        size_t begin = proto_begin(&answer->message.buf, 1);
        if (!read_each_series(run, &run->queries[i], add_series, answer, err) ||
            !read_buf_reserve(&answer->message, HEAD_BYTES_MAX, err))
            return false;
        proto_end(&answer->message.buf, begin);
    }
    return true;
}

bool read_answer_samples(ReadRun *run, Error *err)
{
    SamplesAnswer answer = {.run = run, .message.budget = run->arena->budget};
    ReadBuf packed = {.budget = run->arena->budget};
    // Snappy's largest answer is a little longer than what goes in.
    bool ok =
        add_results(&answer, err) &&
        read_buf_reserve(&packed, 64 + answer.message.buf.len + answer.message.buf.len / 6, err);
    if (ok) {
        snappy_encode(buf_str(&answer.message.buf), &packed.buf);
        read_buf_free(&answer.message);
        answer.message = (ReadBuf){0};
        run->begun = true;
        run->reply->whole(run->reply->arg, S("application/x-protobuf"), buf_str(&packed.buf));
        if (run->remote->samples)
            counter_add(run->remote->samples, (double)answer.samples);
    }
    read_buf_free(&packed);
    read_buf_free(&answer.message);
    return ok;
}
