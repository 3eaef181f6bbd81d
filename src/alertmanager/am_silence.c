// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_silence.h"

#include <stdio.h>
#include <stdlib.h>

#include "alertmanager/am_alert.h"
#include "alertmanager/am_trace.h"
#include "base/random.h"

// What has been over for longer is not in the index; a clock that is set back by less finds all that it must.
#define CLOCK_STEP_NS (INT64_C(3600) * AM_S_NS)

// The silences whose sets have the same equality.
typedef struct AmSilenceList {
    AmSilence **items;
    size_t count, cap;
} AmSilenceList;

static void free_silence(AmSilence *silence)
{
    am_wire_free_silence(&silence->data);
    arena_deinit(&silence->arena);
    free(silence);
}

// ---- the index ----

static void forget_index(AmSilences *silences)
{
    for (AmTableSlot *s = NULL; (s = am_table_next(&silences->index, s));) {
        AmSilenceList *list = s->value;
        free(list->items);
        free(list);
    }
    am_table_deinit(&silences->index);
    free(silences->others);
    silences->others = NULL;
    silences->other_count = 0;
}

static uint64_t pair_key(Str name, Str value)
{
    return str_hash(name) * 31 + str_hash(value);
}

static const Matcher *an_equality(const AmMatchers *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].kind == MATCH_EQUAL && set->items[i].value.len)
            return &set->items[i];
    return NULL;
}

static void add_to_list(AmSilences *silences, const Matcher *equality, AmSilence *silence)
{
    uint64_t key = pair_key(equality->name, equality->value);
    AmSilenceList *list = am_table_get(&silences->index, key);
    if (!list) {
        list = X_NEW(AmSilenceList);
        (void)am_table_put(&silences->index, key, list);
    }
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        list->items = x_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->count++] = silence;
}

static void index_silence(AmSilences *silences, AmSilence *silence)
{
    bool elsewhere = false;
    for (size_t i = 0; i < silence->data.set_count; i++) {
        const Matcher *equality = an_equality(&silence->data.sets[i]);
        if (equality)
            add_to_list(silences, equality, silence);
        else
            elsewhere = true;
    }
    if (elsewhere)
        silences->others[silences->other_count++] = silence;
}

static void build_index(AmSilences *silences, int64_t now_ns)
{
    forget_index(silences);
    silences->others = x_calloc(silences->by_id.count + 1, sizeof *silences->others);
    for (MapEntry *e = NULL; (e = map_next(&silences->by_id, e));) {
        AmSilence *silence = e->value;
        if (am_time_add(silence->data.ends_ns, CLOCK_STEP_NS) > now_ns)
            index_silence(silences, silence);
    }
    silences->index_is_old = false;
}

void am_silences_deinit(AmSilences *silences)
{
    forget_index(silences);
    for (MapEntry *e = NULL; (e = map_next(&silences->by_id, e));)
        free_silence(e->value);
    map_deinit(&silences->by_id);
}

// ---- state ----

AmSilenceState am_silence_state(const AmSilenceData *silence, int64_t now_ns)
{
    if (now_ns < silence->starts_ns)
        return AM_SILENCE_PENDING;
    return now_ns > silence->ends_ns || silence->ends_ns == silence->starts_ns ? AM_SILENCE_EXPIRED
                                                                               : AM_SILENCE_ACTIVE;
}

const char *am_silence_state_name(AmSilenceState state)
{
    static const char *const names[] = {"expired", "active", "pending"};
    return names[state];
}

const AmSilence *am_silences_find(const AmSilences *silences, Str id)
{
    return map_get(&silences->by_id, id);
}

// ---- in and out ----

static void share(AmSilences *silences, AmSilence *silence, Str body)
{
    const AmSilenceData *data = &silence->data;
    AmRow row = {data->id, body, data->updated_ns, data->expires_ns};
    silence->in_engine = true;
    silences->shared_ticket = am_shared_put(silences->shared, AM_STORE_SILENCES, &row);
}

static uint64_t write_silence(AmSilences *silences, AmSilence *silence)
{
    CLEANUP(buf_deinit) Buf body = {0};
    silence->data.expires_ns = am_time_add(silence->data.ends_ns, silences->retention_ns);
    if (!silences->store && !silences->shared)
        return 0;
    am_wire_add_silence(&body, &silence->data);
    if (silences->shared)
        share(silences, silence, buf_str(&body));
    return silences->store
               ? am_store_put(silences->store, AM_STORE_SILENCES, silence->data.id, buf_str(&body))
               : 0;
}

static void keep(AmSilences *silences, AmSilence *silence)
{
    AmSilence *old = map_remove(&silences->by_id, silence->data.id);
    (void)map_put(&silences->by_id, silence->data.id, silence);
    silences->index_is_old = true;
    if (old)
        free_silence(old);
}

// From the wire; NULL if it cannot be read or its time is over.
static AmSilence *read_one(Str message, int64_t now_ns, bool *ret_over, Error *err)
{
    AmSilence *silence = X_NEW(AmSilence);
    *ret_over = false;
    if (am_wire_read_silence(message, &silence->arena, &silence->data, err)) {
        *ret_over = silence->data.expires_ns <= now_ns;
        if (!*ret_over)
            return silence;
        am_wire_free_silence(&silence->data);
    }
    arena_deinit(&silence->arena);
    free(silence);
    return NULL;
}

typedef struct Loading {
    AmSilences *silences;
    int64_t now_ns;
    size_t bad;
} Loading;

static void load_row(void *arg, Str key, Str body)
{
    Loading *loading = arg;
    Error err = {0};
    bool over;
    AmSilence *silence = read_one(body, loading->now_ns, &over, &err);
    if (silence)
        keep(loading->silences, silence);
    else if (over)
        (void)am_store_put(loading->silences->store, AM_STORE_SILENCES, key, STR_NONE);
    else
        loading->bad++;
}

bool am_silences_load(AmSilences *silences, int64_t now_ns, Error *err)
{
    Loading loading = {silences, now_ns, 0};
    if (!am_store_load(silences->store, AM_STORE_SILENCES, load_row, &loading, err))
        return false;
    silences->unreadable += loading.bad;
    return loading.bad == 0 ||
           error_set(err, ERR_CORRUPT, "%zu silences cannot be read", loading.bad);
}

bool am_silences_import(AmSilences *silences, Str bytes, int64_t now_ns, size_t *ret_count,
                        Error *err)
{
    Str message;
    bool bad;
    *ret_count = 0;
    while (am_wire_next(&bytes, &message, &bad)) {
        bool over;
        AmSilence *silence = read_one(message, now_ns, &over, err);
        if (!silence && !over)
            return false;
        if (!silence)
            continue;
        keep(silences, silence);
        (void)write_silence(silences, silence);
        ++*ret_count;
    }
    return !bad || error_set(err, ERR_CORRUPT, "the file ends inside of a silence");
}

bool am_silences_merge(AmSilences *silences, Str message, int64_t now_ns, Error *err)
{
    bool over;
    AmSilence *silence = read_one(message, now_ns, &over, err);
    if (!silence)
        return over;
    AmSilence *old = map_get(&silences->by_id, silence->data.id);
    silence->in_engine = true;
    if (old && old->data.updated_ns >= silence->data.updated_ns) {
        old->in_engine |= old->data.updated_ns == silence->data.updated_ns;
        free_silence(silence);
        return true;
    }
    keep(silences, silence);
    if (silences->store)
        (void)am_store_put(silences->store, AM_STORE_SILENCES, silence->data.id, message);
    return true;
}

void am_silences_share(AmSilences *silences)
{
    for (MapEntry *e = NULL; (e = map_next(&silences->by_id, e));) {
        AmSilence *silence = e->value;
        CLEANUP(buf_deinit) Buf body = {0};
        if (silence->in_engine)
            continue;
        am_wire_add_silence(&body, &silence->data);
        share(silences, silence, buf_str(&body));
    }
}

// ---- changes ----

static bool check_matchers(const AmMatchers *set, size_t index, bool utf8, Error *err)
{
    bool all_empty = true;
    if (set->count == 0)
        return error_set(err, ERR_INVALID, "invalid silence: at least one matcher required");
    for (size_t i = 0; i < set->count; i++) {
        const Matcher *m = &set->items[i];
        bool valid = utf8 ? name_is_utf8(m->name) : label_name_is_legacy(m->name);
        if (!valid)
            return error_set(err, ERR_INVALID,
                             "invalid silence: invalid label matcher %zu in set %zu: invalid label "
                             "name \"" STR_FMT "\"",
                             i, index, STR_ARG(str_sub(m->name, 0, 200)));
        bool negative = m->kind == MATCH_NOT_EQUAL || m->kind == MATCH_NOT_REGEX;
        all_empty &= !negative && matcher_matches(m, STR_NONE);
    }
    return !all_empty ||
           error_set(err, ERR_INVALID,
                     "invalid silence: matcher set %zu: at least one matcher must not match the "
                     "empty string",
                     index);
}

static bool check(const AmSilences *silences, const AmSilenceData *data, bool utf8, Error *err)
{
    for (size_t i = 0; i < data->set_count; i++)
        if (!check_matchers(&data->sets[i], i, utf8, err))
            return false;
    if (data->set_count == 0)
        return error_set(err, ERR_INVALID, "invalid silence: at least one matcher required");
    if (data->ends_ns < data->starts_ns)
        return error_set(err, ERR_INVALID,
                         "invalid silence: end time must not be before start time");
    size_t bytes = silences->limits.bytes_max ? am_wire_silence_bytes(data) : 0;
    if ((int64_t)bytes > silences->limits.bytes_max)
        return error_set(err, ERR_INVALID,
                         "silence exceeded maximum size: %zu bytes (limit: %lld bytes)", bytes,
                         (long long)silences->limits.bytes_max);
    return true;
}

static bool same_matchers(const AmSilenceData *a, const AmSilenceData *b)
{
    if (a->set_count != b->set_count)
        return false;
    for (size_t i = 0; i < a->set_count; i++) {
        if (a->sets[i].count != b->sets[i].count)
            return false;
        for (size_t k = 0; k < a->sets[i].count; k++)
            if (!am_matcher_equal(&a->sets[i].items[k], &b->sets[i].items[k]))
                return false;
    }
    return true;
}

static bool may_update(const AmSilenceData *old, const AmSilenceData *data, int64_t now_ns)
{
    if (!same_matchers(old, data))
        return false;
    switch (am_silence_state(old, now_ns)) {
    case AM_SILENCE_ACTIVE:
        return old->starts_ns / AM_S_NS == data->starts_ns / AM_S_NS && data->ends_ns >= now_ns;
    case AM_SILENCE_PENDING:
        return data->starts_ns >= now_ns;
    case AM_SILENCE_EXPIRED:
        break;
    }
    return false;
}

static Str new_id(Arena *arena)
{
    uint8_t b[16];
    random_system(b, sizeof b);
    b[6] = (b[6] & 0x0F) | 0x40;
    b[8] = (b[8] & 0x3F) | 0x80;
    return arena_printf(
        arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

// A copy by way of the wire: regexes are compiled anew.
static AmSilence *copy(const AmSilenceData *data, Error *err)
{
    CLEANUP(buf_deinit) Buf wire = {0};
    AmSilence *silence = X_NEW(AmSilence);
    am_wire_add_silence(&wire, data);
    if (am_wire_read_silence(buf_str(&wire), &silence->arena, &silence->data, err))
        return silence;
    arena_deinit(&silence->arena);
    free(silence);
    return NULL;
}

static uint64_t expire_now(AmSilences *silences, AmSilence *silence, int64_t now_ns)
{
    AmSilenceState state = am_silence_state(&silence->data, now_ns);
    if (state == AM_SILENCE_EXPIRED)
        return 0;
    silence->data.ends_ns = now_ns;
    if (state == AM_SILENCE_PENDING)
        silence->data.starts_ns = now_ns;
    silence->data.updated_ns = now_ns;
    silences->index_is_old = true;
    return write_silence(silences, silence);
}

bool am_silences_set(AmSilences *silences, const AmSilenceData *data, bool utf8, int64_t now_ns,
                     const AmSilence **ret_silence, uint64_t *ret_ticket, Error *err)
{
    AmSilence *old = data->id.len ? map_get(&silences->by_id, data->id) : NULL;
    AmSilenceData wanted = *data;
    char placeholder[] = "00000000-0000-4000-8000-000000000000";
    if (data->id.len && !old)
        return error_set(err, ERR_NOT_FOUND, "silence not found");
    bool in_place = old && may_update(&old->data, data, now_ns);
    if (!in_place) {
        wanted.id = str_from_c(placeholder);
        wanted.starts_ns = MAX(wanted.starts_ns, now_ns);
    }
    wanted.updated_ns = now_ns;
    wanted.expires_ns = am_time_add(wanted.ends_ns, silences->retention_ns);
    if (!check(silences, &wanted, utf8, err))
        return false;
    int64_t count_max = silences->limits.count_max;
    if (!in_place && count_max && (int64_t)silences->by_id.count + 1 > count_max)
        return error_set(err, ERR_INVALID, "exceeded maximum number of silences: %zu (limit: %lld)",
                         silences->by_id.count, (long long)count_max);
    AmSilence *made = copy(&wanted, err);
    if (!made)
        return false;
    if (!in_place) {
        if (old)
            (void)expire_now(silences, old, now_ns);
        made->data.id = new_id(&made->arena);
    }
    keep(silences, made);
    *ret_ticket = write_silence(silences, made);
    *ret_silence = made;
    return true;
}

bool am_silences_expire(AmSilences *silences, Str id, int64_t now_ns, uint64_t *ret_ticket,
                        Error *err)
{
    AmSilence *silence = map_get(&silences->by_id, id);
    if (!silence)
        return error_set(err, ERR_NOT_FOUND, "silence " STR_FMT " not found", STR_ARG(id));
    *ret_ticket = expire_now(silences, silence, now_ns);
    return true;
}

// ---- matching ----

static bool silence_matches(const AmSilenceData *silence, Labels labels)
{
    for (size_t i = 0; i < silence->set_count; i++)
        if (am_matchers_match(&silence->sets[i], labels))
            return true;
    return false;
}

static size_t match_list(AmSilences *silences, AmSilence *const *list, size_t list_count,
                         Labels labels, int64_t now_ns, const AmSilence **ret_list, size_t count,
                         size_t max)
{
    for (size_t i = 0; i < list_count && count < max; i++) {
        const AmSilence *silence = list[i];
        bool known = false;
        silences->scanned++;
        if (am_silence_state(&silence->data, now_ns) != AM_SILENCE_ACTIVE ||
            !silence_matches(&silence->data, labels))
            continue;
        for (size_t k = 0; k < count; k++)
            known |= ret_list[k] == silence;
        if (!known)
            ret_list[count++] = silence;
    }
    return count;
}

static int by_id(const void *a, const void *b)
{
    return str_compare((*(const AmSilence *const *)a)->data.id,
                       (*(const AmSilence *const *)b)->data.id);
}

static size_t find_matches(AmSilences *silences, Labels labels, int64_t now_ns,
                           const AmSilence **ret_list, size_t max)
{
    size_t count = 0;
    uint64_t scanned = silences->scanned;
    if (silences->index_is_old)
        build_index(silences, now_ns);
    for (size_t i = 0; i < labels.count && silences->index.count; i++) {
        const AmSilenceList *list =
            am_table_get(&silences->index, pair_key(labels.pairs[i].name, labels.pairs[i].value));
        if (list)
            count = match_list(silences, list->items, list->count, labels, now_ns, ret_list, count,
                               max);
    }
    count = match_list(silences, silences->others, silences->other_count, labels, now_ns, ret_list,
                       count, max);
    if (count > 1)
        qsort(ret_list, count, sizeof(*ret_list), by_id);
    uint64_t looked_at = silences->scanned - scanned;
    silences->skipped += silences->by_id.count - MIN(looked_at, silences->by_id.count);
    return count;
}

size_t am_silences_match(AmSilences *silences, Labels labels, int64_t now_ns,
                         const AmSilence **ret_list, size_t max)
{
    silences->queries++;
    if (silences->by_id.count == 0)
        return 0;
    int64_t begun_ns = clock_mono_ns(&clock_system);
    size_t count = find_matches(silences, labels, now_ns, ret_list, max);
    if (silences->query_seconds)
        histogram_observe(silences->query_seconds,
                          (double)(clock_mono_ns(&clock_system) - begun_ns) / 1e9);
    return count;
}

static void tell_matches(Span *span, size_t count)
{
    const SpanAttribute none = {"alerting.silences.count", STR_NONE, 0};
    const SpanAttribute some[] = {{"alerting.silences.active.count", STR_NONE, (int64_t)count},
                                  {"alerting.silences.pending.count", STR_NONE, 0},
                                  {"alerting.silences.total.count", STR_NONE, (int64_t)count}};
    if (count)
        span_event(span, S("Silencer mutes alert"), some, COUNT_OF(some));
    else
        span_event(span, S("No silences to match"), &none, 1);
}

size_t am_silences_mute(AmSilences *silences, Labels labels, int64_t now_ns,
                        const AmSilence **ret_list, size_t max)
{
    Span span;
    Span query;
    if (!span_open_recorded(&span, S("silence.Silencer.Mutes")))
        return am_silences_match(silences, labels, now_ns, ret_list, max);
    am_trace_fingerprint(&span, "alerting.alert.fingerprint", am_alert_fingerprint(labels));
    span_open(&query, S("silence.Silences.Query"));
    size_t count = am_silences_match(silences, labels, now_ns, ret_list, max);
    span_end(&query);
    tell_matches(&span, count);
    span_end(&span);
    return count;
}

size_t am_silences_collect(AmSilences *silences, int64_t now_ns)
{
    size_t count = 0;
    AmSilence **gone = x_calloc(silences->by_id.count + 1, sizeof(AmSilence *));
    for (MapEntry *e = NULL; (e = map_next(&silences->by_id, e));)
        if (((AmSilence *)e->value)->data.expires_ns <= now_ns)
            gone[count++] = e->value;
    for (size_t i = 0; i < count; i++) {
        if (silences->store)
            (void)am_store_put(silences->store, AM_STORE_SILENCES, gone[i]->data.id, STR_NONE);
        (void)map_remove(&silences->by_id, gone[i]->data.id);
        free_silence(gone[i]);
    }
    free(gone);
    silences->index_is_old = true;
    return count;
}
