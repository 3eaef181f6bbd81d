// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery_zk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/random.h"
#include "base/thread.h"
#include "net/url.h"

#define PORT "2181"
#define FRAME_BYTES_MAX (16u << 20)
#define RETRY_MS_MIN 500
#define RETRY_MS_MAX 10000
#define READ_BYTES 65536

enum { OP_GET_DATA = 4, OP_GET_CHILDREN = 8, OP_PING = 11 };
enum { XID_EVENT = -1, XID_PING = -2 };
enum { ERROR_NO_NODE = -101 };

// A question that waits for its answer; ZooKeeper answers in order.
typedef struct Question Question;
struct Question {
    int32_t xid;
    int op;
    char *path;
    size_t path_len;
    ZkDataFn done;
    void *arg;
    Question *next;
};

// Runs on a thread of its own, since names may take long; outlives the client if need be.
typedef struct Lookup {
    ZkClient *client; // NULL: nobody waits any more
    Loop *loop;
    char *host;
    char *port;
    struct addrinfo *found;
    int code;
} Lookup;

struct ZkClient {
    ZkOptions options;
    ThreadPool *lookups; // made when the first name is to be looked up
    Lookup *lookup;      // under way
    LoopTimer *retry;
    LoopTimer *beat;
    LoopWatch *watch;
    int fd; // -1: none
    bool connected;
    bool has_session;
    size_t server;
    int64_t retry_ms;
    int64_t session_ms; // as the server has granted
    int64_t heard_ns;
    int32_t xid;
    Buf in, out;
    Question *first, **last;
};

static int64_t now_ns(const ZkClient *client)
{
    return loop_now_ns(client->options.loop);
}

static uint32_t u32_at(Str bytes, size_t at)
{
    const unsigned char *b = (const unsigned char *)bytes.ptr + at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void question_free(Question *question)
{
    free(question->path);
    free(question);
}

static void drop_connection(ZkClient *client)
{
    if (client->watch)
        loop_watch_free(client->watch);
    client->watch = NULL;
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->connected = client->has_session = false;
    loop_timer_clear(client->beat);
    buf_reset(&client->in);
    buf_reset(&client->out);
    while (client->first) {
        Question *question = client->first;
        client->first = question->next;
        question_free(question);
    }
    client->last = &client->first;
}

static void lose(ZkClient *client, const Error *err)
{
    drop_connection(client);
    client->server++;
    loop_timer_set(client->retry, now_ns(client) + client->retry_ms * 1000000);
    client->retry_ms = MIN(client->retry_ms * 2, RETRY_MS_MAX);
    client->options.on_lost(client->options.arg, err);
}

static void fail(ZkClient *client, ErrorCode code, const char *what)
{
    Error err = {0};
    (void)error_set(
        &err, code, "ZooKeeper at " STR_FMT ": %s",
        STR_ARG(client->options.servers.items[client->server % client->options.servers.count]),
        what);
    lose(client, &err);
}

// ---- sending ----

static void send_some(ZkClient *client)
{
    while (client->out.len) {
        ssize_t sent = send(client->fd, client->out.ptr, client->out.len, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (sent < 0) {
            fail(client, ERR_IO, strerror(errno));
            return;
        }
        memmove(client->out.ptr, client->out.ptr + sent, client->out.len - (size_t)sent);
        client->out.len -= (size_t)sent;
    }
    loop_watch_set(client->watch, LOOP_READ | (client->out.len ? LOOP_WRITE : 0));
}

static void add_frame(ZkClient *client, const Buf *frame)
{
    buf_add_u32be(&client->out, (uint32_t)frame->len);
    buf_add(&client->out, frame->ptr, frame->len);
}

static void send_hello(ZkClient *client)
{
    static const char no_password[16];
    CLEANUP(buf_deinit) Buf frame = {0};
    buf_add_u32be(&frame, 0); // protocol
    buf_add_u64be(&frame, 0); // nothing seen
    buf_add_u32be(&frame, (uint32_t)client->options.timeout_ms);
    buf_add_u64be(&frame, 0); // a new session
    buf_add_u32be(&frame, sizeof no_password);
    buf_add(&frame, no_password, sizeof no_password);
    buf_add_char(&frame, 0); // a read-only server will not do
    add_frame(client, &frame);
    send_some(client);
}

static void ask(ZkClient *client, int op, Str path, ZkDataFn done, void *arg)
{
    CLEANUP(buf_deinit) Buf frame = {0};
    if (!client->has_session)
        return;
    Question *question = X_NEW(Question);
    client->xid = client->xid == INT32_MAX ? 1 : client->xid + 1;
    *question = (Question){.xid = client->xid,
                           .op = op,
                           .path = x_malloc(path.len + 1),
                           .path_len = path.len,
                           .done = done,
                           .arg = arg};
    memcpy(question->path, path.ptr, path.len);
    *client->last = question;
    client->last = &question->next;
    buf_add_u32be(&frame, (uint32_t)question->xid);
    buf_add_u32be(&frame, (uint32_t)op);
    buf_add_u32be(&frame, (uint32_t)path.len);
    buf_add_str(&frame, path);
    buf_add_char(&frame, 1); // watch it
    add_frame(client, &frame);
    loop_watch_set(client->watch, LOOP_READ | LOOP_WRITE); // questions of one round go together
}

void zk_client_get(ZkClient *client, Str path, ZkDataFn done, void *arg)
{
    ask(client, OP_GET_DATA, path, done, arg);
}

void zk_client_children(ZkClient *client, Str path, ZkDataFn done, void *arg)
{
    ask(client, OP_GET_CHILDREN, path, done, arg);
}

static void on_beat(void *arg)
{
    ZkClient *client = arg;
    CLEANUP(buf_deinit) Buf frame = {0};
    if (now_ns(client) - client->heard_ns > client->session_ms * 1000000) {
        fail(client, ERR_TIMEOUT, "no answer");
        return;
    }
    loop_timer_set(client->beat, now_ns(client) + client->session_ms * 1000000 / 3);
    if (!client->has_session)
        return;
    buf_add_u32be(&frame, (uint32_t)XID_PING);
    buf_add_u32be(&frame, OP_PING);
    add_frame(client, &frame);
    send_some(client);
}

// ---- receiving ----

// A length and as many bytes at *at; false if they do not fit.
static bool take_bytes(Str frame, size_t *at, Str *ret_bytes)
{
    if (frame.len - *at < 4)
        return false;
    uint32_t length = u32_at(frame, *at);
    if (length == UINT32_MAX) // null
        length = 0;
    if (length > frame.len - *at - 4)
        return false;
    *ret_bytes = str_sub(frame, *at + 4, length);
    *at += 4 + length;
    return true;
}

bool zk_next_name(Str *names, Str *ret_name)
{
    size_t at = 0;
    if (!take_bytes(*names, &at, ret_name))
        return false;
    *names = str_skip(*names, at);
    return true;
}

// The names of an answer, held against what it says their number is.
static bool check_names(Str frame, Str *ret_names)
{
    if (frame.len < 4)
        return false;
    uint32_t count = u32_at(frame, 0);
    Str rest = str_skip(frame, 4);
    Str name;
    *ret_names = rest;
    for (uint32_t i = 0; i < count && count != UINT32_MAX; i++)
        if (!zk_next_name(&rest, &name))
            return false;
    ret_names->len -= rest.len;
    return true;
}

static void take_hello(ZkClient *client, Str frame)
{
    if (frame.len < 16) {
        fail(client, ERR_INVALID, "a malformed answer to the first message");
        return;
    }
    client->session_ms = (int32_t)u32_at(frame, 4);
    if (client->session_ms <= 0) {
        fail(client, ERR_UNAVAILABLE, "the session was refused");
        return;
    }
    client->has_session = true;
    client->retry_ms = RETRY_MS_MIN;
    loop_timer_set(client->beat, now_ns(client) + client->session_ms * 1000000 / 3);
    client->options.on_ready(client->options.arg);
}

static void take_event(ZkClient *client, Str body)
{
    size_t at = 8; // type and state
    Str path;
    if (body.len < at || !take_bytes(body, &at, &path))
        fail(client, ERR_INVALID, "a malformed event");
    else if (path.len)
        client->options.on_change(client->options.arg, path);
}

static void take_answer(ZkClient *client, int32_t xid, int32_t code, Str body)
{
    Question *question = client->first;
    Str data = STR_NONE;
    size_t at = 0;
    if (!question || question->xid != xid) {
        fail(client, ERR_INVALID, "an answer that nobody asked for");
        return;
    }
    bool ok = code != 0 || (question->op == OP_GET_DATA ? take_bytes(body, &at, &data)
                                                        : check_names(body, &data));
    if (!ok) {
        fail(client, ERR_INVALID, "a malformed answer");
        return;
    }
    client->first = question->next;
    if (!client->first)
        client->last = &client->first;
    question->done(question->arg, str_make(question->path, question->path_len),
                   code == 0               ? ZK_OK
                   : code == ERROR_NO_NODE ? ZK_NO_NODE
                                           : ZK_FAILED,
                   data);
    question_free(question);
}

static void take_frame(ZkClient *client, Str frame)
{
    if (!client->has_session) {
        take_hello(client, frame);
        return;
    }
    if (frame.len < 16) {
        fail(client, ERR_INVALID, "a malformed message");
        return;
    }
    int32_t xid = (int32_t)u32_at(frame, 0);
    Str body = str_skip(frame, 16);
    if (xid == XID_EVENT)
        take_event(client, body);
    else if (xid != XID_PING)
        take_answer(client, xid, (int32_t)u32_at(frame, 12), body);
}

// All whole frames that are there; what is called may drop the connection.
static void take_frames(ZkClient *client)
{
    size_t at = 0;
    while (client->fd >= 0 && client->in.len - at >= 4) {
        uint32_t length = u32_at(buf_str(&client->in), at);
        if (length > FRAME_BYTES_MAX) {
            fail(client, ERR_LIMIT, "a message that is too long");
            return;
        }
        if (client->in.len - at - 4 < length)
            break;
        take_frame(client, str_sub(buf_str(&client->in), at + 4, length));
        at += 4 + length;
    }
    if (client->fd >= 0 && at) {
        memmove(client->in.ptr, client->in.ptr + at, client->in.len - at);
        client->in.len -= at;
    }
}

static void receive(ZkClient *client)
{
    for (;;) {
        char *room = buf_reserve(&client->in, READ_BYTES);
        ssize_t got = recv(client->fd, room, READ_BYTES, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            fail(client, ERR_IO, got < 0 ? strerror(errno) : "the connection was closed");
            return;
        }
        client->heard_ns = now_ns(client);
        client->in.len += (size_t)got;
        take_frames(client);
        if (client->fd < 0 || got < READ_BYTES)
            return;
    }
}

// ---- connecting ----

static void on_socket(void *arg, int fd, int events)
{
    ZkClient *client = arg;
    if (!client->connected) {
        int code = 0;
        socklen_t bytes = sizeof code;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &bytes) != 0 || code != 0) {
            fail(client, ERR_UNAVAILABLE, strerror(code ? code : errno));
            return;
        }
        client->connected = true;
        send_hello(client);
        return;
    }
    if (events & (LOOP_READ | LOOP_HANGUP))
        receive(client);
    if (client->fd >= 0 && (events & LOOP_WRITE))
        send_some(client);
}

static void connect_to(ZkClient *client, const struct addrinfo *address)
{
    int on = 1;
    client->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        fail(client, ERR_IO, strerror(errno));
        return;
    }
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // only faster
    if (connect(client->fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        fail(client, ERR_UNAVAILABLE, strerror(errno));
        return;
    }
    client->session_ms = client->options.timeout_ms;
    client->heard_ns = now_ns(client);
    client->watch = loop_watch_new(client->options.loop, client->fd, LOOP_WRITE, on_socket, client);
    loop_timer_set(client->beat, now_ns(client) + client->session_ms * 1000000 / 3);
}

static void lookup_free(Lookup *lookup)
{
    if (lookup->found)
        freeaddrinfo(lookup->found);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static void on_found(void *arg)
{
    Lookup *lookup = arg;
    ZkClient *client = lookup->client;
    if (client) {
        client->lookup = NULL;
        if (lookup->code == 0)
            connect_to(client, lookup->found);
        else
            fail(client, ERR_UNAVAILABLE, gai_strerror(lookup->code));
    }
    lookup_free(lookup);
}

static void look_up(void *arg)
{
    Lookup *lookup = arg;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    lookup->code = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
    loop_post(lookup->loop, on_found, lookup);
}

static char *heap_c(Str text)
{
    char *copy = x_malloc(text.len + 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return copy;
}

static void on_retry(void *arg)
{
    ZkClient *client = arg;
    Str server = client->options.servers.items[client->server % client->options.servers.count];
    Str host;
    Str port;
    Error ignored = {0};
    if (!url_split_host_port(server, &host, &port, &ignored)) {
        host = server;
        port = S(PORT);
    }
    Lookup *lookup = X_NEW(Lookup);
    *lookup = (Lookup){.client = client,
                       .loop = client->options.loop,
                       .host = heap_c(host),
                       .port = heap_c(port.len ? port : S(PORT))};
    client->lookup = lookup;
    if (!client->lookups)
        client->lookups = thread_pool_new("zk-lookup", 1);
    thread_pool_add(client->lookups, look_up, lookup);
}

ZkClient *zk_client_new(const ZkOptions *options)
{
    ZkClient *client = X_NEW(ZkClient);
    uint64_t chance;
    random_system(&chance, sizeof chance);
    client->options = *options;
    client->fd = -1;
    client->server = chance % options->servers.count;
    client->retry_ms = RETRY_MS_MIN;
    client->last = &client->first;
    client->retry = loop_timer_new(options->loop, on_retry, client);
    client->beat = loop_timer_new(options->loop, on_beat, client);
    loop_timer_set(client->retry, loop_now_ns(options->loop));
    return client;
}

void zk_client_free(ZkClient *client)
{
    if (!client)
        return;
    drop_connection(client);
    if (client->lookup)
        client->lookup->client = NULL;
    thread_pool_free(client->lookups); // what it has found is posted, and freed by the loop
    loop_timer_free(client->retry);
    loop_timer_free(client->beat);
    buf_deinit(&client->in);
    buf_deinit(&client->out);
    free(client);
}
