// SPDX-License-Identifier: Apache-2.0
// The header Content-Type (RFC 2045 5.1), as strict as Go's mime.ParseMediaType: a parameter that is none makes the whole of no use.
#include "metric/exposition.h"

static bool is_token_char(char c)
{
    return c > ' ' && c < 0x7f && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

static Str take_token(Str *rest)
{
    size_t len = 0;
    while (len < rest->len && is_token_char(rest->ptr[len]))
        len++;
    Str token = str_sub(*rest, 0, len);
    *rest = str_skip(*rest, len);
    return token;
}

static Str skip_blanks(Str text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = str_skip(text, 1);
    return text;
}

static bool take_char(Str *rest, char c)
{
    if (rest->len == 0 || rest->ptr[0] != c)
        return false;
    *rest = str_skip(*rest, 1);
    return true;
}

// A token, or a string in quotes.
static bool take_value(Str *rest)
{
    if (!take_char(rest, '"'))
        return take_token(rest).len > 0;
    while (rest->len && rest->ptr[0] != '"')
        *rest = str_skip(*rest, rest->ptr[0] == '\\' && rest->len > 1 ? 2 : 1);
    return take_char(rest, '"');
}

// "; name=value"; blanks may stand between all of these.
static bool take_parameter(Str *rest, Str *ret_name)
{
    *rest = skip_blanks(*rest);
    if (!take_char(rest, ';'))
        return false;
    *rest = skip_blanks(*rest);
    *ret_name = take_token(rest);
    *rest = skip_blanks(*rest);
    if (ret_name->len == 0 || !take_char(rest, '='))
        return false;
    *rest = skip_blanks(*rest);
    return take_value(rest);
}

enum { PARAMETERS_MAX = 16 }; // more are of no use to anybody

static bool parameters_are_good(Str rest)
{
    Str names[PARAMETERS_MAX];
    for (size_t count = 0; skip_blanks(rest).len; count++) {
        // A last semicolon is left out of account.
        if (str_is(str_trim(rest), ";"))
            return true;
        if (count == PARAMETERS_MAX || !take_parameter(&rest, &names[count]))
            return false;
        for (size_t i = 0; i < count; i++)
            if (str_equal_nocase(names[i], names[count]))
                return false;
    }
    return true;
}

bool exposition_format_of(Str content_type, ExpositionFormat *ret_format)
{
    static const struct {
        Str media_type;
        ExpositionFormat format;
    } known[] = {
        {STR("text/plain"), EXPOSITION_TEXT},
        {STR("application/openmetrics-text"), EXPOSITION_OPENMETRICS},
        {STR("application/vnd.google.protobuf"), EXPOSITION_PROTOBUF},
    };
    size_t semicolon = str_find_char(content_type, ';');
    Str media_type = str_trim(str_sub(content_type, 0, semicolon));

    if (semicolon != STR_NOT_FOUND && !parameters_are_good(str_skip(content_type, semicolon)))
        return false;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (str_equal_nocase(known[i].media_type, media_type)) {
            *ret_format = known[i].format;
            return true;
        }
    }
    return false;
}
