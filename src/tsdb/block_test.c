// SPDX-License-Identifier: Apache-2.0
#include "tsdb/block.h"

#include "base/crc32c.h"
#include "base/test.h"
#include "tsdb/block_fake.h"

#define FIXTURE "01M7XTXMPPY1F61JGYYR53S9HR"
#define SERIES 500
#define STEP_MS 15000
#define TWO_HOURS_MS 7200000

static void querier_close(Querier **querier)
{
    if (*querier)
        (*querier)->close(*querier);
}

// Both queriers say the same about all series that match.
static void check_same(Querier *got, Querier *want, const Matcher *matchers, size_t count,
                       int64_t min_t_ms, int64_t max_t_ms)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    SeriesList a, b;
    Error err = {0};

    CHECK_OK(got->select(got, matchers, count, NULL, &arena, &a, &err), err);
    CHECK_OK(want->select(want, matchers, count, NULL, &arena, &b, &err), err);
    CHECK_EQ(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        SampleColumns x, y;
        CHECK(labels_equal(a.series[i].labels, b.series[i].labels));
        CHECK_OK(got->read(got, a.series[i].handle, min_t_ms, max_t_ms, &arena, &x, &err), err);
        CHECK_OK(want->read(want, b.series[i].handle, min_t_ms, max_t_ms, &arena, &y, &err), err);
        CHECK_EQ(x.count, y.count);
        for (size_t k = 0; k < x.count; k++) {
            CHECK_EQ(x.t_ms[k], y.t_ms[k]);
            CHECK_EQ(x.histograms && x.histograms[k], y.histograms && y.histograms[k]);
            if (x.histograms && x.histograms[k]) {
                Histogram h = *x.histograms[k];
                h.hint = y.histograms[k]->hint;
                CHECK_DOUBLE(h.count, y.histograms[k]->count);
                CHECK_DOUBLE(h.sum, y.histograms[k]->sum);
            } else {
                CHECK_DOUBLE(x.value[k], y.value[k]);
            }
        }
    }
}

static Matcher matcher_of(MatchKind kind, const char *name, const char *value, Arena *arena)
{
    Error err = {0};
    Matcher m;

    CHECK_OK(matcher_init(&m, kind, str_from_c(name), str_from_c(value), arena, &err), err);
    return m;
}

TEST(block, reads_back_what_was_written)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    FakeSource fake;
    fake_init(&fake, SERIES, 0, TWO_HOURS_MS, STEP_MS);
    fake.histograms = true;
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);

    Querier *querier = merge_querier_new(NULL, &block, 1, INT64_MIN, INT64_MAX);
    check_same(querier, &fake.querier, NULL, 0, INT64_MIN, INT64_MAX);
    check_same(querier, &fake.querier, NULL, 0, 1000000, 2000000);
    CHECK_EQ(block_meta(block)->stats.series, SERIES);
    CHECK_EQ(block_meta(block)->stats.samples, SERIES * (TWO_HOURS_MS / STEP_MS));
    CHECK_EQ(block_meta(block)->stats.histogram_samples, SERIES / 5 * (TWO_HOURS_MS / STEP_MS));

    querier->close(querier);
    block_unref(block);
    fake_deinit(&fake);
}

TEST(block, selects_as_matching_one_by_one_does)
{
    static const struct {
        const char *name;
        struct {
            MatchKind kind;
            const char *label, *value;
        } m[3];
        int count;
    } cases[] = {
        {"equal", {{MATCH_EQUAL, "__name__", "metric_3"}}, 1},
        {"two equal",
         {{MATCH_EQUAL, "__name__", "metric_3"}, {MATCH_EQUAL, "instance", "host-10"}},
         2},
        {"no such value", {{MATCH_EQUAL, "instance", "host-9999"}}, 1},
        {"no such label", {{MATCH_EQUAL, "nope", "x"}}, 1},
        {"missing label", {{MATCH_EQUAL, "zone", ""}}, 1},
        {"label that nobody has is empty", {{MATCH_EQUAL, "nope", ""}}, 1},
        {"label present", {{MATCH_NOT_EQUAL, "zone", ""}}, 1},
        {"not equal matches missing", {{MATCH_NOT_EQUAL, "zone", "z1"}}, 1},
        {"regex with prefix", {{MATCH_REGEX, "instance", "host-1.*"}}, 1},
        {"regex in the middle", {{MATCH_REGEX, "instance", ".*7"}}, 1},
        {"set of literals", {{MATCH_REGEX, "instance", "host-1|host-7|host-44"}}, 1},
        {"set with the empty one", {{MATCH_REGEX, "zone", "|z1"}}, 1},
        {"not a set", {{MATCH_NOT_REGEX, "zone", "z1|z2"}}, 1},
        {"not a regex", {{MATCH_NOT_REGEX, "instance", ".*[13579]"}}, 1},
        {"not anything", {{MATCH_NOT_REGEX, "zone", ".+"}}, 1},
        {"anything", {{MATCH_REGEX, "zone", ".*"}}, 1},
        {"something", {{MATCH_REGEX, "zone", ".+"}}, 1},
        {"narrow, then regex",
         {{MATCH_EQUAL, "__name__", "metric_1"}, {MATCH_REGEX, "instance", ".*5.*"}},
         2},
        {"narrow, then not regex",
         {{MATCH_EQUAL, "instance", "host-8"}, {MATCH_NOT_REGEX, "instance", ".*5.*"}},
         2},
        {"three",
         {{MATCH_EQUAL, "job", "test"},
          {MATCH_REGEX, "__name__", "metric_[1-3]"},
          {MATCH_NOT_EQUAL, "zone", "z0"}},
         3},
        {"empty result stays empty",
         {{MATCH_EQUAL, "job", "x"}, {MATCH_NOT_EQUAL, "zone", "z0"}},
         2},
    };
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    FakeSource fake;
    fake_init(&fake, SERIES, 0, 60000, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);
    Querier *querier = merge_querier_new(NULL, &block, 1, INT64_MIN, INT64_MAX);

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        StrList a, b;
        Error err = {0};
        Matcher matchers[3];
        for (int i = 0; i < c->count; i++)
            matchers[i] = matcher_of(c->m[i].kind, c->m[i].label, c->m[i].value, &arena);

        check_same(querier, &fake.querier, matchers, (size_t)c->count, INT64_MIN, INT64_MAX);
        CHECK_OK(querier->label_values(querier, S("instance"), matchers, (size_t)c->count, 0,
                                       &arena, &a, &err),
                 err);
        CHECK_OK(fake_values(&fake.querier, S("instance"), matchers, (size_t)c->count, 0, &arena,
                             &b, &err),
                 err);
        CHECK_EQ(a.count, b.count);
        for (size_t i = 0; i < a.count; i++)
            CHECK_STR(a.items[i], b.items[i]);
        CHECK_OK(querier->label_names(querier, matchers, (size_t)c->count, 0, &arena, &a, &err),
                 err);
        CHECK_OK(fake_names(&fake.querier, matchers, (size_t)c->count, 0, &arena, &b, &err), err);
        CHECK_EQ(a.count, b.count);
        for (int i = 0; i < c->count; i++)
            matcher_deinit(&matchers[i]);
    }

    querier->close(querier);
    block_unref(block);
    fake_deinit(&fake);
}

TEST(block, forgets_what_was_deleted)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Error err = {0};
    FakeSource fake;
    SeriesList list;
    SampleColumns columns;
    fake_init(&fake, 20, 0, TWO_HOURS_MS, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);
    Matcher all = matcher_of(MATCH_EQUAL, "instance", "host-3", &arena);
    Matcher part = matcher_of(MATCH_EQUAL, "instance", "host-4", &arena);

    CHECK_OK(block_delete(block, &all, 1, INT64_MIN, INT64_MAX, &err), err);
    CHECK_OK(block_delete(block, &part, 1, 60000, 119999, &err), err);
    // And again from disk.
    Block *again;
    CHECK_OK(block_open(&fs_system, block_dir(block), &again, &err), err);
    block_unref(block);
    CHECK_EQ(block_tombstone_count(again), 2);

    Querier *querier = merge_querier_new(NULL, &again, 1, INT64_MIN, INT64_MAX);
    CHECK_OK(querier->select(querier, &all, 1, NULL, &arena, &list, &err), err);
    CHECK_EQ(list.count, 0);
    CHECK_OK(querier->select(querier, &part, 1, NULL, &arena, &list, &err), err);
    CHECK_EQ(list.count, 1);
    CHECK_OK(querier->read(querier, list.series[0].handle, 0, 150000, &arena, &columns, &err), err);
    CHECK_EQ(columns.count, 7); // 0, 15, 30, 45, 120, 135, 150 s
    CHECK_EQ(columns.t_ms[3], 45000);
    CHECK_EQ(columns.t_ms[4], 120000);

    querier->close(querier);
    matcher_deinit(&all);
    matcher_deinit(&part);
    block_unref(again);
    fake_deinit(&fake);
}

TEST(block, merges_overlapping_blocks_into_each_time_once)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    FakeSource a, b, whole;
    fake_init(&a, 50, 0, 3600000, STEP_MS);
    fake_init(&b, 50, 1800000, TWO_HOURS_MS, STEP_MS);
    fake_init(&whole, 50, 0, TWO_HOURS_MS, STEP_MS);
    Block *blocks[2] = {
        fake_block(&a, &fs_system, str_from_c(scratch.path), 1000),
        fake_block(&b, &fs_system, str_from_c(scratch.path), 2000),
    };

    CLEANUP(querier_close)
    Querier *querier = merge_querier_new(NULL, blocks, 2, INT64_MIN, INT64_MAX);
    check_same(querier, &whole.querier, NULL, 0, INT64_MIN, INT64_MAX);
    CLEANUP(querier_close)
    Querier *with_head = merge_querier_new(&b.querier, blocks, 1, INT64_MIN, INT64_MAX);
    check_same(with_head, &whole.querier, NULL, 0, INT64_MIN, INT64_MAX);

    block_unref(blocks[0]);
    block_unref(blocks[1]);
    fake_deinit(&a);
    fake_deinit(&b);
    fake_deinit(&whole);
}

TEST(block, writing_leaves_nothing_behind_whatever_call_fails)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    Str dir = str_from_c(scratch.path);
    FakeSource fake;
    fake_init(&fake, 10, 0, 600000, STEP_MS);

    for (uint64_t fail_at = 1;; fail_at++) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        FsFault fault = {.fail_at = fail_at, .error_number = 28, .torn_bytes = 7};
        Fs fs = {&fault};
        BlockWriterOptions options = {
            .fs = &fs, .dir = dir, .ulid = ulid_new(5), .max_t_ms = 600000, .level = 1};
        Error err = {0};
        FsList list;
        bool made = false;

        bool ok = block_from_source(&fake.source, &options, 120, &made, &err);

        Error ignored = {0};
        CHECK_OK(fs_list(&fs_system, dir, &arena, &list, &ignored), ignored);
        if (ok) {
            CHECK(fail_at > 10);
            CHECK_EQ(list.count, 1);
            break;
        }
        CHECK_EQ(err.code, ERR_IO);
        CHECK_EQ(list.count, 0);
    }
    fake_deinit(&fake);
}

TEST(block, a_kill_while_writing_leaves_no_block)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    Str dir = str_from_c(scratch.path);
    FakeSource fake;
    fake_init(&fake, 10, 0, 600000, STEP_MS);

    for (uint64_t fail_at = 1;; fail_at++) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        FsFault fault = {.fail_at = fail_at, .error_number = 5, .torn_bytes = 3, .dead = true};
        Fs fs = {&fault};
        BlockWriterOptions options = {
            .fs = &fs, .dir = dir, .ulid = ulid_new(5), .max_t_ms = 600000, .level = 1};
        Error err = {0};
        FsList list;
        bool made = false;
        Ulid ulid;

        if (block_from_source(&fake.source, &options, 120, &made, &err))
            break;
        // What is there is either not named like a block or whole.
        CHECK_OK(fs_list(&fs_system, dir, &arena, &list, &err), err);
        for (size_t i = 0; i < list.count; i++) {
            Block *block = NULL;
            Str path = fs_join(&arena, dir, list.entries[i].name);
            if (ulid_parse(list.entries[i].name, &ulid)) {
                CHECK_OK(block_open(&fs_system, path, &block, &err), err);
                block_unref(block);
            }
            CHECK_OK(fs_remove_tree(&fs_system, path, &err), err);
        }
    }
    fake_deinit(&fake);
}

// Flips one byte of a file.
static void flip(Str path, uint64_t at)
{
    CLEANUP(file_close) File file = FILE_NONE;
    Error err = {0};
    char byte;
    size_t got;

    CHECK_OK(fs_open(&fs_system, path, FS_READ_WRITE, &file, &err), err);
    CHECK_OK(file_read_at(&file, at, &byte, 1, &got, &err), err);
    byte ^= 0x10;
    CHECK_OK(file_write_at(&file, at, (Str){&byte, 1}, &err), err);
}

TEST(block, an_index_of_version_3_is_read_as_one_of_version_2)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(file_close) File file = FILE_NONE;
    FakeSource fake;
    Error err = {0};
    fake_init(&fake, 20, 0, 600000, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);
    Str dir = arena_str(&arena, block_dir(block));
    block_unref(block);
    CHECK_OK(fs_open(&fs_system, fs_join(&arena, dir, S("index")), FS_READ_WRITE, &file, &err),
             err);

    CHECK_OK(file_write_at(&file, 4, S("\x03"), &err), err);
    CHECK_OK(block_open(&fs_system, dir, &block, &err), err);
    Querier *querier = merge_querier_new(NULL, &block, 1, INT64_MIN, INT64_MAX);
    check_same(querier, &fake.querier, NULL, 0, INT64_MIN, INT64_MAX);
    querier->close(querier);
    block_unref(block);

    CHECK_OK(file_write_at(&file, 4, S("\x04"), &err), err);
    CHECK(!block_open(&fs_system, dir, &block, &err));
    CHECK_EQ(err.code, ERR_INVALID);
    CHECK(strstr(err.text, "version 4, only 1 to 3 are known"));
    fake_deinit(&fake);
}

// Writes an index of version 1 with the series, labels and chunks of the one in the folder, in its place. The postings table is in no order.
typedef struct FirstIndex {
    Buf out;
    uint64_t toc[6];
    uint32_t *symbols; // offset in the file of each number
} FirstIndex;

static void first_part(FirstIndex *w, Str body)
{
    buf_add_u32be(&w->out, (uint32_t)body.len);
    buf_add_str(&w->out, body);
    buf_add_u32be(&w->out, crc32c(body));
}

static void first_symbols(FirstIndex *w, const IndexReader *from)
{
    Buf body;
    Error err = {0};

    buf_init(&body, 1 << 20);
    w->toc[0] = w->out.len;
    w->symbols = X_ARRAY(uint32_t, index_reader_symbol_count(from));
    buf_add_u32be(&body, index_reader_symbol_count(from));
    for (uint32_t i = 0; i < index_reader_symbol_count(from); i++) {
        Str text;
        CHECK_OK(index_reader_symbol(from, i, &text, &err), err);
        w->symbols[i] = (uint32_t)(w->out.len + 4 + body.len);
        buf_add_uvarint(&body, text.len);
        buf_add_str(&body, text);
    }
    first_part(w, buf_str(&body));
    buf_deinit(&body);
}

static uint32_t first_series(FirstIndex *w, const IndexSeries *series)
{
    uint32_t at = (uint32_t)w->out.len;
    Buf body;

    buf_init(&body, 1 << 20);
    buf_add_uvarint(&body, series->symbol_count / 2);
    for (size_t i = 0; i < series->symbol_count; i++)
        buf_add_uvarint(&body, w->symbols[series->symbols[i]]);
    buf_add_uvarint(&body, series->chunk_count);
    for (size_t i = 0; i < series->chunk_count; i++) {
        IndexChunk c = series->chunks[i];
        if (i == 0)
            buf_add_varint(&body, c.min_t_ms);
        else
            buf_add_uvarint(&body, (uint64_t)(c.min_t_ms - series->chunks[i - 1].max_t_ms));
        buf_add_uvarint(&body, (uint64_t)(c.max_t_ms - c.min_t_ms));
        if (i == 0)
            buf_add_uvarint(&body, c.ref);
        else
            buf_add_varint(&body, (int64_t)(c.ref - series->chunks[i - 1].ref));
    }
    buf_add_uvarint(&w->out, body.len);
    buf_add_str(&w->out, buf_str(&body));
    buf_add_u32be(&w->out, crc32c(buf_str(&body)));
    buf_deinit(&body);
    return at;
}

// The list of one pair, and its entry in the table.
static void first_list(FirstIndex *w, const IndexReader *from, const uint32_t *refs, Str name,
                       Str value, Buf *table, Arena *arena)
{
    Matcher m = matcher_of(MATCH_EQUAL, str_to_c(arena, name), str_to_c(arena, value), arena);
    IndexPostings all, some;
    Error err = {0};
    Buf body;

    buf_init(&body, 1 << 20);
    CHECK_OK(index_reader_postings(from, NULL, 0, arena, &all, &err), err);
    CHECK_OK(index_reader_postings(from, &m, name.len ? 1 : 0, arena, &some, &err), err);
    buf_add_u32be(&body, (uint32_t)some.count);
    for (size_t i = 0, k = 0; i < all.count && k < some.count; i++)
        if (all.refs[i] == some.refs[k]) {
            buf_add_u32be(&body, refs[i]);
            k++;
        }
    buf_add(&w->out, "\0\0\0", (4 - w->out.len % 4) % 4);
    buf_add_uvarint(table, 2);
    buf_add_uvarint(table, name.len);
    buf_add_str(table, name);
    buf_add_uvarint(table, value.len);
    buf_add_str(table, value);
    buf_add_uvarint(table, w->out.len);
    first_part(w, buf_str(&body));
    buf_deinit(&body);
    matcher_deinit(&m);
}

// Lists and their table: names and values from the last to the first, all series in the end.
static void first_postings(FirstIndex *w, const IndexReader *from, const uint32_t *refs,
                           Arena *arena)
{
    uint32_t count = 1;
    StrList names, values;
    Buf entries, table;
    Error err = {0};

    buf_init(&entries, 1 << 20);
    buf_init(&table, 1 << 20);
    w->toc[4] = w->out.len;
    CHECK_OK(index_reader_names(from, arena, &names, &err), err);
    for (size_t i = names.count; i-- > 0;) {
        CHECK_OK(index_reader_values(from, names.items[i], arena, &values, &err), err);
        for (size_t k = values.count; k-- > 0; count++)
            first_list(w, from, refs, names.items[i], values.items[k], &entries, arena);
    }
    first_list(w, from, refs, STR_NONE, STR_NONE, &entries, arena);
    w->toc[2] = w->toc[3] = w->toc[5] = w->out.len;
    buf_add_u32be(&table, count);
    buf_add_str(&table, buf_str(&entries));
    first_part(w, buf_str(&table));
    buf_deinit(&entries);
    buf_deinit(&table);
}

static void write_first_index(Block *block, Str path, Arena *arena)
{
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    const IndexReader *from = block_index(block);
    FirstIndex w = {.symbols = NULL};
    IndexPostings all;
    Error err = {0};

    buf_init(&w.out, 1 << 24);
    buf_add(&w.out, "\xBA\xAA\xD7\x00\x01", 5);
    first_symbols(&w, from);
    CHECK_OK(index_reader_postings(from, NULL, 0, arena, &all, &err), err);
    uint32_t *refs = ARENA_ARRAY(arena, uint32_t, all.count);
    w.toc[1] = w.out.len;
    for (size_t i = 0; i < all.count; i++) {
        CHECK_OK(index_reader_series(from, all.refs[i], INT64_MIN, INT64_MAX, &series, &err), err);
        refs[i] = first_series(&w, &series);
    }
    first_postings(&w, from, refs, arena);
    size_t toc = w.out.len;
    for (size_t i = 0; i < COUNT_OF(w.toc); i++)
        buf_add_u64be(&w.out, w.toc[i]);
    buf_add_u32be(&w.out, crc32c(str_skip(buf_str(&w.out), toc)));
    CHECK_OK(fs_write_atomic(&fs_system, path, buf_str(&w.out), &err), err);
    buf_deinit(&w.out);
    free(w.symbols);
}

TEST(block, an_index_of_version_1_is_read_as_one_of_version_2)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    const char *keep =
        getenv("NARTHEX_BLOCK_KEEP"); // a folder: the block stays there, for another reader
    FakeSource fake;
    Error err = {0};
    fake_init(&fake, SERIES, 0, TWO_HOURS_MS, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(keep ? keep : scratch.path), 1000);
    Str dir = arena_str(&arena, block_dir(block));
    write_first_index(block, fs_join(&arena, dir, S("index")), &arena);
    block_unref(block);

    CHECK_OK(block_open(&fs_system, dir, &block, &err), err);
    Querier *querier = merge_querier_new(NULL, &block, 1, INT64_MIN, INT64_MAX);
    check_same(querier, &fake.querier, NULL, 0, INT64_MIN, INT64_MAX);
    Matcher m = matcher_of(MATCH_REGEX, "instance", "host-4.*|host-7", &arena);
    check_same(querier, &fake.querier, &m, 1, 1000000, 2000000);
    matcher_deinit(&m);
    m = matcher_of(MATCH_NOT_EQUAL, "zone", "z1", &arena);
    check_same(querier, &fake.querier, &m, 1, 1000000, 2000000);
    matcher_deinit(&m);
    querier->close(querier);
    block_unref(block);
    fake_deinit(&fake);
}

TEST(block, a_flipped_bit_of_the_index_is_noticed)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FakeSource fake;
    Error err = {0};
    fake_init(&fake, 20, 0, 600000, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);
    Str path = fs_join(&arena, block_dir(block), S("index"));
    Str dir = arena_str(&arena, block_dir(block));
    FsMap map;
    CHECK_OK(fs_map(&fs_system, path, &map, &err), err);
    uint64_t bytes = map.bytes.len;
    fs_unmap(&map);
    block_unref(block);

    for (uint64_t at = 0; at < bytes; at++) {
        Arena round = {.next = NULL};
        SeriesList list;
        bool ok;
        flip(path, at);

        err = (Error){0};
        ok = block_open(&fs_system, dir, &block, &err);
        if (ok) {
            Querier *querier = merge_querier_new(NULL, &block, 1, INT64_MIN, INT64_MAX);
            ok = querier->select(querier, NULL, 0, NULL, &round, &list, &err);
            for (size_t i = 0; ok && i < fake.count; i++) {
                Matcher m = matcher_of(MATCH_EQUAL, "instance", "host-7", &round);
                ok = querier->select(querier, &m, 1, NULL, &round, &list, &err) && list.count == 1;
                matcher_deinit(&m);
            }
            querier->close(querier);
            block_unref(block);
        }
        // Padding and the lists of values that were not asked for may go unnoticed; all else is corrupt.
        if (!ok)
            CHECK_EQ(err.code, at == 4 ? ERR_INVALID : ERR_CORRUPT); // the version
        arena_deinit(&round);
        flip(path, at);
    }
    fake_deinit(&fake);
}

TEST(block, a_chunk_is_checked_when_it_is_first_read_and_when_it_is_copied)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FakeSource fake;
    Error err = {0};
    ChunkEncoding encoding;
    Str bytes;
    fake_init(&fake, 20, 0, 600000, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);
    Str path = fs_join(&arena, block_dir(block), S("chunks/000001"));
    CHECK_OK(block_chunk(block, 8, &encoding, &bytes, &err), err);
    uint64_t next = 8 + (uint64_t)(bytes.ptr + bytes.len + 4 - (bytes.ptr - 2));
    flip(path, 30);
    flip(path, next + 20);

    CHECK_OK(block_chunk(block, 8, &encoding, &bytes, &err), err);
    CHECK(!block_chunk_checked(block, 8, &encoding, &bytes, &err));
    CHECK_HAS(err.text, "corrupt chunk at 1:8");
    for (int i = 0; i < 2; i++)
        CHECK(!block_chunk(block, next, &encoding, &bytes, &err));
    CHECK(!block_chunk(block, 9, &encoding, &bytes, &err)); // beside one that was checked

    flip(path, 30);
    flip(path, next + 20);
    CHECK_OK(block_chunk(block, next, &encoding, &bytes, &err), err);
    block_unref(block);
    fake_deinit(&fake);
}

TEST(block, a_flipped_bit_of_a_chunk_is_noticed)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FakeSource fake;
    Error err = {0};
    SeriesList list;
    fake_init(&fake, 3, 0, 600000, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);
    Str path = fs_join(&arena, block_dir(block), S("chunks/000001"));

    flip(path, 30);
    Querier *querier = merge_querier_new(NULL, &block, 1, INT64_MIN, INT64_MAX);
    CHECK_OK(querier->select(querier, NULL, 0, NULL, &arena, &list, &err), err);
    SampleColumns columns;
    CHECK(!querier->read(querier, list.series[0].handle, 0, 600000, &arena, &columns, &err));
    CHECK_EQ(err.code, ERR_CORRUPT);
    CHECK_HAS(err.text, "corrupt chunk at 1:8");

    querier->close(querier);
    block_unref(block);
    fake_deinit(&fake);
}

// What a batch gives for a series is what reading it alone gives. Returns how much of it came through the map.
static uint64_t check_gathered(Block *block, uint32_t ref)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    ChunkColumns alone = {.arena = &arena};
    ChunkBatch batch;
    SampleColumns columns;
    Error err = {0};
    bool done;

    chunk_batch_init(&batch, 1, &arena);
    chunk_batch_begin(&batch);
    block_gather(block, ref, INT64_MIN, INT64_MAX, &batch);
    CHECK_OK(chunk_batch_decode(&batch, INT64_MIN, INT64_MAX, &arena, &columns, &done, &err), err);
    CHECK_OK(block_read(block, ref, INT64_MIN, INT64_MAX, &alone, &err), err);

    CHECK(done);
    CHECK_EQ(columns.count, alone.columns.count);
    for (size_t i = 0; i < columns.count; i++) {
        CHECK_EQ(columns.t_ms[i], alone.columns.t_ms[i]);
        CHECK_DOUBLE(columns.value[i], alone.columns.value[i]);
    }
    return batch.mapped_bytes;
}

TEST(block, many_chunks_of_a_series_are_read_at_once)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FakeSource fake;
    Error err = {0};
    uint32_t refs[3];
    bool more;
    fake_init(&fake, COUNT_OF(refs), 0, 60 * TWO_HOURS_MS, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);
    BlockCursor *cursor = X_NEW(BlockCursor);
    CHECK_OK(block_cursor_open(block, NULL, 0, INT64_MIN, INT64_MAX, &arena, cursor, &err), err);
    for (size_t i = 0; i < COUNT_OF(refs); i++) {
        CHECK_OK(block_cursor_next(cursor, &more, &err), err);
        refs[i] = cursor->ref;
    }

    for (int round = 0; round < 2; round++) // not yet checked, checked
        for (size_t i = 0; i < COUNT_OF(refs); i++)
            CHECK_EQ(check_gathered(block, refs[i]), 0);
    // A block that is going away is still there for those who read it.
    CHECK_OK(fs_unlink(&fs_system, fs_join(&arena, block_dir(block), S("chunks/000001")), &err),
             err);
    for (size_t i = 0; i < COUNT_OF(refs); i++)
        CHECK_EQ(check_gathered(block, refs[i]), 0);

    block_cursor_close(cursor);
    free(cursor);
    block_unref(block);
    fake_deinit(&fake);
}

// Where the chunks of the only series of a block of so many milliseconds are, and whether it is still worth to ask for them once they were
// read.
static void check_span(int64_t span_ms, bool is_worth_it)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FakeSource fake;
    IndexPostings postings;
    Error err = {0};
    fake_init(&fake, 1, 0, span_ms, STEP_MS);
    Block *block = fake_block(&fake, &fs_system, str_from_c(scratch.path), 1000);
    const IndexReader *index = block_index(block);
    CHECK_OK(index_reader_postings(index, NULL, 0, &arena, &postings, &err), err);
    CHECK_OK(index_reader_series(index, postings.refs[0], 0, span_ms, &series, &err), err);

    BlockSpan span = block_span(block, &series);
    for (size_t i = 0; i < series.chunk_count; i++) {
        ChunkEncoding encoding;
        Str bytes;
        CHECK(series.chunks[i].ref >= span.from && series.chunks[i].ref < span.to);
        CHECK_OK(block_chunk(block, series.chunks[i].ref, &encoding, &bytes, &err), err);
    }
    block_ask(block, span); // as far as the file goes
    span = block_span(block, &series);
    CHECK_EQ(span.to > span.from, is_worth_it);
    series.chunk_count = 0;
    span = block_span(block, &series);
    CHECK_EQ(span.to, span.from);

    block_unref(block);
    fake_deinit(&fake);
}

TEST(block, span_holds_the_chunks_of_a_series)
{
    check_span(600000, false);
    check_span(60 * TWO_HOURS_MS, true);
}

// The block that promtool 2.42 made of an OpenMetrics text: wherever the test is started from.
static Block *open_fixture(void)
{
    static const char file[] = __FILE__;
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Str here = str_sub(str_from_c(file), 0, str_rfind_char(str_from_c(file), '/'));
    Str places[2] = {fs_join(&arena, here, S("../../tests/corpus/blocks")),
                     S("tests/corpus/blocks")};
    Block *block = NULL;
    Error err = {0};

    for (size_t i = 0; i < 2 && !block; i++) {
        Str dir = fs_join(&arena, places[i], S(FIXTURE));
        if (fs_exists(&fs_system, dir))
            CHECK_OK(block_open(&fs_system, dir, &block, &err), err);
    }
    CHECK(block != NULL);
    return block;
}

static double fixture_value(Str kind, int64_t i)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0, 1e-300};

    if (str_is(kind, "constant"))
        return 42;
    if (str_is(kind, "counter"))
        return (double)(i * i);
    return str_is(kind, "gauge") ? (double)(i * 7919 % 1000) / 8 : odd[i % 6];
}

TEST(block, reads_what_prometheus_wrote)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Block *block = open_fixture();
    CLEANUP(querier_close)
    Querier *querier = merge_querier_new(NULL, &block, 1, INT64_MIN, INT64_MAX);
    SeriesList list;
    Error err = {0};

    CHECK_OK(querier->select(querier, NULL, 0, NULL, &arena, &list, &err), err);
    CHECK_EQ(list.count, 4);
    for (size_t i = 0; i < list.count; i++) {
        SampleColumns columns;
        Str kind = labels_get(list.series[i].labels, S("kind"));
        CHECK_STR(labels_get(list.series[i].labels, S("__name__")), S("fixture"));
        CHECK_OK(querier->read(querier, list.series[i].handle, INT64_MIN, INT64_MAX, &arena,
                               &columns, &err),
                 err);
        CHECK_EQ(columns.count, 300);
        for (int64_t k = 0; k < 300; k++) {
            CHECK_EQ(columns.t_ms[k],
                     1600000000000 + k * 15000 + (str_is(kind, "gauge") ? k * 37 % 1000 : 0));
            CHECK_DOUBLE(columns.value[k], fixture_value(kind, k));
        }
    }
    block_unref(block);
}

// Appending the decoded samples again gives Prometheus' bytes: our encoder is his. Only where the last bit fills a byte he may leave an
// empty one behind it.
TEST(block, encodes_chunks_byte_for_byte_as_prometheus_does)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    Block *block = open_fixture();
    IndexPostings postings;
    Error err = {0};

    CHECK_OK(index_reader_postings(block_index(block), NULL, 0, &arena, &postings, &err), err);
    for (size_t i = 0; i < postings.count; i++) {
        CHECK_OK(index_reader_series(block_index(block), postings.refs[i], INT64_MIN, INT64_MAX,
                                     &series, &err),
                 err);
        CHECK_EQ(series.chunk_count, 3);
        for (size_t k = 0; k < series.chunk_count; k++) {
            ChunkColumns columns = {.arena = &arena};
            ChunkEncoding encoding;
            uint8_t bytes[3000];
            ChunkXor chunk;
            Str want;
            CHECK_OK(block_chunk(block, series.chunks[k].ref, &encoding, &want, &err), err);
            CHECK_EQ(encoding, CHUNK_XOR);
            CHECK_OK(chunk_decode(encoding, want, INT64_MIN, INT64_MAX, &columns, &err), err);
            chunk_xor_start(&chunk, bytes);
            for (size_t n = 0; n < columns.columns.count; n++)
                CHECK(chunk_xor_append(&chunk, bytes, sizeof bytes, columns.columns.t_ms[n],
                                       columns.columns.value[n]));
            bool has_spare = chunk.bits % 8 == 0 && want.len == chunk_xor_bytes(&chunk) + 1 &&
                             want.ptr[want.len - 1] == 0;
            CHECK_EQ(chunk_xor_bytes(&chunk), want.len - has_spare);
            CHECK(memcmp(bytes, want.ptr, chunk_xor_bytes(&chunk)) == 0);
        }
    }
    block_unref(block);
}

TEST_MAIN(block, TEST_ROW(block, reads_what_prometheus_wrote),
          TEST_ROW(block, encodes_chunks_byte_for_byte_as_prometheus_does),
          TEST_ROW(block, reads_back_what_was_written),
          TEST_ROW(block, selects_as_matching_one_by_one_does),
          TEST_ROW(block, forgets_what_was_deleted),
          TEST_ROW(block, merges_overlapping_blocks_into_each_time_once),
          TEST_ROW(block, writing_leaves_nothing_behind_whatever_call_fails),
          TEST_ROW(block, a_kill_while_writing_leaves_no_block),
          TEST_ROW(block, an_index_of_version_1_is_read_as_one_of_version_2),
          TEST_ROW(block, an_index_of_version_3_is_read_as_one_of_version_2),
          TEST_ROW(block, a_flipped_bit_of_the_index_is_noticed),
          TEST_ROW(block, a_chunk_is_checked_when_it_is_first_read_and_when_it_is_copied),
          TEST_ROW(block, a_flipped_bit_of_a_chunk_is_noticed),
          TEST_ROW(block, many_chunks_of_a_series_are_read_at_once),
          TEST_ROW(block, span_holds_the_chunks_of_a_series))
