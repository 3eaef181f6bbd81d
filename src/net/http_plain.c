// SPDX-License-Identifier: Apache-2.0
#include "net/http_plain.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "net/http_plain_url.h"

enum {
    RECEIVE_BYTES = 64 * 1024,
    HEAD_RECEIVE_BYTES = 2 * 1024, // what comes with the head is copied to the body once more
    DIRECT_BYTES_MIN = 1024,       // a shorter rest is not worth a call of its own
    READ_AHEAD_BYTES =
        1 << 20, // of an announced body: its buffer grows in such steps, or by doubling
    CHUNK_LINE_BYTES_MAX = 4096,
    INTERIM_MAX = 16, // 1xx answers before the real one
    IDLE_LOOK_NS_MIN = 1000000000,
};

typedef enum CallState {
    STATE_IDLE,
    STATE_CONNECTING,
    STATE_HEAD, // also while the request is still being sent
    STATE_LENGTH,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_DATA,
    STATE_CHUNK_END, // the line break behind the data
    STATE_TRAILER,
    STATE_TO_CLOSE,
} CallState;

struct HttpPlainCall {
    HttpPlain *plain;
    int fd;
    LoopWatch *watch;
    LoopTimer *timer; // the deadline
    char authority[HTTP_PLAIN_AUTHORITY_BYTES_MAX];
    Str key;      // of the map: a view of authority
    size_t tried; // of its addresses

    // Idle: a list for each authority, and one of all, oldest first.
    HttpPlainCall *below;
    HttpPlainCall *older, *newer;
    int64_t idle_since_ns;

    CallState state;
    bool is_reused; // had an answer before this call
    bool keep;      // may be used again after this answer
    int interim;
    HttpPlainRequest request;
    Buf out;     // head, to be sent
    size_t sent; // of head and body together
    bool is_established;
    Buf line; // a head, or a line between chunks, that is not whole yet
    Buf *into;
    uint64_t left; // of the body, or of the chunk
};

struct HttpPlain {
    Loop *loop;
    int64_t idle_ns;
    Map idle; // authority -> its newest idle connection
    HttpPlainCall *oldest, *newest;
    LoopTimer *idle_timer;
    char *received; // RECEIVE_BYTES
    const ConnDialer *dialer;
};

// ---- idle connections ----

static void idle_take(HttpPlainCall *call)
{
    HttpPlain *plain = call->plain;
    if (call->older)
        call->older->newer = call->newer;
    else
        plain->oldest = call->newer;
    if (call->newer)
        call->newer->older = call->older;
    else
        plain->newest = call->older;
    call->older = call->newer = NULL;

    HttpPlainCall *top = map_get(&plain->idle, call->key);
    if (top == call) {
        map_remove(&plain->idle, call->key);
        if (call->below)
            map_put(&plain->idle, call->below->key, call->below);
    } else {
        while (top->below != call)
            top = top->below;
        top->below = call->below;
    }
    call->below = NULL;
}

static void idle_put(HttpPlainCall *call)
{
    HttpPlain *plain = call->plain;
    call->state = STATE_IDLE;
    call->is_reused = true;
    call->idle_since_ns = loop_now_ns(plain->loop);
    HttpPlainCall *top = map_remove(&plain->idle, call->key);
    call->below = top;
    map_put(&plain->idle, call->key, call);
    call->older = plain->newest;
    call->newer = NULL;
    if (plain->newest)
        plain->newest->newer = call;
    else
        plain->oldest = call;
    plain->newest = call;
    if (plain->oldest == call)
        loop_timer_set(plain->idle_timer, call->idle_since_ns + plain->idle_ns);
}

static void disconnect(HttpPlainCall *call)
{
    loop_watch_free(call->watch);
    call->watch = NULL;
    if (call->fd >= 0)
        close(call->fd);
    if (call->is_established)
        conn_track_count(call->plain->dialer->closed);
    call->is_established = false;
    call->fd = -1;
}

static void call_free(HttpPlainCall *call)
{
    disconnect(call);
    loop_timer_free(call->timer);
    buf_deinit(&call->out);
    buf_deinit(&call->line);
    free(call);
}

static void drop_oldest(HttpPlain *plain)
{
    HttpPlainCall *call = plain->oldest;
    idle_take(call);
    ASSERT(plain->oldest != call);
    call_free(call);
}

static void on_idle_timer(void *arg)
{
    HttpPlain *plain = arg;
    int64_t now_ns = loop_now_ns(plain->loop);
    while (plain->oldest && plain->oldest->idle_since_ns + plain->idle_ns <= now_ns)
        drop_oldest(plain);
    if (plain->oldest)
        loop_timer_set(plain->idle_timer, MAX(plain->oldest->idle_since_ns + plain->idle_ns,
                                              now_ns + IDLE_LOOK_NS_MIN));
}

HttpPlain *http_plain_new(Loop *loop, int64_t idle_ns, const ConnDialer *dialer)
{
    static const ConnDialer none;
    HttpPlain *plain = X_NEW(HttpPlain);
    plain->loop = loop;
    plain->idle_ns = idle_ns;
    plain->dialer = dialer ? dialer : &none;
    plain->idle_timer = loop_timer_new(loop, on_idle_timer, plain);
    plain->received = x_malloc(RECEIVE_BYTES);
    return plain;
}

void http_plain_free(HttpPlain *plain)
{
    if (!plain)
        return;
    while (plain->oldest)
        drop_oldest(plain);
    loop_timer_free(plain->idle_timer);
    map_deinit(&plain->idle);
    free(plain->received);
    free(plain);
}

// ---- the end of a call ----

#define READ_ENDED SIZE_MAX

static void call_end(HttpPlainCall *call, const Error *err)
{
    void (*on_end)(void *arg, const Error *err) = call->request.on_end;
    void *arg = call->request.arg;
    if (call->request.deadline_ns)
        loop_timer_clear(call->timer);
    if (!err && call->keep)
        idle_put(call);
    else
        call_free(call);
    on_end(arg, err);
}

// Ends the call with an error. Returns READ_ENDED, for those that read.
static size_t call_fail(HttpPlainCall *call, ErrorCode code, const char *fmt, ...) PRINTF(3, 4);
static size_t call_fail(HttpPlainCall *call, ErrorCode code, const char *fmt, ...)
{
    Error err;
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    error_set(&err, code, "%s", text);
    call_end(call, &err);
    return READ_ENDED;
}

static void on_deadline(void *arg)
{
    const HttpPlainCall *call = arg;
    if (call->state == STATE_CONNECTING)
        conn_track_count(call->plain->dialer->failed[CONN_TIMEOUT]);
    call_fail(arg, ERR_TIMEOUT, "context deadline exceeded");
}

static bool dial(HttpPlainCall *call, Error *err);
static bool dial_next(HttpPlainCall *call, int error_number, Error *err);

// As Go says it: with a small first letter.
static const char *reason_of(int error_number, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s", strerror(error_number));
    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

static bool dial_error(const HttpPlainCall *call, int error_number, Error *err)
{
    char reason[100];
    conn_track_count(call->plain->dialer->failed[conn_track_failure(error_number)]);
    return error_set(err, ERR_UNAVAILABLE, "dial tcp %s: connect: %s", call->authority,
                     reason_of(error_number, reason, sizeof reason));
}

// The other side has closed or broken the connection.
static void on_broken(HttpPlainCall *call, const char *operation, int error_number)
{
    // Nothing of an answer came on a connection that had waited: it was closed meanwhile.
    if (call->is_reused && call->state == STATE_HEAD && call->line.len == 0 && call->interim == 0) {
        Error err;
        disconnect(call);
        call->is_reused = false;
        call->sent = 0;
        if (!dial(call, &err))
            call_end(call, &err);
        return;
    }
    bool begun = call->state != STATE_HEAD || call->line.len > 0;
    char reason[100];
    if (error_number)
        call_fail(call, ERR_IO, "%s tcp %s: %s", operation, call->authority,
                  reason_of(error_number, reason, sizeof reason));
    else
        call_fail(call, ERR_IO, "%s", begun ? "unexpected EOF" : "EOF");
}

// ---- the answer ----

// Each read_x returns how many bytes it has used, or READ_ENDED if the call is over and must not be touched any more.

static size_t end_answer(HttpPlainCall *call, size_t used, size_t len)
{
    call->keep = call->keep && used == len; // more than was promised: nobody knows what it is
    call_end(call, NULL);
    return READ_ENDED;
}

// What the headers say about the body and the connection.
typedef struct Framing {
    int64_t length; // -1: not told
    bool chunked;
    bool close;
    bool keep_alive;
    bool is_bad;
} Framing;

static bool has_word(Str list, Str word)
{
    Str item;
    while (str_split_next(&list, ',', &item))
        if (str_equal_nocase(str_trim(item), word))
            return true;
    return false;
}

static void read_length(Framing *framing, Str value)
{
    int64_t length = 0;
    framing->is_bad |= value.len == 0 || value.len > 18;
    for (size_t i = 0; i < value.len && !framing->is_bad; i++) {
        framing->is_bad = !isdigit((unsigned char)value.ptr[i]);
        length = length * 10 + (value.ptr[i] - '0');
    }
    framing->is_bad |= framing->length >= 0 && framing->length != length;
    framing->length = length;
}

static Framing read_framing(Str headers)
{
    Framing framing = {.length = -1};
    Str line;
    while (str_split_next(&headers, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        Str name = str_sub(line, 0, colon);
        if (colon == STR_NOT_FOUND || (name.len != 10 && name.len != 14 && name.len != 17))
            continue;
        Str value = str_trim(str_skip(line, colon + 1));
        if (str_equal_nocase(name, S("Content-Length"))) {
            read_length(&framing, value);
        } else if (str_equal_nocase(name, S("Transfer-Encoding"))) {
            framing.chunked = str_equal_nocase(value, S("chunked"));
            framing.is_bad |= !framing.chunked && !str_equal_nocase(value, S("identity"));
        } else if (str_equal_nocase(name, S("Connection"))) {
            framing.close |= has_word(value, S("close"));
            framing.keep_alive |= has_word(value, S("keep-alive"));
        }
    }
    return framing;
}

// "HTTP/1.1 200 OK"; false if it is none.
static bool read_status(Str line, int *ret_status, bool *ret_is_11)
{
    if (line.len < 12 || !str_starts_with(line, S("HTTP/1.")) || line.ptr[8] != ' ')
        return false;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (!isdigit((unsigned char)line.ptr[i]))
            return false;
        status = status * 10 + (line.ptr[i] - '0');
    }
    *ret_status = status;
    *ret_is_11 = line.ptr[7] == '1';
    return (line.len == 12 || line.ptr[12] == ' ' || line.ptr[12] == '\r') && status >= 100;
}

static size_t take_length(HttpPlainCall *call, size_t len, uint64_t length)
{
    if (length > call->request.body_bytes_max) {
        return call_fail(call, ERR_LIMIT, "response body is larger than %zu bytes",
                         call->request.body_bytes_max);
    }
    call->state = STATE_LENGTH;
    call->left = length;
    return length == 0 ? end_answer(call, 0, len) : 0;
}

// A whole head; `len` bytes have come behind it.
static size_t take_head(HttpPlainCall *call, Str head, size_t len)
{
    int status;
    bool is_11;
    Str headers = head;
    Str first;
    str_split_next(&headers, '\n', &first);
    if (!read_status(first, &status, &is_11))
        return call_fail(call, ERR_IO, "malformed HTTP response");
    if (status < 200 && status != 101) {
        if (++call->interim > INTERIM_MAX)
            return call_fail(call, ERR_IO, "too many 1xx informational responses");
        return 0;
    }
    Framing framing = read_framing(headers);
    if (framing.is_bad)
        return call_fail(call, ERR_IO, "malformed HTTP response: length or transfer encoding");
    call->keep = is_11 ? !framing.close : framing.keep_alive;
    call->into = call->request.on_head(call->request.arg, status, headers,
                                       framing.chunked ? -1 : framing.length);
    if (call->request.is_head_method || status == 204 || status == 304)
        return end_answer(call, 0, len);
    if (framing.chunked) {
        call->state = STATE_CHUNK_SIZE;
        return 0;
    }
    if (framing.length >= 0)
        return take_length(call, len, (uint64_t)framing.length);
    call->state = STATE_TO_CLOSE;
    call->keep = false;
    return 0;
}

// The index behind the empty line, or STR_NOT_FOUND.
static size_t head_end(Str text)
{
    for (size_t from = 0;;) {
        const char *at = from < text.len ? memchr(text.ptr + from, '\n', text.len - from) : NULL;
        if (!at)
            return STR_NOT_FOUND;
        from = (size_t)(at - text.ptr) + 1;
        if (from < text.len && text.ptr[from] == '\n')
            return from + 1;
        if (from + 1 < text.len && text.ptr[from] == '\r' && text.ptr[from + 1] == '\n')
            return from + 2;
    }
}

static size_t read_head(HttpPlainCall *call, Str bytes)
{
    Str whole = bytes;
    size_t before = call->line.len;
    if (before) {
        buf_add_str(&call->line, bytes);
        whole = buf_str(&call->line);
    }
    size_t end = head_end(whole);
    if ((end == STR_NOT_FOUND ? whole.len : end) > HTTP_PLAIN_HEAD_BYTES_MAX) {
        return call_fail(call, ERR_INVALID, "response headers are larger than %d bytes",
                         HTTP_PLAIN_HEAD_BYTES_MAX);
    }
    if (end == STR_NOT_FOUND) {
        if (before == 0)
            buf_add_str(&call->line, bytes);
        return bytes.len;
    }
    size_t used = end - before;
    size_t more = take_head(call, str_sub(whole, 0, end), bytes.len - used);
    if (more == READ_ENDED)
        return READ_ENDED;
    buf_reset(&call->line);
    return used;
}

static size_t read_body(HttpPlainCall *call, Str bytes)
{
    if (call->into->len + bytes.len > call->request.body_bytes_max) {
        return call_fail(call, ERR_LIMIT, "response body is larger than %zu bytes",
                         call->request.body_bytes_max);
    }
    buf_add_str(call->into, bytes);
    return call->into->failed ? call_fail(call, ERR_LIMIT, "response body is too large")
                              : bytes.len;
}

static size_t read_length_body(HttpPlainCall *call, Str bytes)
{
    size_t used = read_body(call, str_sub(bytes, 0, call->left));
    if (used == READ_ENDED)
        return used;
    call->left -= used;
    return call->left == 0 ? end_answer(call, used, bytes.len) : used;
}

// Gathers up to a line break. True: *ret_line is one (good until the next use of call->line).
static bool gather_line(HttpPlainCall *call, Str bytes, size_t *ret_used, Str *ret_line)
{
    size_t end = str_find_char(bytes, '\n');
    *ret_used = end == STR_NOT_FOUND ? bytes.len : end + 1;
    buf_add_str(&call->line, str_sub(bytes, 0, *ret_used));
    *ret_line = str_trim(buf_str(&call->line));
    return end != STR_NOT_FOUND;
}

static bool chunk_size(Str line, uint64_t *ret_size)
{
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < line.len && str_digit(line.ptr[digits]) < 16; digits++) {
        if (digits == 15)
            return false;
        size = size * 16 + str_digit(line.ptr[digits]);
    }
    Str rest = str_trim(str_skip(line, digits));
    *ret_size = size;
    return digits > 0 && (rest.len == 0 || rest.ptr[0] == ';');
}

// The lines of a chunked body.
static size_t read_chunk_line(HttpPlainCall *call, Str bytes)
{
    Str line;
    size_t used;
    bool whole = gather_line(call, bytes, &used, &line);
    if (call->line.len > CHUNK_LINE_BYTES_MAX)
        return call_fail(call, ERR_IO, "malformed chunked encoding: line too long");
    if (!whole)
        return used;
    if (call->state == STATE_CHUNK_SIZE) {
        if (!chunk_size(line, &call->left))
            return call_fail(call, ERR_IO, "malformed chunked encoding: invalid size");
        call->state = call->left ? STATE_CHUNK_DATA : STATE_TRAILER;
    } else if (call->state == STATE_CHUNK_END) {
        if (line.len)
            return call_fail(call, ERR_IO, "malformed chunked encoding: no end of chunk");
        call->state = STATE_CHUNK_SIZE;
    } else if (line.len == 0) {
        buf_reset(&call->line);
        return end_answer(call, used, bytes.len);
    }
    buf_reset(&call->line);
    return used;
}

static size_t read_chunk_data(HttpPlainCall *call, Str bytes)
{
    size_t used = read_body(call, str_sub(bytes, 0, call->left));
    if (used == READ_ENDED)
        return used;
    call->left -= used;
    if (call->left == 0)
        call->state = STATE_CHUNK_END;
    return used;
}

static size_t read_some(HttpPlainCall *call, Str bytes)
{
    switch (call->state) {
    case STATE_HEAD:
        return read_head(call, bytes);
    case STATE_LENGTH:
        return read_length_body(call, bytes);
    case STATE_CHUNK_SIZE:
    case STATE_CHUNK_END:
    case STATE_TRAILER:
        return read_chunk_line(call, bytes);
    case STATE_CHUNK_DATA:
        return read_chunk_data(call, bytes);
    case STATE_TO_CLOSE:
        return read_body(call, bytes);
    case STATE_IDLE:
    case STATE_CONNECTING:
        break;
    }
    ASSERT(call->state != STATE_IDLE && call->state != STATE_CONNECTING);
    return bytes.len;
}

// False: the call is over.
static bool read_all(HttpPlainCall *call, Str bytes)
{
    while (bytes.len) {
        size_t used = read_some(call, bytes);
        if (used == READ_ENDED)
            return false;
        bytes = str_skip(bytes, used);
    }
    return true;
}

// Where the next bytes go: straight into the body where its length is known, else into the common buffer. A head is asked for alone, so
// that little of a body behind it takes the detour.
static char *receive_place(HttpPlainCall *call, size_t *ret_bytes)
{
    bool is_body = call->state == STATE_LENGTH || call->state == STATE_CHUNK_DATA;
    if (is_body && call->left >= DIRECT_BYTES_MIN &&
        call->into->len + call->left <= call->request.body_bytes_max) {
        size_t ahead = MAX((size_t)READ_AHEAD_BYTES, call->into->len);
        *ret_bytes = MIN((size_t)call->left, ahead);
        char *at = buf_reserve(call->into, *ret_bytes);
        if (at)
            return at;
    }
    *ret_bytes = call->state == STATE_HEAD ? HEAD_RECEIVE_BYTES : RECEIVE_BYTES;
    return call->plain->received;
}

// Takes in bytes that lie in the body already.
static bool count_body(HttpPlainCall *call, size_t len)
{
    call->into->len += len;
    call->left -= len;
    if (call->left)
        return true;
    if (call->state == STATE_CHUNK_DATA) {
        call->state = STATE_CHUNK_END;
        return true;
    }
    end_answer(call, 0, 0);
    return false;
}

static void receive(HttpPlainCall *call)
{
    for (;;) {
        size_t bytes;
        char *place = receive_place(call, &bytes);
        ssize_t got = recv(call->fd, place, bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (got == 0 && call->state == STATE_TO_CLOSE) {
            call_end(call, NULL);
            return;
        }
        if (got <= 0) {
            on_broken(call, "read", got < 0 ? errno : 0);
            return;
        }
        bool goes_on = place == call->plain->received ? read_all(call, str_make(place, (size_t)got))
                                                      : count_body(call, (size_t)got);
        if (!goes_on || (size_t)got < bytes)
            return; // over, or the kernel has no more for now
    }
}

// ---- the request ----

static void send_rest(HttpPlainCall *call)
{
    size_t total = call->out.len + call->request.body.len;
    while (call->sent < total) {
        bool in_head = call->sent < call->out.len;
        Str rest = in_head ? str_skip(buf_str(&call->out), call->sent)
                           : str_skip(call->request.body, call->sent - call->out.len);
        bool more = in_head && call->request.body.len;
        ssize_t sent =
            send(call->fd, rest.ptr, rest.len, MSG_NOSIGNAL | (more ? (int)MSG_MORE : 0));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            loop_watch_set(call->watch, LOOP_READ | LOOP_WRITE);
            return;
        }
        // An answer may have come before the other side stopped listening (a 413, say): reading tells.
        if (sent < 0)
            break;
        call->sent += (size_t)sent;
    }
    loop_watch_set(call->watch, LOOP_READ);
}

static void on_connected(HttpPlainCall *call)
{
    int error_number = 0;
    socklen_t len = sizeof error_number;
    if (getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &error_number, &len) != 0)
        error_number = errno;
    if (error_number) {
        Error err;
        if (!dial_next(call, error_number, &err))
            call_end(call, &err);
        return;
    }
    call->is_established = true;
    conn_track_count(call->plain->dialer->established);
    call->state = STATE_HEAD;
    send_rest(call);
}

static void on_ready(void *arg, int fd, int events)
{
    (void)fd;
    HttpPlainCall *call = arg;
    switch (call->state) {
    case STATE_IDLE: // closed by the other side, or bytes that nobody asked for
        idle_take(call);
        call_free(call);
        return;
    case STATE_CONNECTING:
        on_connected(call);
        return;
    default:
        if (events & LOOP_WRITE)
            send_rest(call);
        if (events & (LOOP_READ | LOOP_HANGUP))
            receive(call);
    }
}

// Begins to connect. Returns 0, or the error number.
static int connect_to(HttpPlainCall *call, const struct sockaddr_storage *address, socklen_t bytes)
{
    call->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (call->fd < 0)
        return errno;
    int one = 1;
    (void)setsockopt(call->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(call->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    if (connect(call->fd, (const struct sockaddr *)address, bytes) != 0 && errno != EINPROGRESS)
        return errno;
    call->state = STATE_CONNECTING;
    call->watch = loop_watch_new(call->plain->loop, call->fd, LOOP_WRITE, on_ready, call);
    return 0;
}

// Dials the next address. False: there is none; error_number says what became of the last one.
static bool dial_next(HttpPlainCall *call, int error_number, Error *err)
{
    struct sockaddr_storage address;
    socklen_t bytes;
    while (http_plain_url_address(call->key, call->tried, &address, &bytes)) {
        call->tried++;
        disconnect(call);
        error_number = connect_to(call, &address, bytes);
        if (error_number == 0)
            return true;
    }
    ASSERT(error_number);
    return dial_error(call, error_number, err);
}

static bool dial(HttpPlainCall *call, Error *err)
{
    conn_track_count(call->plain->dialer->attempted);
    call->tried = 0;
    return dial_next(call, 0, err);
}

static HttpPlainCall *call_new(HttpPlain *plain, Str authority)
{
    HttpPlainCall *call = X_NEW(HttpPlainCall);
    call->plain = plain;
    call->fd = -1;
    call->timer = loop_timer_new(plain->loop, on_deadline, call);
    ASSERT(authority.len < sizeof call->authority);
    memcpy(call->authority, authority.ptr, authority.len);
    call->key = str_make(call->authority, authority.len);
    return call;
}

bool http_plain_start(HttpPlain *plain, const HttpPlainRequest *request, HttpPlainCall **ret_call,
                      Error *err)
{
    HttpPlainCall *call = map_get(&plain->idle, request->url.authority);
    if (call)
        idle_take(call);
    else
        call = call_new(plain, request->url.authority);
    call->request = *request;
    call->interim = 0;
    call->keep = false;
    call->sent = 0;
    buf_reset(&call->line);
    buf_reset(&call->out);
    buf_add_str(&call->out, request->head);
    if (call->fd >= 0) {
        call->state = STATE_HEAD;
        send_rest(call);
    } else if (!dial(call, err)) {
        call_free(call);
        return false;
    }
    if (request->deadline_ns)
        loop_timer_set(call->timer, request->deadline_ns);
    *ret_call = call;
    return true;
}

void http_plain_cancel(HttpPlainCall *call)
{
    call_free(call);
}
