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

// Why an integration's last attempt to tell a group failed. There is none once one has gone well.
typedef struct AmGroupFault {
    struct AmGroupFault *next;
    const char *kind; // of the integration
    size_t index;
    int64_t at_ns;
    int attempts; // of this notification so far
    Str text;     // stands behind
} AmGroupFault;

// What the last flush found out about an alert of a group; the marks of AmGroup.alerts. An alert that no flush has seen has none.
typedef enum AmGroupMark {
    AM_GROUP_SEEN = 1,
    AM_GROUP_INHIBITED = 2,
    AM_GROUP_SILENCED = 4,
} AmGroupMark;

typedef struct AmGroup {
    const AmRoute *route;
    Labels labels;
    Str id;                    // route id and labels
    Str key;                   // the group key that receivers see
    AmTable alerts;            // fingerprint to AmAlert
    uint64_t uuid[2], flushes; // for events
    int64_t due_mono_ns;
    int64_t timed_ns; // of the last flush that asked the time intervals; 0: none has
    size_t heap_at;
    AmGroupFault *faults; // on the heap
    bool has_flushed, is_running, is_late;
    Label pairs[]; // labels; all text stands behind them
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

// What became of an attempt of kind[index] to tell the group; `fault` has no text (STR_NONE) if it went well.
void am_group_attempted(AmGroup *group, const char *kind, size_t index, Str fault, int attempts,
                        int64_t now_ns);
// NULL: the last one went well, or none was made.
const AmGroupFault *am_group_fault(const AmGroup *group, const char *kind, size_t index);

void am_dispatch_alert(AmDispatch *dispatch, AmAlert *alert, int64_t now_ns, int64_t mono_ns);
// The group of a route that these alert labels belong to; NULL if there is none.
const AmGroup *am_dispatch_find(AmDispatch *dispatch, const AmRoute *route, Labels labels);
// When the next group is due; INT64_MAX if none is.
int64_t am_dispatch_due(const AmDispatch *dispatch);
// A group that is due, marked as running and re-armed; NULL if none is.
AmGroup *am_dispatch_take(AmDispatch *dispatch, int64_t mono_ns);
// Its alerts, sorted, each referenced.
AmNote *am_group_notes(const AmGroup *group, int64_t now_ns, Arena *arena, size_t *ret_count);
// Those that are not resolved, in the same order; `out` has room for all. Returns how many.
size_t am_notes_firing(const AmNote *notes, size_t count, AmNote *out);
// Sets or takes away one of the marks of an alert; without effect if the group has it no more.
void am_group_note(AmGroup *group, const AmAlert *alert, AmGroupMark mark, bool is_set);
// Ends a flush. `ok`: what was resolved in `notes` and has not changed since is dropped, an empty group with it.
void am_dispatch_finish(AmDispatch *dispatch, AmGroup *group, const AmNote *notes, size_t count,
                        bool ok, int64_t mono_ns);
