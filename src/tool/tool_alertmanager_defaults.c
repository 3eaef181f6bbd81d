// SPDX-License-Identifier: Apache-2.0
// Files of defaults for amtool's flags: a flat map, ~/.config/amtool/config.yml before /etc/amtool/config.yml, and where Debian has them.
#include <stdlib.h>

#include "base/fs.h"
#include "codec/yaml.h"
#include "tool/tool_alertmanager.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define DEFAULTS_MAX 100

typedef struct Defaults {
    Str names[DEFAULTS_MAX];
    Str values[DEFAULTS_MAX];
    size_t count;
} Defaults;

static bool has(const Defaults *defaults, Str name)
{
    for (size_t i = 0; i < defaults->count; i++)
        if (str_equal(defaults->names[i], name))
            return true;
    return false;
}

// The first file that names a flag wins.
static bool take_pair(Defaults *defaults, Str path, const YamlNode *map, const YamlNode *key,
                      const YamlNode *value, Error *err)
{
    Str name = key->scalar;
    if (value->kind != YAML_SCALAR)
        return error_set(err, ERR_INVALID, STR_FMT ":%d:%d: the value of " STR_FMT " is no text",
                         STR_ARG(path), value->line, value->column, STR_ARG(str_sub(name, 0, 100)));
    if (str_is(name, "comment_required")) {
        name = S("require-comment");
        if (yaml_get(map, name))
            return true;
    }
    if (has(defaults, name))
        return true;
    if (defaults->count == DEFAULTS_MAX)
        return error_set(err, ERR_LIMIT, STR_FMT ": more than %d flags", STR_ARG(path),
                         DEFAULTS_MAX);
    defaults->names[defaults->count] = name;
    defaults->values[defaults->count++] = value->scalar;
    return true;
}

static bool read_file(Defaults *defaults, Str path, Arena *arena, Error *err)
{
    Str text;
    YamlNode *root;
    if (!fs_exists(&fs_system, path))
        return true;
    if (!fs_read_file(&fs_system, path, arena, FILE_BYTES_MAX, &text, err) ||
        !config_yaml(text, path, arena, &root, err))
        return error_context(err, "could not load config file");
    if (root->kind != YAML_MAPPING && root->kind != YAML_NULL)
        return error_set(err, ERR_INVALID, "could not load config file: " STR_FMT ": no map",
                         STR_ARG(path));
    for (size_t i = 0; i < root->count; i++)
        if (!take_pair(defaults, path, root, root->keys[i], root->items[i], err))
            return error_context(err, "could not load config file");
    return true;
}

static bool read_all(Defaults *defaults, Arena *arena, Error *err)
{
    const char *home = getenv("HOME");
    const char *folders[] = {home, home, NULL, NULL};
    static const char *const paths[] = {".config/amtool/config.yml",
                                        ".config/prometheus/amtool.yml", "/etc/amtool/config.yml",
                                        "/etc/prometheus/amtool.yml"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        Str path = str_from_c(paths[i]);
        if (paths[i][0] != '/') {
            if (!folders[i])
                continue;
            path = fs_join(arena, str_from_c(folders[i]), path);
        }
        if (!read_file(defaults, path, arena, err))
            return false;
    }
    return true;
}

static const FlagSpec *flag_of(const FlagTable *table, Str name)
{
    for (size_t i = 0; i < table->count; i++)
        if (str_is(name, table->flags[i].name))
            return &table->flags[i];
    return NULL;
}

static bool is_flag(Str arg, Str name)
{
    if (!str_starts_with(arg, name))
        return false;
    return arg.len == name.len || arg.ptr[name.len] == '=';
}

static bool is_given(const FlagSpec *flag, char **args, int count)
{
    for (int i = 0; i < count; i++) {
        Str arg = str_from_c(args[i]);
        if (str_is(arg, "--"))
            return false;
        if (arg.len > 1 && arg.ptr[0] == '-' && flag->short_name && arg.ptr[1] == flag->short_name)
            return true;
        if (!str_starts_with(arg, S("--")))
            continue;
        arg = str_skip(arg, 2);
        if (is_flag(arg, str_from_c(flag->name)) ||
            (str_starts_with(arg, S("no-")) && is_flag(str_skip(arg, 3), str_from_c(flag->name))))
            return true;
    }
    return false;
}

bool tool_am_defaults(const FlagTable *table, Arena *arena, char ***args, int *count, Error *err)
{
    Defaults *defaults = ARENA_NEW(arena, Defaults);
    if (!read_all(defaults, arena, err))
        return false;
    char **all = ARENA_ARRAY(arena, char *, defaults->count + (size_t)*count + 1);
    int at = 0;
    for (size_t i = 0; i < defaults->count; i++) {
        const FlagSpec *flag = flag_of(table, defaults->names[i]);
        if (!flag || is_given(flag, *args, *count))
            continue;
        Str arg = arena_printf(arena, "--%s=" STR_FMT, flag->name, STR_ARG(defaults->values[i]));
        all[at++] = str_to_c(arena, arg);
    }
    for (int i = 0; i < *count; i++)
        all[at++] = (*args)[i];
    *args = all;
    *count = at;
    return true;
}
