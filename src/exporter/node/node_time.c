// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <time.h>

#include "exporter/node/node_collectors.h"

#define CLOCKSOURCES_MAX 16 // Linux has one

typedef struct Clocksource {
    NodeFile available;
    NodeFile current;
    char device[8];
} Clocksource;

typedef struct Time {
    NodeFamily *now;
    NodeFamily *zone_offset;
    NodeFamily *available;
    NodeFamily *current;
    Clocksource sources[CLOCKSOURCES_MAX];
    size_t count;
} Time;

static bool time_open(void *state, NodeScrape *scrape, Error *err)
{
    (void)err;
    Time *self = state;
    NodeSink *sink = scrape->sink;
    self->now = node_gauge(sink, "node_time_seconds",
                           "The system's time in seconds since the epoch (1970).");
    self->zone_offset = node_gauge(sink, "node_time_zone_offset_seconds",
                                   "Offset of the system's time zone in seconds.");
    self->available = node_gauge(sink, "node_time_clocksource_available_info",
                                 "Clocksources that could be used; always 1.");
    self->current =
        node_gauge(sink, "node_time_clocksource_current_info", "The clocksource in use; always 1.");
    tzset();

    CLEANUP(arena_deinit) Arena arena = {0};
    for (size_t i = 0; i < CLOCKSOURCES_MAX; i++) {
        Clocksource *source = &self->sources[i];
        Str folder = arena_printf(&arena, "devices/system/clocksource/clocksource%zu/", i);
        node_file_init(&source->available, scrape->options->path_sysfs,
                       arena_printf(&arena, "%savailable_clocksource", folder.ptr).ptr);
        node_file_init(&source->current, scrape->options->path_sysfs,
                       arena_printf(&arena, "%scurrent_clocksource", folder.ptr).ptr);
        Str devices = arena_printf(&arena, "%zu", i);
        memcpy(source->device, devices.ptr, devices.len);
        Str text;
        Error missing;
        if (!node_file_read(&source->available, &scrape->text, &text, &missing)) {
            node_file_deinit(&source->available);
            node_file_deinit(&source->current);
            break;
        }
        self->count++;
    }
    return true;
}

static void write_zone(Time *self, NodeSink *sink, time_t now)
{
    struct tm local;
    if (!localtime_r(&now, &local))
        return;
    node_sample(self->zone_offset, NODE_LABELS(sink, {"time_zone", str_from_c(local.tm_zone)}),
                (double)local.tm_gmtoff);
}

static bool write_clocksource(Time *self, Clocksource *source, NodeScrape *scrape, Error *err)
{
    Str text;
    Str line;
    Str device = str_from_c(source->device);
    if (!node_file_read(&source->available, &scrape->text, &text, err))
        return false;
    while (scan_line(&text, &line))
        for (Str word; (word = scan_word(&line)).len;)
            node_sample(self->available,
                        NODE_LABELS(scrape->sink, {"clocksource", word}, {"device", device}), 1);
    if (!node_file_read(&source->current, &scrape->text, &text, err))
        return false;
    node_sample(self->current,
                NODE_LABELS(scrape->sink, {"clocksource", str_trim(text)}, {"device", device}), 1);
    return true;
}

static bool time_write(void *state, NodeScrape *scrape, Error *err)
{
    Time *self = state;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    node_sample(self->now, NODE_NO_LABELS,
                (double)((int64_t)now.tv_sec * 1000000000 + now.tv_nsec) / 1e9);
    write_zone(self, scrape->sink, now.tv_sec);
    for (size_t i = 0; i < self->count; i++)
        if (!write_clocksource(self, &self->sources[i], scrape, err))
            return false;
    return true;
}

static void time_close(void *state)
{
    Time *self = state;
    for (size_t i = 0; i < self->count; i++) {
        node_file_deinit(&self->sources[i].available);
        node_file_deinit(&self->sources[i].current);
    }
}

const NodeCollector node_time = {"time", true, sizeof(Time), time_open, time_write, time_close};
