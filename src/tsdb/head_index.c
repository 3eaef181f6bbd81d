// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_index.h"

#include <stdlib.h>

#include "base/footprint.h"
#include "base/reader.h"

// --- hash table of numbers ---

static size_t hash_home(const HashTable *table, uint32_t hash)
{
    return (size_t)(((uint64_t)hash * table->size) >> 32);
}

static void hash_put_new(HashTable *table, uint32_t hash, uint32_t number)
{
    size_t at = hash_home(table, hash);
    while (table->slots[at].number)
        at = at + 1 == table->size ? 0 : at + 1;
    table->slots[at] = (HashSlot){hash, number};
}

static void hash_resize(HashTable *table, size_t size)
{
    HashTable grown = {X_ARRAY(HashSlot, size), table->count, size};

    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].number)
            hash_put_new(&grown, table->slots[i].hash, table->slots[i].number);
    free(table->slots);
    *table = grown;
}

static void hash_add(HashTable *table, uint32_t hash, uint32_t number)
{
    if (table->count + 1 > table->size * 4 / 5)
        hash_resize(table, table->size ? table->size + table->size / 2 : 64);
    hash_put_new(table, hash, number);
    table->count++;
}

static void hash_remove(HashTable *table, uint32_t hash, uint32_t number)
{
    size_t hole = hash_home(table, hash);

    while (table->slots[hole].number != number) {
        ASSERT(table->slots[hole].number);
        hole = hole + 1 == table->size ? 0 : hole + 1;
    }
    // What follows moves back if its home is not between the hole and itself.
    for (size_t at = hole;;) {
        at = at + 1 == table->size ? 0 : at + 1;
        if (!table->slots[at].number)
            break;
        size_t home = hash_home(table, table->slots[at].hash);
        bool between = hole < at ? home > hole && home <= at : home > hole || home <= at;
        if (!between) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = (HashSlot){0, 0};
    table->count--;
}

// --- texts, names, pairs ---

static PoolHandle text_new(HeadIndex *index, Str text)
{
    PoolHandle handle = pool_alloc(&index->pool, (uint32_t)text.len + 4);
    uint8_t *at = pool_at(&index->pool, handle);
    uint32_t len = (uint32_t)text.len;

    index->text_bytes += pool_size(&index->pool, handle);
    memcpy(at, &len, 4);
    if (len)
        memcpy(at + 4, text.ptr, len);
    return handle;
}

static uint32_t name_hash(Str name)
{
    return (uint32_t)(str_hash(name) >> 32);
}

static uint32_t pair_hash(uint32_t name, Str value)
{
    return (uint32_t)((str_hash(value) ^ (uint64_t)name * 0x9e3779b97f4a7c15u) >> 32);
}

uint32_t head_index_name(const HeadIndex *index, Str name)
{
    const HashTable *table = &index->name_table;

    if (!table->size)
        return 0;
    uint32_t hash = name_hash(name);
    for (size_t at = hash_home(table, hash); table->slots[at].number;
         at = at + 1 == table->size ? 0 : at + 1)
        if (table->slots[at].hash == hash &&
            str_equal(head_index_text(index, index->names[table->slots[at].number].text), name))
            return table->slots[at].number;
    return 0;
}

static uint32_t find_pair(const HeadIndex *index, uint32_t name, Str value)
{
    const HashTable *table = &index->pair_table;

    if (!table->size)
        return 0;
    uint32_t hash = pair_hash(name, value);
    for (size_t at = hash_home(table, hash); table->slots[at].number;
         at = at + 1 == table->size ? 0 : at + 1) {
        if (table->slots[at].hash != hash)
            continue;
        const LabelPair *pair = &index->pairs[table->slots[at].number];
        if (pair->name == name && str_equal(head_index_text(index, pair->value), value))
            return table->slots[at].number;
    }
    return 0;
}

uint32_t head_index_pair(const HeadIndex *index, Str name, Str value)
{
    uint32_t number = head_index_name(index, name);
    return number ? find_pair(index, number, value) : 0;
}

static uint32_t add_name(HeadIndex *index, Str name)
{
    if (index->name_count == index->name_cap) {
        index->name_cap *= 2;
        index->names = x_realloc(index->names, index->name_cap * sizeof(LabelName));
    }
    uint32_t number = index->name_count++;
    index->names[number] = (LabelName){.text = text_new(index, name)};
    hash_add(&index->name_table, name_hash(name), number);
    return number;
}

static void grow_pairs(HeadIndex *index)
{
    if (index->pair_count < index->pair_cap)
        return;
    index->pair_cap += index->pair_cap / 2;
    index->pairs = x_realloc(index->pairs, index->pair_cap * sizeof(LabelPair));
}

static void forget_sorted(LabelName *name)
{
    free(name->sorted);
    name->sorted = NULL;
}

static uint32_t add_pair(HeadIndex *index, uint32_t name, Str value)
{
    uint32_t number = index->free_pair;

    if (number) {
        index->free_pair = index->pairs[number].name;
    } else {
        grow_pairs(index);
        number = index->pair_count++;
    }
    index->pairs[number] = (LabelPair){.name = name, .value = text_new(index, value)};
    hash_add(&index->pair_table, pair_hash(name, value), number);
    LabelName *owner = &index->names[name];
    if (owner->count == owner->cap) {
        owner->cap = owner->cap ? owner->cap * 2 : 4;
        owner->pairs = x_realloc(owner->pairs, owner->cap * sizeof(uint32_t));
    }
    owner->pairs[owner->count++] = number;
    forget_sorted(owner);
    index->live_pairs++;
    return number;
}

static int compare_values(const void *a, const void *b, void *arg)
{
    const HeadIndex *index = arg;
    return str_compare(head_index_text(index, index->pairs[*(const uint32_t *)a].value),
                       head_index_text(index, index->pairs[*(const uint32_t *)b].value));
}

const uint32_t *head_index_sorted(const HeadIndex *index, uint32_t name)
{
    LabelName *owner = &index->names[name];
    uint32_t *known = __atomic_load_n(&owner->sorted, __ATOMIC_ACQUIRE);
    union { // qsort_r takes what it hands on as it is
        const HeadIndex *from;
        void *to;
    } context = {.from = index};

    if (known)
        return known;
    uint32_t *sorted = X_ARRAY(uint32_t, (size_t)owner->count + 1);
    if (owner->count)
        memcpy(sorted, owner->pairs, owner->count * sizeof *sorted);
    qsort_r(sorted, owner->count, sizeof *sorted, compare_values, context.to);
    if (__atomic_compare_exchange_n(&owner->sorted, &known, sorted, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return sorted;
    free(sorted); // another reader was faster
    return known;
}

// --- life ---

void head_index_init(HeadIndex *index)
{
    *index = (HeadIndex){
        .name_count = 1, .name_cap = 64, .pair_count = 1, .pair_cap = 256, .next_ref = 1};
    pool_init(&index->pool);
    series_table_init(&index->series);
    index->names = X_ARRAY(LabelName, index->name_cap);
    index->pairs = X_ARRAY(LabelPair, index->pair_cap);
}

void head_index_deinit(HeadIndex *index)
{
    if (!index->names)
        return;
    for (uint32_t i = 1; i < index->name_count; i++) {
        free(index->names[i].pairs);
        forget_sorted(&index->names[i]);
    }
    free(index->names);
    free(index->pairs);
    free(index->name_table.slots);
    free(index->pair_table.slots);
    free(index->set_table.slots);
    free(index->limbo);
    series_table_deinit(&index->series);
    pool_deinit(&index->pool);
    *index = (HeadIndex){0};
}

// --- label sets ---

static uint32_t put_u32(uint8_t *at, uint32_t value)
{
    uint32_t len = 0;
    while (value >= 0x80) {
        at[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[len++] = (uint8_t)value;
    return len;
}

static uint32_t get_u32(const uint8_t **at)
{
    uint32_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*at)++;
        value |= (uint32_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

static void key_encode(LabelKey *key)
{
    uint32_t len = put_u32(key->bytes, key->count);
    for (uint32_t i = 0; i < key->count; i++)
        len += put_u32(key->bytes + len, key->pairs[i]);
    key->bytes_len = len;
}

static uint32_t set_hash(const uint8_t *bytes, uint32_t len)
{
    return (uint32_t)(str_hash((Str){(const char *)bytes, len}) >> 32);
}

// Short texts in two steps without a call: a series has a dozen pairs to compare.
static inline bool same_text(Str a, Str b)
{
    uint64_t x[2], y[2];

    if (a.len != b.len)
        return false;
    if (a.len > 16 || a.len < 8)
        return str_equal(a, b);
    memcpy(&x[0], a.ptr, 8);
    memcpy(&y[0], b.ptr, 8);
    memcpy(&x[1], a.ptr + a.len - 8, 8);
    memcpy(&y[1], b.ptr + a.len - 8, 8);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

static bool guess_holds(const HeadIndex *index, uint32_t guess, Label label)
{
    if (!guess || guess >= index->pair_count || !index->pairs[guess].value)
        return false;
    const LabelPair *pair = &index->pairs[guess];
    return same_text(head_index_text(index, pair->value), label.value) &&
           same_text(head_index_text(index, index->names[pair->name].text), label.name);
}

// Neighbouring series share most of their pairs, and most of their names where they do not.
static uint32_t look_up(const HeadIndex *index, uint32_t guess, Label label)
{
    if (guess_holds(index, guess, label))
        return guess;
    if (guess && guess < index->pair_count && index->pairs[guess].value) {
        uint32_t name = index->pairs[guess].name;
        if (same_text(head_index_text(index, index->names[name].text), label.name))
            return find_pair(index, name, label.value);
    }
    return head_index_pair(index, label.name, label.value);
}

static SeriesSlot find_set(const HeadIndex *index, const uint8_t *bytes, uint32_t len)
{
    const HashTable *table = &index->set_table;

    if (!table->size)
        return 0;
    uint32_t hash = set_hash(bytes, len);
    for (size_t at = hash_home(table, hash); table->slots[at].number;
         at = at + 1 == table->size ? 0 : at + 1) {
        if (table->slots[at].hash != hash)
            continue;
        PoolHandle labels = series_at(&index->series, table->slots[at].number)->labels;
        if (pool_size(&index->pool, labels) >= len &&
            memcmp(pool_at(&index->pool, labels), bytes, len) == 0)
            return table->slots[at].number;
    }
    return 0;
}

SeriesSlot head_index_find(const HeadIndex *index, Labels labels, LabelKey *key)
{
    ASSERT(labels.count <= HEAD_LABELS_MAX);
    key->whole = true;
    for (uint32_t i = 0; i < labels.count; i++) {
        uint32_t pair = look_up(index, i < key->count ? key->pairs[i] : 0, labels.pairs[i]);
        key->pairs[i] = pair;
        key->whole &= pair != 0;
        if (i >= key->count)
            key->count = i + 1; // so that the next guess below reads what was just written
    }
    key->count = (uint32_t)labels.count;
    if (!key->whole)
        return 0;
    key_encode(key);
    return find_set(index, key->bytes, key->bytes_len);
}

SeriesSlot head_index_add(HeadIndex *index, Labels labels, LabelKey *key, uint64_t ref)
{
    ASSERT(key->count == labels.count);
    if (!key->whole) {
        for (uint32_t i = 0; i < labels.count; i++) {
            if (key->pairs[i])
                continue;
            uint32_t name = head_index_name(index, labels.pairs[i].name);
            if (!name)
                name = add_name(index, labels.pairs[i].name);
            key->pairs[i] = add_pair(index, name, labels.pairs[i].value);
        }
        key_encode(key);
        key->whole = true;
    }
    if (!ref)
        ref = index->next_ref;
    index->next_ref = MAX(index->next_ref, ref + 1);
    SeriesSlot slot = series_table_add(&index->series, ref);
    Series *series = series_at(&index->series, slot);
    series->labels = pool_alloc(&index->pool, key->bytes_len);
    index->set_bytes += pool_size(&index->pool, series->labels);
    memcpy(pool_at(&index->pool, series->labels), key->bytes, key->bytes_len);
    __atomic_store_n(&series->ref_word, ref, __ATOMIC_RELAXED);
    index->disordered |= index->all.length && ref < index->all.first + index->all.length;
    for (uint32_t i = 0; i < key->count; i++)
        postings_add(&index->pairs[key->pairs[i]].postings, &index->pool, ref);
    postings_add(&index->all, &index->pool, ref);
    hash_add(&index->set_table, set_hash(key->bytes, key->bytes_len), slot);
    return slot;
}

LabelWalk head_index_walk(const HeadIndex *index, PoolHandle labels)
{
    LabelWalk walk = {pool_at(&index->pool, labels), 0};
    walk.left = get_u32(&walk.at);
    return walk;
}

uint32_t head_index_walk_next(LabelWalk *walk)
{
    if (!walk->left)
        return 0;
    walk->left--;
    return get_u32(&walk->at);
}

size_t head_index_label_count(const HeadIndex *index, PoolHandle labels)
{
    return head_index_walk(index, labels).left;
}

Labels head_index_labels(const HeadIndex *index, PoolHandle labels, Arena *arena)
{
    LabelWalk walk = head_index_walk(index, labels);
    size_t count = walk.left;
    Label *pairs = ARENA_ARRAY(arena, Label, count);

    for (size_t i = 0; i < count; i++) {
        const LabelPair *pair = &index->pairs[head_index_walk_next(&walk)];
        pairs[i].name = head_index_text(index, index->names[pair->name].text);
        pairs[i].value = head_index_text(index, pair->value);
    }
    return (Labels){pairs, count};
}

// --- removal ---

// Its name's list is swept once for all dead pairs.
static void drop_pair(HeadIndex *index, uint32_t number)
{
    LabelPair *pair = &index->pairs[number];
    Str value = head_index_text(index, pair->value);

    hash_remove(&index->pair_table, pair_hash(pair->name, value), number);
    if (index->limbo_count == index->limbo_cap) {
        index->limbo_cap = index->limbo_cap ? index->limbo_cap * 2 : 64;
        index->limbo = x_realloc(index->limbo, index->limbo_cap * sizeof(PoolHandle));
    }
    index->limbo[index->limbo_count++] = pair->value;
    postings_clear(&pair->postings, &index->pool);
    pair->value = 0;
    index->live_pairs--;
}

void head_index_settle(HeadIndex *index)
{
    if (!index->disordered)
        return;
    for (uint32_t pair = 1; pair < index->pair_count; pair++)
        if (index->pairs[pair].value)
            postings_sort(&index->pairs[pair].postings, &index->pool);
    postings_sort(&index->all, &index->pool);
    index->disordered = false;
}

// Frees the numbers of dead pairs and takes them out of their names' lists.
static void sweep_names(HeadIndex *index)
{
    for (uint32_t n = 1; n < index->name_count; n++) {
        LabelName *name = &index->names[n];
        uint32_t kept = 0;
        for (uint32_t i = 0; i < name->count; i++) {
            uint32_t pair = name->pairs[i];
            if (index->pairs[pair].value) {
                name->pairs[kept++] = pair;
                continue;
            }
            index->pairs[pair].name = index->free_pair;
            index->free_pair = pair;
        }
        if (kept < name->count)
            forget_sorted(name);
        name->count = kept;
        if (name->cap > 64 && kept < name->cap / 4) {
            name->cap = MAX(kept, 4u);
            name->pairs = x_realloc(name->pairs, name->cap * sizeof(uint32_t));
        }
    }
}

static void postings_without(HeadIndex *index, Postings *postings, const RefRuns *gone,
                             Arena *arena)
{
    RefRuns all;

    postings_decode(postings, &index->pool, arena, &all);
    RefRuns rest = ref_runs_without(arena, &all, gone);
    postings_clear(postings, &index->pool);
    for (size_t i = 0; i < rest.count; i++)
        for (uint64_t k = 0; k < rest.runs[i].length; k++)
            postings_add(postings, &index->pool, rest.runs[i].first + k);
}

void head_index_remove(HeadIndex *index, const uint64_t *refs, size_t count)
{
    Arena arena = {0};
    RefRuns gone = {0};
    uint8_t *touched = X_ARRAY(uint8_t, index->pair_count);

    for (size_t i = 0; i < count; i++) {
        SeriesSlot slot = series_slot(&index->series, refs[i]);
        Series *series = series_at(&index->series, slot);
        LabelWalk walk = head_index_walk(index, series->labels);
        for (uint32_t pair; (pair = head_index_walk_next(&walk));)
            touched[pair] = 1;
        const uint8_t *bytes = pool_at(&index->pool, series->labels);
        hash_remove(&index->set_table, set_hash(bytes, (uint32_t)(walk.at - bytes)), slot);
        index->set_bytes -= pool_size(&index->pool, series->labels);
        pool_free(&index->pool, series->labels);
        ref_runs_add(&gone, &arena, refs[i], 1);
    }
    Arena scratch = {0};
    for (uint32_t pair = 1; pair < index->pair_count; pair++) {
        if (!touched[pair])
            continue;
        arena_reset(&scratch);
        postings_without(index, &index->pairs[pair].postings, &gone, &scratch);
        if (!index->pairs[pair].postings.count)
            drop_pair(index, pair);
    }
    postings_without(index, &index->all, &gone, &scratch);
    sweep_names(index);
    if (index->set_table.size > 1024 && index->set_table.count < index->set_table.size / 4)
        hash_resize(&index->set_table, index->set_table.count * 2);
    free(touched);
    arena_deinit(&scratch);
    arena_deinit(&arena);
}

void head_index_free_limbo(HeadIndex *index)
{
    for (size_t i = 0; i < index->limbo_count; i++) {
        index->text_bytes -= pool_size(&index->pool, index->limbo[i]);
        pool_free(&index->pool, index->limbo[i]);
    }
    index->limbo_count = 0;
}

// --- matching ---

// How a matcher turns refs into fewer: by lists to keep, by lists to take away, or by looking at each series.
typedef struct MatchPlan {
    const Matcher *matcher;
    uint32_t name;  // 0: no series has it
    uint32_t pair;  // of an equality with a known value
    uint64_t count; // of refs, for equalities
    bool equal;
} MatchPlan;

static Str pair_value(const HeadIndex *index, uint32_t pair)
{
    return head_index_text(index, index->pairs[pair].value);
}

// Union of the postings of the values of a name on which the matcher says `wanted`.
static RefRuns scan_values(const HeadIndex *index, const MatchPlan *plan, bool wanted, Arena *arena)
{
    if (!plan->name)
        return (RefRuns){0};
    const LabelName *name = &index->names[plan->name];
    RefRuns *lists = ARENA_ARRAY(arena, RefRuns, name->count);
    size_t count = 0;

    for (uint32_t i = 0; i < name->count; i++) {
        uint32_t pair = name->pairs[i];
        if (matcher_matches(plan->matcher, pair_value(index, pair)) == wanted)
            postings_decode(&index->pairs[pair].postings, &index->pool, arena, &lists[count++]);
    }
    return ref_runs_or(arena, lists, count);
}

// The same for a set of literals, by look-up.
static RefRuns union_literals(const HeadIndex *index, const MatchPlan *plan, Arena *arena)
{
    const Matcher *m = plan->matcher;
    RefRuns *lists = ARENA_ARRAY(arena, RefRuns, m->literal_count);
    size_t count = 0;

    for (size_t i = 0; i < m->literal_count && plan->name; i++) {
        uint32_t pair = find_pair(index, plan->name, m->literals[i]);
        if (pair)
            postings_decode(&index->pairs[pair].postings, &index->pool, arena, &lists[count++]);
    }
    return ref_runs_or(arena, lists, count);
}

// What a matcher said of the values met last: neighbours often share theirs, and a pattern takes long.
#define VERDICTS 256
typedef struct Verdicts {
    uint64_t known[VERDICTS]; // pair << 1 | verdict; 0: none, as there is no pair 0
} Verdicts;

static bool pair_matches(const HeadIndex *index, uint32_t pair, const MatchPlan *plan,
                         Verdicts *verdicts)
{
    if (plan->equal)
        return pair == plan->pair;
    uint64_t *known = &verdicts->known[pair % VERDICTS];
    if (*known >> 1 != pair)
        *known = (uint64_t)pair << 1 | matcher_matches(plan->matcher, pair_value(index, pair));
    return *known & 1;
}

static bool series_matches(const HeadIndex *index, uint64_t ref, const MatchPlan *plan,
                           Verdicts *verdicts)
{
    SeriesSlot slot = series_slot(&index->series, ref);

    if (!slot)
        return false;
    if (plan->name) {
        LabelWalk walk = head_index_walk(index, series_at(&index->series, slot)->labels);
        for (uint32_t pair; (pair = head_index_walk_next(&walk));)
            if (index->pairs[pair].name == plan->name)
                return pair_matches(index, pair, plan, verdicts);
    }
    return plan->matcher->matches_empty;
}

#define REF_COST 8 // looking at a series, in bytes of postings that are united

// How many bytes the postings of all values have, or more than `enough`.
static uint64_t postings_bytes(const HeadIndex *index, const LabelName *name, uint64_t enough)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < name->count && bytes <= enough; i++)
        bytes += index->pairs[name->pairs[i]].postings.used;
    return bytes;
}

static RefRuns verify(const HeadIndex *index, const RefRuns *refs, const MatchPlan *plan,
                      Arena *arena)
{
    Verdicts verdicts = {{0}};
    RefRuns kept = {0};

    for (size_t i = 0; i < refs->count; i++)
        for (uint64_t k = 0; k < refs->runs[i].length; k++)
            if (series_matches(index, refs->runs[i].first + k, plan, &verdicts))
                ref_runs_add(&kept, arena, refs->runs[i].first + k, 1);
    return kept;
}

static int compare_plans(const void *a, const void *b)
{
    const MatchPlan *x = a;
    const MatchPlan *y = b;
    if (x->equal != y->equal)
        return x->equal ? -1 : 1;
    return (x->count > y->count) - (x->count < y->count);
}

static RefRuns narrow_equal(const HeadIndex *index, const RefRuns *refs, const MatchPlan *plan,
                            Arena *arena)
{
    const Postings *postings = &index->pairs[plan->pair].postings;

    if (refs->refs < postings->used / 64)
        return verify(index, refs, plan, arena);
    return ref_runs_and_postings(arena, refs, postings, &index->pool);
}

// Looking at a series costs about as much as looking at a value and a few bytes of its postings.
static RefRuns narrow_other(const HeadIndex *index, const RefRuns *refs, const MatchPlan *plan,
                            Arena *arena)
{
    const Matcher *m = plan->matcher;
    bool literals = m->kind == MATCH_REGEX && m->literal_count && !m->matches_empty;
    size_t values = literals ? m->literal_count : plan->name ? index->names[plan->name].count : 0;

    if (refs->refs < values)
        return verify(index, refs, plan, arena);
    uint64_t enough = refs->refs * REF_COST;
    if (!literals && plan->name &&
        postings_bytes(index, &index->names[plan->name], enough) > enough)
        return verify(index, refs, plan, arena);
    if (literals) {
        RefRuns list = union_literals(index, plan, arena);
        return ref_runs_and(arena, refs, &list);
    }
    if (m->matches_empty) {
        RefRuns list = scan_values(index, plan, false, arena);
        return list.count ? ref_runs_without(arena, refs, &list) : *refs;
    }
    RefRuns list = scan_values(index, plan, true, arena);
    return ref_runs_and(arena, refs, &list);
}

RefRuns head_index_match(const HeadIndex *index, const Matcher *matchers, size_t count,
                         Arena *arena)
{
    MatchPlan *plans = ARENA_ARRAY(arena, MatchPlan, count);
    RefRuns refs = {0};

    for (size_t i = 0; i < count; i++) {
        const Matcher *m = &matchers[i];
        plans[i] = (MatchPlan){.matcher = m, .name = head_index_name(index, m->name)};
        plans[i].equal = m->kind == MATCH_EQUAL && m->value.len > 0;
        if (plans[i].equal) {
            plans[i].pair = plans[i].name ? find_pair(index, plans[i].name, m->value) : 0;
            if (!plans[i].pair)
                return refs;
            plans[i].count = index->pairs[plans[i].pair].postings.count;
        }
    }
    if (count)
        qsort(plans, count, sizeof *plans, compare_plans);
    if (count && plans[0].equal)
        postings_decode(&index->pairs[plans[0].pair].postings, &index->pool, arena, &refs);
    else
        postings_decode(&index->all, &index->pool, arena, &refs);
    for (size_t i = count && plans[0].equal ? 1 : 0; i < count && refs.count; i++)
        refs = plans[i].equal ? narrow_equal(index, &refs, &plans[i], arena)
                              : narrow_other(index, &refs, &plans[i], arena);
    return refs;
}

// --- reading an image back ---

bool head_index_load_name(HeadIndex *index, Str name)
{
    if (name.len > HEAD_LABEL_BYTES_MAX)
        return false;
    (void)add_name(index, name);
    return true;
}

bool head_index_load_pair(HeadIndex *index, uint32_t name, const Str *value,
                          const Postings *postings, Str bytes)
{
    if (!value) {
        grow_pairs(index);
        index->pairs[index->pair_count] = (LabelPair){.name = index->free_pair};
        index->free_pair = index->pair_count++;
        return true;
    }
    if (!name || name >= index->name_count || value->len > HEAD_LABEL_BYTES_MAX ||
        postings->used != bytes.len || bytes.len > UINT32_MAX / 2)
        return false;
    uint32_t free_pairs = index->free_pair;
    index->free_pair = 0; // numbers are given as they come
    uint32_t number = add_pair(index, name, *value);
    LabelPair *pair = &index->pairs[number];
    index->free_pair = free_pairs;
    pair->postings = *postings;
    pair->postings.bytes = 0;
    if (bytes.len && !postings_load(&pair->postings, &index->pool, bytes))
        return false;
    return true;
}

// The next varint of at most 32 bits; NULL: there is none.
static inline const uint8_t *key_number(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
    uint32_t value = 0;

    for (unsigned shift = 0; at < end && shift < 32; shift += 7) {
        value |= (uint32_t)(*at & 0x7f) << shift;
        if (!(*at++ & 0x80)) {
            *ret = value;
            return at;
        }
    }
    return NULL;
}

// The key is whole and its pairs are alive. Where all are one need not look at each.
static bool key_good(const HeadIndex *index, Str key)
{
    const uint8_t *at = (const uint8_t *)key.ptr;
    const uint8_t *end = at + key.len;
    uint32_t count = 0;
    uint32_t pair;

    if (!(at = key_number(at, end, &count)) || !count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!(at = key_number(at, end, &pair)) || pair == 0 || pair >= index->pair_count ||
            (index->free_pair && !index->pairs[pair].value))
            return false;
    return at == end;
}

SeriesSlot head_index_load_series(HeadIndex *index, uint64_t ref, Str key, uint32_t *ret_hash)
{
    bool rising = !index->all.length || ref >= index->all.first + index->all.length;

    if (!ref || ref > SERIES_REF_MAX || !rising || !key_good(index, key))
        return 0;
    SeriesSlot slot = series_table_add(&index->series, ref);
    Series *series = series_at(&index->series, slot);
    series->labels = pool_alloc(&index->pool, (uint32_t)key.len);
    memcpy(pool_at(&index->pool, series->labels), key.ptr, key.len);
    __atomic_store_n(&series->ref_word, ref, __ATOMIC_RELAXED);
    postings_add(&index->all, &index->pool, ref);
    series_table_publish(&index->series, ref, slot);
    index->next_ref = MAX(index->next_ref, ref + 1);
    *ret_hash = set_hash((const uint8_t *)key.ptr, (uint32_t)key.len);
    return slot;
}

void head_index_load_sets_begin(HeadIndex *index, uint64_t series)
{
    HashTable *table = &index->set_table;

    hash_resize(table, MAX((size_t)series * 4 / 3, (size_t)64));
    footprint_touch(table->slots, table->size * sizeof *table->slots);
}

void head_index_load_sets(HeadIndex *index, SeriesSlot from, const uint32_t *hashes, size_t count)
{
    HashTable table = index->set_table; // others count in the same line

    if (table.count + count > table.size * 4 / 5)
        hash_resize(&table, (table.count + count) * 3 / 2);
    // Where a set goes is in no order, and each place has to come from afar.
    for (size_t i = 0; i < count; i++) {
        if (i + 16 < count)
            __builtin_prefetch(&table.slots[hash_home(&table, hashes[i + 16])], 1);
        hash_put_new(&table, hashes[i], from + (SeriesSlot)i);
    }
    table.count += count;
    index->set_table = table;
}

Str head_index_key(const HeadIndex *index, PoolHandle labels)
{
    const uint8_t *start = pool_at(&index->pool, labels);
    const uint8_t *at = start;

    for (uint32_t left = get_u32(&at); left; left--)
        while (*at++ & 0x80)
            ;
    return (Str){(const char *)start, (size_t)(at - start)};
}

void head_index_check(const HeadIndex *index)
{
    Arena arena = {0};
    RefRuns all;
    uint64_t labels = 0;
    uint64_t posted = 0;

    postings_decode(&index->all, &index->pool, &arena, &all);
    ASSERT(all.refs == index->series.count);
    ASSERT(index->set_table.count == index->series.count);
    for (size_t i = 0; i < all.count; i++) {
        for (uint64_t ref = all.runs[i].first; ref < all.runs[i].first + all.runs[i].length;
             ref++) {
            SeriesSlot slot = series_slot(&index->series, ref);
            ASSERT(slot);
            Series *series = series_at(&index->series, slot);
            ASSERT(series_ref(series) == ref);
            LabelWalk walk = head_index_walk(index, series->labels);
            const uint8_t *bytes = pool_at(&index->pool, series->labels);
            for (uint32_t pair; (pair = head_index_walk_next(&walk)); labels++)
                ASSERT(index->pairs[pair].value);
            ASSERT(find_set(index, bytes, (uint32_t)(walk.at - bytes)) == slot);
        }
    }
    for (uint32_t pair = 1; pair < index->pair_count; pair++)
        posted += index->pairs[pair].value ? index->pairs[pair].postings.count : 0;
    ASSERT(labels == posted);
    arena_deinit(&arena);
}
