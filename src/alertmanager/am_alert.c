// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_alert.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

#include "alertmanager/am_text.h"

#define TAKE_AT_ONCE 16

uint64_t am_alert_fingerprint(Labels labels)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < labels.count; i++) {
        const Str parts[] = {labels.pairs[i].name, labels.pairs[i].value};
        for (size_t p = 0; p < 2; p++) {
            for (size_t k = 0; k < parts[p].len; k++)
                h = (h ^ (uint8_t)parts[p].ptr[k]) * UINT64_C(1099511628211);
            h = (h ^ 0xFF) * UINT64_C(1099511628211);
        }
    }
    return h;
}

uint64_t am_alert_hash(Labels labels)
{
    CLEANUP(buf_deinit) Buf bytes = {0};
    for (size_t i = 0; i < labels.count; i++) {
        buf_add_str(&bytes, labels.pairs[i].name);
        buf_add_char(&bytes, (char)0xFF);
        buf_add_str(&bytes, labels.pairs[i].value);
        buf_add_char(&bytes, (char)0xFF);
    }
    return XXH64(bytes.ptr, bytes.len, 0);
}

static size_t pair_count(const AmAlert *alert)
{
    return (size_t)alert->label_count + alert->annotation_count + 1;
}

// Annotations without what they repeat of the labels.
static void take_annotations(const AmAlertInput *input, AmPair **ret_pairs)
{
    AmTextCoder coder;
    CLEANUP(buf_deinit) Buf kept = {0};
    Label batch[TAKE_AT_ONCE];
    size_t begins[TAKE_AT_ONCE + 1];
    size_t count = input->annotations.count;
    if (count == 0)
        return;
    am_text_coder_init(&coder, input->labels);
    for (size_t from = 0, n; from < count; from += n) {
        n = MIN(count - from, (size_t)TAKE_AT_ONCE);
        buf_reset(&kept);
        for (size_t i = 0; i < n; i++) {
            begins[i] = kept.len;
            am_text_add(&kept, &coder, input->annotations.pairs[from + i].value);
        }
        begins[n] = kept.len;
        for (size_t i = 0; i < n; i++)
            batch[i] = (Label){input->annotations.pairs[from + i].name,
                               str_sub(buf_str(&kept), begins[i], begins[i + 1] - begins[i])};
        am_pairs_take(batch, n, ret_pairs + from);
    }
}

AmAlert *am_alert_new(const AmAlertInput *input, int64_t updated_ns, bool is_timeout)
{
    size_t count = input->labels.count + input->annotations.count + 1;
    Label url = {STR_NONE, input->generator_url};
    AmAlert *alert = x_malloc(sizeof *alert + count * sizeof(AmPair *));
    *alert = (AmAlert){
        .refs = 1,
        .is_timeout = is_timeout,
        .label_count = (uint32_t)input->labels.count,
        .annotation_count = (uint32_t)input->annotations.count,
        .fingerprint = am_alert_fingerprint(input->labels),
        .hash = am_alert_hash(input->labels),
        .starts_ns = input->starts_ns,
        .ends_ns = input->ends_ns,
        .updated_ns = updated_ns,
    };
    am_pairs_take(input->labels.pairs, input->labels.count, alert->pairs);
    take_annotations(input, alert->pairs + input->labels.count);
    am_pairs_take(&url, 1, alert->pairs + count - 1);
    return alert;
}

// The same alert with other times.
static AmAlert *with_times(const AmAlert *alert, int64_t starts_ns, int64_t ends_ns)
{
    size_t bytes = sizeof *alert + pair_count(alert) * sizeof(AmPair *);
    AmAlert *copy = memcpy(x_malloc(bytes), alert, bytes);
    atomic_init(&copy->refs, 1);
    copy->starts_ns = starts_ns;
    copy->ends_ns = ends_ns;
    am_pairs_ref(copy->pairs, pair_count(copy));
    return copy;
}

Labels am_alert_labels(const AmAlert *alert, Arena *arena)
{
    Label *labels = ARENA_ARRAY(arena, Label, alert->label_count + 1u);
    for (size_t i = 0; i < alert->label_count; i++)
        labels[i] = am_pair_label(alert->pairs[i]);
    return (Labels){labels, alert->label_count};
}

static Str label_value(const void *alert, size_t index)
{
    return am_pair_label(((const AmAlert *)alert)->pairs[index]).value;
}

static Label annotation_of(const AmAlert *alert, size_t index, Arena *arena)
{
    Label kept = am_pair_label(alert->pairs[alert->label_count + index]);
    return (Label){kept.name, am_text_read(kept.value, label_value, alert, arena)};
}

Labels am_alert_annotations(const AmAlert *alert, Arena *arena)
{
    Label *labels = ARENA_ARRAY(arena, Label, alert->annotation_count + 1u);
    for (size_t i = 0; i < alert->annotation_count; i++)
        labels[i] = annotation_of(alert, i, arena);
    return (Labels){labels, alert->annotation_count};
}

bool am_alert_has_label(const AmAlert *alert, const AmPair *pair)
{
    Str name = am_pair_label(pair).name;
    for (size_t i = 0; i < alert->label_count; i++)
        if (alert->pairs[i] == pair || str_equal(am_pair_label(alert->pairs[i]).name, name))
            return alert->pairs[i] == pair;
    return pair->value_len == 0;
}

bool am_alert_has_annotation(const AmAlert *alert, Label annotation)
{
    for (size_t i = alert->label_count; i < alert->label_count + alert->annotation_count; i++) {
        Label kept = am_pair_label(alert->pairs[i]);
        if (str_equal(kept.name, annotation.name))
            return am_text_is(kept.value, label_value, alert, annotation.value);
    }
    return annotation.value.len == 0;
}

Str am_alert_url(const AmAlert *alert)
{
    return am_pair_label(alert->pairs[pair_count(alert) - 1]).value;
}

Str am_alert_value(const AmAlert *alert, Str name)
{
    for (size_t i = 0; i < alert->label_count; i++) {
        Label label = am_pair_label(alert->pairs[i]);
        if (str_equal(label.name, name))
            return label.value;
    }
    return STR_NONE;
}

AmAlert *am_alert_ref(AmAlert *alert)
{
    atomic_fetch_add_explicit(&alert->refs, 1, memory_order_relaxed);
    return alert;
}

void am_alert_unref(AmAlert *alert)
{
    if (alert && atomic_fetch_sub_explicit(&alert->refs, 1, memory_order_acq_rel) == 1) {
        am_pairs_drop(alert->pairs, pair_count(alert));
        free(alert);
    }
}

// What comes in ----------------------------------------------------------------------------------

bool am_alert_complete(AmAlertInput *input, int64_t now_ns, int64_t resolve_timeout_ns,
                       bool *ret_is_timeout, Error *err)
{
    bool is_timeout = am_time_is_zero(input->ends_ns);
    int64_t starts_ns = input->starts_ns;
    if (am_time_is_zero(starts_ns))
        starts_ns = is_timeout ? now_ns : input->ends_ns;
    int64_t ends_ns = is_timeout ? am_time_add(now_ns, resolve_timeout_ns) : input->ends_ns;
    if (ends_ns < starts_ns)
        return error_set(err, ERR_INVALID, "start time must be before end time");
    input->starts_ns = starts_ns;
    input->ends_ns = ends_ns;
    *ret_is_timeout = is_timeout;
    return true;
}

static bool check_names(Labels labels, bool utf8, const char *what, Error *err)
{
    for (size_t i = 0; i < labels.count; i++) {
        Str name = labels.pairs[i].name;
        bool ok = utf8 ? name_is_utf8(name) : label_name_is_legacy(name);
        if (!ok) {
            CLEANUP(buf_deinit) Buf quoted = {0};
            buf_add_go_quoted(&quoted, str_sub(name, 0, 200));
            return error_set(err, ERR_INVALID, "invalid %s: invalid name " STR_FMT, what,
                             STR_ARG(buf_str(&quoted)));
        }
        if (!str_is_utf8(labels.pairs[i].value)) {
            CLEANUP(buf_deinit) Buf quoted = {0};
            buf_add_go_quoted(&quoted, str_sub(labels.pairs[i].value, 0, 200));
            return error_set(err, ERR_INVALID, "invalid %s: invalid value " STR_FMT, what,
                             STR_ARG(buf_str(&quoted)));
        }
    }
    return true;
}

bool am_alert_check(const AmAlertInput *input, bool utf8, Error *err)
{
    if (input->labels.count == 0)
        return error_set(err, ERR_INVALID, "at least one label pair required");
    return check_names(input->labels, utf8, "label set", err) &&
           check_names(input->annotations, utf8, "annotations", err);
}

// Order and text ---------------------------------------------------------------------------------

static int compare_one(const AmAlert *a, const AmAlert *b, Str name)
{
    Str x = am_alert_value(a, name);
    Str y = am_alert_value(b, name);
    if (!x.len || !y.len)
        return (x.len == 0) - (y.len == 0);
    return str_compare(x, y);
}

// As the original's LabelSet.Before: fewer labels first, then by the first name that both do not have with one value; who lacks it is
// first.
static int compare_sets(const AmAlert *a, const AmAlert *b)
{
    if (a->label_count != b->label_count)
        return a->label_count < b->label_count ? -1 : 1;
    for (size_t i = 0; i < a->label_count; i++) {
        if (a->pairs[i] == b->pairs[i])
            continue;
        Label x = am_pair_label(a->pairs[i]);
        Label y = am_pair_label(b->pairs[i]);
        int c = str_compare(y.name, x.name);
        return c ? c : str_compare(x.value, y.value);
    }
    return 0;
}

int am_alert_compare(const AmAlert *a, const AmAlert *b)
{
    int c = compare_one(a, b, S("job"));
    if (c == 0)
        c = compare_one(a, b, S("instance"));
    return c ? c : compare_sets(a, b);
}

void am_labels_print(Buf *buf, Labels labels)
{
    buf_add_char(buf, '{');
    for (size_t i = 0; i < labels.count; i++) {
        buf_add_c(buf, i ? ", " : "");
        buf_add_str(buf, labels.pairs[i].name);
        buf_add_char(buf, '=');
        buf_add_go_quoted(buf, labels.pairs[i].value);
    }
    buf_add_char(buf, '}');
}

// The store --------------------------------------------------------------------------------------

typedef struct AmNameCount {
    AmTable alerts; // fingerprint to AmAlert, not referenced
} AmNameCount;

static uint64_t name_key(const AmAlert *alert)
{
    return str_hash(am_alert_value(alert, S("alertname")));
}

static void forget_name(AmAlertStore *store, const AmAlert *alert)
{
    AmNameCount *bucket =
        store->per_name_limit ? am_table_get(&store->names, name_key(alert)) : NULL;
    if (!bucket)
        return;
    (void)am_table_remove(&bucket->alerts, alert->fingerprint);
    if (bucket->alerts.count == 0) {
        (void)am_table_remove(&store->names, name_key(alert));
        am_table_deinit(&bucket->alerts);
        free(bucket);
    }
}

static void remove_alert(AmAlertStore *store, AmAlert *alert)
{
    (void)am_table_remove(&store->alerts, alert->fingerprint);
    forget_name(store, alert);
    am_alert_unref(alert);
}

// Makes room in the bucket of the alert's name; false if all in it still stand.
static bool admit(AmAlertStore *store, AmAlert *alert, int64_t now_ns)
{
    if (store->per_name_limit == 0)
        return true;
    AmNameCount *bucket = am_table_get(&store->names, name_key(alert));
    if (bucket && (int64_t)bucket->alerts.count >= store->per_name_limit) {
        AmAlert *oldest = NULL;
        for (AmTableSlot *s = NULL; (s = am_table_next(&bucket->alerts, s));) {
            AmAlert *one = s->value;
            if (am_alert_resolved_at(one, now_ns) && (!oldest || one->ends_ns < oldest->ends_ns))
                oldest = one;
        }
        if (!oldest)
            return false;
        remove_alert(store, oldest);
    }
    return true;
}

static void note_name(AmAlertStore *store, AmAlert *alert)
{
    if (store->per_name_limit == 0)
        return;
    AmNameCount *bucket = am_table_get(&store->names, name_key(alert));
    if (!bucket) {
        bucket = X_NEW(AmNameCount);
        (void)am_table_put(&store->names, name_key(alert), bucket);
    }
    (void)am_table_put(&bucket->alerts, alert->fingerprint, alert);
}

void am_alert_store_deinit(AmAlertStore *store)
{
    for (AmTableSlot *s = NULL; (s = am_table_next(&store->alerts, s));)
        am_alert_unref(s->value);
    for (AmTableSlot *s = NULL; (s = am_table_next(&store->names, s));) {
        am_table_deinit(&((AmNameCount *)s->value)->alerts);
        free(s->value);
    }
    am_table_deinit(&store->alerts);
    am_table_deinit(&store->names);
}

// Whether b begins or ends while a stands: only then are the two one alert.
static bool overlap(const AmAlert *a, const AmAlert *b)
{
    return (b->ends_ns > a->starts_ns && b->ends_ns < a->ends_ns) ||
           (b->starts_ns > a->starts_ns && b->starts_ns < a->ends_ns);
}

// Two states of one alert as one: the newer is the base. Neither is changed; a reference is returned.
static AmAlert *merge(AmAlert *a, AmAlert *b, int64_t now_ns)
{
    AmAlert *older = b->updated_ns < a->updated_ns ? b : a;
    AmAlert *newer = older == a ? b : a;
    int64_t starts_ns = MIN(older->starts_ns, newer->starts_ns);
    int64_t ends_ns = newer->ends_ns;
    if (am_alert_resolved_at(newer, now_ns)) {
        if (am_alert_resolved_at(older, now_ns) && older->ends_ns > ends_ns)
            ends_ns = older->ends_ns;
    } else if (older->ends_ns > ends_ns && !older->is_timeout) {
        ends_ns = older->ends_ns;
    }
    if (starts_ns == newer->starts_ns && ends_ns == newer->ends_ns)
        return am_alert_ref(newer);
    return with_times(newer, starts_ns, ends_ns);
}

AmAlert *am_alert_store_put(AmAlertStore *store, AmAlert *alert, int64_t now_ns)
{
    AmAlert *old = am_table_get(&store->alerts, alert->fingerprint);
    if (!old && !admit(store, alert, now_ns)) {
        am_alert_unref(alert);
        return NULL;
    }
    AmAlert *stays = old && overlap(old, alert) ? merge(old, alert, now_ns) : am_alert_ref(alert);
    (void)am_table_put(&store->alerts, stays->fingerprint, stays);
    note_name(store, stays);
    am_alert_unref(alert);
    am_alert_unref(old);
    return stays; // NOLINT: the table holds a reference
}

AmAlert *am_alert_store_get(const AmAlertStore *store, uint64_t fingerprint)
{
    return am_table_get(&store->alerts, fingerprint);
}

size_t am_alert_store_collect(AmAlertStore *store, int64_t now_ns)
{
    size_t cap = 64;
    size_t count = 0;
    AmAlert **gone = x_malloc(cap * sizeof *gone);
    for (AmTableSlot *s = NULL; (s = am_table_next(&store->alerts, s));) {
        if (!am_alert_resolved_at(s->value, now_ns))
            continue;
        if (count == cap)
            gone = x_realloc(gone, (cap *= 2) * sizeof *gone);
        gone[count++] = s->value;
    }
    for (size_t i = 0; i < count; i++)
        remove_alert(store, gone[i]);
    free(gone);
    return count;
}
