// SPDX-License-Identifier: Apache-2.0
// nerve and serverset against a small ZooKeeper in the same process: it answers what this client asks, and fires watches.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/thread.h"
#include "discovery/discovery_rig.h"

typedef struct FakeNode {
    const char *path;
    const char *data;
    const char *children; // names, separated by blanks
} FakeNode;

typedef struct FakeZk {
    Lock lock;
    const FakeNode *nodes GUARDED_BY(lock);
    const char *changed GUARDED_BY(lock); // path to tell of; NULL: nothing
    bool cut GUARDED_BY(lock);            // close the connection
    int listener;
    int port;
    int stop[2];
    Thread thread;
} FakeZk;

static uint32_t get_u32(const unsigned char *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static bool read_all(int fd, unsigned char *to, size_t bytes)
{
    return recv(fd, to, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static bool send_frame(int fd, const Buf *frame)
{
    CLEANUP(buf_deinit) Buf out = {0};
    buf_add_u32be(&out, (uint32_t)frame->len);
    buf_add_str(&out, buf_str(frame));
    return send(fd, out.ptr, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
}

static void add_bytes(Buf *out, Str bytes)
{
    buf_add_u32be(out, (uint32_t)bytes.len);
    buf_add_str(out, bytes);
}

static void add_header(Buf *out, uint32_t xid, int32_t code)
{
    buf_add_u32be(out, xid);
    buf_add_u64be(out, 1);
    buf_add_u32be(out, (uint32_t)code);
}

static const FakeNode *find_node(const FakeNode *nodes, Str path)
{
    for (; nodes->path; nodes++)
        if (str_is(path, nodes->path))
            return nodes;
    return NULL;
}

static void add_children(Buf *out, const char *names)
{
    Str rest = str_from_c(names);
    uint32_t count = 0;
    CLEANUP(buf_deinit) Buf list = {0};
    for (Str name; str_split_next(&rest, ' ', &name); count++)
        add_bytes(&list, name);
    buf_add_u32be(out, count);
    buf_add_str(out, buf_str(&list));
}

static bool answer(FakeZk *zk, int fd, const unsigned char *frame, size_t bytes)
{
    CLEANUP(buf_deinit) Buf out = {0};
    uint32_t xid = get_u32(frame);
    uint32_t op = get_u32(frame + 4);
    if (op == 11) {
        add_header(&out, xid, 0);
        return send_frame(fd, &out);
    }
    Str path = {(const char *)frame + 12, bytes - 13};
    lock_take(&zk->lock);
    const FakeNode *node = find_node(zk->nodes, path);
    add_header(&out, xid, node ? 0 : -101);
    if (node && op == 4)
        add_bytes(&out, str_from_c(node->data));
    else if (node)
        add_children(&out, node->children);
    lock_give(&zk->lock);
    return send_frame(fd, &out);
}

static bool answer_hello(int fd)
{
    unsigned char hello[49];
    CLEANUP(buf_deinit) Buf out = {0};
    buf_add_u32be(&out, 0);
    buf_add_u32be(&out, 4000);
    buf_add_u64be(&out, 77);
    buf_add_u32be(&out, 16);
    buf_add(&out, "0123456789abcdef", 16);
    buf_add_char(&out, 0);
    return read_all(fd, hello, sizeof hello) && get_u32(hello) == 45 && send_frame(fd, &out);
}

static bool tell_change(FakeZk *zk, int fd, bool *ret_cut)
{
    CLEANUP(buf_deinit) Buf out = {0};
    lock_take(&zk->lock);
    const char *changed = zk->changed;
    *ret_cut = zk->cut;
    zk->changed = NULL;
    zk->cut = false;
    lock_give(&zk->lock);
    if (!changed)
        return true;
    add_header(&out, UINT32_MAX, 0);
    buf_add_u32be(&out, 4); // children changed
    buf_add_u32be(&out, 3);
    add_bytes(&out, str_from_c(changed));
    return send_frame(fd, &out);
}

// One connection, until it ends; false if the test is over.
static bool serve(FakeZk *zk, int fd)
{
    bool cut = false;
    if (!answer_hello(fd))
        return true;
    while (!cut) {
        struct pollfd wait[] = {{.fd = fd, .events = POLLIN},
                                {.fd = zk->stop[0], .events = POLLIN}};
        unsigned char length[4];
        unsigned char frame[1024];
        (void)poll(wait, 2, 10);
        if (wait[1].revents)
            return false;
        if (!tell_change(zk, fd, &cut))
            return true;
        if (!(wait[0].revents & POLLIN))
            continue;
        if (!read_all(fd, length, 4) || get_u32(length) > sizeof frame ||
            !read_all(fd, frame, get_u32(length)) || !answer(zk, fd, frame, get_u32(length)))
            return true;
    }
    return true;
}

static void run(void *arg)
{
    FakeZk *zk = arg;
    for (bool more = true; more;) {
        struct pollfd wait[] = {{.fd = zk->listener, .events = POLLIN},
                                {.fd = zk->stop[0], .events = POLLIN}};
        (void)poll(wait, 2, -1);
        if (wait[1].revents)
            return;
        int fd = accept(zk->listener, NULL, NULL);
        more = serve(zk, fd);
        close(fd);
    }
}

static void zk_start(FakeZk *zk, const FakeNode *nodes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    Error err = {0};
    *zk = (FakeZk){.nodes = nodes};
    lock_init(&zk->lock, "fake zookeeper", 1);
    zk->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(zk->listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(listen(zk->listener, 4), 0);
    CHECK_EQ(getsockname(zk->listener, (struct sockaddr *)&address, &bytes), 0);
    CHECK_EQ(pipe(zk->stop), 0);
    zk->port = ntohs(address.sin_port);
    CHECK_OK(thread_start(&zk->thread, "fake-zk", run, zk, &err), err);
}

static void zk_change(FakeZk *zk, const FakeNode *nodes, const char *path, bool cut)
{
    lock_take(&zk->lock);
    zk->nodes = nodes;
    zk->changed = path;
    zk->cut = cut;
    lock_give(&zk->lock);
}

static void zk_stop(FakeZk *zk)
{
    CHECK_EQ(write(zk->stop[1], "x", 1), 1);
    thread_join(&zk->thread);
    close(zk->stop[0]);
    close(zk->stop[1]);
    close(zk->listener);
    lock_deinit(&zk->lock);
}

static const char *block(Rig *rig, const FakeZk *zk, const char *kind)
{
    return str_to_c(&rig->arena,
                    arena_printf(&rig->arena,
                                 "%s_sd_configs: [{servers: ['127.0.0.1:%d'], paths: [/s]}]", kind,
                                 zk->port));
}

#define NERVE(host, port)                                                                          \
    "{\"host\": \"" host "\", \"port\": " port ", \"name\": \"n\", \"weight\": 1}"
#define NERVE_LABELS(path, host, port)                                                             \
    host ":" port "{__meta_nerve_endpoint_host=\"" host "\", __meta_nerve_endpoint_name=\"n\", "   \
         "__meta_nerve_endpoint_port=\"" port "\", __meta_nerve_path=\"" path "\"}\n"

TEST(zookeeper, members_come_and_go)
{
    static const FakeNode first[] = {
        {"/s", "", "a"}, {"/s/a", "", "m1"}, {"/s/a/m1", NERVE("h1", "80"), ""}, {0}};
    static const FakeNode replaced[] = {
        {"/s", "", "a"}, {"/s/a", "", "m2"}, {"/s/a/m2", NERVE("h2", "81"), ""}, {0}};
    static const FakeNode changed[] = {
        {"/s", "", "a"}, {"/s/a", "", "m2"}, {"/s/a/m2", NERVE("h3", "82"), ""}, {0}};
    static const FakeNode moved[] = {{"/s", "", "b"}, {"/s/b", NERVE("h4", "83"), ""}, {0}};
    FakeZk zk;
    Rig rig;
    zk_start(&zk, first);
    rig_init(&rig, NULL, 0);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);

    rig_apply(&rig, block(&rig, &zk, "nerve"));
    CHECK(rig_wait(&rig, NERVE_LABELS("/s/a/m1", "h1", "80")));
    zk_change(&zk, replaced, "/s/a", false);
    CHECK(rig_wait(&rig, NERVE_LABELS("/s/a/m2", "h2", "81")));
    zk_change(&zk, changed, "/s/a/m2", false);
    CHECK(rig_wait(&rig, NERVE_LABELS("/s/a/m2", "h3", "82")));

    // What changes while there is no connection is found by the next one.
    zk_change(&zk, moved, NULL, true);
    CHECK(rig_wait(&rig, NERVE_LABELS("/s/b", "h4", "83")));
    CHECK(rig_wait_metric(&rig, "prometheus_treecache_zookeeper_failures_total 1+"));
    rig_deinit(&rig);
    zk_stop(&zk);
}

TEST(zookeeper, serverset_members_have_all_endpoints)
{
    static const FakeNode nodes[] = {
        {"/s", "no JSON", "m"},
        {"/s/m",
         "{\"serviceEndpoint\": {\"host\": \"h\", \"port\": 1}, \"additionalEndpoints\":"
         " {\"health-check\": {\"host\": \"i\", \"port\": 2}}, \"status\": \"ALIVE\","
         " \"shard\": 4}",
         ""},
        {0}};
    FakeZk zk;
    Rig rig;
    zk_start(&zk, nodes);
    rig_init(&rig, NULL, 0);

    rig_apply(&rig, block(&rig, &zk, "serverset"));

    CHECK(rig_wait(&rig, "h:1{__meta_serverset_endpoint_host=\"h\", "
                         "__meta_serverset_endpoint_host_health_check=\"i\", "
                         "__meta_serverset_endpoint_port=\"1\", "
                         "__meta_serverset_endpoint_port_health_check=\"2\", "
                         "__meta_serverset_path=\"/s/m\", __meta_serverset_shard=\"4\", "
                         "__meta_serverset_status=\"ALIVE\"}\n"));
    rig_deinit(&rig);
    zk_stop(&zk);
}

TEST(zookeeper, a_server_that_is_not_there_is_tried_again)
{
    Rig rig;
    rig_init(&rig, NULL, 0);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);

    rig_apply(&rig, "nerve_sd_configs: [{servers: ['127.0.0.1:1'], paths: [/s]}]");

    CHECK(rig_wait_metric(&rig, "prometheus_treecache_zookeeper_failures_total 2+"));
    rig_deinit(&rig);
}

TEST(zookeeper, bad_blocks_are_refused)
{
    static const RigBad cases[] = {
        {"servers", "nerve_sd_configs: [{paths: [/a]}]",
         "nerve SD config must contain at least one Zookeeper server"},
        {"paths", "serverset_sd_configs: [{servers: [h]}]",
         "serverset SD config must contain at least one path"},
        {"relative", "nerve_sd_configs: [{servers: [h], paths: [a]}]",
         "nerve SD config paths must begin with '/': a"},
    };

    EACH_CASE(c, cases)
        rig_check_bad(c);
}

TEST_MAIN(zookeeper, TEST_ROW(zookeeper, members_come_and_go),
          TEST_ROW(zookeeper, serverset_members_have_all_endpoints),
          TEST_ROW(zookeeper, a_server_that_is_not_there_is_tried_again),
          TEST_ROW(zookeeper, bad_blocks_are_refused))
