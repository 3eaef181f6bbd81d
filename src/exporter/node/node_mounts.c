// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_mounts.h"

#include "base/map.h"
#include "exporter/node/node_file.h"

void node_mounts_deinit(NodeMounts *mounts)
{
    arena_deinit(&mounts->arena);
    node_filter_deinit(&mounts->points);
    node_filter_deinit(&mounts->types);
}

// The kernel writes blank, tab, newline and backslash as \ooo (proc(5)).
static Str unescape(Arena *arena, Str text)
{
    if (str_find_char(text, '\\') == STR_NOT_FOUND)
        return arena_str(arena, text);
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned value = 0;
        size_t digits = 0;
        while (text.ptr[i] == '\\' && digits < 3 && i + 1 + digits < text.len &&
               text.ptr[i + 1 + digits] >= '0' && text.ptr[i + 1 + digits] <= '7')
            value = value * 8 + (unsigned)(text.ptr[i + 1 + digits++] - '0');
        if (digits == 3 && value < 256) {
            out[len++] = (char)value;
            i += 3;
        } else {
            out[len++] = text.ptr[i];
        }
    }
    out[len] = 0;
    return str_make(out, len);
}

static bool has_option(Str options, Str wanted)
{
    Str one;
    while (str_split_next(&options, ',', &one))
        if (str_equal(one, wanted))
            return true;
    return false;
}

// The mount point as seen from inside rootfs: "/host/root/var" below "/host/root" is "/var".
static Str strip_rootfs(Str point, Str rootfs)
{
    while (rootfs.len && rootfs.ptr[rootfs.len - 1] == '/')
        rootfs.len--;
    if (rootfs.len == 0 || !str_starts_with(point, rootfs))
        return point;
    Str rest = str_skip(point, rootfs.len);
    return rest.len ? rest : S("/");
}

static const char *add_rootfs(Arena *arena, Str point, Str rootfs)
{
    while (rootfs.len && rootfs.ptr[rootfs.len - 1] == '/')
        rootfs.len--;
    return arena_printf(arena, STR_FMT STR_FMT, STR_ARG(rootfs), STR_ARG(point)).ptr;
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
static bool parse_line(Str line, Str rootfs, Arena *arena, NodeMount *ret_mount)
{
    (void)scan_word(&line); // id
    (void)scan_word(&line); // parent
    Str device_number = scan_word(&line);
    (void)scan_word(&line); // root within the file system
    Str point = scan_word(&line);
    Str options = scan_word(&line);
    Str word;
    while ((word = scan_word(&line)).len && !str_is(word, "-")) // optional fields
        continue;
    Str type = scan_word(&line);
    Str source = scan_word(&line);
    Str super_options = scan_word(&line);
    Str major;
    if (!str_is(word, "-") || type.len == 0 || !str_split_next(&device_number, ':', &major))
        return false;
    if (super_options.len == 0) { // an empty source leaves one word less
        super_options = source;
        source = STR_NONE;
    }
    Str shown = strip_rootfs(unescape(arena, point), rootfs);
    *ret_mount = (NodeMount){
        .device = unescape(arena, source),
        .mountpoint = shown,
        .type = arena_str(arena, type),
        .major = arena_str(arena, major),
        .minor = arena_str(arena, device_number),
        .is_readonly = has_option(options, S("ro")) || has_option(super_options, S("ro")) ||
                       has_option(super_options, S("emergency_ro")),
        .path = add_rootfs(arena, shown, rootfs),
    };
    return true;
}

static size_t count_lines(Str text)
{
    size_t count = 0;
    Str line;
    while (scan_line(&text, &line))
        count++;
    return count;
}

bool node_mounts_update(NodeMounts *mounts, Str text, Str rootfs, Error *err)
{
    if (str_equal(text, mounts->text))
        return true;
    Arena *arena = &mounts->arena;
    arena_reset(arena);
    mounts->count = 0;
    mounts->list = ARENA_ARRAY(arena, NodeMount, count_lines(text));
    mounts->text = STR_NONE;
    Str whole = text;
    Str line;
    CLEANUP(map_deinit) Map seen = {0};
    for (size_t number = 1; scan_line(&text, &line); number++) {
        NodeMount mount;
        if (!parse_line(line, rootfs, arena, &mount))
            return error_set(err, ERR_CORRUPT, "mountinfo:%zu: not a mount", number);
        if (!node_filter_takes(&mounts->points, mount.mountpoint) ||
            !node_filter_takes(&mounts->types, mount.type))
            continue;
        // The labels, set apart by a byte that no path has.
        Str key = arena_printf(arena, STR_FMT "%c" STR_FMT "%c" STR_FMT, STR_ARG(mount.device), 0,
                               STR_ARG(mount.type), 0, STR_ARG(mount.mountpoint));
        mounts->list[mounts->count] = mount;
        if (!map_get(&seen, key)) {
            map_put(&seen, key, mounts);
            mounts->count++;
        }
    }
    mounts->text = arena_str(arena, whole);
    return true;
}
