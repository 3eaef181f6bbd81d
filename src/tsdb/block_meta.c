// SPDX-License-Identifier: Apache-2.0
#include "tsdb/block_meta.h"

#include "codec/json_reader.h"

#define LEVEL_MAX 1000

bool block_meta_has_hint(const BlockMeta *meta, Str hint)
{
    for (size_t i = 0; i < meta->hint_count; i++)
        if (str_equal(meta->hints[i], hint))
            return true;
    return false;
}

bool block_meta_is_late(const BlockMeta *meta)
{
    return block_meta_has_hint(meta, BLOCK_HINT_OUT_OF_ORDER) &&
           !block_meta_has_hint(meta, BLOCK_HINT_STALE_SERIES);
}

bool block_meta_is_partial(const BlockMeta *meta)
{
    return block_meta_has_hint(meta, BLOCK_HINT_OUT_OF_ORDER) ||
           block_meta_has_hint(meta, BLOCK_HINT_STALE_SERIES) ||
           block_meta_has_hint(meta, BLOCK_HINT_SELECTED_SERIES);
}

// A whole number; `value` stays when the member is missing.
static bool read_i64(const JsonValue *object, const char *name, int64_t *value, Error *err)
{
    const JsonValue *v = json_get(object, str_from_c(name));

    if (!v || v->kind == JSON_NULL)
        return true;
    if (v->kind != JSON_NUMBER || !v->is_integer)
        return error_set(err, ERR_CORRUPT, "\"%s\" is no whole number", name);
    *value = v->integer;
    return true;
}

static bool read_count(const JsonValue *object, const char *name, uint64_t *value, Error *err)
{
    int64_t number = 0;

    if (!read_i64(object, name, &number, err))
        return false;
    if (number < 0)
        return error_set(err, ERR_CORRUPT, "\"%s\" is negative", name);
    *value = (uint64_t)number;
    return true;
}

static bool read_ulid(const JsonValue *value, Ulid *ulid, Error *err)
{
    if (!value || value->kind != JSON_STRING || !ulid_parse(value->str, ulid))
        return error_set(err, ERR_CORRUPT, "a block's name is no ULID");
    return true;
}

// The items of an array member; a missing one is empty.
static bool read_array(const JsonValue *object, const char *name, const JsonValue **ret_array,
                       Error *err)
{
    static const JsonValue empty = {.kind = JSON_ARRAY};
    const JsonValue *v = json_get(object, str_from_c(name));

    if (v && v->kind != JSON_ARRAY && v->kind != JSON_NULL)
        return error_set(err, ERR_CORRUPT, "\"%s\" is no array", name);
    *ret_array = v && v->kind == JSON_ARRAY ? v : &empty;
    return true;
}

static bool read_flag(const JsonValue *object, const char *name)
{
    const JsonValue *v = json_get(object, str_from_c(name));
    return v && v->kind == JSON_BOOL && v->boolean;
}

static bool read_stats(const JsonValue *stats, BlockStats *s, Error *err)
{
    return read_count(stats, "numSamples", &s->samples, err) &&
           read_count(stats, "numFloatSamples", &s->float_samples, err) &&
           read_count(stats, "numHistogramSamples", &s->histogram_samples, err) &&
           read_count(stats, "numSeries", &s->series, err) &&
           read_count(stats, "numChunks", &s->chunks, err) &&
           read_count(stats, "numTombstones", &s->tombstones, err);
}

static bool read_parents(const JsonValue *array, Arena *arena, BlockMeta *meta, Error *err)
{
    meta->parents = ARENA_ARRAY(arena, BlockParent, array->count);
    meta->parent_count = array->count;
    for (size_t i = 0; i < array->count; i++) {
        const JsonValue *from = &array->items[i];
        BlockParent *to = &meta->parents[i];
        *to = (BlockParent){.min_t_ms = 0};
        if (!read_ulid(json_get(from, S("ulid")), &to->ulid, err) ||
            !read_i64(from, "minTime", &to->min_t_ms, err) ||
            !read_i64(from, "maxTime", &to->max_t_ms, err))
            return error_context(err, "parents");
    }
    return true;
}

static bool read_hints(const JsonValue *array, Arena *arena, BlockMeta *meta, Error *err)
{
    meta->hints = ARENA_ARRAY(arena, Str, array->count);
    meta->hint_count = array->count;
    for (size_t i = 0; i < array->count; i++) {
        if (array->items[i].kind != JSON_STRING)
            return error_set(err, ERR_CORRUPT, "a hint is no string");
        meta->hints[i] = arena_str(arena, array->items[i].str);
    }
    return true;
}

static bool read_compaction(const JsonValue *compaction, Arena *arena, BlockMeta *meta, Error *err)
{
    const JsonValue *sources, *parents, *hints;
    int64_t level = 1;

    if (!read_i64(compaction, "level", &level, err) ||
        !read_array(compaction, "sources", &sources, err) ||
        !read_array(compaction, "parents", &parents, err) ||
        !read_array(compaction, "hints", &hints, err))
        return false;
    if (level < 0 || level > LEVEL_MAX)
        return error_set(err, ERR_CORRUPT, "compaction level %lld", (long long)level);
    meta->level = (int)level;
    meta->deletable = read_flag(compaction, "deletable");
    meta->failed = read_flag(compaction, "failed");
    meta->sources = ARENA_ARRAY(arena, Ulid, sources->count);
    meta->source_count = sources->count;
    for (size_t i = 0; i < sources->count; i++)
        if (!read_ulid(&sources->items[i], &meta->sources[i], err))
            return error_context(err, "sources");
    return read_parents(parents, arena, meta, err) && read_hints(hints, arena, meta, err);
}

static bool has_foreign(const JsonValue *root)
{
    static const Str known[] = {STR("ulid"),  STR("minTime"),    STR("maxTime"),
                                STR("stats"), STR("compaction"), STR("version")};

    for (size_t i = 0; i < root->count; i++) {
        size_t k = 0;
        while (k < COUNT_OF(known) && !str_equal(root->keys[i], known[k]))
            k++;
        if (k == COUNT_OF(known))
            return true;
    }
    return false;
}

static bool parse(Str json, Arena *arena, BlockMeta *meta, Error *err)
{
    JsonValue *root;
    int64_t version = 0;

    if (!json_read(json, arena, &root, err)) {
        err->code = ERR_CORRUPT;
        return false;
    }
    if (root->kind != JSON_OBJECT)
        return error_set(err, ERR_CORRUPT, "no object");
    meta->min_t_ms = INT64_MAX;
    meta->max_t_ms = INT64_MIN;
    if (!read_i64(root, "version", &version, err) ||
        !read_i64(root, "minTime", &meta->min_t_ms, err) ||
        !read_i64(root, "maxTime", &meta->max_t_ms, err) ||
        !read_ulid(json_get(root, S("ulid")), &meta->ulid, err))
        return false;
    if (version != 1)
        return error_set(err, ERR_INVALID, "version %lld, only 1 is known", (long long)version);
    if (meta->min_t_ms > meta->max_t_ms)
        return error_set(err, ERR_CORRUPT, "minTime lies behind maxTime or one of them is missing");
    meta->has_foreign = has_foreign(root);
    return read_stats(json_get(root, S("stats")), &meta->stats, err) &&
           read_compaction(json_get(root, S("compaction")), arena, meta, err);
}

bool block_meta_parse(Str json, Arena *arena, BlockMeta *ret_meta, Error *err)
{
    BlockMeta meta = {.level = 1};

    if (!parse(json, arena, &meta, err))
        return error_context(err, "meta.json");
    *ret_meta = meta;
    return true;
}

bool block_meta_read(Fs *fs, Str dir, Arena *arena, BlockMeta *ret_meta, Error *err)
{
    Str json;

    return fs_read_file(fs, fs_join(arena, dir, S("meta.json")), arena, BLOCK_META_BYTES_MAX, &json,
                        err) &&
           block_meta_parse(json, arena, ret_meta, err);
}

static void print_stats(const BlockStats *stats, JsonWriter *json)
{
    json_key(json, S("stats"));
    json_object(json);
    json_key_u64(json, "numSamples", stats->samples);
    json_key_u64(json, "numFloatSamples", stats->float_samples);
    json_key_u64(json, "numHistogramSamples", stats->histogram_samples);
    json_key_u64(json, "numSeries", stats->series);
    json_key_u64(json, "numChunks", stats->chunks);
    if (stats->tombstones)
        json_key_u64(json, "numTombstones", stats->tombstones);
    json_object_end(json);
}

static void print_parents(const BlockMeta *meta, JsonWriter *json)
{
    json_key(json, S("parents"));
    json_array(json);
    for (size_t i = 0; i < meta->parent_count; i++) {
        json_object(json);
        json_key_str(json, "ulid", ulid_str(&meta->parents[i].ulid));
        json_key_i64(json, "minTime", meta->parents[i].min_t_ms);
        json_key_i64(json, "maxTime", meta->parents[i].max_t_ms);
        json_object_end(json);
    }
    json_array_end(json);
}

static void print_compaction(const BlockMeta *meta, JsonWriter *json)
{
    json_key(json, S("compaction"));
    json_object(json);
    json_key_i64(json, "level", meta->level);
    json_key(json, S("sources"));
    json_array(json);
    for (size_t i = 0; i < meta->source_count; i++)
        json_str(json, ulid_str(&meta->sources[i]));
    json_array_end(json);
    if (meta->deletable)
        json_key_bool(json, "deletable", true);
    if (meta->parent_count)
        print_parents(meta, json);
    if (meta->failed)
        json_key_bool(json, "failed", true);
    if (meta->hint_count) {
        json_key(json, S("hints"));
        json_array(json);
        for (size_t i = 0; i < meta->hint_count; i++)
            json_str(json, meta->hints[i]);
        json_array_end(json);
    }
    json_object_end(json);
}

void block_meta_print(const BlockMeta *meta, JsonWriter *json)
{
    json_object(json);
    json_key_str(json, "ulid", ulid_str(&meta->ulid));
    json_key_i64(json, "minTime", meta->min_t_ms);
    json_key_i64(json, "maxTime", meta->max_t_ms);
    print_stats(&meta->stats, json);
    print_compaction(meta, json);
    json_key_i64(json, "version", 1);
    json_object_end(json);
}

bool block_meta_write(Fs *fs, Str dir, const BlockMeta *meta, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(buf_deinit) Buf text = {.ptr = NULL};
    JsonWriter json;

    json_writer_init(&json, &text);
    block_meta_print(meta, &json);
    buf_add_char(&text, '\n');
    return buf_ok(&text, "meta.json", err) &&
           fs_write_atomic(fs, fs_join(&arena, dir, S("meta.json")), buf_str(&text), err);
}
