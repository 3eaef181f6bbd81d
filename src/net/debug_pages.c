// SPDX-License-Identifier: Apache-2.0
#include "net/debug_pages.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/number.h"
#include "codec/compress.h"
#include "codec/protobuf.h"

#define PLAIN S("text/plain; charset=utf-8")
#define SECONDS_DEFAULT 30
#define SECONDS_MAX 300
#define THREADS_MAX 4096
#define STEP_NS 50000000

static atomic_flag profile_runs = ATOMIC_FLAG_INIT;

static DebugSent send_page(HttpRequest *request, int status, Str content_type, Str body)
{
    http_reply_header(request, S("X-Content-Type-Options"), S("nosniff"));
    http_reply(request, status, content_type, body);
    return (DebugSent){status, body.len};
}

// ---- threads ----

typedef struct ThreadTime {
    int id;
    char name[16];
    int64_t cpu_ns;
} ThreadTime;

// What a profile says of each thread.
typedef struct ProfileKind {
    Str type, unit;
    bool counts; // one for each thread, instead of its CPU time
} ProfileKind;

// The kernel's clock of one thread of this process: what pthread_getcpuclockid() gives for threads whose handle one has.
static bool read_thread_clock(int id, int64_t *ret_ns)
{
    struct timespec at;
    clockid_t clock = (clockid_t)((~(unsigned)id << 3) | 6u);
    if (clock_gettime(clock, &at) != 0)
        return false;
    *ret_ns = at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
    return true;
}

static void read_thread_name(int id, char *name, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", id);
    FILE *file = fopen(path, "re");
    name[0] = 0;
    if (file) {
        if (!fgets(name, (int)size, file))
            name[0] = 0;
        fclose(file);
    }
    name[strcspn(name, "\n")] = 0;
}

static size_t read_threads(ThreadTime *threads, size_t max)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    while (folder && count < max && (entry = readdir(folder))) {
        ThreadTime *thread = &threads[count];
        thread->id = (int)strtol(entry->d_name, NULL, 10);
        if (thread->id > 0 && read_thread_clock(thread->id, &thread->cpu_ns)) {
            read_thread_name(thread->id, thread->name, sizeof thread->name);
            count++;
        }
    }
    if (folder)
        closedir(folder);
    return count;
}

// What each thread took since `before`; a thread that began meanwhile took all it has.
static void subtract(ThreadTime *now, size_t count, const ThreadTime *before, size_t before_count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < before_count; k++)
            if (before[k].id == now[i].id)
                now[i].cpu_ns -= before[k].cpu_ns;
}

// ---- a profile in pprof's format ----

static void add_unit(Buf *out, uint32_t field, uint64_t type, uint64_t unit)
{
    CLEANUP(buf_deinit) Buf message = {0};
    proto_add_varint(&message, 1, type);
    proto_add_varint(&message, 2, unit);
    proto_add_bytes(out, field, buf_str(&message));
}

// A sample, its location and its function: the thread stands for the function.
static void add_thread(Buf *out, uint64_t number, uint64_t value)
{
    CLEANUP(buf_deinit) Buf message = {0};
    CLEANUP(buf_deinit) Buf line = {0};
    proto_add_varint(&message, 1, number);
    proto_add_varint(&message, 2, value);
    proto_add_bytes(out, 2, buf_str(&message));
    buf_reset(&message);
    proto_add_varint(&line, 1, number);
    proto_add_varint(&message, 1, number);
    proto_add_bytes(&message, 4, buf_str(&line));
    proto_add_bytes(out, 4, buf_str(&message));
    buf_reset(&message);
    proto_add_varint(&message, 1, number);
    proto_add_varint(&message, 2, number + 2); // behind "", the type and the unit
    proto_add_bytes(out, 5, buf_str(&message));
}

static void write_profile(Buf *out, const ProfileKind *kind, const ThreadTime *threads,
                          size_t count, int64_t began_ns, int64_t took_ns)
{
    CLEANUP(buf_deinit) Buf profile = {0};
    CLEANUP(buf_deinit) Buf name = {0};
    add_unit(&profile, 1, 1, 2);
    for (size_t i = 0; i < count; i++)
        add_thread(&profile, i + 1, kind->counts ? 1 : (uint64_t)MAX(threads[i].cpu_ns, 0));
    proto_add_bytes(&profile, 6, S(""));
    proto_add_bytes(&profile, 6, kind->type);
    proto_add_bytes(&profile, 6, kind->unit);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&name);
        buf_printf(&name, "thread %s", threads[i].name);
        proto_add_bytes(&profile, 6, buf_str(&name));
    }
    proto_add_varint(&profile, 9, (uint64_t)began_ns);
    proto_add_varint(&profile, 10, (uint64_t)took_ns);
    add_unit(&profile, 11, 1, 2);
    proto_add_varint(&profile, 12, 1);
    gzip_encode(buf_str(&profile), 6, out);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
}

static int64_t seconds_asked(const HttpRequest *request)
{
    int64_t seconds;
    if (!number_parse_i64(http_param(request, S("seconds")), &seconds) || seconds <= 0)
        return SECONDS_DEFAULT;
    return seconds;
}

static DebugSent send_profile(HttpRequest *request, Str name, Str profile)
{
    http_reply_header(
        request, S("Content-Disposition"),
        arena_printf(request->arena, "attachment; filename=\"" STR_FMT "\"", STR_ARG(name)));
    return send_page(request, 200, S("application/octet-stream"), profile);
}

static DebugSent profile_page(HttpRequest *request)
{
    static const ProfileKind kind = {STR("cpu"), STR("nanoseconds"), .counts = false};
    CLEANUP(buf_deinit) Buf page = {0};
    int64_t seconds = seconds_asked(request);
    if (seconds > SECONDS_MAX)
        return send_page(request, 400, PLAIN, S("profile duration exceeds 300 seconds\n"));
    if (atomic_flag_test_and_set(&profile_runs))
        return send_page(request, 500, PLAIN,
                         S("Could not enable CPU profiling: cpu profiling already in use\n"));
    ThreadTime *before = ARENA_ARRAY(request->arena, ThreadTime, THREADS_MAX);
    ThreadTime *now = ARENA_ARRAY(request->arena, ThreadTime, THREADS_MAX);
    size_t before_count = read_threads(before, THREADS_MAX);
    int64_t wall_ns = clock_ns(CLOCK_REALTIME);
    int64_t began_ns = clock_ns(CLOCK_MONOTONIC);
    int64_t took_ns;
    while ((took_ns = clock_ns(CLOCK_MONOTONIC) - began_ns) < seconds * INT64_C(1000000000) &&
           !http_client_gone(request))
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    size_t count = read_threads(now, THREADS_MAX);
    atomic_flag_clear(&profile_runs);
    subtract(now, count, before, before_count);
    write_profile(&page, &kind, now, count, wall_ns, took_ns);
    return send_profile(request, S("profile"), buf_str(&page));
}

// ---- pages ----

static DebugSent cmdline_page(HttpRequest *request)
{
    Str text;
    Error err = {0};
    if (!fs_read_file(&fs_system, S("/proc/self/cmdline"), request->arena, (size_t)1 << 20, &text,
                      &err))
        return send_page(request, 500, PLAIN, arena_printf(request->arena, "%s\n", err.text));
    if (text.len && text.ptr[text.len - 1] == 0)
        text.len--;
    return send_page(request, 200, PLAIN, text);
}

// As text with the parameter `debug`, as a profile without it.
static DebugSent threads_page(HttpRequest *request)
{
    static const ProfileKind kind = {STR("threadcreate"), STR("count"), .counts = true};
    CLEANUP(buf_deinit) Buf page = {0};
    ThreadTime *threads = ARENA_ARRAY(request->arena, ThreadTime, THREADS_MAX);
    size_t count = read_threads(threads, THREADS_MAX);
    int64_t debug;
    if (!number_parse_i64(http_param(request, S("debug")), &debug) || debug == 0) {
        write_profile(&page, &kind, threads, count, clock_ns(CLOCK_REALTIME), 0);
        return send_profile(request, S("threadcreate"), buf_str(&page));
    }
    buf_printf(&page, "threadcreate profile: total %zu\n", count);
    for (size_t i = 0; i < count; i++)
        buf_printf(&page, "1 # %s: %.3f s of CPU\n", threads[i].name,
                   (double)threads[i].cpu_ns / 1e9);
    return send_page(request, 200, PLAIN, buf_str(&page));
}

static DebugSent index_page(HttpRequest *request);

static const struct {
    Str name;
    const char *about;
    DebugSent (*answer)(HttpRequest *request);
} pages[] = {
    {STR(""), NULL, index_page},
    {STR("cmdline"), "The command line of this process; NUL bytes between its words.",
     cmdline_page},
    {STR("profile"),
     "CPU time by thread over as many seconds as the parameter of that name says (30), as a "
     "profile "
     "for pprof.",
     profile_page},
    {STR("threadcreate"), "The threads of this process and the CPU time that each has taken.",
     threads_page},
};

static DebugSent index_page(HttpRequest *request)
{
    CLEANUP(buf_deinit) Buf page = {0};
    buf_add_c(&page,
              "<!doctype html>\n<html lang=\"en\">\n<head><title>/debug/pprof/</title></head>\n"
              "<body>\n<h1>/debug/pprof/</h1>\n<dl>\n");
    for (size_t i = 1; i < COUNT_OF(pages); i++)
        buf_printf(&page, "<dt><a href=\"" STR_FMT "?debug=1\">" STR_FMT "</a></dt><dd>%s</dd>\n",
                   STR_ARG(pages[i].name), STR_ARG(pages[i].name), pages[i].about);
    buf_add_c(&page,
              "</dl>\n<p>This program is not written in Go: there are no profiles of its heap, "
              "goroutines, blocking, mutexes or execution. Its memory is told by process_* "
              "in the metrics.</p>\n</body>\n</html>\n");
    return send_page(request, 200, S("text/html; charset=utf-8"), buf_str(&page));
}

static bool is_of_go(Str page)
{
    static const char *const names[] = {"allocs", "block", "goroutine", "goroutineleak",
                                        "heap",   "mutex", "symbol",    "trace"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_is(page, names[i]))
            return true;
    return false;
}

DebugSent debug_pages_answer(HttpRequest *request, Str page)
{
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (str_equal(page, pages[i].name))
            return pages[i].answer(request);
    if (is_of_go(page))
        return send_page(request, 404, PLAIN,
                         arena_printf(request->arena,
                                      STR_FMT " is a profile of Go's runtime, which this program "
                                              "does not have; cmdline, profile and threadcreate "
                                              "are here\n",
                                      STR_ARG(page)));
    return send_page(request, 404, PLAIN, S("Unknown profile\n"));
}
