// SPDX-License-Identifier: Apache-2.0
#include <glob.h>
#include <stdlib.h>

#include "base/log.h"
#include "rules/rules_internal.h"

static int compare_groups(const void *a, const void *b)
{
    const RuleGroup *x = *(RuleGroup *const *)a;
    const RuleGroup *y = *(RuleGroup *const *)b;
    int order = str_compare(x->file, y->file);
    return order ? order : str_compare(x->name, y->name);
}

typedef struct Loading {
    const RulesConfig *config;
    Arena *arena;
    Map files; // seen
    RuleSet *set;
    StrList errors;
} Loading;

static void add_errors(Loading *loading, StrList more)
{
    StrList *all = &loading->errors;
    all->items = arena_grow(loading->arena, all->items, all->count * sizeof(Str),
                            (all->count + more.count) * sizeof(Str));
    memcpy(all->items + all->count, more.items, more.count * sizeof(Str));
    all->count += more.count;
}

static void add_group(Loading *loading, RuleGroup *group)
{
    RuleSet *set = loading->set;
    if (set->count == set->cap) {
        set->cap = set->cap ? set->cap * 2 : 16;
        set->groups = x_realloc(set->groups, set->cap * sizeof(RuleGroup *));
    }
    set->groups[set->count++] = group;
}

static void load_file(Loading *loading, Str path)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    RuleFile file;
    StrList errors;
    if (!rule_file_load(path, &loading->config->file, &scratch, &file, &errors)) {
        for (size_t i = 0; i < errors.count; i++)
            errors.items[i] = arena_str(loading->arena, errors.items[i]);
        add_errors(loading, errors);
        return;
    }
    if (file.second_line)
        log_warn("only the first YAML document of a rule file is read, ignoring the others",
                 KV("file", path), KV("line", file.second_line));
    for (size_t i = 0; i < file.groups.count; i++) {
        RuleGroup *group;
        Error err = {0};
        if (rule_group_new(loading->config, path, (const RuleGroupSpec *)file.groups.items + i,
                           &group, &err)) {
            add_group(loading, group);
        } else {
            Str text = arena_printf(loading->arena, STR_FMT ": %s", STR_ARG(path), err.text);
            add_errors(loading, (StrList){&text, 1});
        }
    }
}

static void load_pattern(Loading *loading, Str pattern)
{
    glob_t found = {0};
    // No match is no mistake: the folder may be filled later.
    if (glob(str_to_c(loading->arena, pattern), 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            Str path = arena_str(loading->arena, str_from_c(found.gl_pathv[i]));
            if (!map_put(&loading->files, path, loading))
                load_file(loading, path);
        }
    globfree(&found);
}

bool rule_set_load(const RulesConfig *config, Arena *arena, RuleSet **ret_set, StrList *ret_errors,
                   Error *err)
{
    Loading loading = {.config = config, .arena = arena, .set = X_NEW(RuleSet)};
    for (size_t i = 0; i < config->pattern_count; i++)
        load_pattern(&loading, config->patterns[i]);
    map_deinit(&loading.files);
    if (loading.errors.count) {
        rule_set_free(loading.set);
        if (ret_errors)
            *ret_errors = loading.errors;
        return error_set(err, ERR_INVALID, STR_FMT, STR_ARG(loading.errors.items[0]));
    }
    if (loading.set->count)
        qsort(loading.set->groups, loading.set->count, sizeof(RuleGroup *), compare_groups);
    *ret_set = loading.set;
    return true;
}

void rule_set_free(RuleSet *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        rule_group_unref(set->groups[i]);
    free(set->groups);
    free(set);
}
