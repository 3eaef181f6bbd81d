// SPDX-License-Identifier: Apache-2.0
// fs.h: files with checked writes. Everything that touches the data directory goes through an Fs, so that a test can
// count operations and make the Nth one fail, tear or run out of space.
#pragma once

#include "base/arena.h"
#include "base/error.h"

typedef struct Fs Fs;

typedef struct File {
    Fs *fs;
    int fd;
    uint32_t node;       // of the journal; 0: none
    uint64_t synced;     // bytes from its beginning that a sync has brought to disk
    bool is_sync_failed; // the newest one
    char name[200];      // tail of the path, for messages
} File;

#define FILE_NONE                                                                                  \
    {                                                                                              \
        NULL, -1, 0, 0, false, ""                                                                  \
    }

// fs_system is the machine's. A test's own Fs may fail calls on a plan and write down what reaches the disk, so that a power cut can
// be played (fs_journal.h).
typedef struct FsFault FsFault;
typedef struct FsJournal FsJournal;
struct Fs {
    FsFault *fault;     // NULL: none
    FsJournal *journal; // NULL: none
    bool skip_sync;     // syncs are counted and noted, not done: a test's disk need not be slow
    bool forgets; // for the journal: a sync that failed has written nothing, and no later one will
};
extern Fs fs_system;

// Kinds of calls, as bits.
typedef enum FsCall {
    FS_CALL_OPEN = 1 << 0, // to write
    FS_CALL_WRITE = 1 << 1,
    FS_CALL_TRUNCATE = 1 << 2,
    FS_CALL_SYNC = 1 << 3,
    FS_CALL_SYNC_DIR = 1 << 4,
    FS_CALL_RENAME = 1 << 5,
    FS_CALL_LINK = 1 << 6,
    FS_CALL_UNLINK = 1 << 7, // files and folders
    FS_CALL_MKDIR = 1 << 8,
    FS_CALLS_MUTATING = (1 << 9) - 1,
    FS_CALL_OPEN_READ = 1 << 9,
    FS_CALL_READ = 1 << 10, // sizes, too
    FS_CALL_MAP = 1 << 11,
    FS_CALL_LIST = 1 << 12,
    FS_CALLS_ALL = (1 << 13) - 1,
} FsCall;

// Fault plan for tests: the `fail_at`-th call (counted from 1) of the kinds fails with `error_number`; `torn_bytes` of a failing write
// reach the file first; if `dead` all later calls of the kinds fail too (a crash, a disk that is gone).
struct FsFault {
    uint64_t fail_at; // 0: never
    int error_number;
    size_t torn_bytes;
    bool dead;
    unsigned kinds; // FsCall bits; 0: the mutating ones
    uint64_t calls; // counted so far
    bool limited;   // writes take from space_bytes and fail with ENOSPC when it is used up
    int64_t space_bytes;
};

typedef enum FsMode {
    FS_READ,
    FS_CREATE,     // read and write; truncates what is there
    FS_CREATE_NEW, // read and write; ERR_CONFLICT if it is there
    FS_APPEND,     // created if missing
    FS_READ_WRITE, // must exist
} FsMode;

bool fs_open(Fs *fs, Str path, FsMode mode, File *ret_file, Error *err) MUST_CHECK;
void file_close(File *file); // for reading or after file_sync; accepts FILE_NONE
// Closes and tells the error that close() may bring.
bool file_finish(File *file, Error *err) MUST_CHECK;
bool file_write(File *file, Str bytes, Error *err) MUST_CHECK; // all or an error
bool file_write_at(File *file, uint64_t offset, Str bytes, Error *err) MUST_CHECK;
bool file_read_at(const File *file, uint64_t offset, void *out, size_t bytes, size_t *ret_read,
                  Error *err) MUST_CHECK;
bool file_read_all(const File *file, Arena *arena, size_t bytes_max, Str *ret_bytes,
                   Error *err) MUST_CHECK;
// The kernel reads exactly what is asked for, and nothing behind it. Only a hint.
void file_reads_at_random(const File *file);
bool file_size(const File *file, uint64_t *ret_bytes, Error *err) MUST_CHECK;
bool file_truncate(File *file, uint64_t bytes, Error *err) MUST_CHECK;
bool file_sync(File *file, Error *err) MUST_CHECK; // fdatasync

// Whole files. fs_write_atomic writes path.tmp, syncs it, renames it and syncs the folder.
bool fs_read_file(Fs *fs, Str path, Arena *arena, size_t bytes_max, Str *ret_bytes,
                  Error *err) MUST_CHECK;
bool fs_write_atomic(Fs *fs, Str path, Str bytes, Error *err) MUST_CHECK;

bool fs_rename(Fs *fs, Str from, Str to, Error *err) MUST_CHECK;
bool fs_link(Fs *fs, Str from, Str to, Error *err) MUST_CHECK;
bool fs_unlink(Fs *fs, Str path, Error *err) MUST_CHECK;
bool fs_remove_tree(Fs *fs, Str path, Error *err) MUST_CHECK; // missing is fine
// Like mkdir -p. A new folder's name is synced: what is later synced in it is not lost with it.
bool fs_make_dirs(Fs *fs, Str path, Error *err) MUST_CHECK;
bool fs_sync_dir(Fs *fs, Str path, Error *err) MUST_CHECK;
bool fs_exists(Fs *fs, Str path);
// Of the whole file system that the path lies on.
bool fs_disk_bytes(Fs *fs, Str path, uint64_t *ret_bytes, Error *err) MUST_CHECK;

typedef struct FsEntry {
    Str name;
    bool is_dir;
    uint64_t bytes;
    int64_t modified_ms;
} FsEntry;

typedef struct FsList {
    FsEntry *entries; // sorted by name
    size_t count;
} FsList;

// Without "." and "..".
bool fs_list(Fs *fs, Str path, Arena *arena, FsList *ret_list, Error *err) MUST_CHECK;

// A read-only view of a whole file. An empty file gives an empty view.
typedef struct FsMap {
    Str bytes;
} FsMap;
bool fs_map(Fs *fs, Str path, FsMap *ret_map, Error *err) MUST_CHECK;
// The first `bytes` of an open file; they may be more than it has yet.
bool file_map(const File *file, size_t bytes, FsMap *ret_map, Error *err) MUST_CHECK;
void fs_unmap(FsMap *map);

// "a/b" from "a" and "b".
Str fs_join(Arena *arena, Str dir, Str name);
