// SPDX-License-Identifier: Apache-2.0
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs_journal.h"

#define PATH_BYTES_MAX 4096
#define AGAIN_BYTES ((size_t)256 * 1024)

Fs fs_system = {NULL, NULL, false, false};

// Counts a call against the plan. Returns 0 or the errno to fail with; *ret_now: this is the first that fails.
static int fault_hit(Fs *fs, FsCall kind, bool *ret_now)
{
    *ret_now = false;
    FsFault *fault = fs->fault;
    if (!fault || !((fault->kinds ? fault->kinds : FS_CALLS_MUTATING) & (unsigned)kind))
        return 0;
    uint64_t call = __atomic_add_fetch(&fault->calls, 1, __ATOMIC_RELAXED);
    if (fault->fail_at == 0 || call < fault->fail_at || (call > fault->fail_at && !fault->dead))
        return 0;
    *ret_now = call == fault->fail_at;
    return fault->error_number;
}

static int fault_plain(Fs *fs, FsCall kind)
{
    bool now;
    return fault_hit(fs, kind, &now);
}

// How much of `bytes` there is space for.
static size_t space_for(Fs *fs, size_t bytes)
{
    FsFault *fault = fs->fault;
    if (!fault || !fault->limited)
        return bytes;
    int64_t left = __atomic_sub_fetch(&fault->space_bytes, (int64_t)bytes, __ATOMIC_RELAXED);
    if (left >= 0)
        return bytes;
    int64_t fits = MAX((int64_t)bytes + left, 0);
    __atomic_add_fetch(&fault->space_bytes, (int64_t)bytes - fits, __ATOMIC_RELAXED);
    return (size_t)fits;
}

// The path as a C string on the stack of the caller.
static bool to_path(Str path, char *out, Error *err)
{
    if (path.len >= PATH_BYTES_MAX || memchr(path.ptr ? path.ptr : "", '\0', path.len))
        return error_set(err, ERR_INVALID, "path is too long or has a NUL: \"" STR_FMT "\"",
                         STR_ARG(str_sub(path, 0, 100)));
    if (path.len)
        memcpy(out, path.ptr, path.len);
    out[path.len] = '\0';
    return true;
}

static bool fail(Error *err, int error_number, const char *what, const char *path)
{
    return error_set_errno(err, error_number, "%s %s", what, path);
}

static Str folder_of(Str path)
{
    size_t slash = str_rfind_char(path, '/');
    if (slash == STR_NOT_FOUND)
        return S(".");
    return str_sub(path, 0, slash ? slash : 1);
}

bool fs_open(Fs *fs, Str path, FsMode mode, File *ret_file, Error *err)
{
    static const int flags[] = {
        [FS_READ] = O_RDONLY,
        [FS_CREATE] = O_RDWR | O_CREAT | O_TRUNC,
        [FS_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
        [FS_APPEND] = O_RDWR | O_CREAT | O_APPEND,
        [FS_READ_WRITE] = O_RDWR,
    };
    char c[PATH_BYTES_MAX];
    if (!to_path(path, c, err))
        return false;
    int fault = fault_plain(fs, mode == FS_READ ? FS_CALL_OPEN_READ : FS_CALL_OPEN);
    int fd = fault ? -1 : open(c, flags[mode] | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(err, fault ? fault : errno, "open", c);

    File file = {.fs = fs, .fd = fd};
    if (fs->journal && mode != FS_READ)
        file.node = fs_journal_open(fs->journal, path, mode == FS_CREATE);
    size_t skip = path.len >= sizeof file.name ? path.len - sizeof file.name + 1 : 0;
    snprintf(file.name, sizeof file.name, "%s", c + skip);
    *ret_file = file;
    return true;
}

void file_close(File *file)
{
    if (file->fs && file->fd >= 0)
        close(file->fd);
    *file = (File)FILE_NONE;
}

bool file_finish(File *file, Error *err)
{
    int fd = file->fd;
    file->fd = -1;
    if (fd >= 0 && close(fd) != 0 && errno != EINTR)
        return fail(err, errno, "close", file->name);
    return true;
}

// `offset` -1: at the file's own position. *ret_done: bytes that arrived.
static bool write_some(File *file, int64_t offset, Str todo, size_t *ret_done, Error *err)
{
    *ret_done = 0;
    while (todo.len) {
        ssize_t n = offset < 0 ? write(file->fd, todo.ptr, todo.len)
                               : pwrite(file->fd, todo.ptr, todo.len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, errno, "write", file->name);
        todo = str_skip(todo, (size_t)n);
        *ret_done += (size_t)n;
        if (offset >= 0)
            offset += n;
    }
    return true;
}

static bool write_all(File *file, int64_t offset, Str bytes, Error *err)
{
    bool now;
    int fault = fault_hit(file->fs, FS_CALL_WRITE, &now);
    Str todo = bytes;
    if (fault)
        todo = str_sub(bytes, 0, now ? file->fs->fault->torn_bytes : 0);
    size_t fits = space_for(file->fs, todo.len), done;
    if (fits < todo.len)
        fault = ENOSPC;
    int64_t at = offset;
    if (file->node && offset < 0)
        at = lseek(file->fd, 0, SEEK_CUR);
    bool ok = write_some(file, offset, str_sub(todo, 0, fits), &done, err);
    if (file->node)
        fs_journal_write(file->fs->journal, file->node, at, str_sub(bytes, 0, done));
    return ok && fault ? fail(err, fault, "write", file->name) : ok;
}

bool file_write(File *file, Str bytes, Error *err)
{
    return write_all(file, -1, bytes, err);
}

bool file_write_at(File *file, uint64_t offset, Str bytes, Error *err)
{
    file->synced = MIN(file->synced, offset);
    return write_all(file, (int64_t)offset, bytes, err);
}

bool file_read_at(const File *file, uint64_t offset, void *out, size_t bytes, size_t *ret_read,
                  Error *err)
{
    size_t done = 0;
    int fault = fault_plain(file->fs, FS_CALL_READ);
    if (fault)
        return fail(err, fault, "read", file->name);
    while (done < bytes) {
        ssize_t n = pread(file->fd, (char *)out + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, errno, "read", file->name);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_read = done;
    return true;
}

bool file_read_all(const File *file, Arena *arena, size_t bytes_max, Str *ret_bytes, Error *err)
{
    // Sizes of /proc files are not known beforehand, so read until the end.
    size_t cap = 4096;
    uint64_t size;
    if (file_size(file, &size, err) && size > 0 && size < bytes_max)
        cap = (size_t)size + 1;
    char *bytes = arena_alloc(arena, cap);
    size_t len = 0;
    for (;;) {
        size_t got;
        if (!file_read_at(file, len, bytes + len, cap - len, &got, err))
            return false;
        len += got;
        if (len > bytes_max)
            return error_set(err, ERR_LIMIT, "%s is larger than %zu bytes", file->name, bytes_max);
        if (len < cap)
            break;
        bytes = arena_grow(arena, bytes, cap, cap * 2);
        cap *= 2;
    }
    *ret_bytes = (Str){bytes, len};
    return true;
}

void file_reads_at_random(const File *file)
{
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_RANDOM);
}

bool file_size(const File *file, uint64_t *ret_bytes, Error *err)
{
    struct stat st;
    int fault = fault_plain(file->fs, FS_CALL_READ);
    if (fault || fstat(file->fd, &st) != 0)
        return fail(err, fault ? fault : errno, "stat", file->name);
    *ret_bytes = (uint64_t)st.st_size;
    return true;
}

bool file_truncate(File *file, uint64_t bytes, Error *err)
{
    int fault = fault_plain(file->fs, FS_CALL_TRUNCATE);
    if (fault || ftruncate(file->fd, (off_t)bytes) != 0)
        return fail(err, fault ? fault : errno, "truncate", file->name);
    if (file->node)
        fs_journal_truncate(file->fs->journal, file->node, bytes);
    file->synced = MIN(file->synced, bytes);
    return true;
}

// After a sync that failed the kernel may take for written what it could not write, and the next sync then says that all is well. So that is
// written once more, from where no sync has been: it is mostly still in memory.
static bool write_again(File *file, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    char *piece = arena_alloc(&scratch, AGAIN_BYTES);
    uint64_t synced = file->synced;
    size_t got = AGAIN_BYTES;

    for (uint64_t at = synced; got == AGAIN_BYTES; at += got)
        if (!file_read_at(file, at, piece, AGAIN_BYTES, &got, err) ||
            !write_all(file, (int64_t)at, (Str){piece, got}, err))
            return false;
    return true;
}

bool file_sync(File *file, Error *err)
{
    struct stat st;

    if (file->is_sync_failed && !write_again(file, err))
        return false;
    uint64_t bytes = fstat(file->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    int fault = fault_plain(file->fs, FS_CALL_SYNC);
    file->is_sync_failed = fault || (!file->fs->skip_sync && fdatasync(file->fd) != 0);
    if (file->is_sync_failed) {
        if (file->node && file->fs->forgets)
            fs_journal_failed_sync(file->fs->journal, file->node);
        return fail(err, fault ? fault : errno, "sync", file->name);
    }
    if (file->node)
        fs_journal_sync(file->fs->journal, file->node);
    file->synced = bytes;
    return true;
}

bool fs_read_file(Fs *fs, Str path, Arena *arena, size_t bytes_max, Str *ret_bytes, Error *err)
{
    CLEANUP(file_close) File file = FILE_NONE;
    return fs_open(fs, path, FS_READ, &file, err) &&
           file_read_all(&file, arena, bytes_max, ret_bytes, err);
}

static bool write_and_sync(Fs *fs, Str path, Str bytes, Error *err)
{
    CLEANUP(file_close) File file = FILE_NONE;
    return fs_open(fs, path, FS_CREATE, &file, err) && file_write(&file, bytes, err) &&
           file_sync(&file, err) && file_finish(&file, err);
}

bool fs_write_atomic(Fs *fs, Str path, Str bytes, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str tmp = arena_printf(&arena, STR_FMT ".tmp", STR_ARG(path));
    if (!write_and_sync(fs, tmp, bytes, err)) {
        Error second = {0};
        if (!fs_unlink(fs, tmp, &second) && second.code != ERR_NOT_FOUND)
            return error_context(err, "%s, then", second.text);
        return false;
    }
    return fs_rename(fs, tmp, path, err) && fs_sync_dir(fs, folder_of(path), err);
}

bool fs_rename(Fs *fs, Str from, Str to, Error *err)
{
    char a[PATH_BYTES_MAX];
    char b[PATH_BYTES_MAX];
    if (!to_path(from, a, err) || !to_path(to, b, err))
        return false;
    int fault = fault_plain(fs, FS_CALL_RENAME);
    if (fault || rename(a, b) != 0)
        return fail(err, fault ? fault : errno, "rename", a);
    if (fs->journal)
        fs_journal_rename(fs->journal, from, to);
    return true;
}

bool fs_link(Fs *fs, Str from, Str to, Error *err)
{
    char a[PATH_BYTES_MAX];
    char b[PATH_BYTES_MAX];
    if (!to_path(from, a, err) || !to_path(to, b, err))
        return false;
    int fault = fault_plain(fs, FS_CALL_LINK);
    if (fault || link(a, b) != 0)
        return fail(err, fault ? fault : errno, "link", b);
    if (fs->journal)
        fs_journal_link(fs->journal, from, to);
    return true;
}

bool fs_unlink(Fs *fs, Str path, Error *err)
{
    char c[PATH_BYTES_MAX];
    if (!to_path(path, c, err))
        return false;
    int fault = fault_plain(fs, FS_CALL_UNLINK);
    if (fault || unlink(c) != 0)
        return fail(err, fault ? fault : errno, "remove", c);
    if (fs->journal)
        fs_journal_unlink(fs->journal, path);
    return true;
}

bool fs_remove_tree(Fs *fs, Str path, Error *err)
{
    char c[PATH_BYTES_MAX];
    if (!to_path(path, c, err))
        return false;
    struct stat st;
    if (lstat(c, &st) != 0)
        return errno == ENOENT ? true : fail(err, errno, "stat", c);
    if (!S_ISDIR(st.st_mode))
        return fs_unlink(fs, path, err);

    CLEANUP(arena_deinit) Arena arena = {0};
    FsList list;
    if (!fs_list(fs, path, &arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++)
        if (!fs_remove_tree(fs, fs_join(&arena, path, list.entries[i].name), err))
            return false;
    int fault = fault_plain(fs, FS_CALL_UNLINK);
    if (fault || rmdir(c) != 0)
        return fail(err, fault ? fault : errno, "remove", c);
    if (fs->journal)
        fs_journal_unlink(fs->journal, path);
    return true;
}

bool fs_make_dirs(Fs *fs, Str path, Error *err)
{
    char c[PATH_BYTES_MAX];
    if (!to_path(path, c, err))
        return false;
    struct stat st;
    if (stat(c, &st) == 0)
        return S_ISDIR(st.st_mode) ? true : fail(err, ENOTDIR, "make folder", c);
    int fault = fault_plain(fs, FS_CALL_MKDIR);
    if (fault)
        return fail(err, fault, "make folder", c);
    for (char *at = c + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        bool made = mkdir(c, 0777) == 0;
        if (!made && errno != EEXIST)
            return fail(err, errno, "make folder", c);
        if (made && fs->journal)
            fs_journal_make_dir(fs->journal, str_from_c(c));
        if (made && !fs_sync_dir(fs, folder_of(str_from_c(c)), err))
            return false;
        *at = kept;
        if (kept == '\0')
            return true;
    }
}

bool fs_sync_dir(Fs *fs, Str path, Error *err)
{
    char c[PATH_BYTES_MAX];
    if (!to_path(path, c, err))
        return false;
    int fault = fault_plain(fs, FS_CALL_SYNC_DIR);
    int fd = fault ? -1 : open(c, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, fault ? fault : errno, "sync folder", c);
    if (fs->journal)
        fs_journal_sync_dir(fs->journal, path);
    // Some file systems refuse to sync a folder; then it needs none.
    bool ok = fs->skip_sync || fsync(fd) == 0 || errno == EINVAL;
    int why = errno;
    close(fd);
    return ok ? true : fail(err, why, "sync folder", c);
}

bool fs_exists(Fs *fs, Str path)
{
    (void)fs;
    char c[PATH_BYTES_MAX];
    Error ignored = {0};
    struct stat st;
    return to_path(path, c, &ignored) && lstat(c, &st) == 0;
}

bool fs_disk_bytes(Fs *fs, Str path, uint64_t *ret_bytes, Error *err)
{
    (void)fs;
    char c[PATH_BYTES_MAX];
    struct statvfs st;
    if (!to_path(path, c, err))
        return false;
    if (statvfs(c, &st) != 0)
        return error_set_errno(err, errno, "size of the file system of " STR_FMT, STR_ARG(path));
    *ret_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    return *ret_bytes > 0 ||
           error_set(err, ERR_UNAVAILABLE, "the file system of " STR_FMT " does not tell its size",
                     STR_ARG(path));
}

static int compare_entries(const void *a, const void *b)
{
    return str_compare(((const FsEntry *)a)->name, ((const FsEntry *)b)->name);
}

bool fs_list(Fs *fs, Str path, Arena *arena, FsList *ret_list, Error *err)
{
    char c[PATH_BYTES_MAX];
    if (!to_path(path, c, err))
        return false;
    int fault = fault_plain(fs, FS_CALL_LIST);
    DIR *dir = fault ? NULL : opendir(c);
    if (!dir)
        return fail(err, fault ? fault : errno, "list folder", c);

    FsEntry *entries = NULL;
    size_t count = 0;
    size_t cap = 0;
    int why = 0;
    for (;;) {
        struct stat st;
        errno = 0;
        struct dirent *d = readdir(dir);
        if (!d) {
            why = errno;
            break;
        }
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), d->d_name, &st, 0) != 0) {
            // An entry that vanished meanwhile, or a link to nothing, is not there.
            if (errno == ENOENT || errno == ELOOP)
                continue;
            why = errno;
            break;
        }
        if (count == cap) {
            size_t grown = cap ? cap * 2 : 16;
            entries = arena_grow(arena, entries, cap * sizeof *entries, grown * sizeof *entries);
            cap = grown;
        }
        entries[count++] = (FsEntry){
            .name = arena_str(arena, str_from_c(d->d_name)),
            .is_dir = S_ISDIR(st.st_mode),
            .bytes = (uint64_t)st.st_size,
            .modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
        };
    }
    closedir(dir);
    if (why)
        return fail(err, why, "list folder", c);
    if (count)
        qsort(entries, count, sizeof *entries, compare_entries);
    *ret_list = (FsList){entries, count};
    return true;
}

bool file_map(const File *file, size_t bytes, FsMap *ret_map, Error *err)
{
    if (bytes == 0) {
        *ret_map = (FsMap){STR_NONE};
        return true;
    }
    int fault = fault_plain(file->fs, FS_CALL_MAP);
    void *at = fault ? MAP_FAILED : mmap(NULL, bytes, PROT_READ, MAP_SHARED, file->fd, 0);
    if (at == MAP_FAILED)
        return fail(err, fault ? fault : errno, "map", file->name);
    *ret_map = (FsMap){{at, bytes}};
    return true;
}

bool fs_map(Fs *fs, Str path, FsMap *ret_map, Error *err)
{
    CLEANUP(file_close) File file = FILE_NONE;
    uint64_t bytes;
    return fs_open(fs, path, FS_READ, &file, err) && file_size(&file, &bytes, err) &&
           file_map(&file, bytes, ret_map, err);
}

void fs_unmap(FsMap *map)
{
    if (map->bytes.len) {
        union {
            const char *view;
            void *at;
        } cast = {map->bytes.ptr};
        munmap(cast.at, map->bytes.len);
    }
    *map = (FsMap){STR_NONE};
}

Str fs_join(Arena *arena, Str dir, Str name)
{
    bool slash = dir.len && dir.ptr[dir.len - 1] != '/';
    return arena_printf(arena, STR_FMT "%s" STR_FMT, STR_ARG(dir), slash ? "/" : "", STR_ARG(name));
}
