// SPDX-License-Identifier: Apache-2.0
#include "scrape/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/timefmt.h"
#include "net/url.h"
#include "scrape/scrape.h"

#define PARAM_PREFIX S("__param_")
#define META_PREFIX S("__meta_")

uint64_t fnv_add(uint64_t hash, Str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.ptr[i]) * 1099511628211ULL;
    return hash;
}

static void set_default(LabelsBuilder *builder, Str name, Str value)
{
    if (labels_builder_get(builder, name).len == 0)
        labels_builder_set(builder, name, value);
}

static Str duration_text(Arena *arena, int64_t ms)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    buf_add_duration(&buf, ms);
    return arena_str(arena, buf_str(&buf));
}

static Str bool_text(bool value)
{
    return value ? S("true") : S("false");
}

// Relabelling may look at these and change them; they are not shown among the discovered labels, where nobody found them.
static void set_switches(LabelsBuilder *builder, const ScrapeConfig *config)
{
    set_default(builder, S("__scrape_native_histograms__"),
                bool_text(config->switches.native_histograms));
    set_default(builder, S("__convert_classic_histograms_to_nhcb__"),
                bool_text(config->switches.classic_to_nhcb));
    set_default(builder, S("__always_scrape_classic_histograms__"),
                bool_text(config->switches.always_classic));
}

static void set_discovered(LabelsBuilder *builder, const ScrapeConfig *config, Labels group,
                           Labels own, Arena *arena)
{
    labels_builder_init(builder, arena, group);
    for (size_t i = 0; i < own.count; i++)
        labels_builder_set(builder, own.pairs[i].name, own.pairs[i].value);
    set_default(builder, S("job"), config->job_name);
    set_default(builder, S("__scrape_interval__"), duration_text(arena, config->interval_ms));
    set_default(builder, S("__scrape_timeout__"), duration_text(arena, config->timeout_ms));
    set_default(builder, S("__metrics_path__"), config->metrics_path);
    set_default(builder, S("__scheme__"), config->scheme);
    for (size_t i = 0; i < config->params.count; i++)
        if (config->params.values[i].count)
            set_default(builder,
                        arena_printf(arena, "__param_" STR_FMT, STR_ARG(config->params.keys[i])),
                        config->params.values[i].items[0]);
}

static bool check_address(Str address, Str unix_socket, Error *err)
{
    if (address.len == 0 && unix_socket.len)
        return true;
    if (address.len == 0)
        return error_set(err, ERR_INVALID, "no address");
    if (str_find_char(address, '/') != STR_NOT_FOUND)
        return error_set(err, ERR_INVALID, "\"" STR_FMT "\" is not a valid hostname",
                         STR_ARG(address));
    return true;
}

static bool read_duration(const LabelsBuilder *builder, Str label, const char *what,
                          int64_t *ret_ms, Error *err)
{
    int64_t ms;
    if (!duration_parse(labels_builder_get(builder, label), &ms, err))
        return error_context(err, "error parsing %s", what);
    if (ms == 0)
        return error_set(err, ERR_INVALID, "%s cannot be 0", what);
    *ret_ms = ms;
    return true;
}

// strconv.ParseBool.
static bool read_switch(const LabelsBuilder *builder, Str label, bool *ret_value, Error *err)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    Str text = labels_builder_get(builder, label);
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        if (str_is(text, yes[i]) || str_is(text, no[i])) {
            *ret_value = str_is(text, yes[i]);
            return true;
        }
    return error_set(err, ERR_INVALID,
                     "error parsing " STR_FMT ": \"" STR_FMT "\" is not a boolean", STR_ARG(label),
                     STR_ARG(text));
}

static bool read_timing(const LabelsBuilder *builder, TargetSpec *spec, Error *err)
{
    if (!read_duration(builder, S("__scrape_interval__"), "scrape interval", &spec->interval_ms,
                       err) ||
        !read_duration(builder, S("__scrape_timeout__"), "scrape timeout", &spec->timeout_ms, err))
        return false;
    if (spec->timeout_ms <= spec->interval_ms)
        return true;
    Str interval = labels_builder_get(builder, S("__scrape_interval__"));
    Str timeout = labels_builder_get(builder, S("__scrape_timeout__"));
    return error_set(err, ERR_INVALID,
                     "scrape timeout cannot be greater than scrape interval (\"" STR_FMT
                     "\" > \"" STR_FMT "\")",
                     STR_ARG(timeout), STR_ARG(interval));
}

// The labels without those that a name's beginning selects.
static Labels without_prefix(Arena *arena, Labels labels, Str prefix)
{
    Label *pairs = ARENA_ARRAY(arena, Label, labels.count);
    size_t count = 0;
    for (size_t i = 0; i < labels.count; i++)
        if (!str_starts_with(labels.pairs[i].name, prefix))
            pairs[count++] = labels.pairs[i];
    return (Labels){pairs, count};
}

typedef struct Param {
    Str name;
    Str value;
    size_t order; // among those of the same name
} Param;

static int param_order(const void *a, const void *b)
{
    const Param *x = a;
    const Param *y = b;
    int order = str_compare(x->name, y->name);
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

// The job's parameters, the first of each name replaced by its __param_ label, by name as url.Values.Encode.
static void add_query(Buf *url, const ScrapeConfig *config, Labels labels, Arena *arena)
{
    size_t most = labels.count;
    for (size_t i = 0; i < config->params.count; i++)
        most += config->params.values[i].count;
    Param *params = ARENA_ARRAY(arena, Param, most);
    size_t count = 0;
    for (size_t i = 0; i < config->params.count; i++) {
        Str name = config->params.keys[i];
        Str own = labels_get(labels, arena_printf(arena, "__param_" STR_FMT, STR_ARG(name)));
        ConfigStrList values = config->params.values[i];
        for (size_t k = 0; k < values.count; k++)
            params[count++] = (Param){name, k == 0 && own.len ? own : values.items[k], k};
    }
    for (size_t i = 0; i < labels.count; i++) {
        if (!str_starts_with(labels.pairs[i].name, PARAM_PREFIX))
            continue;
        Str name = str_skip(labels.pairs[i].name, PARAM_PREFIX.len);
        bool known = false;
        for (size_t k = 0; k < config->params.count; k++)
            known |= str_equal(config->params.keys[k], name) && config->params.values[k].count > 0;
        if (!known)
            params[count++] = (Param){name, labels.pairs[i].value, 0};
    }
    if (count)
        qsort(params, count, sizeof *params, param_order);
    for (size_t i = 0; i < count; i++) {
        buf_add_char(url, i ? '&' : '?');
        url_add_query_escaped(url, params[i].name);
        buf_add_char(url, '=');
        url_add_query_escaped(url, params[i].value);
    }
}

// Go's URL.String of a path: what may not stand there is escaped, '/' and its like stay.
static void add_path(Buf *url, Str path)
{
    static const char digits[] = "0123456789ABCDEF";
    if (path.len && path.ptr[0] != '/')
        buf_add_char(url, '/');
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != 0 && strchr("-_.~$&+,/:;=@", c));
        if (plain) {
            buf_add_char(url, (char)c);
        } else {
            char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_add(url, escaped, sizeof escaped);
        }
    }
}

static Str build_url(const ScrapeConfig *config, Labels labels, Arena *arena)
{
    CLEANUP(buf_deinit) Buf url = {0};
    buf_add_str(&url, labels_get(labels, S("__scheme__")));
    buf_add_c(&url, "://");
    Str address = labels_get(labels, S("__address__"));
    buf_add_str(&url, address.len ? address : S("localhost"));
    add_path(&url, labels_get(labels, S("__metrics_path__")));
    add_query(&url, config, labels, arena);
    return arena_str(arena, buf_str(&url));
}

static uint64_t target_hash(Labels labels, Str url)
{
    char number[32];
    int len = snprintf(number, sizeof number, "%016" PRIu64, labels_hash(labels));
    return fnv_add(fnv_add(FNV_INIT, str_make(number, (size_t)len)), url);
}

static bool finish(const ScrapeConfig *config, LabelsBuilder *builder, Arena *arena,
                   TargetSpec *spec, Error *err)
{
    Str address = labels_builder_get(builder, S("__address__"));
    Str unix_socket = labels_builder_get(builder, S("__unix_socket__"));
    spec->switches = config->switches;
    if (!check_address(address, unix_socket, err) || !read_timing(builder, spec, err) ||
        !read_switch(builder, S("__scrape_native_histograms__"), &spec->switches.native_histograms,
                     err) ||
        !read_switch(builder, S("__convert_classic_histograms_to_nhcb__"),
                     &spec->switches.classic_to_nhcb, err) ||
        !read_switch(builder, S("__always_scrape_classic_histograms__"),
                     &spec->switches.always_classic, err))
        return false;
    set_default(builder, S("instance"), address);
    spec->all = without_prefix(arena, labels_builder_finish(builder), META_PREFIX);
    for (size_t i = 0; i < spec->all.count; i++)
        if (!str_is_utf8(spec->all.pairs[i].value))
            return error_set(err, ERR_INVALID, "invalid label value for \"" STR_FMT "\": not UTF-8",
                             STR_ARG(spec->all.pairs[i].name));
    spec->labels = without_prefix(arena, spec->all, S("__"));
    spec->unix_socket = labels_get(spec->all, S("__unix_socket__"));
    spec->url = build_url(config, spec->all, arena);
    spec->hash = target_hash(spec->all, spec->url);
    return true;
}

TargetVerdict target_build(const ScrapeConfig *config, Labels group, Labels own, Arena *arena,
                           TargetSpec *ret_spec, Error *err)
{
    LabelsBuilder builder;
    set_discovered(&builder, config, group, own, arena);
    *ret_spec = (TargetSpec){.discovered = labels_builder_finish(&builder)};

    labels_builder_init(&builder, arena, ret_spec->discovered);
    set_switches(&builder, config);
    if (!relabel_apply(config->relabel.items, config->relabel.count, &builder))
        return TARGET_DROPPED;
    return finish(config, &builder, arena, ret_spec, err) ? TARGET_KEPT : TARGET_BAD;
}

bool scrape_config_try(const ScrapeConfig *config, Labels group, Labels own, Arena *arena,
                       ScrapeTrial *ret_trial, Error *err)
{
    TargetSpec spec;
    TargetVerdict verdict = target_build(config, group, own, arena, &spec, err);
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, spec.discovered);
    set_switches(&builder, config);
    ret_trial->discovered = labels_builder_finish(&builder);
    ret_trial->labels = verdict == TARGET_KEPT ? spec.all : LABELS_NONE;
    return verdict != TARGET_BAD;
}

#define GRID_TARGETS 16 // so many at a point make the grid finer
#define GRID_POINTS_MIN 8
#define GRID_NS_MAX 500000000
#define MAKE_UP_HASTE 8

int64_t target_grid_ns(int64_t interval_ns, size_t targets)
{
    int64_t points = GRID_POINTS_MIN;

    while ((size_t)points * GRID_TARGETS <= targets || interval_ns / points > GRID_NS_MAX)
        points *= 2;
    return MAX(interval_ns / points, 1);
}

int64_t target_phase_ns(uint64_t hash, uint64_t seed, int64_t interval_ns, int64_t grid_ns)
{
    int64_t phase_ns = (int64_t)((hash ^ seed) % (uint64_t)interval_ns);
    int64_t on_grid_ns = phase_ns - phase_ns % grid_ns;

    // Servers differ in where their grids lie, too.
    return (on_grid_ns + (int64_t)(seed % (uint64_t)grid_ns)) % interval_ns;
}

int64_t target_make_up_ns(int64_t missed_ns, int64_t since_ns, int64_t grid_ns)
{
    int64_t points_before = (missed_ns - since_ns) / grid_ns;

    return points_before * grid_ns / MAKE_UP_HASTE;
}

int64_t target_offset_ns(int64_t phase_ns, int64_t interval_ns, int64_t now_ns)
{
    int64_t since_ns = (now_ns - phase_ns) % interval_ns;

    return since_ns < 0 ? -since_ns : interval_ns - since_ns;
}
