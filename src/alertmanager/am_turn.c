// SPDX-License-Identifier: Apache-2.0
// Not all groups that are due at once are made into requests at once: what is under way is limited in bytes, but each integration may
// always have a few requests, so that none waits for another that is slow.
#include "alertmanager/am_task.h"

#define SENDING_BYTES_MAX ((size_t)8 << 20)
#define SENDING_ALWAYS 8

static bool may_send(const AmTask *task)
{
    return task->flush->am->sending_bytes < SENDING_BYTES_MAX ||
           task->integration->sending < SENDING_ALWAYS;
}

static void wait_for_turn(AmTask *task)
{
    Am *am = task->flush->am;
    if (am->last_waiting)
        am->last_waiting->next_waiting = task;
    else
        am->first_waiting = task;
    am->last_waiting = task;
    task->next_waiting = NULL;
    task->is_waiting = true;
}

static void unlink_waiting(Am *am, AmTask *previous, AmTask *task)
{
    if (previous)
        previous->next_waiting = task->next_waiting;
    else
        am->first_waiting = task->next_waiting;
    if (am->last_waiting == task)
        am->last_waiting = previous;
    task->is_waiting = false;
}

bool am_turn_take(AmTask *task)
{
    if (!may_send(task)) {
        wait_for_turn(task);
        return false;
    }
    task->is_sending = true;
    task->integration->sending++;
    return true;
}

void am_turn_count(AmTask *task, size_t bytes)
{
    task->flush->am->sending_bytes += bytes;
    task->sending_bytes += bytes;
}

static void leave_list(AmTask *task)
{
    Am *am = task->flush->am;
    AmTask *previous = NULL;
    for (AmTask *t = am->first_waiting; t != task; t = t->next_waiting)
        previous = t;
    unlink_waiting(am, previous, task);
}

// On the loop, from its queue: an attempt that ends at once must not begin the next one inside of itself.
static void start_next(void *arg)
{
    Am *am = arg;
    AmTask *previous = NULL;
    am->turn_is_posted = false;
    for (AmTask *t = am->first_waiting; t;
         t = previous ? previous->next_waiting : am->first_waiting) {
        if (!may_send(t)) {
            previous = t;
            continue;
        }
        unlink_waiting(am, previous, t);
        am_notify_attempt(t);
        // What that did to the list is not known here.
        previous = NULL;
    }
}

void am_turn_end(AmTask *task)
{
    Am *am = task->flush->am;
    if (task->is_waiting)
        leave_list(task);
    if (!task->is_sending)
        return;
    task->is_sending = false;
    task->integration->sending--;
    am->sending_bytes -= task->sending_bytes;
    task->sending_bytes = 0;
    if (am->first_waiting && !am->turn_is_posted) {
        am->turn_is_posted = true;
        loop_post(am->loop, start_next, am);
    }
}
