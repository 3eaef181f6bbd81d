// SPDX-License-Identifier: Apache-2.0
// remote_queue.h: one remote_write endpoint: reads the feed, fills requests, sends them. Private to the room.
//
//     FeedReader --entries--> series (labels made once) --ref mod n--> shard 0..n-1: open request -> sealed requests -> one in flight
//
// (1) All of a queue runs on the loop of its own thread; only its counters are seen from outside.
// (2) A shard sends its requests one after the other in the order of the feed, so samples of a series never overtake each other.
// (3) A full shard stops the reading. What is not read stays in the store's log: an endpoint that is away costs no memory.
// (4) Places are kept before a request goes out and after its answer (remote_places.h): a kill loses nothing.
#pragma once

#include "base/map.h"
#include "client/registry.h"
#include "metric/feed.h"
#include "net/http_client.h"
#include "remote/remote.h"
#include "remote/remote_places.h"
#include "remote/remote_rates.h"
#include "remote/remote_request.h"
#include "remote/remote_resolve.h"
#include "trace/trace.h"

typedef struct RemoteQueue RemoteQueue;

// remote_queue_metrics.c: families of all queues, and the children of one.
typedef enum RemoteMetric {
    RM_SAMPLES,
    RM_EXEMPLARS,
    RM_HISTOGRAMS,
    RM_METADATA,
    RM_SAMPLES_FAILED,
    RM_EXEMPLARS_FAILED,
    RM_HISTOGRAMS_FAILED,
    RM_METADATA_FAILED,
    RM_SAMPLES_RETRIED,
    RM_EXEMPLARS_RETRIED,
    RM_HISTOGRAMS_RETRIED,
    RM_METADATA_RETRIED,
    RM_ENQUEUE_RETRIES,
    RM_BYTES,
    RM_METADATA_BYTES,
    RM_COUNTERS, // how many
} RemoteMetric;

typedef enum RemoteGauge {
    RG_SAMPLES_PENDING,
    RG_EXEMPLARS_PENDING,
    RG_HISTOGRAMS_PENDING,
    RG_HIGHEST,
    RG_HIGHEST_SENT,
    RG_SHARDS,
    RG_SHARDS_MIN,
    RG_SHARDS_MAX,
    RG_SHARDS_DESIRED,
    RG_SHARD_CAPACITY,
    RG_MAX_SAMPLES,
    RG_GAUGES, // how many
} RemoteGauge;

typedef enum RemoteDrop {
    DROP_TOO_OLD,
    DROP_SERIES,
    DROP_UNKNOWN,
    DROP_NHCB,
    DROP_REASONS
} RemoteDrop;
typedef enum RemotePoint { POINT_SAMPLE, POINT_EXEMPLAR, POINT_HISTOGRAM, POINTS } RemotePoint;

// Counters of the reader of the log, by consumer.
enum { RW_PRE_TAILING, RW_DECODE_FAILURES, RW_SKIPPED, RW_COUNTERS };

typedef struct RemoteFamilies {
    Registry *registry; // NULL: nothing is counted
    Family *counters[RM_COUNTERS];
    Family *gauges[RG_GAUGES];
    Family *dropped[POINTS];
    Family *sent_seconds;
    Family *records_read, *current_segment;
    Family *watcher[RW_COUNTERS];
    Counter *in[POINTS];
    Gauge *highest_in;
} RemoteFamilies;

typedef struct RemoteMetrics {
    Counter *counters[RM_COUNTERS];
    Gauge *gauges[RG_GAUGES];
    Counter *dropped[POINTS][DROP_REASONS];
    HistogramMetric *sent_seconds;
    Counter *records_read[FEED_KINDS];
    Gauge *current_segment;
    Counter *watcher[RW_COUNTERS];
} RemoteMetrics;

void remote_families_init(RemoteFamilies *families, Registry *registry);
void remote_metrics_init(RemoteMetrics *metrics, const RemoteFamilies *families, Str name, Str url);
void remote_metrics_remove(const RemoteFamilies *families, Str name, Str url);

static inline void remote_count(const RemoteMetrics *metrics, RemoteMetric which, size_t n)
{
    if (n && metrics->counters[which])
        counter_add(metrics->counters[which], (double)n);
}

static inline void remote_gauge(const RemoteMetrics *metrics, RemoteGauge which, double v)
{
    if (metrics->gauges[which])
        gauge_set(metrics->gauges[which], v);
}

// remote_queue_series.c: refs to series, and metrics to metadata.
typedef struct RemoteTable {
    RemoteSeries **slots; // open addressing by ref
    size_t slot_count, count;
    RemotePairs pairs; // 1.0: of all series
    Map metadata;      // by metric name: RemoteMetadata
} RemoteTable;

void remote_table_deinit(RemoteTable *table);
static inline RemoteSeries *remote_table_get(const RemoteTable *table, uint64_t ref)
{
    if (table->slot_count == 0)
        return NULL;
    for (size_t at = ref & (table->slot_count - 1);; at = (at + 1) & (table->slot_count - 1))
        if (!table->slots[at] || table->slots[at]->ref == ref)
            return table->slots[at];
}
void remote_table_put(RemoteTable *table, RemoteSeries *series); // replaces
// Forgets what was last told of in a segment up to `segment` and is not among `refs`.
void remote_table_keep(RemoteTable *table, const uint64_t *refs, size_t count, uint32_t segment);
// Of the metric, made if new.
RemoteMetadata *remote_table_metadata(RemoteTable *table, Str metric);
void remote_metadata_set(RemoteMetadata *metadata, Metadata news);

// remote_shard.c
typedef struct RemoteBatch RemoteBatch;
struct RemoteBatch {
    RemoteBatch *next;
    Buf body; // compressed
    size_t samples, exemplars, histograms;
    int64_t newest_t_ms;
    FeedPlace end[FEED_LANES];
    int tries;
    int64_t first_sent_ns;
};

typedef struct RemoteShard {
    RemoteQueue *queue;
    RemoteRequest open;
    int64_t open_since_ns; // 0: it is empty
    RemoteBatch *first, **last;
    size_t held; // entries in `open` and in batches
    FeedPlace acked[FEED_LANES];
    FeedPlace again_to[FEED_LANES]; // entries before it were in flight when the last process ended
    bool again;                     // still gathering them: one request, not sealed before
    HttpCall *call;
    LoopTimer *timer; // of the next try
    int64_t backoff_ms;
    bool failing;                // the newest answer asks to try again
    bool waiting;                // for the timer
    Span batch_span, store_span; // of the request under way
} RemoteShard;

void remote_shard_init(RemoteShard *shard, RemoteQueue *queue, const RemoteShardPlace *place);
void remote_shard_deinit(RemoteShard *shard); // cancels
bool remote_shard_is_full(const RemoteShard *shard);
static inline bool remote_shard_is_idle(const RemoteShard *shard)
{
    return !shard->first && remote_request_count(&shard->open) == 0;
}
// An entry was added to `open`: seals it if it is full.
void remote_shard_added(RemoteShard *shard);
// Seals what is open and may be sealed.
void remote_shard_seal(RemoteShard *shard);
// Sends the next request if there is one and nothing is under way.
void remote_shard_pump(RemoteShard *shard);

// What an answer asks for.
typedef enum RemoteVerdict { VERDICT_DONE, VERDICT_AGAIN, VERDICT_DROP } RemoteVerdict;
// `retry_after_ms` is -1 if the receiver does not say.
RemoteVerdict remote_verdict(const HttpResponse *response, bool retry_429, int64_t now_ms,
                             int64_t *ret_retry_after_ms, Error *err);

// remote_queue_metadata.c: 1.0 sends metadata in requests of its own.
typedef struct RemoteMetadataSender {
    LoopTimer *timer;
    HttpCall *call;
    Arena arena;
    RemoteMetricMetadata *items;
    size_t count, next, sending;
    Buf body;
    int64_t backoff_ms;
    int64_t due_ns; // of the next round
} RemoteMetadataSender;

void remote_metadata_start(RemoteQueue *queue);
void remote_metadata_stop(RemoteQueue *queue);

// remote_queue.c
struct RemoteQueue {
    const RemoteOutOptions *options;
    const RemoteFamilies *families;
    RemoteMetrics metrics;
    Arena arena; // of the names
    const RemoteWriteConfig *config;
    Str shown_url;         // without its password
    RemoteOutConfig owner; // keeps the config alive
    Str fingerprint, key, name, path;
    bool v2, is_first;
    bool sends_histograms;
    size_t samples_max; // in a request
    Str *headers;       // of each request, with room for one more
    size_t header_count;

    Loop *loop;
    HttpClient *client;
    RemoteResolver resolver; // with round_robin_dns
    LoopTimer *tick, *reshard_timer;
    Feed *feed;
    FeedReader *reader;
    FeedBatch batch; // under way, from `entry` on
    bool is_tailing; // has seen the end of the log
    bool has_batch;
    size_t entry;
    FeedPlace at
        [FEED_LANES]; // everything before it has its shard; inside the batch: see remote_queue_place
    int64_t pause_to_ns; // after a failure of the feed
    uint64_t lost_told, lost_places_told;
    bool is_resuming; // some shard has entries ahead that it has sent already
    bool step_posted;
    RemoteTable table;
    Arena scratch; // of one series' labels
    RemoteShard *shards;
    size_t shard_count;
    size_t reshard_to; // 0: nothing under way
    RemotePlacesFile places;
    RemoteShardPlace *places_scratch;
    bool places_failed;
    RemoteRates rates;
    RemoteMetadataSender metadata;
    size_t pending[POINTS];
    int64_t highest_t_ms, highest_sent_t_ms;
    int64_t last_send_ns;
    bool stopping;
    _Atomic bool drained;
    _Atomic uint32_t needed_segment; // of lane 0, by the places on disk
};

// Where the queue reads now, entry by entry.
void remote_queue_place(const RemoteQueue *queue, FeedPlace ret_places[FEED_LANES]);
// Writes down the places of all shards.
void remote_queue_keep(RemoteQueue *queue);
// Goes on reading soon: a shard has room again.
void remote_queue_wake(RemoteQueue *queue);
void remote_queue_show(RemoteQueue *queue);

bool remote_queue_start(RemoteQueue *queue, Error *err) MUST_CHECK;
// Any thread but the loop: no more is read, what is open is sealed and sent; then remote_queue_free.
void remote_queue_stop(RemoteQueue *queue);
void remote_queue_free(RemoteQueue *queue);
