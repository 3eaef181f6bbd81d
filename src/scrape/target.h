// SPDX-License-Identifier: Apache-2.0
// target.h: from what discovery found to what is scraped: labels, URL, identity, place in time.
// Facts: prometheus.md sections 1.6 (end) and 5.1 (Timing).
#pragma once

#include "scrape/scrape_config.h"

// Everything lives in the arena that it was made in.
typedef struct TargetSpec {
    Labels discovered; // before relabelling, defaults filled in
    Labels all;        // after it, with the labels that begin with "__"
    Labels labels;     // those that samples get
    Str url;
    Str unix_socket; // its path; empty: the URL's host is asked
    uint64_t hash;   // of all and url: equal means the same target
    int64_t interval_ms;
    int64_t timeout_ms;
    ScrapeSwitches switches; // the job's, overridden by labels
} TargetSpec;

typedef enum TargetVerdict {
    TARGET_KEPT,
    TARGET_DROPPED, // by a rule: only `discovered` is filled
    TARGET_BAD,     // err tells why
} TargetVerdict;

// Own labels win over the group's, those over the job's defaults; then the job's rules run.
TargetVerdict target_build(const ScrapeConfig *config, Labels group, Labels own, Arena *arena,
                           TargetSpec *ret_spec, Error *err);

// Targets of one interval begin their scrapes on a grid of this width, about a dozen at a time while there are so many: the code and the kernel's paths are
// in the caches for all but the first, and there is one wakeup for all. With more targets the grid gets finer, the points of a wider one are its own.
int64_t target_grid_ns(int64_t interval_ns, size_t targets);
// Where in its interval a target's scrapes begin. `seed` tells servers apart.
int64_t target_phase_ns(uint64_t hash, uint64_t seed, int64_t interval_ns, int64_t grid_ns);
// Nanoseconds to wait for a scrape that was due at `missed_ns` and is made up for, of those since `since_ns` (`missed_ns` is not before): none for those of
// the first point of the grid, the others follow eight times as fast as they were due, so that not all come at once.
int64_t target_make_up_ns(int64_t missed_ns, int64_t since_ns, int64_t grid_ns);
// Nanoseconds from now to the first scrape, so that a target keeps its phase across restarts.
int64_t target_offset_ns(int64_t phase_ns, int64_t interval_ns, int64_t now_ns);

// FNV-1a, 64 bits.
#define FNV_INIT 14695981039346656037ULL
uint64_t fnv_add(uint64_t hash, Str bytes);
