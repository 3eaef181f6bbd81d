// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_nflog.h"

#include <stdlib.h>

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static Str make_key(Buf *buf, Str group_key, Str receiver, Str integration, uint32_t index)
{
    buf_printf(buf, STR_FMT ":" STR_FMT "/" STR_FMT "/%u", STR_ARG(group_key), STR_ARG(receiver),
               STR_ARG(integration), index);
    return buf_str(buf);
}

static Str put_str(char **at, Str s)
{
    Str copy = {*at, s.len};
    if (s.len)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

static uint64_t *put_hashes(char **at, const uint64_t *hashes, size_t count)
{
    uint64_t *copy = (uint64_t *)(void *)*at;
    if (count)
        memcpy(copy, hashes, count * sizeof *copy);
    if (count > 1)
        qsort(copy, count, sizeof *copy, compare_hashes);
    *at += count * sizeof *copy;
    return copy;
}

static AmLogEntry *copy_entry(const AmLogData *data, Str key)
{
    size_t bytes = (data->firing_count + data->resolved_count) * sizeof(uint64_t) + key.len +
                   data->group_key.len + data->receiver.len + data->integration.len +
                   data->thread_ts.len + data->channel_id.len;
    AmLogEntry *entry = x_malloc(sizeof *entry + bytes);
    char *at = (char *)(entry + 1);
    entry->data = *data;
    entry->in_engine = false;
    entry->data.firing = put_hashes(&at, data->firing, data->firing_count);
    entry->data.resolved = put_hashes(&at, data->resolved, data->resolved_count);
    entry->key = put_str(&at, key);
    entry->data.group_key = put_str(&at, data->group_key);
    entry->data.receiver = put_str(&at, data->receiver);
    entry->data.integration = put_str(&at, data->integration);
    entry->data.thread_ts = put_str(&at, data->thread_ts);
    entry->data.channel_id = put_str(&at, data->channel_id);
    return entry;
}

void am_log_deinit(AmLog *log)
{
    for (MapEntry *e = NULL; (e = map_next(&log->entries, e));)
        free(e->value);
    map_deinit(&log->entries);
}

// NULL if there is a newer one. The map's key lives in the value, so the old one goes first.
static AmLogEntry *keep(AmLog *log, const AmLogData *data)
{
    CLEANUP(buf_deinit) Buf text = {0};
    Str key = make_key(&text, data->group_key, data->receiver, data->integration, data->index);
    AmLogEntry *old = map_get(&log->entries, key);
    if (old && old->data.at_ns > data->at_ns)
        return NULL;
    if (old)
        (void)map_remove(&log->entries, key);
    AmLogEntry *entry = copy_entry(data, key);
    (void)map_put(&log->entries, entry->key, entry);
    free(old);
    return entry;
}

typedef struct Loading {
    AmLog *log;
    int64_t now_ns;
    size_t bad;
} Loading;

static void load_row(void *arg, Str key, Str body)
{
    Loading *loading = arg;
    Arena arena = {0};
    AmLogData data;
    Error err = {0};
    if (!am_wire_read_log(body, &arena, &data, &err))
        loading->bad++;
    else if (data.expires_ns > loading->now_ns)
        (void)keep(loading->log, &data);
    else
        (void)am_store_put(loading->log->store, AM_STORE_LOG, key, STR_NONE);
    arena_deinit(&arena);
}

bool am_log_load(AmLog *log, int64_t now_ns, Error *err)
{
    Loading loading = {log, now_ns, 0};
    if (!am_store_load(log->store, AM_STORE_LOG, load_row, &loading, err))
        return false;
    return loading.bad == 0 ||
           error_set(err, ERR_CORRUPT, "%zu entries of the notification log cannot be read",
                     loading.bad);
}

bool am_log_import(AmLog *log, Str bytes, int64_t now_ns, size_t *ret_count, Error *err)
{
    Arena arena = {0};
    Str message;
    bool bad;
    bool ok = true;
    *ret_count = 0;
    while (ok && am_wire_next(&bytes, &message, &bad)) {
        AmLogData data;
        arena_reset(&arena);
        ok = am_wire_read_log(message, &arena, &data, err);
        if (ok && data.expires_ns > now_ns) {
            am_log_put(log, &data, NULL);
            ++*ret_count;
        }
    }
    arena_deinit(&arena);
    return ok && (!bad || error_set(err, ERR_CORRUPT, "the file ends inside of an entry"));
}

const AmLogEntry *am_log_find(AmLog *log, Str group_key, Str receiver, const char *integration,
                              uint32_t index, int64_t now_ns)
{
    CLEANUP(buf_deinit) Buf text = {0};
    Str key = make_key(&text, group_key, receiver, str_from_c(integration), index);
    int64_t begun_ns = clock_mono_ns(&clock_system);
    const AmLogEntry *entry = map_get(&log->entries, key);
    log->queries++;
    if (log->query_seconds)
        histogram_observe(log->query_seconds,
                          (double)(clock_mono_ns(&clock_system) - begun_ns) / 1e9);
    if (entry && entry->data.expires_ns > now_ns)
        return entry;
    log->query_misses++;
    return NULL;
}

static void store_entry(AmLog *log, AmLogEntry *entry, AmClaim *claim)
{
    CLEANUP(buf_deinit) Buf body = {0};
    am_wire_add_log(&body, &entry->data);
    AmRow row = {entry->key, buf_str(&body), entry->data.at_ns, entry->data.expires_ns};
    entry->in_engine = log->shared != NULL;
    if (claim)
        am_shared_finish(log->shared, claim, &row);
    else if (log->shared)
        (void)am_shared_put(log->shared, AM_STORE_LOG, &row);
    if (log->store)
        (void)am_store_put(log->store, AM_STORE_LOG, entry->key, buf_str(&body));
}

void am_log_put(AmLog *log, const AmLogData *data, AmClaim *claim)
{
    AmLogEntry *entry = keep(log, data);
    if (entry)
        store_entry(log, entry, claim);
    else if (claim)
        am_shared_finish(log->shared, claim, NULL);
}

bool am_log_merge(AmLog *log, Str message, int64_t now_ns, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    AmLogData data;
    if (!am_wire_read_log(message, &arena, &data, err))
        return false;
    Str key = make_key(&text, data.group_key, data.receiver, data.integration, data.index);
    AmLogEntry *old = map_get(&log->entries, key);
    if (old && old->data.at_ns >= data.at_ns)
        old->in_engine |= old->data.at_ns == data.at_ns;
    else if (data.expires_ns > now_ns) {
        keep(log, &data)->in_engine = true;
        if (log->store)
            (void)am_store_put(log->store, AM_STORE_LOG, key, message);
    }
    return true;
}

void am_log_share(AmLog *log)
{
    for (MapEntry *e = NULL; (e = map_next(&log->entries, e));) {
        AmLogEntry *entry = e->value;
        CLEANUP(buf_deinit) Buf body = {0};
        if (entry->in_engine)
            continue;
        am_wire_add_log(&body, &entry->data);
        AmRow row = {entry->key, buf_str(&body), entry->data.at_ns, entry->data.expires_ns};
        entry->in_engine = true;
        (void)am_shared_put(log->shared, AM_STORE_LOG, &row);
    }
}

Str am_log_key(Buf *buf, Str group_key, Str receiver, const char *integration, uint32_t index)
{
    return make_key(buf, group_key, receiver, str_from_c(integration), index);
}

size_t am_log_collect(AmLog *log, int64_t now_ns)
{
    size_t count = 0;
    AmLogEntry **gone = x_calloc(log->entries.count + 1, sizeof(AmLogEntry *));
    for (MapEntry *e = NULL; (e = map_next(&log->entries, e));)
        if (((AmLogEntry *)e->value)->data.expires_ns <= now_ns)
            gone[count++] = e->value;
    for (size_t i = 0; i < count; i++) {
        if (log->store)
            (void)am_store_put(log->store, AM_STORE_LOG, gone[i]->key, STR_NONE);
        (void)map_remove(&log->entries, gone[i]->key);
        free(gone[i]);
    }
    free(gone);
    return count;
}

bool am_log_is_subset(const uint64_t *part, size_t part_count, const uint64_t *whole,
                      size_t whole_count)
{
    size_t at = 0;
    for (size_t i = 0; i < part_count; i++) {
        while (at < whole_count && whole[at] < part[i])
            at++;
        if (at == whole_count || whole[at] != part[i])
            return false;
    }
    return true;
}
