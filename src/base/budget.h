// SPDX-License-Identifier: Apache-2.0
// budget.h: bytes of memory that may be held, counted before they are allocated.
//
//     all queries together            bytes_max 2 GiB, taken 700 MiB
//       |-- this query                bytes_max 1 GiB, taken 650 MiB     a byte taken here is taken above, too
//       `-- that query
//
// (1) budget_take() refuses; nothing is then taken anywhere, and the budget it was asked of is over. All others go on.
// (2) Small things that cannot be refused where they are needed are forced: the budget is over from then on, and its owner gives up at the
//     next budget_ok().
//
// Thread: any, but for init.
#pragma once

#include "base/error.h"

typedef struct Budget Budget;
struct Budget {
    Budget *parent;     // NULL: the topmost
    const char *name;   // of the limit, for its error: "--query.max-memory"
    const char *holder; // "one query", "all queries together"
    uint64_t bytes_max; // 0: no limit
    uint64_t taken;     // atomic, as all below
    uint64_t peak;
    uint64_t refused;   // of the topmost: budgets below that met a limit
    uint64_t asked;     // by what met a limit
    const Budget *over; // NULL, or the limit that was met: this one or one above
};

// False (and err, ERR_LIMIT, naming the limit and the bytes asked for): nothing was taken.
bool budget_take(Budget *budget, uint64_t bytes, Error *err) MUST_CHECK;
// The same without a word.
bool budget_try(Budget *budget, uint64_t bytes) MUST_CHECK;
void budget_force(Budget *budget, uint64_t bytes);
void budget_give(Budget *budget, uint64_t bytes);
// False (and err, as budget_take) once a limit was met.
bool budget_ok(const Budget *budget, Error *err) MUST_CHECK;
uint64_t budget_taken(const Budget *budget);

// Bytes of memory that this process may use: of its cgroup, of the machine if that is less.
uint64_t memory_limit_bytes(void);
