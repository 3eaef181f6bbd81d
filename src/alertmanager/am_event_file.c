// SPDX-License-Identifier: Apache-2.0
// Events to files and to standard output: written when they come. A file is opened for each batch of lines, so that one that was moved
// away is made anew.
#include <errno.h>
#include <unistd.h>

#include "alertmanager/am_event_output.h"
#include "base/fs.h"

static void add_lines(Buf *text, const AmEventLine *lines)
{
    for (const AmEventLine *l = lines; l; l = l->next)
        buf_add(text, l->text, l->len);
}

static bool open_output(AmEventOutput *output, Error *err)
{
    (void)output;
    (void)err;
    return true;
}

static Str file_name(const void *settings, Arena *arena)
{
    return arena_printf(arena, "file:" STR_FMT, STR_ARG(((const AmEventFile *)settings)->path));
}

static bool take_file(AmEventOutput *output, AmEventLine *lines, Error *err)
{
    CLEANUP(buf_deinit) Buf text = {0};
    File file;
    if (!fs_open(&fs_system, ((const AmEventFile *)output->settings)->path, FS_APPEND, &file, err))
        return false;
    add_lines(&text, lines);
    bool ok = file_write(&file, buf_str(&text), err);
    file_close(&file);
    return ok;
}

static Str stdout_name(const void *settings, Arena *arena)
{
    (void)settings;
    (void)arena;
    return S("stdout");
}

static bool take_stdout(AmEventOutput *output, AmEventLine *lines, Error *err)
{
    CLEANUP(buf_deinit) Buf text = {0};
    (void)output;
    add_lines(&text, lines);
    for (Str rest = buf_str(&text); rest.len;) {
        ssize_t wrote = write(STDOUT_FILENO, rest.ptr, rest.len);
        if (wrote < 0)
            return error_set_errno(err, errno, "stdout");
        rest = str_skip(rest, (size_t)wrote);
    }
    return true;
}

const AmEventOutputKind am_event_file = {
    .name = "file",
    .table = &am_event_file_table,
    .name_of = file_name,
    .open = open_output,
    .take = take_file,
    .close = am_event_output_gone,
    .abort = am_event_output_gone,
};
const AmEventOutputKind am_event_stdout = {
    .name = "stdout",
    .table = &am_event_stdout_table,
    .name_of = stdout_name,
    .open = open_output,
    .take = take_stdout,
    .close = am_event_output_gone,
    .abort = am_event_output_gone,
};
