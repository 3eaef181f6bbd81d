// SPDX-License-Identifier: Apache-2.0
#include "template/template_functions.h"

#include <math.h>

#include "base/number.h"
#include "template/template_cache.h"
#include "template/template_text.h"

bool template_return_text(const TemplateCall *call, Buf *text, TemplateValue *ret_value, Error *err)
{
    bool ok = buf_ok(text, "the text", err);

    if (ok)
        *ret_value = template_string(arena_str(call->arena, buf_str(text)));
    buf_deinit(text);
    return ok;
}

static bool change_case(const TemplateCall *call, uint32_t (*change)(uint32_t),
                        TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    uint32_t rune;

    for (Str rest = call->args[0].string; rest.len;) {
        rest = str_skip(rest, str_rune(rest, &rune));
        template_add_rune(&text, change(rune));
    }
    return template_return_text(call, &text, ret_value, err);
}

bool template_function_to_upper(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    return change_case(call, template_rune_upper, ret_value, err);
}

bool template_function_to_lower(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    return change_case(call, template_rune_lower, ret_value, err);
}

bool template_function_match(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const Regex *regex;

    if (!template_cache_regex(call, call->args[0].string, &regex, err))
        return false;
    *ret_value = template_bool(regex_search(regex, call->args[1].string));
    return true;
}

// reReplaceAll PATTERN REPLACEMENT TEXT
bool template_function_replace(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const Regex *regex;
    Str text;

    if (!template_cache_regex(call, call->args[0].string, &regex, err)) {
        // Go's MustCompile panics, which the engine tells as this.
        Error inner = *err;
        return error_set(err, inner.code, "regexp: Compile(`" STR_FMT "`): %s",
                         STR_ARG(call->args[0].string), inner.text);
    }
    if (!regex_replace_all(regex, call->args[2].string, call->args[1].string,
                           TEMPLATE_RESULT_BYTES_MAX, call->arena, &text, err))
        return false;
    *ret_value = template_string(text);
    return true;
}

bool template_function_safe_html(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_string_of(&template_type_html, call->args[0].string);
    return true;
}

static bool parse_float(Str text, double *ret_number, Error *err)
{
    if (number_parse_double(text, ret_number))
        return true;

    Buf quoted = {0};
    buf_add_go_quoted(&quoted, text);
    error_set(err, ERR_INVALID, "strconv.ParseFloat: parsing " STR_FMT ": invalid syntax",
              STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return false;
}

bool template_to_float(const TemplateValue *value, double *ret_number, Error *err)
{
    if (value->type == &template_type_duration)
        *ret_number = (double)value->integer / 1e9;
    else if (value->type == &template_type_int || value->type == &template_type_int64)
        *ret_number = (double)value->integer;
    else if (value->type == &template_type_float)
        *ret_number = value->number;
    else if (value->type == &template_type_string)
        return parse_float(value->string, ret_number, err);
    else
        return error_set(err, ERR_INVALID, "can't convert %s to float",
                         value->type ? value->type->name : "<nil>");
    return true;
}

static void add_day_to_second(Buf *out, double v)
{
    int64_t all = fabs(v) < 0x1p63 ? (int64_t)fabs(v) : INT64_MIN;
    int64_t days = all / 86400;
    int64_t hours = all / 3600 % 24;
    int64_t minutes = all / 60 % 60;
    int64_t seconds = all % 60;

    if (v < 0)
        buf_add_char(out, '-');
    if (days)
        buf_printf(out, "%lldd ", (long long)days);
    if (days || hours)
        buf_printf(out, "%lldh ", (long long)hours);
    if (days || hours || minutes)
        buf_printf(out, "%lldm %llds", (long long)minutes, (long long)seconds);
    else
        buf_printf(out, "%.4gs", fabs(v));
}

bool template_function_humanize_duration(const TemplateCall *call, TemplateValue *ret_value,
                                         Error *err)
{
    static const char prefixes[] = "munpfazy";
    Buf text = {0};
    double v;

    if (!template_to_float(&call->args[0], &v, err))
        return false;
    if (isnan(v)) {
        buf_add_c(&text, "NaN");
    } else if (isinf(v)) {
        buf_add_c(&text, v < 0 ? "-Inf" : "+Inf");
    } else if (v == 0 || fabs(v) >= 1) {
        if (v == 0)
            buf_printf(&text, "%.4gs", v);
        else
            add_day_to_second(&text, v);
    } else {
        size_t i = 0;
        for (; i < sizeof prefixes - 1 && fabs(v) < 1; i++)
            v *= 1000;
        buf_printf(&text, "%.4g%cs", v, prefixes[i - 1]);
    }
    return template_return_text(call, &text, ret_value, err);
}
