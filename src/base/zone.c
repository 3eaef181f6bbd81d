// SPDX-License-Identifier: Apache-2.0
#include "base/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/timefmt.h"

#define ZONE_FILE_BYTES_MAX (256 * 1024)
#define ZONE_NAME_BYTES_MAX 128
#define ABBREVIATION_BYTES_MAX 32

typedef struct Kind {
    int32_t offset_s;
    bool is_summer;
    uint8_t name_at;
} Kind;

// When a rule of the footer takes effect, each year.
typedef struct Change {
    char form; // 'M' month.week.day, 'J' day without February 29, 'N' day counted from 0
    int month, week, day;
    int32_t at_s; // local, may be negative or more than a day
} Change;

// The footer: what holds after the last transition (POSIX TZ, RFC 9636 3.3.1).
typedef struct Rule {
    bool there;
    bool has_summer;
    char names[2][ABBREVIATION_BYTES_MAX]; // winter, summer
    int32_t offsets_s[2];
    Change to_summer, to_winter;
} Rule;

struct Zone {
    char name[ZONE_NAME_BYTES_MAX];
    int64_t *transitions; // rising
    uint8_t *kinds_after; // index of a kind for each
    size_t count;
    Kind *kinds;
    size_t kind_count;
    char *names;
    Rule rule;
};

// ---- the footer

static bool read_abbreviation(Str *rest, char *out)
{
    bool quoted = rest->len && rest->ptr[0] == '<';
    size_t len = quoted;

    while (len < rest->len && (quoted ? rest->ptr[len] != '>'
                                      : (rest->ptr[len] >= 'a' && rest->ptr[len] <= 'z') ||
                                            (rest->ptr[len] >= 'A' && rest->ptr[len] <= 'Z')))
        len++;
    size_t name_len = len - quoted;
    if (name_len == 0 || name_len >= ABBREVIATION_BYTES_MAX || (quoted && len == rest->len))
        return false;
    memcpy(out, rest->ptr + quoted, name_len);
    out[name_len] = 0;
    *rest = str_skip(*rest, len + quoted);
    return true;
}

static bool read_number(Str *rest, int max, int *ret_number)
{
    size_t len = 0;
    int number = 0;

    while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9') {
        number = number * 10 + (rest->ptr[len++] - '0');
        if (number > max)
            return false;
    }
    *rest = str_skip(*rest, len);
    *ret_number = number;
    return len > 0;
}

// [+-]hh[:mm[:ss]]
static bool read_offset(Str *rest, int32_t *ret_s)
{
    int parts[3] = {0};
    int sign = 1;

    if (rest->len && (rest->ptr[0] == '-' || rest->ptr[0] == '+')) {
        sign = rest->ptr[0] == '-' ? -1 : 1;
        *rest = str_skip(*rest, 1);
    }
    for (int i = 0; i < 3; i++) {
        if (i > 0 && (rest->len == 0 || rest->ptr[0] != ':'))
            break;
        *rest = str_skip(*rest, i > 0);
        if (!read_number(rest, i == 0 ? 167 : 59, &parts[i]))
            return false;
    }
    *ret_s = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return true;
}

static bool skip_char(Str *rest, char c)
{
    if (rest->len == 0 || rest->ptr[0] != c)
        return false;
    *rest = str_skip(*rest, 1);
    return true;
}

static bool read_change(Str *rest, Change *change)
{
    *change = (Change){.form = 'N', .at_s = 7200};
    if (!skip_char(rest, ','))
        return false;
    if (skip_char(rest, 'M')) {
        change->form = 'M';
        if (!read_number(rest, 12, &change->month) || !skip_char(rest, '.') ||
            !read_number(rest, 5, &change->week) || !skip_char(rest, '.') ||
            !read_number(rest, 6, &change->day) || change->month < 1 || change->week < 1)
            return false;
    } else {
        if (skip_char(rest, 'J'))
            change->form = 'J';
        if (!read_number(rest, 365, &change->day))
            return false;
    }
    return !skip_char(rest, '/') || read_offset(rest, &change->at_s);
}

static bool read_rule(Str text, Rule *rule)
{
    if (text.len == 0)
        return true;
    rule->there = true;
    if (!read_abbreviation(&text, rule->names[0]) || !read_offset(&text, &rule->offsets_s[0]))
        return false;
    rule->offsets_s[0] = -rule->offsets_s[0]; // POSIX counts west
    if (text.len == 0)
        return true;
    rule->has_summer = true;
    if (!read_abbreviation(&text, rule->names[1]))
        return false;
    rule->offsets_s[1] = rule->offsets_s[0] + 3600;
    if (text.len && text.ptr[0] != ',') {
        if (!read_offset(&text, &rule->offsets_s[1]))
            return false;
        rule->offsets_s[1] = -rule->offsets_s[1];
    }
    return read_change(&text, &rule->to_summer) && read_change(&text, &rule->to_winter) &&
           text.len == 0;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// Local second of the change in that year, as if it were UTC.
static int64_t change_local_s(const Change *change, int64_t year)
{
    if (change->form == 'M') {
        int64_t first_s = civil_to_s(year, change->month, 1, 0, 0, 0);
        int days = (change->day - civil_from_s(first_s).weekday + 7) % 7 + (change->week - 1) * 7;
        int month_days =
            (int)((change->month == 12 ? civil_to_s(year + 1, 1, 1, 0, 0, 0)
                                       : civil_to_s(year, change->month + 1, 1, 0, 0, 0)) -
                  first_s) /
            86400;
        if (days >= month_days)
            days -= 7; // week 5 is the last
        return first_s + days * 86400LL + change->at_s;
    }
    int day = change->day;
    if (change->form == 'J')
        day += is_leap(year) && day >= 60 ? 0 : -1;
    return civil_to_s(year, 1, 1, 0, 0, 0) + day * 86400LL + change->at_s;
}

static ZoneAt rule_at(const Rule *rule, int64_t unix_s)
{
    bool summer = false;

    if (rule->has_summer) {
        int64_t year = civil_from_s(unix_s + rule->offsets_s[0]).year;
        int64_t to_summer = change_local_s(&rule->to_summer, year) - rule->offsets_s[0];
        int64_t to_winter = change_local_s(&rule->to_winter, year) - rule->offsets_s[1];
        summer = to_summer < to_winter ? unix_s >= to_summer && unix_s < to_winter
                                       : !(unix_s >= to_winter && unix_s < to_summer);
    }
    return (ZoneAt){rule->names[summer], rule->offsets_s[summer], summer};
}

// ---- the file

static int64_t read_be(const unsigned char *p, size_t bytes)
{
    uint64_t v = bytes && p[0] & 0x80 ? UINT64_MAX : 0;

    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

typedef struct Header {
    size_t utc_count, std_count, leap_count, time_count, kind_count, name_bytes;
} Header;

#define HEADER_BYTES 44

static bool read_header(Str data, Header *ret)
{
    const unsigned char *p = (const unsigned char *)data.ptr;

    if (data.len < HEADER_BYTES || memcmp(data.ptr, "TZif", 4) != 0)
        return false;
    size_t *counts[] = {&ret->utc_count,  &ret->std_count,  &ret->leap_count,
                        &ret->time_count, &ret->kind_count, &ret->name_bytes};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        int64_t n = read_be(p + 20 + i * 4, 4);
        if (n < 0 || n > ZONE_FILE_BYTES_MAX)
            return false;
        *counts[i] = (size_t)n;
    }
    return true;
}

static size_t body_bytes(const Header *h, size_t time_bytes)
{
    return h->time_count * (time_bytes + 1) + h->kind_count * 6 + h->name_bytes +
           h->leap_count * (time_bytes + 4) + h->std_count + h->utc_count;
}

static bool read_body(Zone *zone, const Header *h, Str body, size_t time_bytes)
{
    const unsigned char *times = (const unsigned char *)body.ptr;
    const unsigned char *after = times + h->time_count * time_bytes;
    const unsigned char *kinds = after + h->time_count;
    const unsigned char *names = kinds + h->kind_count * 6;

    if (h->kind_count == 0 || h->kind_count > 255 || h->name_bytes == 0 ||
        names[h->name_bytes - 1] != 0)
        return false;
    zone->transitions = X_ARRAY(int64_t, h->time_count + 1);
    zone->kinds_after = X_ARRAY(uint8_t, h->time_count + 1);
    zone->kinds = X_ARRAY(Kind, h->kind_count);
    zone->names = x_malloc(h->name_bytes);
    zone->count = h->time_count;
    zone->kind_count = h->kind_count;
    memcpy(zone->names, names, h->name_bytes);
    for (size_t i = 0; i < h->time_count; i++) {
        zone->transitions[i] = read_be(times + i * time_bytes, time_bytes);
        zone->kinds_after[i] = after[i];
        if (after[i] >= h->kind_count ||
            (i > 0 && zone->transitions[i] <= zone->transitions[i - 1]))
            return false;
    }
    for (size_t i = 0; i < h->kind_count; i++) {
        const unsigned char *p = kinds + i * 6;
        zone->kinds[i] = (Kind){(int32_t)read_be(p, 4), p[4] != 0, p[5]};
        if (p[5] >= h->name_bytes || labs(zone->kinds[i].offset_s) > 86400 * 2)
            return false;
    }
    return true;
}

static bool parse(Zone *zone, Str data)
{
    Header h;
    size_t time_bytes = 4;

    if (!read_header(data, &h))
        return false;
    if (data.ptr[4] >= '2') {
        // A second header and body follow with 64-bit times.
        data = str_skip(data, HEADER_BYTES + body_bytes(&h, 4));
        time_bytes = 8;
        if (!read_header(data, &h))
            return false;
    }
    size_t bytes = body_bytes(&h, time_bytes);
    data = str_skip(data, HEADER_BYTES);
    if (data.len < bytes || !read_body(zone, &h, data, time_bytes))
        return false;
    Str footer = str_skip(data, bytes);
    if (time_bytes == 4 || footer.len < 2)
        return true;
    Str line = str_skip(footer, 1);
    return read_rule(str_sub(line, 0, str_find_char(line, '\n')), &zone->rule);
}

static bool name_is_safe(Str name)
{
    if (name.len == 0 || name.len >= ZONE_NAME_BYTES_MAX || name.ptr[0] == '/' ||
        name.ptr[0] == '\\' || str_find(name, S("..")) != STR_NOT_FOUND)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= ' ')
            return false;
    return true;
}

// The file's bytes, at most ZONE_FILE_BYTES_MAX; false if there is no such file.
static bool read_file(const char *path, char **ret_bytes, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes;
    size_t len = 0;
    ssize_t got;

    if (fd < 0)
        return false;
    bytes = x_malloc(ZONE_FILE_BYTES_MAX);
    while (len < ZONE_FILE_BYTES_MAX &&
           ((got = read(fd, bytes + len, ZONE_FILE_BYTES_MAX - len)) > 0 ||
            (got < 0 && errno == EINTR)))
        len += got > 0 ? (size_t)got : 0;
    close(fd);
    *ret_bytes = bytes;
    *ret_len = len;
    return true;
}

static bool find_file(Str name, char **ret_bytes, size_t *ret_len)
{
    const char *const dirs[] = {getenv("ZONEINFO"), "/usr/share/zoneinfo", "/usr/lib/zoneinfo"};
    char path[512];

    if (str_is(name, "Local"))
        return read_file("/etc/localtime", ret_bytes, ret_len);
    for (size_t i = 0; i < COUNT_OF(dirs); i++) {
        if (!dirs[i])
            continue;
        int len = snprintf(path, sizeof path, "%s/" STR_FMT, dirs[i], STR_ARG(name));
        if (len > 0 && (size_t)len < sizeof path && read_file(path, ret_bytes, ret_len))
            return true;
    }
    return false;
}

bool zone_new(Str name, Zone **ret_zone, Error *err)
{
    bool is_utc = name.len == 0 || str_is(name, "UTC");
    char *bytes;
    size_t len;

    if (!is_utc && !name_is_safe(name))
        return error_set(err, ERR_NOT_FOUND, "unknown time zone " STR_FMT, STR_ARG(name));
    Zone *zone = X_NEW(Zone);
    memcpy(zone->name, is_utc ? "UTC" : name.ptr, is_utc ? 3 : name.len);
    bool found = !is_utc && find_file(name, &bytes, &len);
    if (!is_utc && !found && !str_is(name, "Local")) {
        zone_free(zone);
        return error_set(err, ERR_NOT_FOUND, "unknown time zone " STR_FMT, STR_ARG(name));
    }
    bool ok = !found || parse(zone, str_make(bytes, len));
    if (found)
        free(bytes);
    if (!ok) {
        zone_free(zone);
        return error_set(err, ERR_CORRUPT, "malformed time zone information of " STR_FMT,
                         STR_ARG(name));
    }
    *ret_zone = zone;
    return true;
}

void zone_free(Zone *zone)
{
    if (!zone)
        return;
    free(zone->transitions);
    free(zone->kinds_after);
    free(zone->kinds);
    free(zone->names);
    free(zone);
}

Str zone_name(const Zone *zone)
{
    return zone ? str_from_c(zone->name) : S("UTC");
}

// ---- questions

static ZoneAt kind_at(const Zone *zone, size_t kind)
{
    const Kind *k = &zone->kinds[kind];
    return (ZoneAt){zone->names + k->name_at, k->offset_s, k->is_summer};
}

// Before the first transition holds the first kind that is no summer time.
static ZoneAt first_kind(const Zone *zone)
{
    for (size_t i = 0; i < zone->kind_count; i++)
        if (!zone->kinds[i].is_summer)
            return kind_at(zone, i);
    return kind_at(zone, 0);
}

ZoneAt zone_at(const Zone *zone, int64_t unix_s)
{
    size_t low = 0;
    size_t high = zone ? zone->count : 0;

    if (!zone || (zone->kind_count == 0 && !zone->rule.there))
        return (ZoneAt){"UTC", 0, false};
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (zone->transitions[mid] <= unix_s)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == zone->count && zone->rule.there)
        return rule_at(&zone->rule, unix_s);
    return low == 0 ? first_kind(zone) : kind_at(zone, zone->kinds_after[low - 1]);
}

int64_t zone_to_unix(const Zone *zone, int64_t local_s)
{
    int64_t guess_s = local_s - zone_at(zone, local_s).offset_s;
    int64_t offset_s = zone_at(zone, guess_s).offset_s;

    return local_s - offset_s;
}
