// SPDX-License-Identifier: Apache-2.0
// Between a group that is due and the telling, where instances share an engine: the one that tells has claimed the group's row of the
// log there, and has seen what it says.
//
//     claim --granted, or the engine is away--> tell
//       |  '--stale: the log says more than was known--> decide again --nothing to tell--> done
//       '----busy: another one is about to tell--> a moment later again, until the flush's deadline
#include <xxhash.h>

#include "alertmanager/am_task.h"
#include "base/log.h"

#define BUSY_RETRY_MS 250

static void on_timer(void *arg)
{
    am_claim_begin(arg);
}

static void wait_a_moment(AmTask *task)
{
    const AmFlush *flush = task->flush;
    int64_t at = clock_mono_ns(flush->am->clock) + BUSY_RETRY_MS * AM_MS_NS;
    if (at > flush->deadline_mono_ns) {
        log_warn("another instance was about to notify until the end, skipping",
                 KV("receiver", flush->group->route->receiver),
                 KV("integration", task->integration->kind->name), KV("group", flush->group->key));
        am_notify_end(task, false);
        return;
    }
    if (!task->claim_timer)
        task->claim_timer = loop_timer_new(flush->am->loop, on_timer, task);
    loop_timer_set(task->claim_timer, at);
}

// True if there is still something to tell.
static bool look_again(AmTask *task, const AmRow *row)
{
    Am *am = task->flush->am;
    Error err = {0};
    lock_take(&am->lock);
    if (!am_log_merge(&am->log, row->body, am_now_ns(am->clock), &err))
        log_error("an entry of the shared notification log cannot be read, ignoring",
                  KV("err", &err));
    task->seen_ns = MAX(task->seen_ns, row->at_ns);
    bool wants = am_notify_decide_again(task);
    lock_give(&am->lock);
    return wants;
}

// What another instance told may have come with its rows while this one waited.
static bool wants_still(AmTask *task)
{
    Am *am = task->flush->am;
    lock_take(&am->lock);
    bool wants = am_notify_decide_again(task);
    lock_give(&am->lock);
    return wants;
}

static void on_answer(AmClaim *claim)
{
    AmTask *task = claim->arg;
    AmVerdict verdict = claim->verdict;
    if (!task) {
        am_shared_finish(claim->shared, claim, NULL);
        return;
    }
    task->is_claiming = false;
    bool may = verdict == AM_CLAIM_GRANTED || verdict == AM_CLAIM_ALONE;
    bool wants = verdict == AM_CLAIM_STALE ? look_again(task, &claim->row) : wants_still(task);
    if (may && wants) {
        am_notify_go(task);
        return;
    }
    am_claim_drop(task);
    if (!wants)
        am_notify_end(task, true);
    else if (verdict == AM_CLAIM_BUSY)
        wait_a_moment(task);
    else
        am_claim_begin(task);
}

void am_claim_begin(AmTask *task)
{
    CLEANUP(buf_deinit) Buf key = {0};
    const AmFlush *flush = task->flush;
    (void)am_log_key(&key, flush->group->key, flush->group->route->receiver,
                     task->integration->kind->name, task->integration->index);
    task->is_claiming = true;
    task->claim = am_shared_claim(flush->am->shared, buf_str(&key), task->seen_ns, on_answer, task);
}

void am_claim_drop(AmTask *task)
{
    if (!task->claim)
        return;
    if (task->is_claiming)
        task->claim->arg = NULL;
    else
        am_shared_finish(task->claim->shared, task->claim, NULL);
    task->is_claiming = false;
    task->claim = NULL;
}

bool am_claim_holds(AmTask *task)
{
    if (!task->claim || am_shared_may_send(task->claim->shared, task->claim))
        return true;
    am_claim_drop(task);
    am_claim_begin(task);
    return false;
}

Str am_claim_idempotency(const AmTask *task, Arena *arena)
{
    CLEANUP(buf_deinit) Buf bytes = {0};
    const AmFlush *flush = task->flush;
    (void)am_log_key(&bytes, flush->group->key, flush->group->route->receiver,
                     task->integration->kind->name, task->integration->index);
    buf_add(&bytes, &task->seen_ns, sizeof task->seen_ns);
    buf_add(&bytes, &task->firing_count, sizeof task->firing_count);
    buf_add(&bytes, task->firing, task->firing_count * sizeof *task->firing);
    buf_add(&bytes, task->resolved, task->resolved_count * sizeof *task->resolved);
    XXH128_hash_t hash = XXH3_128bits(bytes.ptr, bytes.len);
    return arena_printf(arena, "%016llx%016llx", (unsigned long long)hash.high64,
                        (unsigned long long)hash.low64);
}
