// SPDX-License-Identifier: Apache-2.0
#include "base/fs_journal.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/lock.h"
#include "base/random.h"

#define JOURNAL_RANK 100000
#define SECTOR_BYTES 512
#define NODE_ROOT 1

typedef enum DeedKind {
    DEED_WRITE,
    DEED_TRUNCATE,
    DEED_SYNC,
    DEED_FAILED_SYNC,
    DEED_SYNC_DIR,
    DEED_NAME, // changes names; they wait until their folder is synced
} DeedKind;

// A name in a folder.
typedef struct Place {
    uint32_t dir; // 0: none
    Str name;
} Place;

typedef struct Deed {
    DeedKind kind;
    uint32_t node;
    bool is_dir;   // the node, when it is new
    Place removed; // of DEED_NAME
    Place added;
    uint64_t offset; // of DEED_WRITE; the size of DEED_TRUNCATE
    Str bytes;
} Deed;

typedef struct Name {
    Place place;
    uint32_t node;
} Name;

typedef struct Names {
    Name *items;
    size_t count, cap;
} Names;

typedef struct Node {
    bool is_dir;
    Buf now;    // as the kernel has it
    Buf synced; // as the disk has it
    uint64_t dirty_from, dirty_to;
} Node;

// The disk behind the first `at` deeds.
typedef struct Disk {
    size_t at;
    Node *nodes;
    size_t node_count;
    Names names;     // on disk
    size_t *waiting; // DEED_NAMEs that are not
    size_t waiting_count, waiting_cap;
} Disk;

struct FsJournal {
    Lock lock;
    Arena arena;
    Str root;
    Deed *deeds;
    size_t deed_count, deed_cap;
    uint32_t node_count; // given so far
    Names names;         // as the program sees them now
    Disk disk;
};

// --- names ---

static Name *names_find(const Names *names, Place place)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->items[i].place.dir == place.dir &&
            str_equal(names->items[i].place.name, place.name))
            return &names->items[i];
    return NULL;
}

static void names_put(Names *names, Place place, uint32_t node)
{
    Name *old = names_find(names, place);

    if (old) {
        old->node = node;
        return;
    }
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 64;
        names->items = (Name *)x_realloc(names->items, names->cap * sizeof(Name));
    }
    names->items[names->count++] = (Name){place, node};
}

static void names_remove(Names *names, Place place, uint32_t node)
{
    Name *old = names_find(names, place);

    if (old && old->node == node)
        *old = names->items[--names->count];
}

static void names_apply(Names *names, const Deed *deed)
{
    if (deed->removed.dir)
        names_remove(names, deed->removed, deed->node);
    if (deed->added.dir)
        names_put(names, deed->added, deed->node);
}

// --- noting ---

FsJournal *fs_journal_new(Str root)
{
    FsJournal *journal = X_NEW(FsJournal);

    lock_init(&journal->lock, "fs.journal", JOURNAL_RANK);
    journal->root = arena_str(&journal->arena, root);
    journal->node_count = NODE_ROOT;
    return journal;
}

static void disk_deinit(Disk *disk)
{
    for (size_t i = 0; i < disk->node_count; i++) {
        buf_deinit(&disk->nodes[i].now);
        buf_deinit(&disk->nodes[i].synced);
    }
    free(disk->nodes);
    free(disk->names.items);
    free(disk->waiting);
    *disk = (Disk){0};
}

void fs_journal_free(FsJournal *journal)
{
    if (!journal)
        return;
    disk_deinit(&journal->disk);
    free(journal->deeds);
    free(journal->names.items);
    lock_deinit(&journal->lock);
    arena_deinit(&journal->arena);
    free(journal);
}

size_t fs_journal_length(FsJournal *journal)
{
    lock_take(&journal->lock);
    size_t count = journal->deed_count;
    lock_give(&journal->lock);
    return count;
}

// The place that a path means. False: not below the root, or in no folder that is known.
static bool find_place(FsJournal *journal, Str path, Place *ret_place) REQUIRES(journal->lock)
{
    if (!str_starts_with(path, journal->root))
        return false;
    Str rest = str_skip(path, journal->root.len);
    Place place = {NODE_ROOT, STR_NONE};

    while (rest.len) {
        if (rest.ptr[0] == '/') {
            rest = str_skip(rest, 1);
            continue;
        }
        if (place.name.len) {
            const Name *dir = names_find(&journal->names, place);
            if (!dir)
                return false;
            place.dir = dir->node;
        }
        size_t slash = str_find_char(rest, '/');
        place.name = str_sub(rest, 0, slash == STR_NOT_FOUND ? rest.len : slash);
        rest = str_skip(rest, place.name.len);
    }
    *ret_place = place; // an empty name is the root itself
    return true;
}

static void note(FsJournal *journal, Deed deed) REQUIRES(journal->lock)
{
    if (journal->deed_count == journal->deed_cap) {
        journal->deed_cap = journal->deed_cap ? journal->deed_cap * 2 : 1024;
        journal->deeds = (Deed *)x_realloc(journal->deeds, journal->deed_cap * sizeof(Deed));
    }
    deed.bytes = arena_str(&journal->arena, deed.bytes);
    deed.removed.name = arena_str(&journal->arena, deed.removed.name);
    deed.added.name = arena_str(&journal->arena, deed.added.name);
    journal->deeds[journal->deed_count++] = deed;
    if (deed.kind == DEED_NAME)
        names_apply(&journal->names, &deed);
}

static uint32_t note_new(FsJournal *journal, Place place, bool is_dir) REQUIRES(journal->lock)
{
    uint32_t node = ++journal->node_count;

    note(journal, (Deed){.kind = DEED_NAME, .node = node, .is_dir = is_dir, .added = place});
    return node;
}

uint32_t fs_journal_open(FsJournal *journal, Str path, bool truncate)
{
    Place place;
    uint32_t node = 0;

    lock_take(&journal->lock);
    if (find_place(journal, path, &place)) {
        const Name *name = names_find(&journal->names, place);
        node = name ? name->node : note_new(journal, place, false);
        if (name && truncate)
            note(journal, (Deed){.kind = DEED_TRUNCATE, .node = node});
    }
    lock_give(&journal->lock);
    return node;
}

static void note_locked(FsJournal *journal, Deed deed)
{
    lock_take(&journal->lock);
    note(journal, deed);
    lock_give(&journal->lock);
}

void fs_journal_write(FsJournal *journal, uint32_t node, int64_t offset, Str bytes)
{
    if (bytes.len)
        note_locked(
            journal,
            (Deed){.kind = DEED_WRITE, .node = node, .offset = (uint64_t)offset, .bytes = bytes});
}

void fs_journal_truncate(FsJournal *journal, uint32_t node, uint64_t bytes)
{
    note_locked(journal, (Deed){.kind = DEED_TRUNCATE, .node = node, .offset = bytes});
}

void fs_journal_sync(FsJournal *journal, uint32_t node)
{
    note_locked(journal, (Deed){.kind = DEED_SYNC, .node = node});
}

void fs_journal_failed_sync(FsJournal *journal, uint32_t node)
{
    note_locked(journal, (Deed){.kind = DEED_FAILED_SYNC, .node = node});
}

void fs_journal_sync_dir(FsJournal *journal, Str path)
{
    Place place;

    lock_take(&journal->lock);
    if (find_place(journal, path, &place)) {
        const Name *name = place.name.len ? names_find(&journal->names, place) : NULL;
        if (name || !place.name.len)
            note(journal, (Deed){.kind = DEED_SYNC_DIR, .node = name ? name->node : NODE_ROOT});
    }
    lock_give(&journal->lock);
}

// A name goes, a name comes, for the node that `from` means.
static void note_names(FsJournal *journal, Str from, bool removes, Str to)
{
    Place a, b = {0};

    lock_take(&journal->lock);
    if (find_place(journal, from, &a) && (!to.len || find_place(journal, to, &b))) {
        const Name *name = names_find(&journal->names, a);
        if (name)
            note(journal, (Deed){.kind = DEED_NAME,
                                 .node = name->node,
                                 .removed = removes ? a : (Place){0},
                                 .added = b});
    }
    lock_give(&journal->lock);
}

void fs_journal_rename(FsJournal *journal, Str from, Str to)
{
    note_names(journal, from, true, to);
}

void fs_journal_link(FsJournal *journal, Str from, Str to)
{
    note_names(journal, from, false, to);
}

void fs_journal_unlink(FsJournal *journal, Str path)
{
    note_names(journal, path, true, STR_NONE);
}

void fs_journal_make_dir(FsJournal *journal, Str path)
{
    Place place;

    lock_take(&journal->lock);
    if (find_place(journal, path, &place) && place.name.len)
        (void)note_new(journal, place, true);
    lock_give(&journal->lock);
}

// --- playing ---

static Node *node_of(Disk *disk, uint32_t number)
{
    if (number >= disk->node_count) {
        size_t count = MAX((size_t)number + 1, disk->node_count * 2);
        disk->nodes = (Node *)x_realloc(disk->nodes, count * sizeof(Node));
        for (size_t i = disk->node_count; i < count; i++)
            disk->nodes[i] = (Node){.dirty_from = UINT64_MAX};
        disk->node_count = count;
    }
    return &disk->nodes[number];
}

static void resize(Buf *bytes, uint64_t size)
{
    if (size > bytes->len)
        memset(buf_reserve(bytes, size - bytes->len), 0, size - bytes->len);
    bytes->len = size;
}

static void dirty(Node *node, uint64_t from, uint64_t to)
{
    node->dirty_from = MIN(node->dirty_from, from);
    node->dirty_to = MAX(node->dirty_to, to);
}

static void play_write(Node *node, const Deed *deed)
{
    uint64_t end = deed->offset + deed->bytes.len;

    dirty(node, MIN(deed->offset, node->now.len), end);
    if (end > node->now.len)
        resize(&node->now, end);
    memcpy(node->now.ptr + deed->offset, deed->bytes.ptr, deed->bytes.len);
}

static void play_truncate(Node *node, const Deed *deed)
{
    dirty(node, MIN(deed->offset, node->now.len), MAX(deed->offset, node->now.len));
    resize(&node->now, deed->offset);
}

// The kernel takes what it could not write for written.
static void play_failed_sync(Node *node)
{
    node->dirty_from = UINT64_MAX;
    node->dirty_to = 0;
}

static void play_sync(Node *node)
{
    if (node->dirty_from != UINT64_MAX) {
        uint64_t to = MIN(node->dirty_to, node->now.len);
        resize(&node->synced, node->now.len);
        if (node->dirty_from < to)
            memcpy(node->synced.ptr + node->dirty_from, node->now.ptr + node->dirty_from,
                   to - node->dirty_from);
    }
    play_failed_sync(node);
}

// What waits for this folder is on disk now.
static void play_sync_dir(FsJournal *journal, Disk *disk, uint32_t dir)
{
    size_t kept = 0;

    for (size_t i = 0; i < disk->waiting_count; i++) {
        const Deed *deed = &journal->deeds[disk->waiting[i]];
        if (deed->removed.dir == dir || deed->added.dir == dir)
            names_apply(&disk->names, deed);
        else
            disk->waiting[kept++] = disk->waiting[i];
    }
    disk->waiting_count = kept;
}

static void play_name(Disk *disk, const Deed *deed, size_t at)
{
    if (deed->is_dir)
        node_of(disk, deed->node)->is_dir = true;
    if (disk->waiting_count == disk->waiting_cap) {
        disk->waiting_cap = disk->waiting_cap ? disk->waiting_cap * 2 : 64;
        disk->waiting = (size_t *)x_realloc(disk->waiting, disk->waiting_cap * sizeof(size_t));
    }
    disk->waiting[disk->waiting_count++] = at;
}

static void play(FsJournal *journal, size_t count)
{
    Disk *disk = &journal->disk;

    if (count < disk->at)
        disk_deinit(disk);
    node_of(disk, NODE_ROOT)->is_dir = true;
    for (; disk->at < count; disk->at++) {
        const Deed *deed = &journal->deeds[disk->at];
        switch (deed->kind) {
        case DEED_WRITE:
            play_write(node_of(disk, deed->node), deed);
            break;
        case DEED_TRUNCATE:
            play_truncate(node_of(disk, deed->node), deed);
            break;
        case DEED_SYNC:
            play_sync(node_of(disk, deed->node));
            break;
        case DEED_FAILED_SYNC:
            play_failed_sync(node_of(disk, deed->node));
            break;
        case DEED_SYNC_DIR:
            play_sync_dir(journal, disk, deed->node);
            break;
        case DEED_NAME:
            (void)node_of(disk, deed->node);
            play_name(disk, deed, disk->at);
            break;
        }
    }
}

// --- the cut ---

typedef struct Cut {
    FsJournal *journal;
    FsLoss loss;
    Random random;
    Names names;
    Arena arena;
    Buf bytes;
} Cut;

static bool coin(Cut *cut)
{
    return random_u64(&cut->random) >> 63;
}

static void cut_names(Cut *cut)
{
    const Disk *disk = &cut->journal->disk;

    for (size_t i = 0; i < disk->names.count; i++)
        names_put(&cut->names, disk->names.items[i].place, disk->names.items[i].node);
    for (size_t i = 0; i < disk->waiting_count; i++) {
        bool lost = cut->loss == FS_LOSS_ALL || cut->loss == FS_LOSS_NAMES ||
                    (cut->loss == FS_LOSS_TORN && coin(cut));
        if (!lost)
            names_apply(&cut->names, &cut->journal->deeds[disk->waiting[i]]);
    }
}

// Each sector of what was not synced is the old one or the new one.
static void tear(Cut *cut, const Node *node)
{
    uint64_t low = MIN(node->now.len, node->synced.len);
    uint64_t high = MAX(node->now.len, node->synced.len);
    uint64_t size = node->now.len;

    if (coin(cut) && high > low)
        size = low + random_below(&cut->random, high - low + 1);
    else if (coin(cut))
        size = node->synced.len;
    resize(&cut->bytes, size);
    for (uint64_t at = 0; at < size; at += SECTOR_BYTES) {
        const Buf *from = coin(cut) ? &node->now : &node->synced;
        uint64_t end = MIN(at + SECTOR_BYTES, size);
        for (uint64_t i = at; i < end; i++)
            cut->bytes.ptr[i] = i < from->len ? from->ptr[i] : 0;
    }
}

static void cut_bytes(Cut *cut, const Node *node)
{
    buf_reset(&cut->bytes);
    switch (cut->loss) {
    case FS_LOSS_NONE:
    case FS_LOSS_NAMES:
        buf_add_str(&cut->bytes, buf_str(&node->now));
        break;
    case FS_LOSS_ALL:
    case FS_LOSS_BYTES:
        buf_add_str(&cut->bytes, buf_str(&node->synced));
        break;
    case FS_LOSS_ZEROS:
        buf_add_str(&cut->bytes, buf_str(&node->synced));
        resize(&cut->bytes, node->now.len);
        break;
    case FS_LOSS_TORN:
        tear(cut, node);
        break;
    }
}

static bool write_node(Cut *cut, const Node *node, Str path, Error *err)
{
    CLEANUP(file_close) File file = FILE_NONE;

    cut_bytes(cut, node);
    return fs_open(&fs_system, path, FS_CREATE, &file, err) &&
           file_write(&file, buf_str(&cut->bytes), err) && file_finish(&file, err);
}

static bool write_dir(Cut *cut, uint32_t dir, Str path, Error *err)
{
    if (!fs_make_dirs(&fs_system, path, err))
        return false;
    for (size_t i = 0; i < cut->names.count; i++) {
        const Name *name = &cut->names.items[i];
        if (name->place.dir != dir)
            continue;
        const Node *node = &cut->journal->disk.nodes[name->node];
        Str below = fs_join(&cut->arena, path, name->place.name);
        if (node->is_dir ? !write_dir(cut, name->node, below, err)
                         : !write_node(cut, node, below, err))
            return false;
    }
    return true;
}

bool fs_journal_cut(FsJournal *journal, size_t count, FsLoss loss, uint64_t seed, Str to,
                    Error *err)
{
    Cut cut = {.journal = journal, .loss = loss};

    lock_take(&journal->lock);
    random_seed(&cut.random, seed);
    play(journal, MIN(count, journal->deed_count));
    cut_names(&cut);
    bool ok = write_dir(&cut, NODE_ROOT, to, err);
    lock_give(&journal->lock);
    free(cut.names.items);
    buf_deinit(&cut.bytes);
    arena_deinit(&cut.arena);
    return ok ? true : error_context(err, "power cut");
}
