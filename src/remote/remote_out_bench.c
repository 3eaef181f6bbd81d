// SPDX-License-Identifier: Apache-2.0
// CPU of remote write out per sample: a feed in memory, a receiver in a process of its own that only says 204.
// Arguments: series, rounds (defaults 10000, 300).
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/http_server.h"
#include "remote/remote_fake_feed.h"
#include "remote/remote_queue.h"

static void receive(void *arg, HttpRequest *request)
{
    (void)arg;
    // 2.0 is told that all was taken: how much that was does not matter here.
    http_reply_header(request, S("X-Prometheus-Remote-Write-Samples-Written"), S("1000000"));
    http_reply(request, 204, STR_NONE, STR_NONE);
}

static int be_receiver(int out)
{
    HttpServer *server;
    HttpServerOptions options;
    Error err;
    int port;
    http_server_options_default(&options);
    options.listen_address = S("127.0.0.1:0");
    options.workers = 2;
    options.handle = receive;
    if (!http_server_start(&options, &server, &port, &err) ||
        write(out, &port, sizeof port) != sizeof port)
        return 1;
    for (;;)
        pause();
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// Of the thread that feeds and watches: it is no part of the sender.
static double own_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Labels as a real exporter has them.
static void put_series(FakeFeed *feed, uint64_t count)
{
    uint64_t *refs = ARENA_ARRAY(&feed->arena, uint64_t, count);
    Labels *labels = ARENA_ARRAY(&feed->arena, Labels, count);
    for (uint64_t i = 0; i < count; i++) {
        Label *pairs = ARENA_ARRAY(&feed->arena, Label, 7);
        pairs[0] = (Label){S("__name__"), arena_printf(&feed->arena, "http_requests_%llu_total",
                                                       (unsigned long long)i % 100)};
        pairs[1] = (Label){S("code"), i % 2 ? S("200") : S("404")};
        pairs[2] = (Label){S("handler"), arena_printf(&feed->arena, "/api/v1/thing/%llu",
                                                      (unsigned long long)i / 100 % 100)};
        pairs[3] = (Label){S("instance"), arena_printf(&feed->arena, "10.0.%llu.%llu:9100",
                                                       (unsigned long long)i / 5000,
                                                       (unsigned long long)i / 500 % 10)};
        pairs[4] = (Label){S("job"), S("benchmark")};
        pairs[5] = (Label){S("method"), i % 3 ? S("GET") : S("POST")};
        pairs[6] = (Label){S("series"), arena_printf(&feed->arena, "%llu", (unsigned long long)i)};
        refs[i] = i + 1;
        labels[i] = (Labels){pairs, 7};
    }
    fake_feed_put(feed,
                  (FeedBatch){.kind = FEED_SERIES, .count = count, .refs = refs, .labels = labels});
}

static double sent(Registry *registry)
{
    Buf text = {0};
    Str line;
    double value = 0;
    registry_write(registry, REGISTRY_TEXT, &text);
    Str rest = buf_str(&text);
    while (str_split_next(&rest, '\n', &line))
        if (str_starts_with(line, S("prometheus_remote_storage_samples_total{")))
            value = strtod(line.ptr + str_rfind_char(line, ' '), NULL);
    buf_deinit(&text);
    return value;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void run(int port, bool v2, uint64_t series, int rounds)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    char dir[] = "/tmp/narthex-remote-bench-XXXXXX";
    FakeFeed feed;
    RemoteWriteConfig config = {0};
    Error err;
    if (!mkdtemp(dir))
        exit(1);
    fake_feed_init(&feed);
    Registry *registry = registry_new();
    config_defaults(&arena, &remote_write_config_table, &config);
    config.url = arena_printf(&arena, "http://127.0.0.1:%d/", port);
    config.queue.batch_send_deadline_ms = 200;
    if (v2)
        config.protobuf_message = REMOTE_WRITE_MESSAGE_V2;
    RemoteOutOptions options = {.registry = registry,
                                .clock = &clock_system,
                                .fs = &fs_system,
                                .dir = str_from_c(dir),
                                .flush_deadline_ms = 1000};
    RemoteOut *out = remote_out_new(&options, &feed.feed);
    if (!remote_out_apply(out, &(RemoteOutConfig){.writes = {&config, 1}}, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    int64_t start_ns = clock_mono_ns(&clock_system);
    double start_s = cpu_s() - own_cpu_s();
    put_series(&feed, series);
    for (int i = 0; i < rounds; i++)
        fake_feed_samples(&feed, series, INT64_C(1700000000000) + i * 15000);
    double all = (double)series * rounds;
    while (sent(registry) < all)
        usleep(20000);
    double took_s = cpu_s() - own_cpu_s() - start_s;
    double wall_s = (double)(clock_mono_ns(&clock_system) - start_ns) / 1e9;
    printf("remote write out %s: %.0f samples, %.0f ns CPU a sample, %.2f M samples/s\n",
           v2 ? "2.0" : "1.0", all, took_s / all * 1e9, all / wall_s / 1e6);
    remote_out_free(out);
    registry_free(registry);
    fake_feed_deinit(&feed);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
    uint64_t series = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000;
    int rounds = argc > 2 ? atoi(argv[2]) : 300;
    int pipe_fds[2];
    int port;
    log_setup(LOG_ERROR, LOG_LOGFMT);
    if (pipe(pipe_fds) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0)
        _exit(be_receiver(pipe_fds[1]));
    if (read(pipe_fds[0], &port, sizeof port) != sizeof port)
        return 1;
    run(port, false, series, rounds);
    run(port, true, series, rounds);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
