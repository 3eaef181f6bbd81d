// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "remote/remote_queue.h"

struct RemoteOut {
    RemoteOutOptions options; // its strings live in the arena
    Arena arena;
    Feed *feed;
    RemoteFamilies families;
    Lock lock; // guards the list against remote_out_needed_segment
    RemoteQueue **queues;
    size_t count;
    bool changing; // queues are on their way: everything is needed
};

RemoteOut *remote_out_new(const RemoteOutOptions *options, Feed *feed)
{
    RemoteOut *out = X_NEW(RemoteOut);
    out->options = *options;
    out->options.dir = arena_str(&out->arena, options->dir);
    out->feed = feed;
    lock_init(&out->lock, "remote_out", 770);
    remote_families_init(&out->families, options->registry);
    return out;
}

// Stops them side by side: all share the one deadline.
static void stop_queues(RemoteOut *out, RemoteQueue **queues, size_t count)
{
    int64_t end_ns = clock_mono_ns(&clock_system) + out->options.flush_deadline_ms * 1000000;
    for (size_t i = 0; i < count; i++)
        remote_queue_stop(queues[i]);
    for (size_t i = 0; i < count; i++) {
        while (!atomic_load(&queues[i]->drained) && clock_mono_ns(&clock_system) < end_ns)
            usleep(10000);
        remote_queue_free(queues[i]);
    }
}

void remote_out_free(RemoteOut *out)
{
    if (!out)
        return;
    stop_queues(out, out->queues, out->count);
    free(out->queues);
    lock_deinit(&out->lock);
    arena_deinit(&out->arena);
    free(out);
}

// What a queue's place is kept under: its name, or the hash of its URL and which of the blocks with that URL it is.
static Str key_of(const ConfigList *writes, size_t index, Arena *arena)
{
    const RemoteWriteConfig *configs = writes->items;
    const RemoteWriteConfig *config = &configs[index];
    size_t same = 0;
    for (size_t i = 0; i < index; i++)
        same += configs[i].name.len == 0 && str_equal(configs[i].url, config->url);
    Hash128 hash = str_hash128(config->name.len ? config->name : config->url);
    return arena_printf(arena, "%s-%016llx-%zu.places", config->name.len ? "name" : "url",
                        (unsigned long long)(hash.low ^ hash.high), config->name.len ? 0 : same);
}

static Str fingerprint_of(const RemoteOutConfig *config, size_t index, Arena *arena)
{
    Buf text = {0};
    const RemoteWriteConfig *write = (const RemoteWriteConfig *)config->writes.items + index;
    buf_add_str(&text, config_fingerprint(arena, &remote_write_config_table, write));
    labels_print(&text, config->external);
    Str copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static RemoteQueue *queue_new(RemoteOut *out, const RemoteOutConfig *config, size_t index)
{
    RemoteQueue *queue = X_NEW(RemoteQueue);
    queue->options = &out->options;
    queue->families = &out->families;
    queue->feed = out->feed;
    queue->config = (const RemoteWriteConfig *)config->writes.items + index;
    queue->owner = *config;
    queue->owner.external = labels_copy(&queue->arena, config->external);
    if (config->ref)
        config->ref(config->owner);
    queue->is_first = index == 0;
    queue->key = key_of(&config->writes, index, &queue->arena);
    queue->name = remote_write_config_name(queue->config, &queue->arena);
    queue->fingerprint = fingerprint_of(config, index, &queue->arena);
    queue->path = fs_join(&queue->arena, out->options.dir, queue->key);
    return queue;
}

// Takes the queue with this fingerprint out of the old list.
static RemoteQueue *take_old(RemoteOut *out, Str fingerprint)
{
    for (size_t i = 0; i < out->count; i++) {
        RemoteQueue *queue = out->queues[i];
        if (str_equal(queue->fingerprint, fingerprint)) {
            out->queues[i] = out->queues[--out->count];
            return queue;
        }
    }
    return NULL;
}

// Places of endpoints that are not written to any more: if one comes back it begins anew.
static void remove_stray_places(RemoteOut *out, Arena *arena)
{
    FsList list;
    Error ignored; // a stray file does no harm
    if (!fs_exists(out->options.fs, out->options.dir) ||
        !fs_list(out->options.fs, out->options.dir, arena, &list, &ignored))
        return;
    for (size_t i = 0; i < list.count; i++) {
        bool used = !str_ends_with(list.entries[i].name, S(".places"));
        for (size_t k = 0; k < out->count; k++)
            used |= str_equal(out->queues[k]->key, list.entries[i].name);
        if (!used)
            (void)!fs_unlink(out->options.fs,
                             fs_join(arena, out->options.dir, list.entries[i].name), &ignored);
    }
}

bool remote_out_apply(RemoteOut *out, const RemoteOutConfig *config, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    size_t count = config->writes.count;
    RemoteQueue **queues = X_ARRAY(RemoteQueue *, count + 1);
    bool ok = true;
    size_t kept = 0;
    lock_take(&out->lock);
    RemoteQueue **old = out->queues;
    for (size_t i = 0; i < count; i++)
        queues[i] = take_old(out, fingerprint_of(config, i, &scratch));
    size_t old_count = out->count;
    out->queues = NULL;
    out->count = 0;
    out->changing = true;
    lock_give(&out->lock);
    // The old ones write down their places before new ones with the same key look for them.
    stop_queues(out, old, old_count);
    free(old);
    if (count && !fs_make_dirs(out->options.fs, out->options.dir, err)) {
        log_error("remote write cannot keep its places, not starting it", KV("err", err));
        ok = false;
    }
    for (size_t i = 0; i < count; i++) {
        RemoteQueue *queue = queues[i];
        if (!queue && ok) {
            queue = queue_new(out, config, i);
            if (!remote_queue_start(queue, err)) {
                log_error("remote write cannot start", KV("remote_name", queue->name),
                          KV("url", queue->shown_url), KV("err", err));
                remote_queue_free(queue);
                queue = NULL;
                ok = false;
            }
        }
        if (queue)
            queues[kept++] = queue;
    }
    lock_take(&out->lock);
    out->queues = queues;
    out->count = kept;
    out->changing = false;
    lock_give(&out->lock);
    if (ok)
        remove_stray_places(out, &scratch);
    return ok;
}

uint32_t remote_out_needed_segment(RemoteOut *out)
{
    lock_take(&out->lock);
    uint32_t needed = out->changing ? 0 : UINT32_MAX;
    for (size_t i = 0; i < out->count; i++)
        needed = MIN(needed, atomic_load(&out->queues[i]->needed_segment));
    lock_give(&out->lock);
    return needed;
}
