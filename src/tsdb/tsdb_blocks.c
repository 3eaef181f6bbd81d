// SPDX-License-Identifier: Apache-2.0
// The list of blocks: what is on disk, what is open, what has had its time.
#include <stdlib.h>

#include "base/log.h"
#include "tsdb/tsdb_internal.h"

TsdbBlocks tsdb_blocks_take(Tsdb *tsdb)
{
    TsdbBlocks blocks;

    lock_take(&tsdb->list_lock);
    blocks.count = tsdb->block_count;
    blocks.items = X_ARRAY(Block *, blocks.count + 1);
    for (size_t i = 0; i < blocks.count; i++)
        blocks.items[i] = block_ref(tsdb->blocks[i]);
    lock_give(&tsdb->list_lock);
    return blocks;
}

void tsdb_blocks_give(TsdbBlocks *blocks)
{
    for (size_t i = 0; i < blocks->count; i++)
        block_unref(blocks->items[i]);
    free(blocks->items);
    *blocks = (TsdbBlocks){NULL, 0};
}

int64_t tsdb_in_order_end(const TsdbBlocks *blocks)
{
    int64_t end = INT64_MIN;

    for (size_t i = 0; i < blocks->count; i++)
        if (!block_meta_is_partial(block_meta(blocks->items[i])))
            end = MAX(end, block_meta(blocks->items[i])->max_t_ms);
    return end;
}

bool tsdb_tells_in_order_end(Tsdb *tsdb, const Block *block)
{
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    TsdbBlocks rest = {X_ARRAY(Block *, all.count), 0};

    for (size_t i = 0; i < all.count; i++)
        if (all.items[i] != block)
            rest.items[rest.count++] = all.items[i];
    bool tells = tsdb_in_order_end(&rest) < tsdb_in_order_end(&all);
    free(rest.items);
    tsdb_blocks_give(&all);
    return tells;
}

static int compare_blocks(const void *a, const void *b)
{
    const BlockMeta *x = block_meta(*(Block *const *)a), *y = block_meta(*(Block *const *)b);

    if (x->min_t_ms != y->min_t_ms)
        return x->min_t_ms < y->min_t_ms ? -1 : 1;
    return memcmp(x->ulid.text, y->ulid.text, ULID_CHARS);
}

static void swap_list(Tsdb *tsdb, TsdbBlocks *blocks)
{
    if (blocks->count)
        qsort(blocks->items, blocks->count, sizeof(Block *), compare_blocks);
    lock_take(&tsdb->list_lock);
    TsdbBlocks old = {tsdb->blocks, tsdb->block_count};
    tsdb->blocks = blocks->items;
    tsdb->block_count = blocks->count;
    lock_give(&tsdb->list_lock);
    tsdb_blocks_give(&old);
    *blocks = (TsdbBlocks){NULL, 0};
}

static Block *find_open(const TsdbBlocks *blocks, const Ulid *ulid)
{
    for (size_t i = 0; i < blocks->count; i++)
        if (ulid_equal(&block_meta(blocks->items[i])->ulid, ulid))
            return blocks->items[i];
    return NULL;
}

static bool was_told(const Tsdb *tsdb, Str name)
{
    for (size_t i = 0; i < tsdb->corrupt_count; i++)
        if (str_equal(tsdb->corrupt[i], name))
            return true;
    return false;
}

static void remember(Tsdb *tsdb, Str name)
{
    tsdb->corrupt = (Str *)x_realloc(tsdb->corrupt, (tsdb->corrupt_count + 1) * sizeof(Str));
    tsdb->corrupt[tsdb->corrupt_count++] = arena_str(&tsdb->arena, name);
    __atomic_store_n(&tsdb->counters.blocks_corrupt, tsdb->corrupt_count, __ATOMIC_RELAXED);
}

static void forget(Tsdb *tsdb, Str name)
{
    size_t kept = 0;

    for (size_t i = 0; i < tsdb->corrupt_count; i++)
        if (!str_equal(tsdb->corrupt[i], name))
            tsdb->corrupt[kept++] = tsdb->corrupt[i];
    tsdb->corrupt_count = kept;
    __atomic_store_n(&tsdb->counters.blocks_corrupt, kept, __ATOMIC_RELAXED);
}

// A damaged block is never deleted: it is renamed, so that no program takes it for a block, and somebody may look at it or repair it.
// Without a meta.json it may be a copy under way, and one of a version that we do not know is no damage: those are left alone.
static void put_aside(Tsdb *tsdb, Str dir, const Error *why)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Fs *fs = tsdb->options.fs;
    Error err = {0};

    if (why->code == ERR_INVALID || !fs_exists(fs, fs_join(&arena, dir, S("meta.json"))))
        return;
    Str aside = arena_printf(&arena, STR_FMT ".corrupt", STR_ARG(dir));
    for (int i = 1; fs_exists(fs, aside) && i < 1000; i++)
        aside = arena_printf(&arena, STR_FMT ".corrupt-%d", STR_ARG(dir), i);
    if (!fs_rename(fs, dir, aside, &err) || !fs_sync_dir(fs, tsdb->blocks_dir, &err)) {
        log_error("damaged block cannot be put aside, ignoring", KV("block", dir), KV("err", &err));
        return;
    }
    tsdb_count(&tsdb->counters.blocks_quarantined);
    log_error("damaged block was put aside, its samples are not shown", KV("now", aside),
              KV("repair", "narthex tool tsdb repair"));
}

// What comes while we run may still be on its way, file by file: it keeps its name, and is looked at again.
static void tell_corrupt(Tsdb *tsdb, Str name, Str dir, const Error *why)
{
    if (was_told(tsdb, name))
        return;
    log_error("block cannot be read, ignoring", KV("block", name), KV("err", why));
    if (tsdb->opening)
        put_aside(tsdb, dir, why);
    remember(tsdb, name);
}

static bool is_parent(const TsdbBlocks *blocks, const Ulid *ulid)
{
    for (size_t i = 0; i < blocks->count; i++) {
        const BlockMeta *meta = block_meta(blocks->items[i]);
        for (size_t k = 0; k < meta->parent_count; k++)
            if (ulid_equal(&meta->parents[k].ulid, ulid))
                return true;
    }
    return false;
}

// Renames: a folder half removed must not be taken for a block at the next start.
static bool doom(Tsdb *tsdb, Str dir, Error *err) REQUIRES(tsdb->work_lock)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Str doomed = arena_printf(&arena, STR_FMT ".tmp-for-deletion", STR_ARG(dir));

    tsdb->unsettled = true;
    return fs_rename(tsdb->options.fs, dir, doomed, err);
}

// What was renamed must not have its old name again after a power cut, and its bytes go.
static bool bury(Tsdb *tsdb, Error *err) REQUIRES(tsdb->work_lock)
{
    if (!fs_sync_dir(tsdb->options.fs, tsdb->blocks_dir, err) ||
        !tsdb_remove_leftovers(tsdb, false, err))
        return false;
    tsdb->unsettled = false;
    return true;
}

// Blocks whose samples are all in a newer one are not shown and their folders go.
static void drop_parents(Tsdb *tsdb, TsdbBlocks *blocks) REQUIRES(tsdb->work_lock)
{
    size_t kept = 0, left = 0;
    bool any = false;
    Error err = {0};

    bool *gone = X_ARRAY(bool, blocks->count + 1);
    for (size_t i = 0; i < blocks->count; i++) {
        gone[i] = is_parent(blocks, &block_meta(blocks->items[i])->ulid);
        any |= gone[i];
    }
    // The name of what takes their place first.
    bool safe = any && fs_sync_dir(tsdb->options.fs, tsdb->blocks_dir, &err);
    tsdb->unsettled |= any;
    for (size_t i = 0; i < blocks->count; i++) {
        if (!gone[i]) {
            blocks->items[kept++] = blocks->items[i];
            continue;
        }
        left += !safe || !doom(tsdb, block_dir(blocks->items[i]), &err);
        block_unref(blocks->items[i]);
    }
    blocks->count = kept;
    free(gone);
    if (tsdb->unsettled && (left || !bury(tsdb, &err)))
        log_warn("blocks that were compacted cannot be removed, retrying", KV("err", &err));
}

// What it has of in-order samples is not to be made of the log once more, with what was deleted of it since.
static void note_end(Tsdb *tsdb, Str dir)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    BlockMeta meta;
    Error ignored = {0}; // that it cannot be opened was told

    if (block_meta_read(tsdb->options.fs, dir, &arena, &meta, &ignored) &&
        !block_meta_is_partial(&meta))
        tsdb->unreadable_end = MAX(tsdb->unreadable_end, meta.max_t_ms);
}

static void open_listed(Tsdb *tsdb, const FsList *list, TsdbBlocks *found)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    TsdbBlocks open = tsdb_blocks_take(tsdb);
    uint64_t unreadable = 0;

    tsdb->unreadable_end = INT64_MIN;
    for (size_t i = 0; i < list->count; i++) {
        Ulid ulid;
        Error why = {0};
        if (!list->entries[i].is_dir || !ulid_parse(list->entries[i].name, &ulid))
            continue;
        Block *block = find_open(&open, &ulid);
        if (block) {
            found->items[found->count++] = block_ref(block);
            continue;
        }
        Str dir = fs_join(&arena, tsdb->blocks_dir, list->entries[i].name);
        if (block_open(tsdb->options.fs, dir, &block, &why)) {
            found->items[found->count++] = block;
            forget(tsdb, list->entries[i].name);
        } else if (why.code == ERR_CORRUPT || why.code == ERR_NOT_FOUND || why.code == ERR_INVALID)
            tell_corrupt(tsdb, list->entries[i].name, dir, &why);
        else { // nothing tells that it is damaged: the disk or the kernel refuses, perhaps for now only
            unreadable++;
            log_error("block cannot be opened, retrying", KV("block", list->entries[i].name),
                      KV("err", &why));
            note_end(tsdb, dir);
        }
    }
    __atomic_store_n(&tsdb->counters.blocks_unreadable, unreadable, __ATOMIC_RELAXED);
    tsdb_blocks_give(&open);
}

bool tsdb_settle(Tsdb *tsdb, Error *err)
{
    if (!tsdb->unsettled)
        return true;
    if (!tsdb_reload(tsdb, err))
        return false;
    return !tsdb->unsettled ||
           error_set(err, ERR_IO, "the disk does not let blocks go that were compacted");
}

bool tsdb_reload(Tsdb *tsdb, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    TsdbBlocks found = {NULL, 0};
    FsList list;

    tsdb_count(&tsdb->counters.reloads);
    if (!fs_list(tsdb->options.fs, tsdb->blocks_dir, &arena, &list, err)) {
        tsdb_count(&tsdb->counters.reloads_failed);
        return error_context(err, "reload of blocks");
    }
    found.items = X_ARRAY(Block *, list.count + 1);
    open_listed(tsdb, &list, &found);
    if (tsdb->counters.blocks_unreadable)
        tsdb_count(&tsdb->counters.reloads_failed);
    drop_parents(tsdb, &found);
    swap_list(tsdb, &found);
    return true;
}

bool tsdb_has_block(Tsdb *tsdb, const Ulid *ulid)
{
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    bool has = find_open(&all, ulid) != NULL;

    tsdb_blocks_give(&all);
    return has;
}

bool tsdb_drop_block(Tsdb *tsdb, Block *block, Error *err)
{
    if (!tsdb_settle(tsdb, err) || !doom(tsdb, block_dir(block), err))
        return false;
    TsdbBlocks rest = tsdb_blocks_take(tsdb);
    size_t kept = 0;
    for (size_t i = 0; i < rest.count; i++) {
        if (rest.items[i] == block)
            block_unref(block);
        else
            rest.items[kept++] = rest.items[i];
    }
    rest.count = kept;
    swap_list(tsdb, &rest);
    return bury(tsdb, err);
}

bool tsdb_remove_leftovers(Tsdb *tsdb, bool half_made, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FsList list;

    if (!fs_list(tsdb->options.fs, tsdb->blocks_dir, &arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        Str name = list.entries[i].name;
        Ulid ulid;
        bool is_ours = (half_made && str_ends_with(name, S(".tmp-for-creation"))) ||
                       str_ends_with(name, S(".tmp-for-deletion"));
        if (!is_ours || !list.entries[i].is_dir || !ulid_parse(str_sub(name, 0, ULID_CHARS), &ulid))
            continue;
        if (half_made)
            log_info("removing what was left half made", KV("name", name));
        if (!fs_remove_tree(tsdb->options.fs, fs_join(&arena, tsdb->blocks_dir, name), err))
            return false;
    }
    return true;
}
