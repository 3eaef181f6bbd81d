// SPDX-License-Identifier: Apache-2.0
// debug pprof, metrics, all: fetches what a server tells of itself into debug.tar.gz.
#include "base/fs.h"
#include "codec/compress.h"
#include "tool/tool_http.h"
#include "tool/tool_time.h"

#define ARCHIVE_NAME "debug.tar.gz"
#define TIMEOUT_MS 120000
#define TAR_BLOCK 512
#define GZIP_LEVEL 6

typedef struct DebugPage {
    Str path;
    const char *file_name;
    bool is_profile; // sent compressed; stored plain
} DebugPage;

static const DebugPage profile_pages[] = {
    {STR("/debug/pprof/profile?seconds=30"), "cpu.pb", true},
    {STR("/debug/pprof/block"), "block.pb", true},
    {STR("/debug/pprof/goroutine"), "goroutine.pb", true},
    {STR("/debug/pprof/heap"), "heap.pb", true},
    {STR("/debug/pprof/mutex"), "mutex.pb", true},
    {STR("/debug/pprof/threadcreate"), "threadcreate.pb", true},
    {STR("/debug/pprof/trace?seconds=30"), "trace.pb", false},
};
static const DebugPage metrics_pages[] = {{STR("/metrics"), "metrics.txt", false}};

// A header of POSIX ustar: octal numbers, the checksum counted with blanks in its own place.
static void add_tar_file(Buf *tar, const char *name, Str content)
{
    char header[TAR_BLOCK] = {0};
    unsigned sum = 0;
    snprintf(header, 100, "%s", name);
    memcpy(header + 100, "0000600", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    snprintf(header + 124, 12, "%011zo", content.len);
    snprintf(header + 136, 12, "%011llo", (unsigned long long)tool_now_s());
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof header; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    buf_add(tar, header, sizeof header);
    buf_add_str(tar, content);
    while (tar->len % TAR_BLOCK)
        buf_add_char(tar, '\0');
}

// A page that the server does not have is told and left out: a server that is no Go program has no profiles.
static bool fetch_page(const ToolServer *server, const DebugPage *page, Arena *arena, Buf *tar,
                       Error *err)
{
    CLEANUP(buf_deinit) Buf plain = {0};
    ToolAnswer answer;
    if (!tool_server_get(server, page->path, TIMEOUT_MS, arena, &answer, err))
        return error_context(err, "error executing HTTP request");
    if (answer.status == 404) {
        fprintf(stderr, "  WARNING: the server has no " STR_FMT " (status 404): no %s\n",
                STR_ARG(page->path), page->file_name);
        return true;
    }
    if (answer.status / 100 != 2)
        return error_set(err, ERR_UNAVAILABLE, STR_FMT ": unexpected status %d",
                         STR_ARG(page->path), answer.status);
    Str content = answer.body;
    if (page->is_profile && str_starts_with(content, S("\x1f\x8b"))) {
        if (!gzip_decode(content, TOOL_BODY_BYTES_MAX, &plain, err))
            return error_context(err, STR_FMT, STR_ARG(page->path));
        content = buf_str(&plain);
    }
    add_tar_file(tar, page->file_name, content);
    return true;
}

static bool fetch_pages(const ToolServer *server, const DebugPage *pages, size_t count,
                        Arena *arena, Buf *tar, Error *err)
{
    for (size_t i = 0; i < count; i++) {
        printf("collecting: " STR_FMT STR_FMT "\n", STR_ARG(server->url), STR_ARG(pages[i].path));
        fflush(stdout);
        if (!fetch_page(server, &pages[i], arena, tar, err))
            return false;
    }
    return true;
}

static bool write_archive(Buf *tar, Error *err)
{
    CLEANUP(buf_deinit) Buf packed = {0};
    static const char end[2 * TAR_BLOCK];
    if (tar->len == 0)
        return error_set(err, ERR_NOT_FOUND, "the server has none of these pages");
    buf_add(tar, end, sizeof end);
    gzip_encode(buf_str(tar), GZIP_LEVEL, &packed);
    return fs_write_atomic(&fs_system, S(ARCHIVE_NAME), buf_str(&packed), err) ||
           error_context(err, "error writing into the archive");
}

static int collect(const ToolCall *call, bool profiles, bool metrics)
{
    CLEANUP(buf_deinit) Buf tar = {0};
    Arena *arena = call->arena;
    ToolServer server;
    Error err = {0};
    bool ok = tool_server_open(call->args[0], STR_NONE, NULL, arena, &server, &err);
    if (ok && profiles)
        ok = fetch_pages(&server, profile_pages, COUNT_OF(profile_pages), arena, &tar, &err);
    if (ok && metrics)
        ok = fetch_pages(&server, metrics_pages, COUNT_OF(metrics_pages), arena, &tar, &err);
    if (!ok || !write_archive(&tar, &err))
        return tool_fail("error completing debug command: %s", err.text);
    printf("Compiling debug information complete, all files written in \"%s\".\n", ARCHIVE_NAME);
    return TOOL_OK;
}

static int run_pprof(ToolCall *call)
{
    return collect(call, true, false);
}

static int run_metrics(ToolCall *call)
{
    return collect(call, false, true);
}

static int run_all(ToolCall *call)
{
    return collect(call, true, true);
}

static const ToolArg args[] = {
    {"server", "Prometheus server to get the information from.", .is_file = false},
    {0},
};

const ToolVerb tool_debug_pprof = {.args = args, .run = run_pprof};
const ToolVerb tool_debug_metrics = {.args = args, .run = run_metrics};
const ToolVerb tool_debug_all = {.args = args, .run = run_all};
