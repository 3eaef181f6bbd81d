// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_route.h"

#include <stdlib.h>

#define GROUP_WAIT_MS 30000
#define GROUP_INTERVAL_MS 300000
#define REPEAT_INTERVAL_MS 14400000

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static void set_group_by(AmRouteTree *tree, AmRoute *route, const AmRouteConfig *config)
{
    if (!config->has_group_by)
        return;
    route->group_by_all = config->group_by.count > 0 && str_is(config->group_by.items[0], "...");
    route->group_by_count = route->group_by_all ? 0 : config->group_by.count;
    route->group_by = ARENA_ARRAY(&tree->arena, Str, route->group_by_count + 1);
    for (size_t i = 0; i < route->group_by_count; i++)
        route->group_by[i] = config->group_by.items[i];
    if (route->group_by_count > 1)
        qsort(route->group_by, route->group_by_count, sizeof(Str), compare_names);
}

static bool add_old_matchers(AmRouteTree *tree, AmMatchers *all, ConfigStrMap map, MatchKind kind,
                             Error *err)
{
    for (size_t i = 0; i < map.count; i++) {
        Matcher *m = &all->items[all->count];
        Str value = map.values[i];
        // The old form shows its anchors.
        if (kind == MATCH_REGEX)
            value = arena_printf(&tree->arena, "^(?:" STR_FMT ")$", STR_ARG(value));
        if (!am_matcher_init(m, kind, map.keys[i], value, &tree->arena, err))
            return false;
        tree->owned = arena_grow(&tree->arena, tree->owned, tree->owned_count * sizeof *tree->owned,
                                 (tree->owned_count + 1) * sizeof *tree->owned);
        tree->owned[tree->owned_count++] = m;
        all->count++;
    }
    return true;
}

static bool set_matchers(AmRouteTree *tree, AmRoute *route, const AmRouteConfig *config, Error *err)
{
    size_t max = config->match.count + config->match_re.count + config->matchers.count;
    AmMatchers all = {arena_zalloc(&tree->arena, (max + 1) * sizeof(Matcher)), 0};
    if (!add_old_matchers(tree, &all, config->match, MATCH_EQUAL, err) ||
        !add_old_matchers(tree, &all, config->match_re, MATCH_REGEX, err))
        return false;
    // Sorting moves matchers: those that the tree owns are freed by their copies.
    AmMatchers sorted = {arena_zalloc(&tree->arena, (max + 1) * sizeof(Matcher)), 0};
    memcpy(sorted.items, all.items, all.count * sizeof(Matcher));
    if (config->matchers.count)
        memcpy(sorted.items + all.count, config->matchers.items,
               config->matchers.count * sizeof(Matcher));
    sorted.count = max;
    am_matchers_sort(&sorted);
    route->matchers = sorted;
    return true;
}

static const AmInterval **find_intervals(AmRouteTree *tree, const AmConfig *config,
                                         const ConfigStrList *names)
{
    const AmInterval **all = ARENA_ARRAY(&tree->arena, const AmInterval *, names->count + 1);
    for (size_t i = 0; i < names->count; i++)
        all[i] = am_config_interval(config, names->items[i]);
    return all;
}

// The parent's labels under the route's own.
static ConfigStrMap merge_labels(Arena *arena, ConfigStrMap under, ConfigStrMap over)
{
    ConfigStrMap all = {ARENA_ARRAY(arena, Str, under.count + over.count + 1),
                        ARENA_ARRAY(arena, Str, under.count + over.count + 1), 0};
    for (size_t i = 0; i < under.count + over.count; i++) {
        const ConfigStrMap *from = i < under.count ? &under : &over;
        size_t at = i < under.count ? i : i - under.count;
        size_t k = 0;
        while (k < all.count && !str_equal(all.keys[k], from->keys[at]))
            k++;
        all.keys[k] = from->keys[at];
        all.values[k] = from->values[at];
        all.count = MAX(all.count, k + 1);
    }
    return all;
}

static void set_keys(AmRouteTree *tree, AmRoute *route, size_t index)
{
    CLEANUP(buf_deinit) Buf text = {0};
    am_matchers_print(&text, &route->matchers);
    if (!route->parent) {
        route->key = route->id = S("{}");
        return;
    }
    route->key = arena_printf(&tree->arena, STR_FMT "/" STR_FMT, STR_ARG(route->parent->key),
                              STR_ARG(buf_str(&text)));
    route->id = arena_printf(&tree->arena, STR_FMT "/" STR_FMT "/%zu", STR_ARG(route->parent->id),
                             STR_ARG(buf_str(&text)), index);
}

static int64_t own_or(AmDuration own, int64_t inherited_ms)
{
    return own.is_set ? own.ms : inherited_ms;
}

static bool build(AmRouteTree *tree, const AmConfig *config, const AmRouteConfig *from,
                  const AmRoute *parent, size_t index, AmRoute *route, Error *err)
{
    const AmRouteConfig *children = from->routes.items;
    *route = parent ? *parent
                    : (AmRoute){.group_wait_ms = GROUP_WAIT_MS,
                                .group_interval_ms = GROUP_INTERVAL_MS,
                                .repeat_interval_ms = REPEAT_INTERVAL_MS};
    route->parent = parent;
    if (from->receiver.len)
        route->receiver = from->receiver;
    set_group_by(tree, route, from);
    route->group_wait_ms = own_or(from->group_wait, route->group_wait_ms);
    route->group_interval_ms = own_or(from->group_interval, route->group_interval_ms);
    route->repeat_interval_ms = own_or(from->repeat_interval, route->repeat_interval_ms);
    route->mute = find_intervals(tree, config, &from->mute_time_intervals);
    route->mute_count = from->mute_time_intervals.count;
    route->active = find_intervals(tree, config, &from->active_time_intervals);
    route->active_count = from->active_time_intervals.count;
    route->labels = merge_labels(&tree->arena, route->labels, from->labels);
    route->goes_on = from->goes_on;
    if (!set_matchers(tree, route, from, err))
        return false;
    set_keys(tree, route, index);
    route->child_count = from->routes.count;
    route->children =
        arena_zalloc(&tree->arena, (route->child_count + 1) * sizeof *route->children);
    for (size_t i = 0; i < route->child_count; i++)
        if (!build(tree, config, &children[i], route, i, &route->children[i], err))
            return false;
    return true;
}

bool am_route_tree_init(AmRouteTree *tree, const AmConfig *config, Error *err)
{
    tree->root = ARENA_NEW(&tree->arena, AmRoute);
    return build(tree, config, config->file.route, NULL, 0, tree->root, err);
}

void am_route_tree_deinit(AmRouteTree *tree)
{
    for (size_t i = 0; i < tree->owned_count; i++)
        matcher_deinit(tree->owned[i]);
    arena_deinit(&tree->arena);
    *tree = (AmRouteTree){0};
}

static void add_route(AmRouteList *list, const AmRoute *route)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->items = x_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->count++] = route;
}

static bool match(const AmRoute *route, Labels labels, AmRouteList *list)
{
    size_t before = list->count;
    if (!am_matchers_match(&route->matchers, labels))
        return false;
    for (size_t i = 0; i < route->child_count; i++)
        if (match(&route->children[i], labels, list) && !route->children[i].goes_on)
            break;
    if (list->count == before)
        add_route(list, route);
    return true;
}

void am_route_match(const AmRoute *root, Labels labels, AmRouteList *list)
{
    list->count = 0;
    (void)match(root, labels, list);
}

void am_route_list_deinit(AmRouteList *list)
{
    free(list->items);
    *list = (AmRouteList){0};
}

Labels am_route_group_labels(const AmRoute *route, Labels labels, Arena *arena)
{
    if (route->group_by_all)
        return labels;
    Label *pairs = ARENA_ARRAY(arena, Label, route->group_by_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < route->group_by_count; i++) {
        Str value = labels_get(labels, route->group_by[i]);
        if (value.len)
            pairs[count++] = (Label){route->group_by[i], value};
    }
    return (Labels){pairs, count};
}
