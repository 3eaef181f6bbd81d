// SPDX-License-Identifier: Apache-2.0
// fs_journal.h: what a test's program asked of the disk, call by call, so that a power cut can be played behind each of them.
//
//     Fs fs = {.journal = fs_journal_new(root), .skip_sync = true};
//     ... the program works below root ...
//     for (size_t at = 0; at <= fs_journal_length(fs.journal); at++)
//         fs_journal_cut(fs.journal, at, FS_LOSS_TORN, seed, other_root, &err);    then open other_root and look
//
// The model is POSIX' and no kinder: the bytes of a file are on disk once the file was synced, a name in a folder once that folder was
// synced; what was not may be there or not, name by name, and sector by sector of 512 bytes. A rename is one deed: both its names or none.
// Kernels that drop what they could not write are played with Fs.forgets.
// Thread: any for noting; one for the rest.
#pragma once

#include "base/fs.h"

// `root` is an empty folder that is there.
FsJournal *fs_journal_new(Str root);
void fs_journal_free(FsJournal *journal); // accepts NULL
// Calls noted so far.
size_t fs_journal_length(FsJournal *journal);

// What becomes of that which was not synced.
typedef enum FsLoss {
    FS_LOSS_NONE,  // it is there: the process died, not the machine
    FS_LOSS_ALL,   // it is gone
    FS_LOSS_BYTES, // names are there, bytes gone
    FS_LOSS_ZEROS, // names and sizes are there, bytes are zero
    FS_LOSS_NAMES, // bytes are there, names gone
    FS_LOSS_TORN,  // a coin is tossed for each name and each sector
} FsLoss;
#define FS_LOSS_COUNT 6

// Writes below `to`, made if missing, what the disk has when the power is cut behind the first `count` calls.
bool fs_journal_cut(FsJournal *journal, size_t count, FsLoss loss, uint64_t seed, Str to,
                    Error *err) MUST_CHECK;

// For fs.c. Paths that are not below the root are ignored. open returns the file's node, 0 if it is none of ours.
uint32_t fs_journal_open(FsJournal *journal, Str path, bool truncate);
void fs_journal_write(FsJournal *journal, uint32_t node, int64_t offset, Str bytes);
void fs_journal_truncate(FsJournal *journal, uint32_t node, uint64_t bytes);
void fs_journal_sync(FsJournal *journal, uint32_t node);
void fs_journal_failed_sync(FsJournal *journal, uint32_t node);
void fs_journal_sync_dir(FsJournal *journal, Str path);
void fs_journal_rename(FsJournal *journal, Str from, Str to);
void fs_journal_link(FsJournal *journal, Str from, Str to);
void fs_journal_unlink(FsJournal *journal, Str path);
void fs_journal_make_dir(FsJournal *journal, Str path);
