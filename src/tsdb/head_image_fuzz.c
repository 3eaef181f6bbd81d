// SPDX-License-Identifier: Apache-2.0
// head_image_fuzz.c: the image of the series, as it lies on disk and, so that checksums are no wall, as blocks that the fuzzer fills.
#include "tsdb/head_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "codec/compress.h"

#define LOG_BYTES 64

static Str scratch_dir(void)
{
    static char path[64];

    snprintf(path, sizeof path, "/tmp/narthex-fuzz-head-image-%d", (int)getpid());
    return str_from_c(path);
}

// Without the care that a file that matters gets: it is written a thousand times a second.
static void put_file(Str dir, Str name, Str bytes)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    FILE *file = fopen(str_to_c(&arena, fs_join(&arena, dir, name)), "w");

    ASSERT(file);
    size_t written = fwrite(bytes.ptr, 1, bytes.len, file);
    ASSERT(written == bytes.len);
    int failed = fclose(file);
    ASSERT(!failed);
}

// What is understood can be used: looked for by labels and listed.
static void use(Head *head)
{
    Arena arena = {0};
    RefRuns runs;
    LabelKey *key = X_NEW(LabelKey);

    postings_decode(&head->index.all, &head->index.pool, &arena, &runs);
    for (size_t i = 0; i < runs.count; i++) {
        for (uint64_t k = 0; k < runs.runs[i].length; k++) {
            SeriesSlot slot = series_slot(&head->index.series, runs.runs[i].first + k);
            ASSERT(slot);
            Labels labels = head_index_labels(&head->index,
                                              series_at(&head->index.series, slot)->labels, &arena);
            (void)head_index_find(&head->index, labels, key);
        }
    }
    free(key);
    arena_deinit(&arena);
}

static void check(Str bytes)
{
    Str dir = scratch_dir();
    Head *head = X_NEW(Head);
    HeadImage image;

    put_file(dir, S("narthex_series"), bytes);
    head->fs = &fs_system;
    head->options.dir = dir;
    CLEANUP(arena_deinit) Arena arena = {0};
    head->wal_dir = fs_join(&arena, dir, S("wal"));
    head_index_init(&head->index);
    if (head_image_open(head, 0, &image)) {
        if (head_image_load(head, &image))
            use(head);
        head_image_close(&image);
    }
    head_index_deinit(&head->index);
    ref_map_deinit(&head->twins);
    ref_map_deinit(&head->expired);
    free(head);
}

static void add_block(Buf *out, uint8_t kind, Str raw)
{
    Buf packed = {0};
    Error err = {0};

    bool ok = zstd_encode(raw, 1, &packed, &err);
    ASSERT(ok);
    buf_add_char(out, (char)kind);
    buf_add_u32be(out, (uint32_t)raw.len);
    buf_add_u32be(out, (uint32_t)packed.len);
    buf_add_u32be(out, crc32c(buf_str(&packed)));
    buf_add_str(out, buf_str(&packed));
    buf_deinit(&packed);
}

// A head that fits the log, then blocks: kind and length from the input, each in one byte and two.
static void check_blocks(Reader in, Str log)
{
    Buf out = {0};

    buf_add_u32be(&out, 0x4e585345);
    buf_add_u32be(&out, 1);
    buf_add_u32be(&out, 0);
    buf_add_u64be(&out, LOG_BYTES);
    buf_add_u32be(&out, LOG_BYTES);
    buf_add_u32be(&out, crc32c(log));
    buf_add_u64be(&out, reader_u8(&in));
    buf_add_u64be(&out, reader_u8(&in));
    while (out.len < 56)
        buf_add_char(&out, 0);
    buf_add_u32be(&out, crc32c(buf_str(&out)));
    while (reader_left(&in) > 3) {
        uint8_t kind = reader_u8(&in);
        size_t asked = reader_u16be(&in);
        size_t len = MIN(asked, reader_left(&in));
        add_block(&out, kind, reader_bytes(&in, len));
    }
    add_block(&out, 6, STR_NONE);
    check(buf_str(&out));
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char zeros[LOG_BYTES] = {0};
    static bool made;
    Str log = {zeros, LOG_BYTES};
    Str bytes = {(const char *)data, size};

    if (!made) {
        CLEANUP(arena_deinit) Arena arena = {0};
        Str wal = fs_join(&arena, scratch_dir(), S("wal"));
        Error err = {0};
        log_setup(LOG_ERROR, LOG_LOGFMT);
        bool ok = fs_make_dirs(&fs_system, wal, &err);
        ASSERT(ok);
        put_file(wal, S("00000000"), log);
        made = true;
    }
    check(bytes);
    check_blocks(reader_from(bytes), log);
    return 0;
}
