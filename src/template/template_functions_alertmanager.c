// SPDX-License-Identifier: Apache-2.0
// The functions of Alertmanager's templates: alertmanager.md section 9.
#include <stdlib.h>

#include "codec/compress.h"
#include "template/template_cache.h"
#include "template/template_functions.h"
#include "template/template_text.h"
#include "template/template_time.h"

// ---- text

static bool trim_space(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Str text = call->args[0].string;
    size_t end = 0;
    size_t begin = text.len;
    uint32_t rune;

    (void)err;
    for (size_t at = 0, len; at < text.len; at += len) {
        len = str_rune(str_skip(text, at), &rune);
        if (template_is_space(rune))
            continue;
        begin = MIN(begin, at);
        end = at + len;
    }
    *ret_value = template_string(begin < end ? str_sub(text, begin, end - begin) : STR_NONE);
    return true;
}

// What stands between two letters without parting a word: don't, a.b, host:port (Unicode's MidLetter and MidNumLet).
static bool joins_letters(uint32_t rune)
{
    return rune == '\'' || rune == '.' || rune == ':' || rune == 0xb7 || rune == 0x2018 ||
           rune == 0x2019 || rune == 0x2024 || rune == 0x2027;
}

// Each word with a capital first letter, the rest small.
static bool title(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    bool in_word = false;

    for (Str rest = call->args[0].string; rest.len;) {
        uint32_t rune, after = 0;
        rest = str_skip(rest, str_rune(rest, &rune));
        str_rune(rest, &after);
        if (template_is_letter(rune)) {
            template_add_rune(&text,
                              in_word ? template_rune_lower(rune) : template_rune_title(rune));
            in_word = true;
            continue;
        }
        template_add_rune(&text, rune);
        bool joins = in_word && rest.len && joins_letters(rune) && template_is_letter(after);
        in_word = joins || rune == '_' ? in_word : false;
    }
    return template_return_text(call, &text, ret_value, err);
}

static bool join(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    const TemplateValue *list = &call->args[1];

    for (size_t i = 0; i < list->list.count; i++) {
        if (i)
            buf_add_str(&text, call->args[0].string);
        buf_add_str(&text, list->list.items[i].string);
    }
    return template_return_text(call, &text, ret_value, err);
}

static bool safe_url(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_string_of(&template_type_url, call->args[0].string);
    return true;
}

static bool url_unescape(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};

    for (Str rest = call->args[0].string; rest.len;) {
        char c = rest.ptr[0];
        if (c != '%') {
            buf_add_char(&text, c == '+' ? ' ' : c);
            rest = str_skip(rest, 1);
            continue;
        }
        unsigned high = rest.len > 2 ? str_digit(rest.ptr[1]) : 16;
        unsigned low = rest.len > 2 ? str_digit(rest.ptr[2]) : 16;
        if (high >= 16 || low >= 16) {
            Buf quoted = {0};
            buf_add_go_quoted(&quoted, str_sub(rest, 0, 3));
            error_set(err, ERR_INVALID, "invalid URL escape " STR_FMT, STR_ARG(buf_str(&quoted)));
            buf_deinit(&quoted);
            buf_deinit(&text);
            return false;
        }
        buf_add_char(&text, (char)(high * 16 + low));
        rest = str_skip(rest, 3);
    }
    return template_return_text(call, &text, ret_value, err);
}

// ---- lists and maps

static TemplateValue list_with(const TemplateCall *call, const TemplateValue *first,
                               size_t first_count, const TemplateValue *more, size_t more_count)
{
    TemplateValue *items = ARENA_ARRAY(call->arena, TemplateValue, first_count + more_count);

    if (first_count)
        memcpy(items, first, first_count * sizeof *items);
    if (more_count)
        memcpy(items + first_count, more, more_count * sizeof *items);
    return template_list_of(&template_type_list, items, first_count + more_count);
}

static bool string_slice(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = list_with(call, call->args, call->count, NULL, 0);
    ret_value->type = &template_type_strings;
    return true;
}

static bool list(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = list_with(call, call->args, call->count, NULL, 0);
    return true;
}

static bool append(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const TemplateValue *first = &call->args[0];

    (void)err;
    *ret_value =
        list_with(call, first->list.items, first->list.count, call->args + 1, call->count - 1);
    return true;
}

static bool dict(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    size_t count = call->count / 2;
    TemplateEntry *entries = ARENA_ARRAY(call->arena, TemplateEntry, count);

    if (call->count % 2)
        return error_set(err, ERR_INVALID, "dict requires an even number of arguments");
    for (size_t i = 0; i < count; i++) {
        entries[i] = (TemplateEntry){call->args[i * 2], call->args[i * 2 + 1]};
        if (entries[i].key.type != &template_type_string)
            return error_set(err, ERR_INVALID, "dict keys must be strings");
    }
    *ret_value = template_map(entries, count);
    return true;
}

// ---- time

static bool now(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_now(call);
    return true;
}

static bool since(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    TemplateValue at = template_now(call);

    (void)err;
    *ret_value = template_duration(
        template_time_sub(template_time_of(&at), template_time_of(&call->args[0])));
    return true;
}

static bool date(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    template_time_format(&text, template_time_of(&call->args[1]), call->args[0].string);
    return template_return_text(call, &text, ret_value, err);
}

static bool tz(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    TemplateTime *time = ARENA_NEW(call->arena, TemplateTime);

    *time = *template_time_of(&call->args[1]);
    if (!template_cache_zone(call, call->args[0].string, &time->zone, err))
        return false;
    *ret_value = template_record(&template_type_time, time);
    return true;
}

static bool must_to_date(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    TemplateTime time;

    if (!template_time_parse(call->args[1].string, call->args[0].string, &time, err))
        return false;
    TemplateTime *kept = ARENA_NEW(call->arena, TemplateTime);
    *kept = time;
    *ret_value = template_record(&template_type_time, kept);
    return true;
}

// The zero time where it cannot be read.
static bool to_date(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Error ignored = {0};

    (void)err;
    if (!must_to_date(call, ret_value, &ignored))
        *ret_value = template_time(call->arena, TEMPLATE_TIME_ZERO_S, 0);
    return true;
}

// ---- encodings

static bool to_json(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};

    if (!template_json(&text, &call->args[0], call->arena, err)) {
        buf_deinit(&text);
        return false;
    }
    return template_return_text(call, &text, ret_value, err);
}

// Of the URL-safe alphabet, with padding.
static bool encode_base64(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};

    base64_encode(call->args[0].string, &text);
    for (size_t i = 0; i < text.len; i++)
        text.ptr[i] = text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i];
    return template_return_text(call, &text, ret_value, err);
}

static bool decode_base64(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    Str given = call->args[0].string;
    char *plain = arena_alloc(call->arena, given.len + 1);

    for (size_t i = 0; i < given.len; i++) {
        char c = given.ptr[i];
        if (c == '+' || c == '/')
            return error_set(err, ERR_INVALID, "illegal base64 data at input byte %zu", i);
        plain[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    if (!base64_decode(str_make(plain, given.len), &text, err)) {
        buf_deinit(&text);
        return false;
    }
    return template_return_text(call, &text, ret_value, err);
}

#define ANY &template_type_any
#define STRING &template_type_string
#define TIME &template_type_time

static const TemplateFunction functions[] = {
    {"append", append, TEMPLATE_PARAMS(&template_type_list, ANY), .variadic = true},
    {"base64decode", decode_base64, TEMPLATE_PARAMS(STRING)},
    {"base64encode", encode_base64, TEMPLATE_PARAMS(STRING)},
    {"date", date, TEMPLATE_PARAMS(STRING, TIME)},
    {"dict", dict, TEMPLATE_PARAMS(ANY), .variadic = true},
    {"humanizeDuration", template_function_humanize_duration, TEMPLATE_PARAMS(ANY)},
    {"join", join, TEMPLATE_PARAMS(STRING, &template_type_strings)},
    {"list", list, TEMPLATE_PARAMS(ANY), .variadic = true},
    {"match", template_function_match, TEMPLATE_PARAMS(STRING, STRING)},
    {"mustToDate", must_to_date, TEMPLATE_PARAMS(STRING, STRING)},
    {"now", now},
    {"reReplaceAll", template_function_replace, TEMPLATE_PARAMS(STRING, STRING, STRING)},
    {"safeHtml", template_function_safe_html, TEMPLATE_PARAMS(STRING)},
    {"safeUrl", safe_url, TEMPLATE_PARAMS(STRING)},
    {"since", since, TEMPLATE_PARAMS(TIME)},
    {"stringSlice", string_slice, TEMPLATE_PARAMS(STRING), .variadic = true},
    {"title", title, TEMPLATE_PARAMS(STRING)},
    {"toDate", to_date, TEMPLATE_PARAMS(STRING, STRING)},
    {"toJson", to_json, TEMPLATE_PARAMS(ANY)},
    {"toLower", template_function_to_lower, TEMPLATE_PARAMS(STRING)},
    {"toUpper", template_function_to_upper, TEMPLATE_PARAMS(STRING)},
    {"trimSpace", trim_space, TEMPLATE_PARAMS(STRING)},
    {"tz", tz, TEMPLATE_PARAMS(STRING, TIME)},
    {"urlUnescape", url_unescape, TEMPLATE_PARAMS(STRING)},
};

const TemplateTable template_functions_alertmanager = {functions, COUNT_OF(functions)};
const TemplateTable *const template_alertmanager_tables[] = {&template_functions_alertmanager,
                                                             NULL};
