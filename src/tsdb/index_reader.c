// SPDX-License-Identifier: Apache-2.0
#include "tsdb/index_reader.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/reader.h"
#include "tsdb/index_first.h"
#include "tsdb/index_table.h"

#define SYMBOLS_STEP 8
#define VALUES_STEP 32
#define CHECKED_SLOTS 1024

// One label name of the postings table: its values are entries [first, first + count).
typedef struct NameRow {
    Str name;
    size_t first_sample; // in samples: offset in the table of each 32nd value
    size_t sample_count;
    size_t count;
} NameRow;

struct IndexReader {
    Str bytes;
    bool is_first;   // version 1: series and symbols are named by their offsets
    Buf first_table; // the entries of its postings table, in order
    uint64_t toc[6];
    Str symbols; // behind the count
    uint32_t symbol_count;
    uint32_t *symbol_samples; // offset in `symbols` of each 8th
    Str table;                // entries of the postings table
    NameRow *names;           // sorted
    size_t name_count;
    uint32_t *samples;
    size_t sample_count;
    uint64_t all_offset; // the list of all series
    // Offsets of lists whose checksum was seen to be right; a slot is overwritten by its next tenant. Atomic.
    uint64_t *checked;
};

enum {
    TOC_SYMBOLS,
    TOC_SERIES,
    TOC_LABEL_INDICES,
    TOC_LABEL_TABLE,
    TOC_POSTINGS,
    TOC_POSTINGS_TABLE
};

// Opening

static bool corrupt(Error *err, const char *what)
{
    return error_set(err, ERR_CORRUPT, "index: %s", what);
}

// A part that begins with its length (u32) and ends with a checksum of what is between.
static bool read_part(Str bytes, uint64_t offset, const char *name, bool check, Str *ret_part,
                      Error *err)
{
    if (offset > bytes.len)
        return error_set(err, ERR_CORRUPT, "index: the %s lie behind the end", name);
    Reader r = reader_from(str_skip(bytes, (size_t)offset));
    uint32_t len = reader_u32be(&r);
    Str part = reader_bytes(&r, len);
    uint32_t crc = reader_u32be(&r);
    if (r.failed)
        return error_set(err, ERR_CORRUPT, "index: the %s are cut off", name);
    if (check && crc != crc32c(part))
        return error_set(err, ERR_CORRUPT, "index: wrong checksum of the %s", name);
    *ret_part = part;
    return true;
}

static bool read_toc(IndexReader *x, Error *err)
{
    if (x->bytes.len < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return corrupt(err, "too short");
    Reader head = reader_from(x->bytes);
    if (reader_u32be(&head) != INDEX_MAGIC)
        return corrupt(err, "no index by its magic number");
    uint8_t version = reader_u8(&head);
    if (version < INDEX_VERSION_FIRST || version > INDEX_VERSION_NEXT)
        return error_set(err, ERR_INVALID, "index: version %d, only %d to %d are known", version,
                         INDEX_VERSION_FIRST, INDEX_VERSION_NEXT);
    x->is_first = version == INDEX_VERSION_FIRST;

    Str toc = str_skip(x->bytes, x->bytes.len - INDEX_TOC_BYTES);
    Reader r = reader_from(toc);
    for (size_t i = 0; i < COUNT_OF(x->toc); i++)
        x->toc[i] = reader_u64be(&r);
    if (reader_u32be(&r) != crc32c(str_sub(toc, 0, INDEX_TOC_BYTES - 4)))
        return corrupt(err, "wrong checksum of the table of contents");
    return true;
}

static bool read_symbols(IndexReader *x, Error *err)
{
    Str part;

    if (!read_part(x->bytes, x->toc[TOC_SYMBOLS], "symbols", true, &part, err))
        return false;
    Reader r = reader_from(part);
    x->symbol_count = reader_u32be(&r);
    x->symbols = str_skip(part, 4);
    // The least that a symbol takes is its length.
    if (r.failed || x->symbol_count > reader_left(&r))
        return corrupt(err, "more symbols than bytes");
    x->symbol_samples = X_ARRAY(uint32_t, x->symbol_count / SYMBOLS_STEP + 1);
    for (uint32_t i = 0; i < x->symbol_count; i++) {
        if (i % SYMBOLS_STEP == 0)
            x->symbol_samples[i / SYMBOLS_STEP] = (uint32_t)((const char *)r.at - x->symbols.ptr);
        (void)reader_str(&r);
    }
    return !r.failed || corrupt(err, "a symbol is cut off");
}

static void add_sample(IndexReader *x, uint32_t offset, size_t *cap)
{
    if (x->sample_count == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        x->samples = (uint32_t *)x_realloc(x->samples, *cap * sizeof *x->samples);
    }
    x->samples[x->sample_count++] = offset;
}

static NameRow *add_name(IndexReader *x, Str name, size_t *cap)
{
    if (x->name_count == *cap) {
        *cap = *cap ? 2 * *cap : 32;
        x->names = (NameRow *)x_realloc(x->names, *cap * sizeof *x->names);
    }
    x->names[x->name_count] = (NameRow){.name = name, .first_sample = x->sample_count};
    return &x->names[x->name_count++];
}

// Walks the whole table once and keeps each 32nd entry of a name.
static bool read_table(IndexReader *x, Error *err)
{
    size_t name_cap = 0, sample_cap = 0;
    IndexTableEntry entry, before = {.offset = 0};
    NameRow *row = NULL;
    Str part;

    if (!read_part(x->bytes, x->toc[TOC_POSTINGS_TABLE], "postings offsets", true, &part, err))
        return false;
    Reader r = reader_from(part);
    uint32_t count = reader_u32be(&r);
    x->table = str_skip(part, 4);
    if (x->is_first) {
        if (!index_first_sort(x->table, count, &x->first_table))
            return corrupt(err, "an entry of the postings offsets is cut off");
        x->table = buf_str(&x->first_table);
        r = reader_from(x->table);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)((const char *)r.at - x->table.ptr);
        if (!index_table_entry(&r, &entry))
            return corrupt(err, "an entry of the postings offsets is cut off");
        if (i == 0 && entry.name.len == 0) { // the pair of empty strings
            x->all_offset = entry.offset;
            continue;
        }
        if (!row || !str_equal(row->name, entry.name)) {
            if (row && str_compare(row->name, entry.name) >= 0)
                return corrupt(err, "names of the postings offsets are out of order");
            row = add_name(x, entry.name, &name_cap);
        } else if (str_compare(before.value, entry.value) >= 0) {
            return corrupt(err, "values of the postings offsets are out of order");
        }
        if (row->count % VALUES_STEP == 0) {
            add_sample(x, at, &sample_cap);
            row->sample_count++;
        }
        row->count++;
        before = entry;
    }
    return true;
}

bool index_reader_new(Str bytes, IndexReader **ret_reader, Error *err)
{
    IndexReader *x = X_NEW(IndexReader);

    x->bytes = bytes;
    buf_init(&x->first_table, UINT32_MAX);
    x->checked = X_ARRAY(uint64_t, CHECKED_SLOTS);
    if (!read_toc(x, err) || !read_symbols(x, err) || !read_table(x, err)) {
        index_reader_free(x);
        return false;
    }
    *ret_reader = x;
    return true;
}

void index_reader_free(IndexReader *x)
{
    if (!x)
        return;
    buf_deinit(&x->first_table);
    free(x->symbol_samples);
    free(x->names);
    free(x->samples);
    free(x->checked);
    free(x);
}

size_t index_reader_held_bytes(const IndexReader *x)
{
    return sizeof *x + (x->symbol_count / SYMBOLS_STEP + 1) * sizeof(uint32_t) +
           x->name_count * sizeof(NameRow) + x->sample_count * sizeof(uint32_t) +
           CHECKED_SLOTS * sizeof(uint64_t) + x->first_table.cap;
}

// Symbols

uint32_t index_reader_symbol_count(const IndexReader *x)
{
    return x->symbol_count;
}

bool index_reader_symbol(const IndexReader *x, uint32_t symbol, Str *ret_str, Error *err)
{
    if (symbol >= x->symbol_count)
        return error_set(err, ERR_CORRUPT, "index: symbol %u of %u", symbol, x->symbol_count);
    Reader r = reader_from(str_skip(x->symbols, x->symbol_samples[symbol / SYMBOLS_STEP]));
    for (uint32_t skip = symbol % SYMBOLS_STEP; skip > 0; skip--)
        (void)reader_str(&r);
    *ret_str = reader_str(&r);
    return true;
}

// Names and values

static const NameRow *find_name(const IndexReader *x, Str name)
{
    size_t low = 0, high = x->name_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = str_compare(x->names[middle].name, name);
        if (c == 0)
            return &x->names[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static Reader table_at(const IndexReader *x, size_t sample)
{
    return reader_from(str_skip(x->table, x->samples[sample]));
}

// Index of the newest sample of the row whose value is not above `value`, at least the first.
static size_t find_sample(const IndexReader *x, const NameRow *row, Str value)
{
    size_t low = 0, high = row->sample_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        IndexTableEntry entry;
        Reader r = table_at(x, row->first_sample + middle);
        (void)index_table_entry(&r, &entry); // was read at opening
        if (str_compare(entry.value, value) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

// Walks the values of a name from `from` (inclusive, empty: all) on.
typedef struct ValueWalk {
    Reader r;
    size_t left;
    IndexTableEntry entry;
} ValueWalk;

static ValueWalk walk_values(const IndexReader *x, const NameRow *row, Str from)
{
    size_t sample = from.len ? find_sample(x, row, from) : 0;
    return (ValueWalk){
        table_at(x, row->first_sample + sample), row->count - sample * VALUES_STEP, {.offset = 0}};
}

static bool walk_next(ValueWalk *walk)
{
    if (walk->left == 0)
        return false;
    walk->left--;
    return index_table_entry(&walk->r, &walk->entry);
}

// False if the name has no such value.
static bool find_value(const IndexReader *x, const NameRow *row, Str value, uint64_t *ret_offset)
{
    ValueWalk walk = walk_values(x, row, value);

    for (size_t i = 0; i < VALUES_STEP && walk_next(&walk); i++) {
        int c = str_compare(walk.entry.value, value);
        if (c == 0) {
            *ret_offset = walk.entry.offset;
            return true;
        }
        if (c > 0)
            return false;
    }
    return false;
}

bool index_reader_names(const IndexReader *x, Arena *arena, StrList *ret_names, Error *err)
{
    (void)err;
    Str *names = ARENA_ARRAY(arena, Str, x->name_count);
    for (size_t i = 0; i < x->name_count; i++)
        names[i] = x->names[i].name;
    *ret_names = (StrList){names, x->name_count};
    return true;
}

bool index_reader_values(const IndexReader *x, Str name, Arena *arena, StrList *ret_values,
                         Error *err)
{
    const NameRow *row = find_name(x, name);
    size_t count = 0;

    if (!row) {
        *ret_values = (StrList){NULL, 0};
        return true;
    }
    Str *values = ARENA_ARRAY(arena, Str, row->count);
    for (ValueWalk walk = walk_values(x, row, STR_NONE); walk_next(&walk);)
        values[count++] = walk.entry.value;
    if (count != row->count)
        return corrupt(err, "the postings offsets changed while open");
    *ret_values = (StrList){values, count};
    return true;
}

// Postings lists

// A list as it lies in the map: big endian.
typedef struct List {
    const char *refs;
    size_t count;
} List;

static uint32_t list_get(List list, size_t i)
{
    uint32_t ref;
    memcpy(&ref, list.refs + 4 * i, 4);
    return __builtin_bswap32(ref);
}

static bool read_list(const IndexReader *x, uint64_t offset, List *ret_list, Error *err)
{
    uint64_t *slot = &x->checked[offset / 4 % CHECKED_SLOTS];
    bool seen = __atomic_load_n(slot, __ATOMIC_RELAXED) == offset;
    Str part;

    if (!read_part(x->bytes, offset, "postings", !seen, &part, err))
        return false;
    __atomic_store_n(slot, offset, __ATOMIC_RELAXED);
    Reader r = reader_from(part);
    uint32_t count = reader_u32be(&r);
    if (r.failed || reader_left(&r) / 4 < count)
        return corrupt(err, "a postings list is cut off");
    *ret_list = (List){(const char *)r.at, count};
    return true;
}

static IndexPostings list_copy(Arena *arena, List list)
{
    IndexPostings p = {ARENA_ARRAY(arena, uint32_t, list.count), list.count};

    for (size_t i = 0; i < list.count; i++)
        p.refs[i] = list_get(list, i);
    return p;
}

// The first index from `from` on whose ref is not below `ref`: steps that double, then halves.
static size_t list_seek(List list, size_t from, uint32_t ref)
{
    size_t step = 1, low = from, high = from;

    while (high < list.count && list_get(list, high) < ref) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    high = MIN(high, list.count);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list_get(list, middle) < ref)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Keeps (or, with `wanted` false, drops) what is in the list.
static void filter_by_list(IndexPostings *p, List list, bool wanted)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < p->count; i++) {
        at = list_seek(list, at, p->refs[i]);
        bool found = at < list.count && list_get(list, at) == p->refs[i];
        if (found == wanted)
            p->refs[kept++] = p->refs[i];
    }
    p->count = kept;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Sorts and drops repetitions.
static void normalize(IndexPostings *p)
{
    size_t kept = 0, i = 1;

    while (i < p->count && p->refs[i - 1] < p->refs[i])
        i++;
    if (i >= p->count)
        return;
    qsort(p->refs, p->count, sizeof *p->refs, compare_u32);
    for (i = 0; i < p->count; i++)
        if (kept == 0 || p->refs[kept - 1] != p->refs[i])
            p->refs[kept++] = p->refs[i];
    p->count = kept;
}

// Lists that are going to be united.
typedef struct ListSet {
    List *lists;
    size_t count;
    size_t cap;
    size_t total; // refs
} ListSet;

static bool set_add(const IndexReader *x, ListSet *set, uint64_t offset, Arena *arena, Error *err)
{
    if (set->count == set->cap) {
        size_t cap = set->cap ? 2 * set->cap : 16;
        set->lists =
            (List *)arena_grow(arena, set->lists, set->cap * sizeof(List), cap * sizeof(List));
        set->cap = cap;
    }
    if (!read_list(x, offset, &set->lists[set->count], err))
        return false;
    set->total += set->lists[set->count++].count;
    return true;
}

static IndexPostings set_unite(const ListSet *set, Arena *arena)
{
    IndexPostings p = {ARENA_ARRAY(arena, uint32_t, set->total), 0};

    for (size_t i = 0; i < set->count; i++)
        for (size_t k = 0; k < set->lists[i].count; k++)
            p.refs[p.count++] = list_get(set->lists[i], k);
    normalize(&p);
    return p;
}

// Selection

static bool is_negative(const Matcher *m)
{
    return m->kind == MATCH_NOT_EQUAL || m->kind == MATCH_NOT_REGEX;
}

// The lists of all values whose answer to the matcher is `answer`.
static bool gather_values(const IndexReader *x, const Matcher *m, bool answer, ListSet *set,
                          Arena *arena, Error *err)
{
    const NameRow *row = find_name(x, m->name);
    uint64_t offset;

    if (!row)
        return true;
    // Positive sets of literals, and what a negation of them leaves out, are found one by one.
    bool by_literal = (m->kind == MATCH_EQUAL && answer) || (m->kind == MATCH_NOT_EQUAL && !answer);
    if (by_literal)
        return m->value.len == 0 || !find_value(x, row, m->value, &offset) ||
               set_add(x, set, offset, arena, err);
    if (m->literal_count && answer == !is_negative(m)) {
        for (size_t i = 0; i < m->literal_count; i++)
            if (m->literals[i].len && find_value(x, row, m->literals[i], &offset) &&
                !set_add(x, set, offset, arena, err))
                return false;
        return true;
    }
    bool by_prefix = m->prefix.len && answer == !is_negative(m);
    for (ValueWalk walk = walk_values(x, row, by_prefix ? m->prefix : STR_NONE);
         walk_next(&walk);) {
        if (by_prefix && !str_starts_with(walk.entry.value, m->prefix)) {
            if (str_compare(walk.entry.value, m->prefix) > 0)
                break;
            continue;
        }
        if (matcher_matches(m, walk.entry.value) == answer &&
            !set_add(x, set, walk.entry.offset, arena, err))
            return false;
    }
    return true;
}

// True if the matcher's lists are found without walking over all values.
static bool is_cheap(const Matcher *m)
{
    return !m->matches_empty &&
           (m->kind == MATCH_EQUAL || (m->kind == MATCH_REGEX && m->literal_count));
}

typedef struct Selection {
    IndexPostings postings;
    bool begun; // else: all series
} Selection;

// Series must be in one of the lists.
static void keep_set(Selection *s, const ListSet *set, Arena *arena)
{
    if (!s->begun) {
        s->postings = set->count == 1 ? list_copy(arena, set->lists[0]) : set_unite(set, arena);
        s->begun = true;
    } else if (set->count == 1) {
        filter_by_list(&s->postings, set->lists[0], true);
    } else {
        IndexPostings p = set_unite(set, arena);
        size_t kept = 0, at = 0;
        for (size_t i = 0; i < s->postings.count; i++) {
            while (at < p.count && p.refs[at] < s->postings.refs[i])
                at++;
            if (at < p.count && p.refs[at] == s->postings.refs[i])
                s->postings.refs[kept++] = s->postings.refs[i];
        }
        s->postings.count = kept;
    }
}

static bool begin_with_all(const IndexReader *x, Selection *s, Arena *arena, Error *err)
{
    List all = {NULL, 0};

    if (s->begun)
        return true;
    if (x->all_offset && !read_list(x, x->all_offset, &all, err))
        return false;
    s->postings = list_copy(arena, all);
    s->begun = true;
    return true;
}

typedef struct CheapSet {
    ListSet set;
    size_t matcher;
} CheapSet;

static int compare_totals(const void *a, const void *b)
{
    size_t x = ((const CheapSet *)a)->set.total, y = ((const CheapSet *)b)->set.total;
    return (x > y) - (x < y);
}

// First those matchers whose lists are found at once, the shortest first.
static bool select_cheap(const IndexReader *x, const Matcher *matchers, size_t count, Selection *s,
                         Arena *arena, Error *err)
{
    CheapSet *sets = ARENA_ARRAY(arena, CheapSet, count);
    size_t set_count = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_cheap(&matchers[i]))
            continue;
        sets[set_count] = (CheapSet){.matcher = i};
        if (!gather_values(x, &matchers[i], true, &sets[set_count++].set, arena, err))
            return false;
    }
    qsort(sets, set_count, sizeof *sets, compare_totals);
    for (size_t i = 0; i < set_count; i++)
        keep_set(s, &sets[i].set, arena);
    return true;
}

// Answers of one matcher to values, remembered by symbol.
typedef struct Answers {
    uint32_t symbols[256];
    uint8_t known[256]; // 0 unknown, 1 no, 2 yes
} Answers;

// Asks each series that is left: good when they are few against the values of the label.
static bool filter_by_labels(const IndexReader *x, const Matcher *m, Selection *s, Error *err)
{
    IndexSeries series = {.symbols = NULL};
    Answers answers = {.known = {0}};
    size_t kept = 0;
    bool ok = true;

    for (size_t i = 0; ok && i < s->postings.count; i++) {
        bool matches = m->matches_empty;
        ok = index_reader_series(x, s->postings.refs[i], INT64_MAX, INT64_MIN, &series, err);
        for (size_t k = 0; ok && k < series.symbol_count; k += 2) {
            Str name, value;
            ok = index_reader_symbol(x, series.symbols[k], &name, err);
            if (!ok || !str_equal(name, m->name))
                continue;
            uint32_t symbol = series.symbols[k + 1], slot = symbol % COUNT_OF(answers.known);
            if (!answers.known[slot] || answers.symbols[slot] != symbol) {
                ok = index_reader_symbol(x, symbol, &value, err);
                answers.symbols[slot] = symbol;
                answers.known[slot] = ok && matcher_matches(m, value) ? 2 : 1;
            }
            matches = answers.known[slot] == 2;
            break;
        }
        if (matches)
            s->postings.refs[kept++] = s->postings.refs[i];
    }
    s->postings.count = kept;
    index_series_deinit(&series);
    return ok;
}

// One matcher that is not cheap.
static bool select_other(const IndexReader *x, const Matcher *m, Selection *s, Arena *arena,
                         Error *err)
{
    const NameRow *row = find_name(x, m->name);
    ListSet set = {.lists = NULL};
    bool direct = m->kind == MATCH_NOT_EQUAL || (m->kind == MATCH_NOT_REGEX && m->literal_count) ||
                  m->prefix.len;

    if (s->begun && row && s->postings.count < row->count / 4 && !direct)
        return filter_by_labels(x, m, s, err);
    if (!gather_values(x, m, !m->matches_empty, &set, arena, err))
        return false;
    if (!m->matches_empty) {
        keep_set(s, &set, arena);
        return true;
    }
    // What lacks the label matches too: take away those whose value does not match.
    if (!begin_with_all(x, s, arena, err))
        return false;
    if (set.count <= 8) {
        for (size_t i = 0; i < set.count; i++)
            filter_by_list(&s->postings, set.lists[i], false);
        return true;
    }
    IndexPostings p = set_unite(&set, arena);
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < s->postings.count; i++) {
        while (at < p.count && p.refs[at] < s->postings.refs[i])
            at++;
        if (at == p.count || p.refs[at] != s->postings.refs[i])
            s->postings.refs[kept++] = s->postings.refs[i];
    }
    s->postings.count = kept;
    return true;
}

bool index_reader_postings(const IndexReader *x, const Matcher *matchers, size_t count,
                           Arena *arena, IndexPostings *ret_postings, Error *err)
{
    Selection s = {.begun = false};

    if (!select_cheap(x, matchers, count, &s, arena, err))
        return false;
    // Those that must have the label before those that may lack it: the latter would begin with all series.
    for (int empty = 0; empty < 2; empty++)
        for (size_t i = 0; i < count; i++)
            if (!is_cheap(&matchers[i]) && matchers[i].matches_empty == (empty == 1) &&
                !(s.begun && s.postings.count == 0) &&
                !select_other(x, &matchers[i], &s, arena, err))
                return false;
    if (!begin_with_all(x, &s, arena, err))
        return false;
    *ret_postings = s.postings;
    return true;
}

// Series

void index_series_deinit(IndexSeries *series)
{
    free(series->symbols);
    free(series->chunks);
    *series = (IndexSeries){.symbols = NULL};
}

static bool read_labels(const IndexReader *x, Reader *r, IndexSeries *series)
{
    uint64_t count = reader_uvarint(r);

    series->symbol_count = 0;
    if (r->failed || count > INDEX_LABELS_MAX || 2 * count > reader_left(r))
        return false;
    if (2 * count > series->symbol_cap) {
        series->symbol_cap = (size_t)MAX(4 * count, 32);
        series->symbols =
            (uint32_t *)x_realloc(series->symbols, series->symbol_cap * sizeof *series->symbols);
    }
    for (uint64_t i = 0; i < 2 * count; i++) {
        uint64_t symbol = reader_uvarint(r);
        r->failed |= symbol > UINT32_MAX;
        if (x->is_first)
            symbol =
                index_first_symbol(x->symbols, x->symbol_count, x->symbol_samples, SYMBOLS_STEP,
                                   symbol - (uint64_t)(x->symbols.ptr - x->bytes.ptr));
        series->symbols[series->symbol_count++] = (uint32_t)symbol;
    }
    return !r->failed;
}

static void keep_chunk(IndexSeries *series, IndexChunk chunk)
{
    if (series->chunk_count == series->chunk_cap) {
        series->chunk_cap = series->chunk_cap ? 2 * series->chunk_cap : 16;
        series->chunks =
            (IndexChunk *)x_realloc(series->chunks, series->chunk_cap * sizeof *series->chunks);
    }
    series->chunks[series->chunk_count++] = chunk;
}

static bool read_chunks(Reader *r, int64_t min_t_ms, int64_t max_t_ms, IndexSeries *series)
{
    uint64_t count = reader_uvarint(r);
    IndexChunk chunk = {.ref = 0};

    series->chunk_count = 0;
    if (min_t_ms > max_t_ms) // the caller wants labels only
        return !r->failed;
    for (uint64_t i = 0; i < count && !r->failed; i++) {
        if (i == 0)
            chunk.min_t_ms = reader_varint(r);
        else
            chunk.min_t_ms = (int64_t)((uint64_t)chunk.max_t_ms + reader_uvarint(r));
        chunk.max_t_ms = (int64_t)((uint64_t)chunk.min_t_ms + reader_uvarint(r));
        chunk.ref = i == 0 ? reader_uvarint(r) : chunk.ref + (uint64_t)reader_varint(r);
        if (r->failed || chunk.min_t_ms > max_t_ms)
            break;
        if (chunk.max_t_ms >= min_t_ms)
            keep_chunk(series, chunk);
    }
    return !r->failed;
}

bool index_reader_series(const IndexReader *x, uint32_t ref, int64_t min_t_ms, int64_t max_t_ms,
                         IndexSeries *series, Error *err)
{
    uint64_t offset = (uint64_t)ref * (x->is_first ? 1 : INDEX_SERIES_ALIGN);

    if (offset >= x->bytes.len)
        return error_set(err, ERR_CORRUPT, "index: series %u lies behind the end", ref);
    Reader r = reader_from(str_skip(x->bytes, (size_t)offset));
    Str record = reader_str(&r);
    uint32_t crc = reader_u32be(&r);
    if (r.failed || crc != crc32c(record))
        return error_set(err, ERR_CORRUPT, "index: wrong checksum of series %u", ref);
    r = reader_from(record);
    if (!read_labels(x, &r, series) || !read_chunks(&r, min_t_ms, max_t_ms, series))
        return error_set(err, ERR_CORRUPT, "index: series %u is cut off", ref);
    return true;
}

bool index_reader_labels(const IndexReader *x, const IndexSeries *series, Arena *arena,
                         Labels *ret_labels, Error *err)
{
    Label *pairs = ARENA_ARRAY(arena, Label, series->symbol_count / 2);

    for (size_t i = 0; i < series->symbol_count; i += 2)
        if (!index_reader_symbol(x, series->symbols[i], &pairs[i / 2].name, err) ||
            !index_reader_symbol(x, series->symbols[i + 1], &pairs[i / 2].value, err))
            return false;
    *ret_labels = (Labels){pairs, series->symbol_count / 2};
    return true;
}
