// SPDX-License-Identifier: Apache-2.0
// am_dispatch.h: alerts gathered into groups, and when each group is due: alertmanager.md section 10.
//
//     am_dispatch_alert --> group (route, labels) --due--> am_dispatch_take --> flush --> am_dispatch_finish
//           new: now + group_wait            '--- re-armed: + group_interval <---'
//
// (1) A group that is being flushed is not taken again; if it was due meanwhile it is due at once when the flush ends.
// (2) A group without alerts is gone.
//
// Times are given: nothing here looks at a clock. Thread: belongs to the lock of Am.
#pragma once

#include "alertmanager/am_route.h"
#include "alertmanager/am_template.h"
#include "base/map.h"

struct AmEvents;

typedef struct AmGroup {
    Arena arena;
    const AmRoute *route;
    Labels labels;
    Str id;                    // route id and labels
    Str key;                   // the group key that receivers see
    AmTable alerts;            // fingerprint to AmAlert
    uint64_t uuid[2], flushes; // for events
    int64_t due_mono_ns;
    size_t heap_at;
    bool has_flushed, is_running, is_late;
} AmGroup;

typedef struct AmDispatch {
    const AmRoute *root;
    Map groups;     // by id
    AmGroup **heap; // by due time
    size_t heap_count, heap_cap;
    int64_t start_mono_ns;   // nothing is due before
    struct AmEvents *events; // told of alerts that come into a group and leave it; may be NULL
    AmRouteList scratch;
    Buf scratch_id;
    Arena scratch_arena, scratch_labels;
} AmDispatch;

void am_dispatch_init(AmDispatch *dispatch, const AmRoute *root, int64_t start_mono_ns);
void am_dispatch_deinit(AmDispatch *dispatch);

void am_dispatch_alert(AmDispatch *dispatch, AmAlert *alert, int64_t now_ns, int64_t mono_ns);
// The group of a route that these alert labels belong to; NULL if there is none.
const AmGroup *am_dispatch_find(AmDispatch *dispatch, const AmRoute *route, Labels labels);
// When the next group is due; INT64_MAX if none is.
int64_t am_dispatch_due(const AmDispatch *dispatch);
// A group that is due, marked as running and re-armed; NULL if none is.
AmGroup *am_dispatch_take(AmDispatch *dispatch, int64_t mono_ns);
// Its alerts, sorted, each referenced.
AmNote *am_group_notes(const AmGroup *group, int64_t now_ns, Arena *arena, size_t *ret_count);
// Ends a flush. `ok`: what was resolved in `notes` and has not changed since is dropped, an empty group with it.
void am_dispatch_finish(AmDispatch *dispatch, AmGroup *group, const AmNote *notes, size_t count,
                        bool ok, int64_t mono_ns);
