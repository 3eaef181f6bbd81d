// SPDX-License-Identifier: Apache-2.0
// am_route.h: the tree by which alerts find receivers: alertmanager.md section 3.
//
// An AmRoute never changes. What a node does not say has come from its parent.
#pragma once

#include "alertmanager/am_config.h"

typedef struct AmRoute AmRoute;
struct AmRoute {
    const AmRoute *parent;
    AmMatchers matchers;
    Str receiver;
    Str *group_by; // sorted
    size_t group_by_count;
    bool group_by_all;
    int64_t group_wait_ms, group_interval_ms, repeat_interval_ms;
    const AmInterval **mute, **active;
    size_t mute_count, active_count;
    ConfigStrMap labels;
    bool goes_on;
    AmRoute *children;
    size_t child_count;
    Str key; // "{}/{a="b"}": of group keys
    Str id;  // the same with the place among siblings: unique
};

typedef struct AmRouteTree {
    Arena arena;
    AmRoute *root;
    Matcher **owned; // compiled for the tree
    size_t owned_count;
} AmRouteTree;

// `config` must outlive it. ret_tree is to be zeroed; am_route_tree_deinit it on failure, too.
bool am_route_tree_init(AmRouteTree *tree, const AmConfig *config, Error *err) MUST_CHECK;
void am_route_tree_deinit(AmRouteTree *tree);

// Routes that an alert takes, in order. The list grows as needed and may be used again.
typedef struct AmRouteList {
    const AmRoute **items;
    size_t count, cap;
} AmRouteList;
void am_route_match(const AmRoute *root, Labels labels, AmRouteList *list);
void am_route_list_deinit(AmRouteList *list);

// Labels by which the route groups; in the arena, strings are shared.
Labels am_route_group_labels(const AmRoute *route, Labels labels, Arena *arena);
