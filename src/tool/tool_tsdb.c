// SPDX-License-Identifier: Apache-2.0
// tsdb list, dump, dump-openmetrics, verify, repair.
#include "tool/tool_tsdb.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/number.h"
#include "base/timefmt.h"
#include "codec/json_writer.h"

#define COLUMNS 8
#define COLUMN_BYTES_MIN 13
#define COLUMN_GAP 2
#define FLUSH_BYTES 65536

Str tool_tsdb_dir(const ToolCall *call, size_t index)
{
    return index < call->arg_count ? call->args[index] : TOOL_TSDB_DIR;
}

// --- list ---

void tool_tsdb_duration(Buf *out, int64_t ms)
{
    uint64_t rest = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    char fraction[8];

    if (ms < 0)
        buf_add_char(out, '-');
    if (rest && rest < 1000) {
        buf_printf(out, "%llums", (unsigned long long)rest);
        return;
    }
    if (rest >= 3600000)
        buf_printf(out, "%lluh", (unsigned long long)(rest / 3600000));
    if (rest >= 60000)
        buf_printf(out, "%llum", (unsigned long long)(rest / 60000 % 60));
    buf_printf(out, "%llu", (unsigned long long)(rest / 1000 % 60));
    int len = snprintf(fraction, sizeof fraction, ".%03u", (unsigned)(rest % 1000));
    while (len > 0 && (fraction[len - 1] == '0' || fraction[len - 1] == '.'))
        len--;
    buf_add(out, fraction, (size_t)len);
    buf_add_char(out, 's');
}

// Go's Time.String() in UTC, to the second.
static Str time_cell(int64_t t_ms, bool human_readable, Arena *arena)
{
    if (!human_readable)
        return arena_printf(arena, "%lld", (long long)t_ms);
    CivilTime t = civil_from_s(t_ms / 1000);
    return arena_printf(arena, "%04lld-%02d-%02d %02d:%02d:%02d +0000 UTC", (long long)t.year,
                        t.month, t.day, t.hour, t.minute, t.second);
}

// 1MiB5KiB12B: each unit that is not zero.
static Str bytes_cell(uint64_t bytes, bool human_readable, Arena *arena)
{
    static const char *const units[] = {"EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B"};
    CLEANUP(buf_deinit) Buf out = {0};

    if (!human_readable)
        return arena_printf(arena, "%llu", (unsigned long long)bytes);
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        uint64_t part = bytes >> (60 - 10 * i) & (i ? 1023 : 15);
        if (part)
            buf_printf(&out, "%llu%s", (unsigned long long)part, units[i]);
    }
    return out.len ? arena_str(arena, buf_str(&out)) : S("0B");
}

static void fill_row(const TsdbBlockInfo *b, bool human_readable, Arena *arena, Str *cells)
{
    CLEANUP(buf_deinit) Buf duration = {0};

    tool_tsdb_duration(&duration, b->max_t_ms - b->min_t_ms);
    cells[0] = b->ulid;
    cells[1] = time_cell(b->min_t_ms, human_readable, arena);
    cells[2] = time_cell(b->max_t_ms, human_readable, arena);
    cells[3] = arena_str(arena, buf_str(&duration));
    cells[4] = arena_printf(arena, "%llu", (unsigned long long)b->samples);
    cells[5] = arena_printf(arena, "%llu", (unsigned long long)b->chunks);
    cells[6] = arena_printf(arena, "%llu", (unsigned long long)b->series);
    cells[7] = bytes_cell(b->bytes, human_readable, arena);
}

void tool_tsdb_table(const TsdbBlockInfo *blocks, size_t count, bool header, bool human_readable,
                     Buf *out)
{
    static const Str titles[COLUMNS] = {
        STR("BLOCK ULID"),  STR("MIN TIME"),   STR("MAX TIME"),   STR("DURATION"),
        STR("NUM SAMPLES"), STR("NUM CHUNKS"), STR("NUM SERIES"), STR("SIZE"),
    };
    CLEANUP(arena_deinit) Arena arena = {0};
    Str *cells = ARENA_ARRAY(&arena, Str, (count + 1) * COLUMNS);
    size_t rows = 0, widths[COLUMNS];

    if (header)
        memcpy(cells + COLUMNS * rows++, titles, sizeof titles);
    for (size_t i = 0; i < count; i++)
        fill_row(&blocks[i], human_readable, &arena, cells + COLUMNS * rows++);
    for (size_t k = 0; k < COLUMNS; k++) {
        widths[k] = COLUMN_BYTES_MIN;
        for (size_t r = 0; r < rows; r++)
            widths[k] = MAX(widths[k], cells[r * COLUMNS + k].len + COLUMN_GAP);
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < COLUMNS; k++) {
            Str cell = cells[r * COLUMNS + k];
            buf_printf(out, STR_FMT "%*s", STR_ARG(cell),
                       k + 1 < COLUMNS ? (int)(widths[k] - cell.len) : 0, "");
        }
        buf_add_char(out, '\n');
    }
}

typedef struct ListOptions {
    bool human_readable;
} ListOptions;

static const FlagSpec list_flags[] = {
    {.name = "human-readable",
     .kind = FLAG_BOOL,
     .offset = offsetof(ListOptions, human_readable),
     .short_name = 'r',
     .help = "Print human readable values."},
};

static const ToolArg dir_args[] = {
    {.name = "db path", .help = "Database path (default is data/).", .is_optional = true}, {NULL}};

int tool_tsdb_tell_faults(const TsdbBlockInfo *blocks, size_t count)
{
    int status = TOOL_OK;

    for (size_t i = 0; i < count; i++)
        if (blocks[i].fault.len)
            status = tool_fail("block " STR_FMT " cannot be read: " STR_FMT,
                               STR_ARG(blocks[i].ulid), STR_ARG(blocks[i].fault));
    return status;
}

static int run_list(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf out = {0};
    const ListOptions *options = call->options;
    TsdbBlockInfo *blocks;
    size_t count, good = 0;
    Error err = {0};

    if (!tsdb_offline_list(&fs_system, tool_tsdb_dir(call, 0), call->arena, &blocks, &count, &err))
        return tool_fail("%s", err.text);
    while (good < count && !blocks[good].fault.len)
        good++;
    tool_tsdb_table(blocks, good, true, options->human_readable, &out);
    tool_write(buf_str(&out));
    return tool_tsdb_tell_faults(blocks, count);
}

const ToolVerb tool_tsdb_list = {
    TOOL_FLAGS(list_flags),
    .options_bytes = sizeof(ListOptions),
    .args = dir_args,
    .run = run_list,
};

// --- dump ---

static const char *const dump_formats[] = {"prom", "seriesjson", NULL};
enum { DUMP_PROM, DUMP_SERIES_JSON };

typedef struct DumpOptions {
    Str sandbox_root;
    int64_t min_t_ms, max_t_ms;
    FlagStrList match;
    int format;
} DumpOptions;

#define DUMP_FLAG(flag, type, member, text, about, ...)                                            \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(DumpOptions, member), .default_text = text, \
        .help = about, __VA_ARGS__                                                                 \
    }
#define DUMP_FLAGS                                                                                 \
    DUMP_FLAG("sandbox-dir-root", FLAG_STR, sandbox_root, NULL,                                    \
              "Root directory of the sandbox in which the log is replayed (default is the "        \
              "database path). It is removed at the end.",                                         \
              .hidden = false),                                                                    \
        DUMP_FLAG("min-time", FLAG_I64, min_t_ms, "-9223372036854775808",                          \
                  "Minimum timestamp to dump, in milliseconds since the Unix epoch.",              \
                  .hidden = false),                                                                \
        DUMP_FLAG("max-time", FLAG_I64, max_t_ms, "9223372036854775807",                           \
                  "Maximum timestamp to dump, in milliseconds since the Unix epoch.",              \
                  .hidden = false),                                                                \
        DUMP_FLAG("match", FLAG_STR_LIST, match, NULL,                                             \
                  "Series selector. Can be specified multiple times. Default: all series.",        \
                  .hidden = false)

static const FlagSpec dump_flags[] = {
    DUMP_FLAGS,
    DUMP_FLAG("format", FLAG_ENUM, format, "prom",
              "Output format of the dump: prom (samples) or seriesjson (label sets).",
              .words = dump_formats),
};
static const FlagSpec openmetrics_flags[] = {DUMP_FLAGS};

typedef struct Dump {
    const DumpOptions *options;
    Querier *querier;
    Buf out;
    int status; // of what could be dumped
    void (*print)(struct Dump *dump, Labels labels, const SampleColumns *columns);
} Dump;

static void flush(Dump *d)
{
    tool_write(buf_str(&d->out));
    buf_reset(&d->out);
}

static void print_prom(Dump *d, Labels labels, const SampleColumns *c)
{
    CLEANUP(buf_deinit) Buf text = {0};

    labels_print(&text, labels);
    for (size_t i = 0; i < c->count; i++) {
        buf_add_str(&d->out, buf_str(&text));
        buf_add_char(&d->out, ' ');
        if (c->histograms && c->histograms[i])
            histogram_print(&d->out, c->histograms[i]);
        else
            buf_add_double_g(&d->out, c->value[i]);
        buf_add_char(&d->out, ' ');
        buf_add_i64(&d->out, c->t_ms[i]);
        buf_add_char(&d->out, '\n');
        if (d->out.len > FLUSH_BYTES)
            flush(d);
    }
}

static void add_escaped(Buf *out, Str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\n')
            buf_add_c(out, "\\n");
        else if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else
            buf_add_char(out, c);
    }
}

// What a reader of OpenMetrics takes: no blanks between labels, no escapes but three, names that are not legacy in quotes.
static void print_series(Buf *out, Labels labels)
{
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    bool is_legacy = metric_name_is_legacy(name);
    const char *gap = "{";

    if (is_legacy)
        buf_add_str(out, name);
    else if (name.len) {
        buf_add_c(out, "{\"");
        add_escaped(out, name);
        buf_add_char(out, '"');
        gap = ",";
    }
    for (size_t i = 0; i < labels.count; i++) {
        const Label *pair = &labels.pairs[i];
        if (str_equal(pair->name, LABEL_METRIC_NAME))
            continue;
        const char *quote = label_name_is_legacy(pair->name) ? "" : "\"";
        buf_printf(out, "%s%s", gap, quote);
        add_escaped(out, pair->name);
        buf_printf(out, "%s=\"", quote);
        add_escaped(out, pair->value);
        buf_add_char(out, '"');
        gap = ",";
    }
    buf_add_c(out, *gap == '{' ? "{}" : "}");
}

// OpenMetrics has no text for native histograms: they are left out, as the original does.
static void print_openmetrics(Dump *d, Labels labels, const SampleColumns *c)
{
    CLEANUP(buf_deinit) Buf text = {0};

    print_series(&text, labels);
    for (size_t i = 0; i < c->count; i++) {
        if (c->histograms && c->histograms[i])
            continue;
        buf_add_str(&d->out, buf_str(&text));
        buf_add_char(&d->out, ' ');
        buf_add_double_g(&d->out, c->value[i]);
        buf_printf(&d->out, " %.3f\n", (double)c->t_ms[i] / 1000);
        if (d->out.len > FLUSH_BYTES)
            flush(d);
    }
}

static void print_series_json(Dump *d, Labels labels, const SampleColumns *c)
{
    JsonWriter json;

    if (!c->count)
        return;
    json_writer_init(&json, &d->out);
    json_object(&json);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(&json, labels.pairs[i].name);
        json_str(&json, labels.pairs[i].value);
    }
    json_object_end(&json);
    buf_add_char(&d->out, '\n');
    if (d->out.len > FLUSH_BYTES)
        flush(d);
}

static int compare_entries(const void *a, const void *b)
{
    return labels_compare(((const SeriesEntry *)a)->labels, ((const SeriesEntry *)b)->labels);
}

// The series of all selectors together, each once, in order.
static bool select_all(Dump *d, Arena *arena, SeriesList *ret_list, Error *err)
{
    SeriesList all = {0};
    const FlagStrList *match = &d->options->match;

    if (!match->count)
        return d->querier->select(d->querier, NULL, 0, NULL, arena, ret_list, err);
    for (size_t i = 0; i < match->count; i++) {
        SeriesList some;
        Matcher *matchers;
        size_t count;
        if (!promql_parse_selector(match->items[i], arena, &matchers, &count, err))
            return false;
        bool ok = d->querier->select(d->querier, matchers, count, NULL, arena, &some, err);
        promql_matchers_free(matchers, count);
        if (!ok)
            return false;
        SeriesEntry *joined = ARENA_ARRAY(arena, SeriesEntry, all.count + some.count + 1);
        if (all.count)
            memcpy(joined, all.series, all.count * sizeof *joined);
        if (some.count)
            memcpy(joined + all.count, some.series, some.count * sizeof *joined);
        all = (SeriesList){joined, all.count + some.count};
    }
    size_t kept = 0;
    if (all.count && match->count > 1)
        qsort(all.series, all.count, sizeof *all.series, compare_entries);
    for (size_t i = 0; i < all.count; i++)
        if (!kept || !labels_equal(all.series[kept - 1].labels, all.series[i].labels))
            all.series[kept++] = all.series[i];
    *ret_list = (SeriesList){all.series, kept};
    return true;
}

// A series that cannot be read is told, and the others are dumped.
static bool dump_all(Dump *d, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(arena_deinit) Arena one = {0};
    SeriesList list;

    if (!select_all(d, &arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        SampleColumns columns;
        Error why = {0};
        arena_reset(&one);
        if (d->querier->read(d->querier, list.series[i].handle, d->options->min_t_ms,
                             d->options->max_t_ms, &one, &columns, &why)) {
            d->print(d, list.series[i].labels, &columns);
            continue;
        }
        CLEANUP(buf_deinit) Buf text = {0};
        labels_print(&text, list.series[i].labels);
        d->status =
            tool_fail("series " STR_FMT " is missing: %s", STR_ARG(buf_str(&text)), why.text);
    }
    return true;
}

static bool dump(ToolCall *call, Dump *d, Error *err)
{
    TsdbReader *reader;

    log_setup(LOG_WARN, LOG_LOGFMT);
    if (!tsdb_reader_open(&fs_system, tool_tsdb_dir(call, 0), d->options->sandbox_root, &reader,
                          err))
        return false;
    const Str *faults;
    size_t fault_count = tsdb_reader_faults(reader, &faults);
    for (size_t i = 0; i < fault_count; i++)
        d->status = tool_fail(STR_FMT "; its samples are missing", STR_ARG(faults[i]));
    Source *source = tsdb_reader_source(reader);
    bool ok = source->open(source, d->options->min_t_ms, d->options->max_t_ms, &d->querier, err);
    if (ok) {
        ok = dump_all(d, err);
        d->querier->close(d->querier);
    }
    tsdb_reader_close(reader);
    return ok;
}

static int run_dump(ToolCall *call)
{
    const DumpOptions *options = call->options;
    Dump d = {.options = options,
              .print = options->format == DUMP_SERIES_JSON ? print_series_json : print_prom};
    Error err = {0};

    bool ok = dump(call, &d, &err);
    flush(&d);
    buf_deinit(&d.out);
    return ok ? d.status : tool_fail("%s", err.text);
}

static int run_dump_openmetrics(ToolCall *call)
{
    Dump d = {.options = call->options, .print = print_openmetrics};
    Error err = {0};

    bool ok = dump(call, &d, &err);
    if (ok)
        buf_add_c(&d.out, "# EOF\n");
    flush(&d);
    buf_deinit(&d.out);
    return ok ? d.status : tool_fail("%s", err.text);
}

const ToolVerb tool_tsdb_dump = {
    TOOL_FLAGS(dump_flags),
    .options_bytes = sizeof(DumpOptions),
    .args = dir_args,
    .run = run_dump,
};
const ToolVerb tool_tsdb_dump_openmetrics = {
    TOOL_FLAGS(openmetrics_flags),
    .options_bytes = sizeof(DumpOptions),
    .args = dir_args,
    .run = run_dump_openmetrics,
};

// --- verify, repair ---

static int tell_findings(Str dir, const TsdbFindings *findings)
{
    CLEANUP(buf_deinit) Buf out = {0};
    size_t open = 0;

    if (!findings->count)
        return tool_fail("no block, log segment or head chunk file in " STR_FMT, STR_ARG(dir));
    for (size_t i = 0; i < findings->count; i++) {
        const TsdbFinding *f = &findings->items[i];
        buf_printf(&out, "%s " STR_FMT ": " STR_FMT, f->is_fault ? "BAD " : "good",
                   STR_ARG(f->place), STR_ARG(f->text));
        if (f->done.len)
            buf_printf(&out, "; " STR_FMT, STR_ARG(f->done));
        buf_add_char(&out, '\n');
        open += f->is_fault && !f->done.len;
    }
    tool_write(buf_str(&out));
    return open ? TOOL_FAILED : TOOL_OK;
}

static int run_verify(ToolCall *call)
{
    TsdbFindings findings;
    Error err = {0};

    if (!tsdb_offline_verify(&fs_system, tool_tsdb_dir(call, 0), call->arena, &findings, &err))
        return tool_fail("%s", err.text);
    return tell_findings(tool_tsdb_dir(call, 0), &findings);
}

static int run_repair(ToolCall *call)
{
    TsdbFindings findings;
    Error err = {0};

    if (!tsdb_offline_repair(&fs_system, tool_tsdb_dir(call, 0), call->arena, &findings, &err))
        return tool_fail("%s", err.text);
    return tell_findings(tool_tsdb_dir(call, 0), &findings);
}

const ToolVerb tool_tsdb_verify = {
    .args = dir_args,
    .about = "One line for each block, log segment and head chunk file. Exit status 1 if one is "
             "bad.",
    .run = run_verify,
};
const ToolVerb tool_tsdb_repair = {
    .args = dir_args,
    .about = "Damaged blocks are written anew from what is good of them; the originals stay "
             "beside as <ULID>.corrupt. No server may work on the directory. Logs are mended when "
             "the server starts.",
    .run = run_repair,
};
