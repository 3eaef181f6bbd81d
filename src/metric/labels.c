// SPDX-License-Identifier: Apache-2.0
#include "metric/labels.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

Str labels_get(Labels labels, Str name)
{
    for (size_t i = 0; i < labels.count; i++)
        if (str_equal(labels.pairs[i].name, name))
            return labels.pairs[i].value;

    return STR_NONE;
}

bool labels_equal(Labels a, Labels b)
{
    if (a.count != b.count)
        return false;

    for (size_t i = 0; i < a.count; i++)
        if (!str_equal(a.pairs[i].name, b.pairs[i].name) ||
            !str_equal(a.pairs[i].value, b.pairs[i].value))
            return false;

    return true;
}

int labels_compare(Labels a, Labels b)
{
    size_t n = MIN(a.count, b.count);

    for (size_t i = 0; i < n; i++) {
        int c = str_compare(a.pairs[i].name, b.pairs[i].name);
        if (c == 0)
            c = str_compare(a.pairs[i].value, b.pairs[i].value);
        if (c != 0)
            return c;
    }
    return (a.count > b.count) - (a.count < b.count);
}

// ---- hashes

// Gathers the compact encoding; short sets are hashed in one go from the stack, long ones as a stream.
typedef struct LabelsHasher {
    char bytes[1024];
    size_t used;
    bool streaming;
    XXH64_state_t stream;
} LabelsHasher;

static void hasher_init(LabelsHasher *hasher)
{
    hasher->used = 0;
    hasher->streaming = false;
}

static void hasher_spill(LabelsHasher *hasher)
{
    if (!hasher->streaming) {
        hasher->streaming = true;
        XXH64_reset(&hasher->stream, 0);
    }
    XXH64_update(&hasher->stream, hasher->bytes, hasher->used);
    hasher->used = 0;
}

static void hasher_add(LabelsHasher *hasher, Str s)
{
    if (hasher->used + 4 + s.len > sizeof hasher->bytes)
        hasher_spill(hasher);

    char *at = hasher->bytes + hasher->used;
    if (s.len < 255) {
        *at++ = (char)s.len;
    } else {
        *at++ = (char)255;
        *at++ = (char)(s.len & 0xff);
        *at++ = (char)(s.len >> 8 & 0xff);
        *at++ = (char)(s.len >> 16 & 0xff);
    }
    hasher->used = (size_t)(at - hasher->bytes);

    if (hasher->used + s.len > sizeof hasher->bytes) {
        hasher_spill(hasher);
        XXH64_update(&hasher->stream, s.ptr, s.len);
    } else if (s.len > 0) {
        memcpy(at, s.ptr, s.len);
        hasher->used += s.len;
    }
}

static uint64_t hasher_finish(LabelsHasher *hasher)
{
    if (!hasher->streaming)
        return XXH64(hasher->bytes, hasher->used, 0);

    hasher_spill(hasher);
    return XXH64_digest(&hasher->stream);
}

uint64_t labels_hash(Labels labels)
{
    LabelsHasher hasher;

    hasher_init(&hasher);
    for (size_t i = 0; i < labels.count; i++) {
        hasher_add(&hasher, labels.pairs[i].name);
        hasher_add(&hasher, labels.pairs[i].value);
    }
    return hasher_finish(&hasher);
}

// Both lists are sorted: one pass over the two.
static uint64_t hash_picked(Labels labels, const Str *names, size_t count, bool want_named)
{
    LabelsHasher hasher;
    size_t at = 0;

    hasher_init(&hasher);
    for (size_t i = 0; i < labels.count; i++) {
        Str name = labels.pairs[i].name;
        while (at < count && str_compare(names[at], name) < 0)
            at++;
        bool named = at < count && str_equal(names[at], name);
        if (named == want_named) {
            hasher_add(&hasher, name);
            hasher_add(&hasher, labels.pairs[i].value);
        }
    }
    return hasher_finish(&hasher);
}

uint64_t labels_hash_only(Labels labels, const Str *names, size_t count)
{
    return hash_picked(labels, names, count, true);
}

uint64_t labels_hash_without(Labels labels, const Str *names, size_t count)
{
    return hash_picked(labels, names, count, false);
}

// ---- copies and changes

static char *copy_bytes(char *at, Str s, Str *ret_copy)
{
    *ret_copy = str_make(at, s.len);
    if (s.len)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

Labels labels_copy(Arena *arena, Labels labels)
{
    if (labels.count == 0)
        return LABELS_NONE;

    size_t bytes = 0;
    for (size_t i = 0; i < labels.count; i++)
        bytes += labels.pairs[i].name.len + labels.pairs[i].value.len;

    Label *pairs = ARENA_ARRAY(arena, Label, labels.count);
    char *at = arena_alloc_aligned(arena, bytes, 1);
    for (size_t i = 0; i < labels.count; i++) {
        at = copy_bytes(at, labels.pairs[i].name, &pairs[i].name);
        at = copy_bytes(at, labels.pairs[i].value, &pairs[i].value);
    }
    return (Labels){pairs, labels.count};
}

static int compare_pairs(const void *a, const void *b)
{
    return str_compare(((const Label *)a)->name, ((const Label *)b)->name);
}

#define SMALL_SORT_MAX 32 // beyond, label sets are rare and qsort's calls do not matter

typedef struct SortKey {
    uint64_t prefix; // the name's first eight bytes, as a number that sorts as they do
    const Label *pair;
} SortKey;

static uint32_t load_big_endian(const char *at)
{
    const unsigned char *p = (const unsigned char *)at;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// Short names are loaded in two or three pieces that may overlap: the same bytes land at the same place.
static uint64_t name_prefix(Str name)
{
    const unsigned char *p = (const unsigned char *)name.ptr;

    if (name.len >= 8)
        return (uint64_t)load_big_endian(name.ptr) << 32 | load_big_endian(name.ptr + 4);
    if (name.len >= 4)
        return (uint64_t)load_big_endian(name.ptr) << 32 |
               (uint64_t)load_big_endian(name.ptr + name.len - 4) << 8 * (8 - name.len);
    if (name.len == 0)
        return 0;
    return (uint64_t)p[0] << 56 | (uint64_t)p[name.len / 2] << 8 * (7 - name.len / 2) |
           (uint64_t)p[name.len - 1] << 8 * (8 - name.len);
}

static bool key_before(const SortKey *a, const SortKey *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    return str_compare(a->pair->name, b->pair->name) < 0;
}

static bool is_sorted(const Label *pairs, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (str_compare(pairs[i - 1].name, pairs[i].name) > 0)
            return false;

    return true;
}

static void sort_few(Label *pairs, size_t count)
{
    SortKey keys[SMALL_SORT_MAX];
    Label sorted[SMALL_SORT_MAX];

    for (size_t i = 0; i < count; i++) {
        SortKey moving = {name_prefix(pairs[i].name), &pairs[i]};
        size_t to = i;
        for (; to > 0 && key_before(&moving, &keys[to - 1]); to--)
            keys[to] = keys[to - 1];
        keys[to] = moving;
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = *keys[i].pair;
    memcpy(pairs, sorted, count * sizeof *pairs);
}

void labels_order(Label *pairs, size_t count)
{
    if (is_sorted(pairs, count))
        return;
    if (count <= SMALL_SORT_MAX)
        sort_few(pairs, count);
    else
        qsort(pairs, count, sizeof *pairs, compare_pairs);
}

static size_t drop_empty(Label *pairs, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (pairs[i].value.len > 0)
            pairs[kept++] = pairs[i];
    return kept;
}

bool labels_sort(Label *pairs, size_t *count, Error *err)
{
    labels_order(pairs, *count);
    for (size_t i = 1; i < *count; i++)
        if (str_equal(pairs[i - 1].name, pairs[i].name))
            return error_set(err, ERR_INVALID, "label name \"" STR_FMT "\" is not unique",
                             STR_ARG(pairs[i].name));

    *count = drop_empty(pairs, *count);
    return true;
}

static bool is_named(Str name, const Str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal(names[i], name))
            return true;

    return false;
}

static Labels pick(Arena *arena, Labels labels, const Str *names, size_t count, bool want_named)
{
    Label *pairs = ARENA_ARRAY(arena, Label, labels.count);
    size_t kept = 0;

    for (size_t i = 0; i < labels.count; i++)
        if (is_named(labels.pairs[i].name, names, count) == want_named)
            pairs[kept++] = labels.pairs[i];
    return (Labels){pairs, kept};
}

Labels labels_keep(Arena *arena, Labels labels, const Str *names, size_t count)
{
    return pick(arena, labels, names, count, true);
}

Labels labels_drop(Arena *arena, Labels labels, const Str *names, size_t count)
{
    return pick(arena, labels, names, count, false);
}

Labels labels_set(Arena *arena, Labels labels, Str name, Str value)
{
    Label *pairs = ARENA_ARRAY(arena, Label, labels.count + 1);
    size_t kept = 0;
    size_t i = 0;

    for (; i < labels.count && str_compare(labels.pairs[i].name, name) < 0; i++)
        pairs[kept++] = labels.pairs[i];
    if (value.len > 0)
        pairs[kept++] = (Label){name, value};
    if (i < labels.count && str_equal(labels.pairs[i].name, name))
        i++;
    for (; i < labels.count; i++)
        pairs[kept++] = labels.pairs[i];
    return (Labels){pairs, kept};
}

// ---- text

static void print_pairs(Buf *buf, Labels labels, bool with_name)
{
    bool first = true;

    buf_add_char(buf, '{');
    for (size_t i = 0; i < labels.count; i++) {
        const Label *pair = &labels.pairs[i];
        if (!with_name && str_equal(pair->name, LABEL_METRIC_NAME))
            continue;
        if (!first)
            buf_add_c(buf, ", ");
        first = false;
        if (label_name_is_legacy(pair->name))
            buf_add_str(buf, pair->name);
        else
            buf_add_go_quoted(buf, pair->name);
        buf_add_char(buf, '=');
        buf_add_go_quoted(buf, pair->value);
    }
    buf_add_char(buf, '}');
}

void labels_print(Buf *buf, Labels labels)
{
    print_pairs(buf, labels, true);
}

void labels_print_metric(Buf *buf, Labels labels)
{
    Str name = labels_get(labels, LABEL_METRIC_NAME);

    if (!metric_name_is_legacy(name)) {
        print_pairs(buf, labels, true);
        return;
    }
    buf_add_str(buf, name);
    if (labels.count > 1)
        print_pairs(buf, labels, false);
}

// ---- names

enum { NAME_LETTER = 1, NAME_DIGIT = 2, NAME_COLON = 4 };

static int name_class(char c)
{
    char lower = (char)(c | 0x20);

    if ((lower >= 'a' && lower <= 'z') || c == '_')
        return NAME_LETTER;
    if (c >= '0' && c <= '9')
        return NAME_DIGIT;
    return c == ':' ? NAME_COLON : 0;
}

static bool name_is_legacy(Str name, int allowed)
{
    if (name.len == 0 || name_class(name.ptr[0]) == NAME_DIGIT)
        return false;

    for (size_t i = 0; i < name.len; i++)
        if (!(name_class(name.ptr[i]) & allowed))
            return false;

    return true;
}

bool metric_name_is_legacy(Str name)
{
    return name_is_legacy(name, NAME_LETTER | NAME_DIGIT | NAME_COLON);
}

bool label_name_is_legacy(Str name)
{
    return name_is_legacy(name, NAME_LETTER | NAME_DIGIT);
}

bool name_is_utf8(Str name)
{
    return name.len > 0 && str_is_utf8(name);
}

// ---- builder

void labels_builder_init(LabelsBuilder *builder, Arena *arena, Labels base)
{
    builder->arena = arena;
    builder->count = base.count;
    builder->cap = base.count + 8;
    builder->pairs = ARENA_ARRAY(arena, Label, builder->cap);
    if (base.count)
        memcpy(builder->pairs, base.pairs, base.count * sizeof(Label));
}

static size_t builder_find(const LabelsBuilder *builder, Str name)
{
    size_t i = 0;

    while (i < builder->count && !str_equal(builder->pairs[i].name, name))
        i++;
    return i;
}

void labels_builder_set(LabelsBuilder *builder, Str name, Str value)
{
    size_t i = builder_find(builder, name);

    if (i < builder->count) {
        if (value.len > 0)
            builder->pairs[i].value = value;
        else
            builder->pairs[i] = builder->pairs[--builder->count];
        return;
    }
    if (value.len == 0)
        return;
    if (builder->count == builder->cap) {
        builder->pairs = arena_grow(builder->arena, builder->pairs, builder->cap * sizeof(Label),
                                    2 * builder->cap * sizeof(Label));
        builder->cap *= 2;
    }
    builder->pairs[builder->count++] = (Label){name, value};
}

Str labels_builder_get(const LabelsBuilder *builder, Str name)
{
    size_t i = builder_find(builder, name);

    return i < builder->count ? builder->pairs[i].value : STR_NONE;
}

Labels labels_builder_finish(LabelsBuilder *builder)
{
    labels_order(builder->pairs, builder->count);
    builder->count = drop_empty(builder->pairs, builder->count);
    return (Labels){builder->pairs, builder->count};
}
