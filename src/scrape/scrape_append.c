// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_append.h"

#include <stdlib.h>

#include "base/number.h"
#include "metric/type_unit.h"
#include "scrape/scrape_histogram.h"
#include "scrape/scrape_labels.h"
#include "trace/trace.h"

#define FUTURE_MS_MAX 600000 // a sample further ahead of the clock is out of bounds

// One call of scrape_append.
typedef struct Round {
    ScrapeState *state;
    ScrapeWork *work;
    Appender *appender;
    const ScrapeInput *input;
    ScrapeResult *result;
    Exposition parser;
    bool wants_texts; // a series has gone whose text was not made: the page is to be read again
} Round;

void scrape_state_deinit(ScrapeState *state, ScrapeWork *work)
{
    series_cache_deinit(&state->series);
    metadata_deinit(&state->metadata, &work->metadata);
    comment_cache_deinit(&state->comments);
    synthesis_deinit(&state->synthesis);
}

void scrape_work_deinit(ScrapeWork *work)
{
    arena_deinit(&work->arena);
    arena_deinit(&work->scratch);
    metadata_pool_deinit(&work->metadata);
    exposition_nhcb_deinit(&work->nhcb);
}

// ---- series that are seen for the first time ----

// The series of the parser's current sample. *ret_ref is 0 if relabelling drops it.
static bool resolve(Round *round, Exposition *at, SeriesRef *ret_ref, Error *err)
{
    arena_reset(&round->work->scratch);
    Labels scraped;
    if (!exposition_labels(at, &round->work->scratch, &scraped, err))
        return false;
    if (UNLIKELY(round->input->type_and_unit_labels)) {
        Metadata known =
            metadata_of(&round->state->metadata, labels_get(scraped, LABEL_METRIC_NAME));
        scraped.pairs =
            type_unit_replace(scraped.pairs, &scraped.count, known, &round->work->scratch);
    }
    *ret_ref = 0;
    Labels labels;
    if (!scrape_labels_make(round->work, round->input, scraped, &labels))
        return true;
    if (!scrape_labels_check(round->work, round->input, labels, &round->result->faults.label_limit,
                             err))
        return false;
    bool created;
    *ret_ref = round->appender->series(round->appender, labels, &created, err);
    return *ret_ref != 0;
}

// ---- batches ----

static void count_status(ScrapeFaults *faults, AppendStatus status)
{
    switch (status) {
    case APPEND_OUT_OF_ORDER:
    case APPEND_TOO_OLD:
        faults->out_of_order++;
        break;
    case APPEND_OUT_OF_BOUNDS:
        faults->out_of_bounds++;
        break;
    case APPEND_DUPLICATE:
        faults->duplicate_timestamp++;
        break;
    default:
        break;
    }
}

// The store has forgotten the series since the last scrape: it is found or made again from its text.
static bool retry_gone(Round *round, size_t i)
{
    ScrapeWork *work = round->work;
    SeriesSlot *slot = series_cache_at(&round->state->series, work->positions[i]);
    Exposition at = round->parser;
    at.series_text = str_make(work->texts[i], slot->bytes);
    at.type = (MetricType)(work->types[i] & ~SCRAPE_ZERO);
    if (!resolve(round, &at, &slot->ref, &round->result->err))
        return false;
    work->samples[i].ref = slot->ref;
    if (round->appender->append(round->appender, &work->samples[i], 1) == 0 &&
        !(work->types[i] & SCRAPE_ZERO))
        count_status(&round->result->faults, work->samples[i].status);
    return true;
}

static bool flush(Round *round)
{
    ScrapeWork *work = round->work;
    size_t count = work->count;
    work->count = 0;
    if (count == 0)
        return true;
    if (LIKELY(round->appender->append(round->appender, work->samples, count) == count))
        return true;
    for (size_t i = 0; i < count; i++) {
        AppendStatus status = work->samples[i].status;
        if (status == APPEND_GONE) {
            round->wants_texts = !work->texts[i];
            if (round->wants_texts || !retry_gone(round, i))
                return false;
        } else if (status == APPEND_LIMIT) {
            return error_set(&round->result->err, ERR_LIMIT, "the store takes no more samples");
        } else if (!(work->types[i] & SCRAPE_ZERO)) { // one that comes too late is not missed
            count_status(&round->result->faults, status);
            if (status != APPEND_OK && round->input->synthesize)
                synthesis_forget(&round->state->synthesis,
                                 series_cache_at(&round->state->series, work->positions[i])->hash);
        }
    }
    return true;
}

// ---- native histograms ----

static bool limit_histogram(Round *round, const Histogram **histogram, Error *err)
{
    return scrape_histogram_limit(round->input->config, &round->work->arena, histogram,
                                  &round->result->faults.histogram_bucket_limit, err);
}

// ---- samples ----

static void add_exemplar(Round *round, SeriesRef ref)
{
    Exemplar exemplar;
    Error ignored; // a bad exemplar costs itself alone
    arena_reset(&round->work->scratch);
    if (!round->appender->exemplar ||
        !exposition_exemplar(&round->parser, &round->work->scratch, &exemplar, &ignored))
        return;
    if (!exemplar.has_t) {
        exemplar.t_ms = round->parser.has_t ? round->parser.t_ms : round->input->t_ms;
        exemplar.has_t = true;
    }
    if (round->appender->exemplar(round->appender, ref, &exemplar) == APPEND_OUT_OF_ORDER)
        round->result->faults.exemplar_out_of_order++;
}

// What a histogram was when its count began.
static const Histogram *empty_histogram(const Round *round, const Histogram *like)
{
    Histogram *empty = ARENA_NEW(&round->work->arena, Histogram);
    empty->hint = HINT_RESET;
    empty->schema = like->schema;
    empty->is_integer = like->is_integer;
    empty->zero_threshold = like->zero_threshold;
    empty->custom_bounds = like->custom_bounds;
    empty->custom_count = like->custom_count;
    return empty;
}

// A sample of zero at the start timestamp, if that has not been seen yet.
static bool push_zero(Round *round, const SeriesSlot *slot, int64_t t_ms)
{
    ScrapeWork *work = round->work;
    const Exposition *parser = &round->parser;
    bool is_new = !(slot->flags & SLOT_ACTIVE) || parser->start_ms > round->state->newest_ms;
    if (!is_new || parser->start_ms >= t_ms)
        return true;
    if (work->count + 2 > SCRAPE_BATCH && !flush(round))
        return false;
    size_t i = work->count++;
    work->samples[i] = (SinkSample){.ref = slot->ref, .t_ms = parser->start_ms};
    if (parser->kind == EXPOSITION_HISTOGRAM)
        work->samples[i].histogram = empty_histogram(round, parser->histogram);
    work->positions[i] = (uint32_t)series_cache_position(&round->state->series, slot);
    work->texts[i] = parser->series_text.ptr;
    work->types[i] = (uint8_t)parser->type | SCRAPE_ZERO;
    return true;
}

// Whether the current sample is of a kind that has a start. What stands behind a family need not be of it.
static bool counts_up(Round *round)
{
    Exposition *parser = &round->parser;
    Labels labels;
    Error ignored;
    if (parser->type != METRIC_COUNTER && parser->type != METRIC_HISTOGRAM &&
        parser->type != METRIC_SUMMARY)
        return false;
    arena_reset(&round->work->scratch);
    if (!exposition_labels(parser, &round->work->scratch, &labels, &ignored))
        return false;
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    return synthesis_wants(metadata_of(&round->state->metadata, name).type, name);
}

// False: the sample is not stored.
static bool synthesize(Round *round, const SeriesSlot *slot, SinkSample *sample)
{
    Synthesis *synthesis = &round->state->synthesis;
    if (!synthesis_knows(synthesis, slot->hash) && !counts_up(round))
        return true;
    SynthesisVerdict verdict = synthesis_take(synthesis, slot->hash, sample, &round->work->arena);
    round->result->faults.out_of_order += verdict == SYNTHESIS_LATE;
    return verdict == SYNTHESIS_STORE;
}

// Puts the sample of a known, kept series into the batch.
static inline bool push_sample(Round *round, SeriesSlot *slot)
{
    if (UNLIKELY(round->parser.start_ms != 0 && round->input->zero_samples) &&
        !push_zero(round, slot, round->input->t_ms))
        return false;

    ScrapeWork *work = round->work;
    const Exposition *parser = &round->parser;
    const ScrapeInput *input = round->input;
    size_t i = work->count;
    SinkSample *sample = &work->samples[i];
    sample->ref = slot->ref;
    sample->t_ms = input->t_ms;
    sample->value = parser->value;
    sample->histogram = NULL;
    sample->start_ms = parser->start_ms;
    work->positions[i] = (uint32_t)series_cache_position(&round->state->series, slot);
    work->texts[i] = parser->series_text.ptr;
    work->types[i] = (uint8_t)parser->type;
    uint32_t flags = SLOT_ACTIVE;
    if (UNLIKELY(parser->has_t && input->config->honor_timestamps)) {
        sample->t_ms = parser->t_ms;
        if (!input->config->track_timestamps_staleness)
            flags |= SLOT_UNTRACKED;
        if (parser->t_ms > input->now_ms + FUTURE_MS_MAX) {
            slot->flags = flags & 7;
            round->result->faults.out_of_bounds++;
            return true;
        }
    }
    slot->flags = flags & 7;
    if (UNLIKELY(parser->kind == EXPOSITION_HISTOGRAM)) {
        sample->histogram = parser->histogram;
        if (!limit_histogram(round, &sample->histogram, &round->result->err))
            return false;
    }
    if (UNLIKELY(input->synthesize && !parser->start_ms) && !synthesize(round, slot, sample))
        return true;
    work->count = i + 1;
    if (UNLIKELY(parser->has_exemplar))
        add_exemplar(round, slot->ref);
    return work->count < SCRAPE_BATCH || flush(round);
}

// True if the sample may be stored; beyond the limit the rest is only counted.
static bool count_sample(Round *round)
{
    ScrapeResult *result = round->result;
    uint64_t max = round->input->config->limits.samples;
    result->post_relabel++;
    result->faults.sample_limit |= max != 0 && result->post_relabel > max;
    return !result->faults.sample_limit;
}

// A second line of a series in one page: only times of their own tell them apart.
static bool take_again(Round *round, const SeriesSlot *slot)
{
    if (slot->flags & SLOT_DROPPED)
        return true;
    if (!round->parser.has_t || !round->input->config->honor_timestamps) {
        round->result->faults.duplicate_timestamp++;
        return true;
    }
    if (!flush(round))
        return false;
    SinkSample sample = {.ref = slot->ref,
                         .t_ms = round->parser.t_ms,
                         .value = round->parser.value,
                         .start_ms = round->parser.start_ms};
    if (round->parser.kind == EXPOSITION_HISTOGRAM) {
        sample.histogram = round->parser.histogram;
        if (!limit_histogram(round, &sample.histogram, &round->result->err))
            return false;
    }
    if (!count_sample(round) ||
        (round->input->synthesize && !sample.start_ms && !synthesize(round, slot, &sample)))
        return true;
    if (round->appender->append(round->appender, &sample, 1) == 0)
        count_status(&round->result->faults, sample.status);
    return true;
}

static bool take_known(Round *round, SeriesSlot *known)
{
    SeriesCache *cache = &round->state->series;
    SeriesSlot *slot;
    // The batch's positions are of one list: it is given away before the order is left.
    bool leaves_order = !cache->reordering && known != series_cache_expected(cache);
    if (UNLIKELY(leaves_order) && !flush(round))
        return false;
    if (UNLIKELY(series_cache_take(cache, known, &slot)))
        return take_again(round, known);
    if (UNLIKELY(slot->flags & SLOT_DROPPED))
        return true;
    return !count_sample(round) || push_sample(round, slot);
}

// The line that was expected.
static inline bool take_expected(Round *round, SeriesSlot *slot)
{
    if (UNLIKELY(!series_cache_advance(&round->state->series, slot)))
        return take_known(round, slot);
    if (UNLIKELY(slot->flags & SLOT_DROPPED))
        return true;
    return !count_sample(round) || push_sample(round, slot);
}

static bool take_new(Round *round, uint64_t hash)
{
    SeriesCache *cache = &round->state->series;
    SeriesRef ref;
    if (!cache->reordering && !flush(round))
        return false;
    if (round->result->faults.sample_limit) {
        round->result->post_relabel++;
        return true;
    }
    if (!resolve(round, &round->parser, &ref, &round->result->err))
        return false;
    SeriesSlot *slot = series_cache_add(cache, hash, (uint32_t)round->parser.series_text.len);
    slot->ref = ref;
    if (ref == 0) {
        slot->flags = SLOT_DROPPED;
        return true;
    }
    round->result->added++;
    return !count_sample(round) || push_sample(round, slot);
}

static bool take_unexpected(Round *round)
{
    const Exposition *parser = &round->parser;
    uint64_t hash = exposition_sample_hash(parser);
    SeriesSlot *slot =
        series_cache_find(&round->state->series, hash, (uint32_t)parser->series_text.len);
    return slot ? take_known(round, slot) : take_new(round, hash);
}

// Anything that is not the expected line. False on a fault that fails the scrape.
static bool take_line(Round *round)
{
    Exposition *parser = &round->parser;
    MetadataCache *metadata = &round->state->metadata;
    MetadataPool *pool = &round->work->metadata;
    switch (parser->kind) {
    case EXPOSITION_HISTOGRAM:
    case EXPOSITION_SAMPLE:
        round->result->scraped++;
        return take_unexpected(round);
    case EXPOSITION_TYPE:
        metadata_type(metadata, pool, parser->name, parser->type);
        return true;
    case EXPOSITION_HELP:
        metadata_help(metadata, pool, parser->name, parser->text);
        return true;
    case EXPOSITION_UNIT:
        metadata_unit(metadata, pool, parser->name, parser->text);
        return true;
    case EXPOSITION_COMMENT:
        return true;
    }
    return true;
}

// The histogram that the lines before the current one make, if they do.
static bool take_converted(Round *round)
{
    Exposition sample;
    if (!exposition_nhcb_finish(&round->work->nhcb, &round->parser, &sample))
        return true;
    Exposition page = round->parser;
    round->parser = sample;
    round->result->scraped++;
    bool ok = take_unexpected(round);
    round->parser = page;
    return ok;
}

// The page line by line, with histograms of classic series turned into native ones.
static bool read_converting(Round *round)
{
    Exposition *parser = &round->parser;
    ExpositionNhcb *nhcb = &round->work->nhcb;
    bool keep_classic = round->input->target->switches.always_classic;
    exposition_nhcb_init(nhcb, &round->work->arena);
    while (exposition_next(parser)) {
        if (exposition_nhcb_ends(nhcb, parser) && !take_converted(round))
            return false;
        bool is_classic = exposition_nhcb_add(nhcb, parser);
        if ((!is_classic || keep_classic) && !take_line(round))
            return false;
    }
    return parser->failed || take_converted(round);
}

// The lines that begin with '#' from here on. False at the end of the page or on a fault.
static bool take_comments(Round *round)
{
    Exposition *parser = &round->parser;
    MetadataCache *metadata = &round->state->metadata;
    CommentCache *comments = &round->state->comments;
    // Start timestamps want the name of the family, which only a reader knows.
    if (LIKELY(!parser->wants_start && comment_cache_skip(comments, metadata, parser)))
        return true;
    const char *begin = parser->at;
    size_t first = SIZE_MAX;
    size_t last = 0;
    do {
        if (!exposition_next(parser) || !take_line(round))
            return false;
        if (parser->kind != EXPOSITION_COMMENT) {
            first = MIN(first, metadata->current);
            last = MAX(last, metadata->current);
        }
    } while (parser->at < parser->end && *parser->at == '#');
    comment_cache_note(comments, parser, begin, first, last);
    return true;
}

static bool read_predicting(Round *round)
{
    Exposition *parser = &round->parser;
    SeriesCache *cache = &round->state->series;
    bool is_text = parser->format != EXPOSITION_PROTOBUF;
    bool predicts = is_text || !round->wants_texts;
    for (;;) {
        SeriesSlot *expected = predicts ? series_cache_expected(cache) : NULL;
        if (LIKELY(expected && exposition_next_hash(parser, expected->bytes, expected->hash))) {
            round->result->scraped++;
            if (!take_expected(round, expected))
                return false;
            continue;
        }
        if (is_text && parser->at < parser->end && *parser->at == '#') {
            if (!take_comments(round))
                return round->result->err.code == ERR_NONE;
            continue;
        }
        if (!exposition_next(parser))
            return true;
        if (!take_line(round))
            return false;
    }
}

static bool read_body(Round *round)
{
    Exposition *parser = &round->parser;
    const ScrapeSwitches *switches = &round->input->target->switches;
    exposition_init(parser, round->input->format, round->input->body, &round->work->arena);
    parser->ignore_native = !switches->native_histograms;
    parser->keep_classic = switches->always_classic;
    parser->wants_start = round->input->start_times || round->input->zero_samples;
    if (!(switches->classic_to_nhcb ? read_converting(round) : read_predicting(round)))
        return false;
    if (parser->failed) {
        round->result->err = parser->err;
        return false;
    }
    if (round->result->faults.sample_limit)
        return error_set(&round->result->err, ERR_LIMIT, "sample limit exceeded");
    return flush(round);
}

// Takes back what the body has left so far.
static void forget_body(Round *round, Sink *sink)
{
    round->work->count = 0;
    round->appender->rollback(round->appender);
    round->appender = sink->begin(sink);
    series_cache_begin(&round->state->series);
}

static bool append_body(Round *round, Sink *sink)
{
    if (read_body(round))
        return true;
    if (!round->wants_texts)
        return false;
    forget_body(round, sink);
    *round->result = (ScrapeResult){0};
    return read_body(round);
}

// ---- stale markers and the report ----

static void push_stale(void *arg, SeriesRef ref)
{
    Round *round = arg;
    ScrapeWork *work = round->work;
    work->samples[work->count++] = (SinkSample){
        .ref = ref, .t_ms = round->input->t_ms, .value = double_from_bits(NAN_STALE_BITS)};
    if (work->count < SCRAPE_BATCH)
        return;
    // A marker that comes too late or for a series that is gone is not missed.
    (void)round->appender->append(round->appender, work->samples, work->count);
    work->count = 0;
}

static void end_series(Round *round, bool keep)
{
    series_cache_end(&round->state->series, keep, push_stale, round);
    if (UNLIKELY(round->state->synthesis.slot_count))
        synthesis_end_round(&round->state->synthesis, keep);
    if (round->work->count)
        (void)round->appender->append(round->appender, round->work->samples, round->work->count);
    round->work->count = 0;
}

static const char *const report_names[REPORT_COUNT] = {
    [REPORT_UP] = "up",
    [REPORT_DURATION] = "scrape_duration_seconds",
    [REPORT_SCRAPED] = "scrape_samples_scraped",
    [REPORT_POST_RELABEL] = "scrape_samples_post_metric_relabeling",
    [REPORT_ADDED] = "scrape_series_added",
    [REPORT_TIMEOUT] = "scrape_timeout_seconds",
    [REPORT_SAMPLE_LIMIT] = "scrape_sample_limit",
    [REPORT_BODY_BYTES] = "scrape_body_size_bytes",
};

static SeriesRef report_series(const Round *round, ReportSeries report, Error *err)
{
    Labels labels = labels_set(&round->work->arena, round->input->target->labels, LABEL_METRIC_NAME,
                               str_from_c(report_names[report]));
    bool created;
    return round->appender->series(round->appender, labels, &created, err);
}

static void append_report(Round *round, const double *values)
{
    size_t count = round->input->target->switches.extra_metrics ? REPORT_COUNT : REPORT_TIMEOUT;
    for (size_t i = 0; i < count; i++) {
        SeriesRef *ref = &round->state->reports[i];
        SinkSample sample = {.ref = *ref, .t_ms = round->input->t_ms, .value = values[i]};
        Error ignored; // the commit tells when the store takes nothing
        for (int attempt = 0; attempt < 2; attempt++) {
            if (sample.ref == 0)
                sample.ref = *ref = report_series(round, (ReportSeries)i, &ignored);
            if (sample.ref == 0 || round->appender->append(round->appender, &sample, 1) == 1 ||
                sample.status != APPEND_GONE)
                break;
            sample.ref = 0;
        }
    }
    round->state->has_reported = true;
}

static void report_result(Round *round, double duration_s)
{
    const ScrapeInput *input = round->input;
    const ScrapeResult *result = round->result;
    const double values[REPORT_COUNT] = {
        [REPORT_UP] = result->up,
        [REPORT_DURATION] = duration_s,
        [REPORT_SCRAPED] = (double)result->scraped,
        [REPORT_POST_RELABEL] = (double)result->post_relabel,
        [REPORT_ADDED] = (double)result->added,
        [REPORT_TIMEOUT] = (double)input->target->timeout_ms / 1000,
        [REPORT_SAMPLE_LIMIT] = (double)input->config->limits.samples,
        [REPORT_BODY_BYTES] = result->faults.body_limit ? -1 : (double)input->body.len,
    };
    append_report(round, values);
}

static void commit(const Round *round)
{
    Error *err = &round->result->commit_err;
    Span span;
    span_open(&span, S("scrapeCommit"));
    if (!round->appender->commit(round->appender, err)) {
        if (err->code == ERR_NONE)
            err->code = ERR_IO;
        span_fail(&span, str_from_c(err->text));
    }
    span_end(&span);
}

void scrape_append(ScrapeState *state, ScrapeWork *work, Sink *sink, const ScrapeInput *input,
                   double (*duration_s)(void *arg), void *arg, ScrapeResult *ret_result)
{
    *ret_result = (ScrapeResult){0};
    Round round = {state, work, sink->begin(sink), input, ret_result, {0}, false};
    Span span;
    span_open(&span, S("scrapeAppend"));
    series_cache_begin(&state->series);
    work->count = 0;
    memset(work->names, 0, sizeof work->names);
    work->metric = STR_NONE;
    if (input->failed) {
        ret_result->err = *input->failed;
        ret_result->faults.body_limit = input->failed->code == ERR_LIMIT;
    } else {
        metadata_begin(&state->metadata);
        comment_cache_begin(&state->comments, &state->metadata);
        ret_result->up = append_body(&round, sink);
        metadata_end(&state->metadata, &work->metadata);
        comment_cache_end(&state->comments);
        if (!ret_result->up)
            forget_body(&round, sink); // only stale markers and the report are stored
    }
    end_series(&round, !ret_result->up);
    if (!ret_result->up && !input->failed)
        span_fail(&span, str_from_c(ret_result->err.text));
    span_end(&span);
    if (ret_result->up)
        state->newest_ms = input->t_ms;
    else
        ret_result->added = 0;
    span_open(&span, S("scrapeReport"));
    report_result(&round, duration_s(arg));
    span_end(&span);
    commit(&round);
    arena_reset(&work->arena);
}

void scrape_append_stale(ScrapeState *state, ScrapeWork *work, Sink *sink, const ScrapeInput *input)
{
    ScrapeResult result = {0};
    Round round = {state, work, sink->begin(sink), input, &result, {0}, false};
    double values[REPORT_COUNT];
    for (size_t i = 0; i < REPORT_COUNT; i++)
        values[i] = double_from_bits(NAN_STALE_BITS);
    series_cache_begin(&state->series);
    work->count = 0;
    end_series(&round, true);
    if (state->has_reported)
        append_report(&round, values);
    Error ignored; // the target has gone, nobody is left to tell
    if (!round.appender->commit(round.appender, &ignored))
        state->has_reported = false;
    arena_reset(&work->arena);
}
