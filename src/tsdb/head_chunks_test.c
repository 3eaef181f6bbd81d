// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_chunks.h"

#include "base/test.h"
#include "tsdb/block_fake.h"

#define CHUNKS 3000

typedef struct Seen {
    HeadChunk chunks[CHUNKS];
    size_t count;
} Seen;

static bool see(void *arg, const HeadChunk *chunk, Error *err)
{
    Seen *seen = (Seen *)arg;

    (void)err;
    CHECK(seen->count < CHUNKS);
    seen->chunks[seen->count] = *chunk;
    seen->chunks[seen->count++].bytes = STR_NONE;
    return true;
}

// A chunk of 20 samples that its number tells.
static Str make_chunk(uint64_t number, uint8_t bytes[600])
{
    ChunkXor chunk;

    chunk_xor_start(&chunk, bytes);
    for (int64_t i = 0; i < 20; i++)
        CHECK(chunk_xor_append(&chunk, bytes, 600, (int64_t)number * 1000 + i,
                               (double)number + sin((double)i)));
    return (Str){(const char *)bytes, chunk_xor_bytes(&chunk)};
}

static HeadChunkRef write_number(HeadChunks *chunks, uint64_t number)
{
    uint8_t bytes[600];
    Error err = {0};
    HeadChunkRef ref = 0;

    CHECK_OK(head_chunks_write(chunks, number, (int64_t)number * 1000, (int64_t)number * 1000 + 19,
                               CHUNK_XOR, number % 3 == 0, make_chunk(number, bytes), &ref, &err),
             err);
    return ref;
}

static void check_number(HeadChunks *chunks, HeadChunkRef ref, uint64_t number)
{
    uint8_t bytes[600];
    HeadChunkView view;
    Error err = {0};

    CHECK_OK(head_chunks_read(chunks, NULL, ref, &view, &err), err);
    CHECK_EQ(view.chunk.series_ref, number);
    CHECK_EQ(view.chunk.min_t_ms, number * 1000);
    CHECK_EQ(view.chunk.max_t_ms, number * 1000 + 19);
    CHECK_EQ(view.chunk.count, 20);
    CHECK_EQ(view.chunk.out_of_order, number % 3 == 0);
    CHECK_STR(view.chunk.bytes, make_chunk(number, bytes));
    head_chunks_release(&view);
}

static HeadChunks *open_chunks(Fs *fs, const Scratch *scratch, Seen *seen, HeadChunksRepair *repair)
{
    HeadChunks *chunks = NULL;
    Error err = {0};

    seen->count = 0;
    CHECK_OK(head_chunks_open(fs, str_from_c(scratch->path),
                              &(HeadChunksUser){.each = see, .arg = seen}, &chunks, repair, &err),
             err);
    return chunks;
}

TEST(head_chunks, reads_what_was_written_at_once_and_after_opening_again)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    static HeadChunkRef refs[CHUNKS];
    static Seen seen;
    HeadChunksRepair repair;
    HeadChunks *chunks = open_chunks(&fs_system, &scratch, &seen, &repair);

    for (uint64_t i = 0; i < CHUNKS; i++) {
        if (i == CHUNKS / 2)
            head_chunks_cut(chunks);
        refs[i] = write_number(chunks, i);
        check_number(chunks, refs[i], i);
    }
    head_chunks_close(chunks);
    chunks = open_chunks(&fs_system, &scratch, &seen, &repair);

    CHECK(!repair.torn);
    CHECK_EQ(seen.count, CHUNKS);
    for (uint64_t i = 0; i < CHUNKS; i++) {
        CHECK_EQ(seen.chunks[i].ref, refs[i]);
        CHECK_EQ(seen.chunks[i].series_ref, i);
        CHECK_EQ(seen.chunks[i].count, 20);
        check_number(chunks, refs[i], i);
    }
    CHECK(head_chunks_file_of(write_number(chunks, 1)) > head_chunks_file_of(refs[CHUNKS - 1]));
    head_chunks_close(chunks);
}

TEST(head_chunks, a_view_outlives_the_file_it_looks_into)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    static Seen seen;
    uint8_t bytes[600];
    HeadChunkView view;
    Error err = {0};
    HeadChunks *chunks = open_chunks(&fs_system, &scratch, &seen, NULL);
    HeadChunkRef first = write_number(chunks, 7);
    head_chunks_cut(chunks);
    HeadChunkRef second = write_number(chunks, 8);

    CHECK_OK(head_chunks_read(chunks, NULL, first, &view, &err), err);
    CHECK_OK(head_chunks_truncate(chunks, head_chunks_file_of(second), &err), err);
    CHECK_STR(view.chunk.bytes, make_chunk(7, bytes));
    head_chunks_release(&view);
    CHECK(!head_chunks_read(chunks, NULL, first, &view, &err));
    CHECK_EQ(err.code, ERR_CORRUPT);
    check_number(chunks, second, 8);
    head_chunks_close(chunks);
}

TEST(head_chunks, refuses_refs_that_point_nowhere)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    static Seen seen;
    HeadChunks *chunks = open_chunks(&fs_system, &scratch, &seen, NULL);
    HeadChunkRef ref = write_number(chunks, 7);
    HeadChunkView view;
    Error err = {0};

    CHECK(!head_chunks_read(chunks, NULL, ref + 1, &view, &err));
    CHECK(!head_chunks_read(chunks, NULL, ref - 8, &view, &err));
    CHECK(!head_chunks_read(chunks, NULL, ref + 100000, &view, &err));
    CHECK(!head_chunks_read(chunks, NULL, 0, &view, &err));
    CHECK_EQ(err.code, ERR_CORRUPT);
    head_chunks_close(chunks);
}

TEST(head_chunks, keeps_what_stands_before_a_torn_or_corrupt_chunk)
{
    static const struct {
        const char *name;
        int cut;  // bytes missing at the end of the first file
        int flip; // byte changed there, counted from the end; 0: none
        size_t want;
    } cases[] = {
        {"whole", 0, 0, 20},
        {"torn in the checksum", 2, 0, 9},
        {"torn in the data", 60, 0, 9},
        {"flipped in the last", 0, 30, 9},
    };

    EACH_CASE(c, cases) {
        CLEANUP(scratch_remove) Scratch scratch = scratch_new();
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        static Seen seen;
        HeadChunksRepair repair;
        Error err = {0};
        HeadChunks *chunks = open_chunks(&fs_system, &scratch, &seen, NULL);
        for (uint64_t i = 0; i < 10; i++)
            write_number(chunks, i);
        head_chunks_cut(chunks);
        for (uint64_t i = 10; i < 20; i++)
            write_number(chunks, i);
        head_chunks_close(chunks);
        CLEANUP(file_close) File file = FILE_NONE;
        uint64_t bytes;
        CHECK_OK(fs_open(&fs_system, fs_join(&arena, str_from_c(scratch.path), S("000001")),
                         FS_READ_WRITE, &file, &err),
                 err);
        CHECK_OK(file_size(&file, &bytes, &err), err);
        CHECK_OK(file_truncate(&file, bytes - (uint64_t)c->cut, &err), err);
        if (c->flip)
            CHECK_OK(file_write_at(&file, bytes - (uint64_t)c->flip, S("x"), &err), err);

        chunks = open_chunks(&fs_system, &scratch, &seen, &repair);

        CHECK_EQ(seen.count, c->want);
        CHECK_EQ(repair.torn, c->want < 20);
        // What is kept stays: another start finds it whole, and new chunks go behind.
        HeadChunkRef ref = write_number(chunks, 25);
        check_number(chunks, ref, 25);
        // Prometheus refuses a folder whose files are not numbered one by one.
        CHECK_EQ(head_chunks_file_of(ref), repair.torn ? 2 : 3);
        head_chunks_close(chunks);
        chunks = open_chunks(&fs_system, &scratch, &seen, &repair);
        CHECK_EQ(seen.count, c->want + 1);
        CHECK(!repair.torn);
        head_chunks_close(chunks);
    }
}

// A Prometheus takes room in advance and does not give back what it does not need; zeros in any other size are bytes that were lost.
TEST(head_chunks, reads_on_behind_a_file_with_room_that_was_taken_in_advance)
{
    static const struct {
        const char *name;
        uint64_t bytes; // of the first of two files
        bool whole;
    } cases[] = {{"what a Prometheus takes", 131072, true}, {"another size", 131000, false}};

    EACH_CASE(c, cases) {
        CLEANUP(scratch_remove) Scratch scratch = scratch_new();
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        CLEANUP(file_close) File file = FILE_NONE;
        static Seen seen;
        HeadChunksRepair repair;
        Error err = {0};
        HeadChunks *chunks = open_chunks(&fs_system, &scratch, &seen, NULL);
        write_number(chunks, 1);
        head_chunks_cut(chunks);
        HeadChunkRef second = write_number(chunks, 2);
        head_chunks_close(chunks);
        Str first = fs_join(&arena, str_from_c(scratch.path), S("000001"));
        CHECK_OK(fs_open(&fs_system, first, FS_READ_WRITE, &file, &err), err);
        CHECK_OK(file_truncate(&file, c->bytes, &err), err);

        chunks = open_chunks(&fs_system, &scratch, &seen, &repair);

        CHECK_EQ(repair.torn, !c->whole);
        CHECK_EQ(seen.count, c->whole ? 2 : 1);
        if (c->whole)
            check_number(chunks, second, 2);
        head_chunks_close(chunks);
    }
}

// A Prometheus that was killed early leaves a file of zeros, and the next one goes on behind it.
TEST(head_chunks, leaves_no_gap_where_a_file_has_no_chunk)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    static Seen seen;
    HeadChunksRepair repair;
    Error err = {0};
    HeadChunks *chunks = open_chunks(&fs_system, &scratch, &seen, NULL);
    for (uint64_t i = 1; i <= 3; i++) {
        write_number(chunks, i);
        head_chunks_cut(chunks);
    }
    head_chunks_close(chunks);
    Str second = fs_join(&arena, str_from_c(scratch.path), S("000002"));
    CLEANUP(file_close) File file = FILE_NONE;
    CHECK_OK(fs_open(&fs_system, second, FS_READ_WRITE, &file, &err), err);
    CHECK_OK(file_truncate(&file, 8, &err) && file_truncate(&file, 131072, &err), err);

    chunks = open_chunks(&fs_system, &scratch, &seen, &repair);

    CHECK(!repair.torn);
    CHECK_EQ(seen.count, 2);
    CHECK(fs_exists(&fs_system, second));
    CHECK_EQ(head_chunks_file_of(write_number(chunks, 4)), 4);
    head_chunks_close(chunks);
}

TEST(head_chunks, goes_on_when_a_full_disk_has_room_again)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    static HeadChunkRef refs[CHUNKS];
    static Seen seen;
    FsFault fault = {.error_number = 28, .dead = true, .torn_bytes = 100};
    Fs fs = {&fault};
    HeadChunks *chunks = open_chunks(&fs, &scratch, &seen, NULL);
    size_t count = 0;

    refs[count] = write_number(chunks, count);
    count++;
    fault.fail_at = fault.calls + 1;
    for (; count < 400; count++)
        refs[count] = write_number(chunks, count);
    for (uint64_t i = 0; i < count; i++) // from the buffer
        check_number(chunks, refs[i], i);
    fault.fail_at = 0;
    for (; count < 800; count++)
        refs[count] = write_number(chunks, count);
    head_chunks_close(chunks);

    chunks = open_chunks(&fs_system, &scratch, &seen, NULL);
    CHECK_EQ(seen.count, count);
    for (uint64_t i = 0; i < count; i++)
        check_number(chunks, refs[i], i);
    head_chunks_close(chunks);
}

TEST_MAIN(head_chunks,
          TEST_ROW(head_chunks, reads_what_was_written_at_once_and_after_opening_again),
          TEST_ROW(head_chunks, a_view_outlives_the_file_it_looks_into),
          TEST_ROW(head_chunks, refuses_refs_that_point_nowhere),
          TEST_ROW(head_chunks, keeps_what_stands_before_a_torn_or_corrupt_chunk),
          TEST_ROW(head_chunks, reads_on_behind_a_file_with_room_that_was_taken_in_advance),
          TEST_ROW(head_chunks, leaves_no_gap_where_a_file_has_no_chunk),
          TEST_ROW(head_chunks, goes_on_when_a_full_disk_has_room_again))
