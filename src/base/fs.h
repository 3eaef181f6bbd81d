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
    char name[200]; // tail of the path, for messages
} File;

#define FILE_NONE                                                                                  \
    {                                                                                              \
        NULL, -1, ""                                                                               \
    }

// A table of operations; fs_system is the machine's. fs_fault_* below wraps it.
typedef struct FsFault FsFault;
struct Fs {
    FsFault *fault; // NULL: none
};
extern Fs fs_system;

// Fault plan for tests: the `fail_at`-th mutating call (write, sync, rename, create, truncate, unlink; counted from 1) fails with
// `error_number`; `torn_bytes` of a failing write reach the file first; if `dead` all later mutating calls fail too (a crash).
struct FsFault {
    uint64_t fail_at; // 0: never
    int error_number;
    size_t torn_bytes;
    bool dead;
    uint64_t calls; // counted so far
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
bool fs_make_dirs(Fs *fs, Str path, Error *err) MUST_CHECK;   // like mkdir -p
bool fs_sync_dir(Fs *fs, Str path, Error *err) MUST_CHECK;
bool fs_exists(Fs *fs, Str path);

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
void fs_unmap(FsMap *map);

// "a/b" from "a" and "b".
Str fs_join(Arena *arena, Str dir, Str name);
