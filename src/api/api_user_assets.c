// SPDX-License-Identifier: Apache-2.0
// /user/*: the files of --web.user-assets, served as Go's http.FileServer serves a folder: index.html, lists of folders, ranges of
// bytes, 304. A path is made clean before it is looked up, so that none leads out of the folder but by a symbolic link in it, which
// is the owner's.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "base/fs.h"
#include "base/number.h"
#include "base/timefmt.h"

#define PREFIX "/user"

enum {
    PIECE_BYTES = 256 * 1024, // what is not larger is sent in one, with its length
    SNIFF_BYTES = 512,
    LIST_MAX = 10000, // entries of a folder that are shown
};

typedef struct Asset {
    int fd;
    Str path; // clean, begins with a slash, has none at its end; "" is the folder itself
    bool ends_with_slash;
    struct stat stat;
} Asset;

static void asset_close(Asset *asset)
{
    if (asset->fd >= 0)
        close(asset->fd);
}

// Without empty segments, "." and ".."; a ".." at the top stays there, as in Go's path.Clean of a rooted path.
static Str clean_path(Arena *arena, Str path)
{
    char *out = arena_alloc(arena, path.len + 1);
    size_t len = 0;
    Str segment;

    while (str_split_next(&path, '/', &segment)) {
        if (segment.len == 0 || str_is(segment, "."))
            continue;
        if (str_is(segment, "..")) {
            while (len && out[--len] != '/')
                ;
            continue;
        }
        out[len++] = '/';
        memcpy(out + len, segment.ptr, segment.len);
        len += segment.len;
    }
    return str_make(out, len);
}

// Regular files and folders only: a pipe would never end.
static bool asset_open(ApiCall *call, Str below, Asset *asset)
{
    *asset = (Asset){.fd = -1,
                     .path = clean_path(call->arena, below),
                     .ends_with_slash = str_ends_with(below, S("/"))};
    errno = 0;
    if (str_find_char(below, 0) != STR_NOT_FOUND)
        return false;
    Str full = arena_printf(call->arena, STR_FMT STR_FMT, STR_ARG(call->api->user_assets),
                            STR_ARG(asset->path));
    asset->fd = open(str_to_c(call->arena, full), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return asset->fd >= 0 && fstat(asset->fd, &asset->stat) == 0 &&
           (S_ISREG(asset->stat.st_mode) || S_ISDIR(asset->stat.st_mode));
}

// ---- what kind of file it is

static Str type_by_name(Str path)
{
    static const struct {
        const char *ending;
        Str type;
    } types[] = {
        {".avif", STR("image/avif")},
        {".css", STR("text/css; charset=utf-8")},
        {".csv", STR("text/csv; charset=utf-8")},
        {".gif", STR("image/gif")},
        {".htm", STR("text/html; charset=utf-8")},
        {".html", STR("text/html; charset=utf-8")},
        {".ico", STR("image/vnd.microsoft.icon")},
        {".jpeg", STR("image/jpeg")},
        {".jpg", STR("image/jpeg")},
        {".js", STR("text/javascript; charset=utf-8")},
        {".json", STR("application/json")},
        {".map", STR("application/json")},
        {".mjs", STR("text/javascript; charset=utf-8")},
        {".pdf", STR("application/pdf")},
        {".png", STR("image/png")},
        {".svg", STR("image/svg+xml")},
        {".ttf", STR("font/ttf")},
        {".txt", STR("text/plain; charset=utf-8")},
        {".wasm", STR("application/wasm")},
        {".webp", STR("image/webp")},
        {".woff", STR("font/woff")},
        {".woff2", STR("font/woff2")},
        {".xml", STR("text/xml; charset=utf-8")},
    };
    size_t dot = str_rfind_char(path, '.');
    Str ending = dot == STR_NOT_FOUND ? STR_NONE : str_skip(path, dot);
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (str_equal_nocase(ending, str_from_c(types[i].ending)))
            return types[i].type;
    return STR_NONE;
}

// Text has no control characters but white space and escape.
static Str type_by_content(const Asset *asset)
{
    char head[SNIFF_BYTES];
    ssize_t got = pread(asset->fd, head, sizeof head, 0);
    for (ssize_t i = 0; i < got; i++) {
        unsigned char c = (unsigned char)head[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b)
            return S("application/octet-stream");
    }
    return S("text/plain; charset=utf-8");
}

// ---- the client's conditions

// Fri, 02 Jan 2026 15:04:05 GMT (RFC 9110 5.6.7). Compared as text: clients send back what they got.
static Str http_date(Arena *arena, int64_t unix_s)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    CivilTime t = civil_from_s(unix_s);
    return arena_printf(arena, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.weekday,
                        t.day, months + 3 * (t.month - 1), (int)t.year, t.hour, t.minute, t.second);
}

// "bytes=FROM-TO", "bytes=FROM-", "bytes=-LAST". Several ranges, or none that is understood, give the whole: RFC 9110 14.2.
// False: the range lies behind the end.
static bool range_of(Str header, uint64_t size, uint64_t *ret_from, uint64_t *ret_bytes,
                     bool *ret_partial)
{
    uint64_t from = 0;
    uint64_t to = 0;
    *ret_from = 0;
    *ret_bytes = size;
    *ret_partial = false;
    if (!str_starts_with(header, S("bytes=")))
        return true;
    Str spec = str_trim(str_skip(header, strlen("bytes=")));
    size_t dash = str_find_char(spec, '-');
    if (dash == STR_NOT_FOUND)
        return true;
    Str first = str_sub(spec, 0, dash);
    Str last = str_skip(spec, dash + 1);
    bool has_first = number_parse_u64(first, &from);
    bool has_last = number_parse_u64(last, &to);
    if ((!has_first && first.len) || (!has_last && last.len) || (!has_first && !has_last) ||
        (has_first && has_last && to < from))
        return true;
    if (!has_first) {
        from = size - MIN(to, size);
        to = size;
        if (from == size)
            return false;
    } else if (from >= size) {
        return false;
    }
    to = has_first && has_last ? MIN(to, size - 1) : size - 1;
    *ret_from = from;
    *ret_bytes = to - from + 1;
    *ret_partial = true;
    return true;
}

// ---- answers

static void send_pieces(ApiCall *call, const Asset *asset, int status, Str type, uint64_t from,
                        uint64_t bytes)
{
    char *piece = arena_alloc(call->arena, PIECE_BYTES);
    call->status = status;
    if (bytes <= PIECE_BYTES) {
        ssize_t got = pread(asset->fd, piece, (size_t)bytes, (off_t)from);
        if (got < 0)
            api_text(call, 500, S("500 Internal Server Error\n"));
        else
            api_bytes(call, status, type, str_make(piece, (size_t)got));
        return;
    }
    if (!http_stream_begin(call->request, status, type))
        return;
    while (bytes) {
        ssize_t got =
            pread(asset->fd, piece, (size_t)MIN(bytes, (uint64_t)PIECE_BYTES), (off_t)from);
        if (got <= 0 || !http_stream_write(call->request, str_make(piece, (size_t)got)))
            return; // the stream is cut off: the client sees that it is not whole
        from += (uint64_t)got;
        bytes -= (uint64_t)got;
        call->sent_bytes += (uint64_t)got;
    }
    http_stream_end(call->request);
}

static void send_file(ApiCall *call, const Asset *asset)
{
    uint64_t size = (uint64_t)asset->stat.st_size;
    uint64_t from, bytes;
    bool partial;
    Str modified = http_date(call->arena, asset->stat.st_mtim.tv_sec);
    Str type = type_by_name(asset->path);
    if (!type.len)
        type = type_by_content(asset);
    http_reply_header(call->request, S("Last-Modified"), modified);
    http_reply_header(call->request, S("Accept-Ranges"), S("bytes"));
    if (str_equal(http_header(call->request, S("If-Modified-Since")), modified)) {
        api_empty(call, 304);
        return;
    }
    Str condition = http_header(call->request, S("If-Range"));
    Str range = condition.len && !str_equal(condition, modified)
                    ? STR_NONE
                    : http_header(call->request, S("Range"));
    if (!range_of(range, size, &from, &bytes, &partial)) {
        http_reply_header(call->request, S("Content-Range"),
                          arena_printf(call->arena, "bytes */%llu", (unsigned long long)size));
        api_text(call, 416, S("invalid range: failed to overlap\n"));
        return;
    }
    if (partial)
        http_reply_header(
            call->request, S("Content-Range"),
            arena_printf(call->arena, "bytes %llu-%llu/%llu", (unsigned long long)from,
                         (unsigned long long)(from + bytes - 1), (unsigned long long)size));
    send_pieces(call, asset, partial ? 206 : 200, type, from, bytes);
}

// A name as a segment of a URL's path.
static void add_href(Buf *page, Str name)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            memchr("-_.~$+,=:@", c, 10)) {
            buf_add_char(page, c);
        } else {
            buf_add_char(page, '%');
            buf_add_char(page, hex[(unsigned char)c >> 4]);
            buf_add_char(page, hex[c & 15]);
        }
    }
}

// Relative, so that it holds behind any proxy. The query stays.
static void redirect(ApiCall *call, Str before, Str name, Str behind)
{
    size_t question = str_find_char(call->request->target, '?');
    CLEANUP(buf_deinit) Buf to = {0};
    buf_add_str(&to, before);
    add_href(&to, name);
    buf_add_str(&to, behind);
    if (question != STR_NOT_FOUND)
        buf_add_str(&to, str_skip(call->request->target, question));
    http_reply_header(call->request, S("Location"), buf_str(&to));
    api_text(call, 301, STR_NONE);
}

static Str last_segment(Str path)
{
    size_t slash = str_rfind_char(path, '/');
    return slash == STR_NOT_FOUND ? path : str_skip(path, slash + 1);
}

static void add_entry(Buf *page, Str name, bool is_dir)
{
    buf_add_c(page, "<a href=\"");
    // A colon in the first segment would make it a scheme.
    if (str_find_char(name, ':') != STR_NOT_FOUND)
        buf_add_c(page, "./");
    add_href(page, name);
    buf_add_c(page, is_dir ? "/\">" : "\">");
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        const char *escaped = c == '&'    ? "&amp;"
                              : c == '<'  ? "&lt;"
                              : c == '>'  ? "&gt;"
                              : c == '"'  ? "&#34;"
                              : c == '\'' ? "&#39;"
                                          : NULL;
        if (escaped)
            buf_add_c(page, escaped);
        else
            buf_add_char(page, c);
    }
    buf_add_c(page, is_dir ? "/</a>\n" : "</a>\n");
}

static void send_list(ApiCall *call, const Asset *asset)
{
    CLEANUP(buf_deinit) Buf page = {0};
    FsList list;
    Error err;
    Str dir = arena_printf(call->arena, STR_FMT STR_FMT, STR_ARG(call->api->user_assets),
                           STR_ARG(asset->path));
    if (!fs_list(&fs_system, dir, call->arena, &list, &err)) {
        api_text(call, 500, S("Error reading directory\n"));
        return;
    }
    buf_add_c(&page, "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n"
                     "<pre>\n");
    for (size_t i = 0; i < list.count && i < LIST_MAX; i++)
        add_entry(&page, list.entries[i].name, list.entries[i].is_dir);
    buf_add_c(&page, "</pre>\n");
    api_bytes(call, 200, S("text/html; charset=utf-8"), buf_str(&page));
}

static void send_folder(ApiCall *call, const Asset *asset)
{
    CLEANUP(asset_close) Asset index = {.fd = -1};
    if (!asset->ends_with_slash) {
        redirect(call, S(""), last_segment(asset->path), S("/"));
        return;
    }
    Str below = arena_printf(call->arena, STR_FMT "/index.html", STR_ARG(asset->path));
    if (asset_open(call, below, &index) && S_ISREG(index.stat.st_mode))
        send_file(call, &index);
    else
        send_list(call, asset);
}

void api_user_asset(ApiCall *call)
{
    CLEANUP(asset_close) Asset asset = {.fd = -1};
    Str below = str_skip(call->path, strlen(PREFIX));
    if (!call->api->user_assets.len) {
        api_asset(call);
        return;
    }
    if (str_ends_with(below, S("/index.html"))) {
        redirect(call, S("./"), STR_NONE, STR_NONE);
        return;
    }
    if (!asset_open(call, below, &asset))
        api_text(call, errno == EACCES ? 403 : 404,
                 errno == EACCES ? S("403 Forbidden\n") : S("404 page not found\n"));
    else if (S_ISDIR(asset.stat.st_mode))
        send_folder(call, &asset);
    else if (asset.ends_with_slash)
        redirect(call, S("../"), last_segment(asset.path), STR_NONE);
    else
        send_file(call, &asset);
}
