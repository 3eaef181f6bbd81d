// SPDX-License-Identifier: Apache-2.0
// The tree's only C++: RE2 behind regex.h, and <charconv> behind cxx_shim.h.
#include "base/cxx_shim.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <new>
#include <re2/re2.h>
#include <string>
#include <system_error>
#include <vector>

extern "C" {
#include "base/regex.h"
}

size_t cxx_double_to_scientific(double v, char *out)
{
    return (size_t)(std::to_chars(out, out + 32, v, std::chars_format::scientific).ptr - out);
}

size_t cxx_double_from_text(const char *text, size_t len, double *ret_v, bool *ret_out_of_range)
{
    double v = 0;
    std::from_chars_result r = std::from_chars(text, text + len, v);
    *ret_out_of_range = false;
    if (r.ec == std::errc::result_out_of_range) {
        // from_chars leaves v alone: the exponent's sign tells which end it fell off.
        *ret_out_of_range = true;
        const char *e = (const char *)memchr(text, 'e', (size_t)(r.ptr - text));
        if (!e)
            e = (const char *)memchr(text, 'E', (size_t)(r.ptr - text));
        bool tiny = e ? e + 1 < r.ptr && e[1] == '-'
                      : len > 1 && (text[0] == '0' || (text[0] == '-' && text[1] == '0'));
        v = tiny ? 0.0 : std::numeric_limits<double>::infinity();
        if (text[0] == '-')
            v = -v;
    } else if (r.ec != std::errc()) {
        return 0;
    }
    *ret_v = v;
    return (size_t)(r.ptr - text);
}

// What a C caller holds.
struct Regex {
    re2::RE2 re;
    std::vector<std::string> group_names; // index 1..groups; empty: unnamed
    explicit Regex(const std::string &pattern, const re2::RE2::Options &options)
        : re(pattern, options)
    {
    }
};

static re2::RE2::Options regex_options(bool dot_matches_newline)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(dot_matches_newline);
    options.set_max_mem((int64_t)8 << 20);
    return options;
}

static re2::StringPiece piece(Str s)
{
    return re2::StringPiece(s.ptr ? s.ptr : "", s.len);
}

// What Go's regexp/syntax says where RE2 says the same in other words.
static std::string go_words(const re2::RE2 &re)
{
    const char *words = nullptr;
    switch (re.error_code()) {
    case re2::RE2::ErrorBadEscape:
        words = "invalid escape sequence";
        break;
    case re2::RE2::ErrorBadCharClass:
        words = "invalid character class";
        break;
    case re2::RE2::ErrorBadCharRange:
        words = "invalid character class range";
        break;
    case re2::RE2::ErrorMissingBracket:
        words = "missing closing ]";
        break;
    case re2::RE2::ErrorMissingParen:
        words = "missing closing )";
        break;
    case re2::RE2::ErrorUnexpectedParen:
        words = "unexpected )";
        break;
    case re2::RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression: ``";
    case re2::RE2::ErrorRepeatArgument:
        words = "missing argument to repetition operator";
        break;
    case re2::RE2::ErrorRepeatSize:
        words = "invalid repeat count";
        break;
    case re2::RE2::ErrorRepeatOp:
        words = "invalid nested repetition operator";
        break;
    case re2::RE2::ErrorBadPerlOp:
        words = "invalid or unsupported Perl syntax";
        break;
    case re2::RE2::ErrorBadNamedCapture:
        words = "invalid named capture";
        break;
    default:
        return re.error();
    }
    return std::string(words) + ": `" + re.error_arg() + "`";
}

static bool compile(Str pattern, bool dot_matches_newline, Regex **ret_regex, Error *err)
{
    if (pattern.len > REGEX_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "regular expression is longer than %d bytes",
                         REGEX_BYTES_MAX);

    Regex *regex =
        new (std::nothrow) Regex(std::string(pattern.ptr ? pattern.ptr : "", pattern.len),
                                 regex_options(dot_matches_newline));
    if (!regex)
        out_of_memory(sizeof(Regex));
    if (!regex->re.ok()) {
        bool too_large = regex->re.error_code() == re2::RE2::ErrorPatternTooLarge;
        error_set(err, too_large ? ERR_LIMIT : ERR_INVALID, "error parsing regexp: %s",
                  go_words(regex->re).c_str());
        delete regex;
        return false;
    }
    regex->group_names.resize((size_t)regex->re.NumberOfCapturingGroups() + 1);
    for (const auto &named : regex->re.CapturingGroupNames())
        regex->group_names[(size_t)named.first] = named.second;
    *ret_regex = regex;
    return true;
}

bool regex_new(Str pattern, Regex **ret_regex, Error *err)
{
    return compile(pattern, true, ret_regex, err);
}

bool regex_new_search(Str pattern, Regex **ret_regex, Error *err)
{
    return compile(pattern, false, ret_regex, err);
}

void regex_free(Regex *regex)
{
    delete regex;
}

bool regex_match(const Regex *regex, Str text)
{
    return regex->re.Match(piece(text), 0, text.len, re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Reads $name, ${name} or $1 behind the dollar at `at`; returns the bytes used behind the dollar, 0 if it is none.
static size_t read_group_name(Str s, size_t at, Str *ret_name)
{
    Str rest = str_skip(s, at);
    bool braces = rest.len && rest.ptr[0] == '{';
    size_t i = braces;
    while (i < rest.len && is_word(rest.ptr[i]))
        i++;
    Str name = str_sub(rest, braces, i - braces);
    if (name.len == 0 || (braces && (i >= rest.len || rest.ptr[i] != '}')))
        return 0;
    *ret_name = name;
    return i + braces;
}

// -1 if there is no such group. As Go: digits mean a number, anything else a name.
static int group_index(const Regex *regex, Str name)
{
    int number = 0;
    bool digits = name.len < 9;
    for (size_t i = 0; i < name.len && digits; i++) {
        digits = name.ptr[i] >= '0' && name.ptr[i] <= '9';
        number = number * 10 + (name.ptr[i] - '0');
    }
    if (digits && !(name.len > 1 && name.ptr[0] == '0'))
        return number < (int)regex->group_names.size() ? number : -1;
    for (size_t i = 1; i < regex->group_names.size(); i++)
        if (regex->group_names[i].size() == name.len &&
            memcmp(regex->group_names[i].data(), name.ptr, name.len) == 0)
            return (int)i;
    return -1;
}

static void expand(const Regex *regex, const std::vector<re2::StringPiece> &found, Str replacement,
                   std::string &out)
{
    for (size_t i = 0; i < replacement.len;) {
        char c = replacement.ptr[i++];
        if (c != '$') {
            out.push_back(c);
            continue;
        }
        if (i < replacement.len && replacement.ptr[i] == '$') {
            out.push_back('$');
            i++;
            continue;
        }
        Str name;
        size_t used = read_group_name(replacement, i, &name);
        if (used == 0) {
            out.push_back('$');
            continue;
        }
        i += used;
        int index = group_index(regex, name);
        if (index >= 0 && found[(size_t)index].data())
            out.append(found[(size_t)index].data(), found[(size_t)index].size());
    }
}

bool regex_expand(const Regex *regex, Str text, Str replacement, Arena *arena, Str *ret_text)
{
    int groups = (int)regex->group_names.size();
    std::vector<re2::StringPiece> found((size_t)groups);
    if (!regex->re.Match(piece(text), 0, text.len, re2::RE2::ANCHOR_BOTH, found.data(), groups))
        return false;

    std::string out;
    expand(regex, found, replacement, out);
    *ret_text = arena_str(arena, Str{out.data(), out.size()});
    return true;
}

bool regex_search(const Regex *regex, Str text)
{
    return regex->re.Match(piece(text), 0, text.len, re2::RE2::UNANCHORED, nullptr, 0);
}

bool regex_replace_all(const Regex *regex, Str text, Str replacement, size_t max_bytes,
                       Arena *arena, Str *ret_text, Error *err)
{
    int groups = (int)regex->group_names.size();
    std::vector<re2::StringPiece> found((size_t)groups);
    std::string out;
    const char *base = text.ptr ? text.ptr : "";
    size_t search_at = 0;
    size_t copied = 0;

    while (search_at <= text.len && regex->re.Match(piece(text), search_at, text.len,
                                                    re2::RE2::UNANCHORED, found.data(), groups)) {
        size_t from = (size_t)(found[0].data() - base);
        size_t to = from + found[0].size();
        out.append(base + copied, from - copied);
        // An empty match right behind the last one does not count.
        if (to > copied || from == 0)
            expand(regex, found, replacement, out);
        copied = to;
        if (out.size() > max_bytes)
            return error_set(err, ERR_LIMIT, "replaced text is larger than %zu bytes", max_bytes);
        // On past the match, by at least one rune.
        uint32_t rune;
        size_t rune_bytes = MAX(str_rune(str_skip(text, search_at), &rune), (size_t)1);
        search_at = MAX(search_at + rune_bytes, to);
    }
    out.append(base + copied, text.len - copied);
    *ret_text = arena_str(arena, Str{out.data(), out.size()});
    return true;
}
