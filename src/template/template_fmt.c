// SPDX-License-Identifier: Apache-2.0
#include "template/template_fmt.h"

#include <stdlib.h>

#include "template/template_fmt_internal.h"
#include "template/template_text.h"

#define FORMAT_NUMBER_MAX 1000000 // a larger width or precision is a mistake, as in Go

static void print_value(Buf *out, TemplateFormat *f, uint32_t verb, const TemplateValue *value);

static void bad_verb(Buf *out, TemplateFormat *f, uint32_t verb, const TemplateValue *value)
{
    TemplateFormat plain = *f;

    plain.erroring = true;
    buf_add_c(out, "%!");
    template_add_rune(out, verb);
    buf_add_char(out, '(');
    if (value->type) {
        buf_add_c(out, value->type->name);
        buf_add_char(out, '=');
        print_value(out, &plain, 'v', value);
    } else {
        buf_add_c(out, "<nil>");
    }
    buf_add_char(out, ')');
}

// Lists and maps go on to their elements; a buffer that is full ends that.
static void print_elements(Buf *out, TemplateFormat *f, uint32_t verb, const TemplateValue *value)
{
    bool is_map = template_kind(value) != TEMPLATE_LIST;
    size_t count = template_length(value);

    if (f->sharp_v)
        buf_printf(out, "%s{", value->type->name);
    else
        buf_add_c(out, is_map ? "map[" : "[");
    for (size_t i = 0; i < count && !out->failed; i++) {
        if (i)
            buf_add_c(out, f->sharp_v ? ", " : " ");
        if (!is_map) {
            print_value(out, f, verb, &value->list.items[i]);
            continue;
        }
        TemplateEntry entry = template_entry(value, i);
        print_value(out, f, verb, &entry.key);
        buf_add_char(out, ':');
        print_value(out, f, verb, &entry.value);
    }
    buf_add_char(out, f->sharp_v ? '}' : ']');
}

static void print_record(Buf *out, TemplateFormat *f, uint32_t verb, const TemplateValue *value)
{
    const TemplateType *type = value->type;
    Arena arena = {0};

    if (type->name[0] == '*')
        buf_add_char(out, '&');
    if (f->sharp_v)
        buf_add_c(out, type->name + (type->name[0] == '*'));
    buf_add_char(out, '{');
    for (size_t i = 0; i < type->field_count && !out->failed; i++) {
        if (i)
            buf_add_c(out, f->sharp_v ? ", " : " ");
        if (f->plus_v || f->sharp_v)
            buf_printf(out, "%s:", type->fields[i].name);
        TemplateValue field = type->fields[i].get(value->record, &arena);
        print_value(out, f, verb, &field);
    }
    buf_add_char(out, '}');
    arena_deinit(&arena);
}

static void print_string_of(Buf *out, TemplateFormat *f, uint32_t verb, const TemplateValue *value)
{
    Buf text = {.max = out->max};

    value->type->print(&text, value);
    out->failed |= text.failed;
    template_fmt_string(out, f, verb, buf_str(&text));
    buf_deinit(&text);
}

static bool takes_string(uint32_t verb)
{
    return verb == 'v' || verb == 's' || verb == 'q' || verb == 'x' || verb == 'X';
}

static void print_typed(Buf *out, TemplateFormat *f, uint32_t verb, const TemplateValue *value)
{
    bool ok = true;

    if (value->type->print && !f->erroring && !f->sharp_v && takes_string(verb)) {
        print_string_of(out, f, verb, value);
        return;
    }
    switch (value->type->kind) {
    case TEMPLATE_ANY:
        break;
    case TEMPLATE_BOOL:
        ok = template_fmt_bool(out, f, verb, value->boolean);
        break;
    case TEMPLATE_INT:
        ok = template_fmt_int(out, f, verb, value->integer);
        break;
    case TEMPLATE_FLOAT:
        ok = template_fmt_float(out, f, verb, value->number);
        break;
    case TEMPLATE_STRING:
        ok = template_fmt_string(out, f, verb, value->string);
        break;
    case TEMPLATE_LIST:
    case TEMPLATE_MAP:
    case TEMPLATE_STRING_MAP:
        print_elements(out, f, verb, value);
        break;
    case TEMPLATE_RECORD:
        print_record(out, f, verb, value);
        break;
    case TEMPLATE_FUNCTION:
        buf_add_c(out, "0x1");
        break;
    }
    if (!ok)
        bad_verb(out, f, verb, value);
}

static void print_value(Buf *out, TemplateFormat *f, uint32_t verb, const TemplateValue *value)
{
    if (verb == 'T') {
        template_fmt_string(out, f, 's', value->type ? str_from_c(value->type->name) : S("<nil>"));
    } else if (!value->type && f->depth > 0) {
        buf_add_c(out, f->sharp_v ? "interface {}(nil)" : "<nil>");
    } else if (!value->type && verb == 'v') {
        template_fmt_pad(out, f, S("<nil>"));
    } else if (!value->type) {
        bad_verb(out, f, verb, value);
    } else if (++f->depth > TEMPLATE_PRINT_DEPTH_MAX) {
        out->failed = true;
        f->depth--;
    } else {
        print_typed(out, f, verb, value);
        f->depth--;
    }
}

void template_print(Buf *out, const TemplateValue *value)
{
    TemplateFormat f = {0};

    if (!value->type)
        buf_add_c(out, "<no value>");
    else if (value->type == &template_type_string)
        buf_add_str(out, value->string);
    else
        print_value(out, &f, 'v', value);
}

void template_sprint(Buf *out, const TemplateValue *args, size_t count)
{
    bool after_string = true;

    for (size_t i = 0; i < count; i++) {
        TemplateFormat f = {0};
        bool is_string = template_kind(&args[i]) == TEMPLATE_STRING;
        if (!is_string && !after_string)
            buf_add_char(out, ' ');
        print_value(out, &f, 'v', &args[i]);
        after_string = is_string;
    }
}

void template_sprintln(Buf *out, const TemplateValue *args, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        TemplateFormat f = {0};
        if (i)
            buf_add_char(out, ' ');
        print_value(out, &f, 'v', &args[i]);
    }
    buf_add_char(out, '\n');
}

// ---- the format string

typedef struct Reader {
    Buf *out;
    Str rest;
    const TemplateValue *args;
    size_t count;
    size_t next;    // argument
    bool reordered; // by [n], in this verb
    bool ever_reordered;
    bool good_index;
} Reader;

static bool read_number(Str *rest, int *ret_number)
{
    size_t len = 0;
    int number = 0;

    while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9') {
        number = number * 10 + (rest->ptr[len++] - '0');
        if (number > FORMAT_NUMBER_MAX)
            return false;
    }
    *rest = str_skip(*rest, len);
    *ret_number = number;
    return len > 0;
}

// "[3]" chooses the next argument.
static void read_index(Reader *r)
{
    if (r->rest.len == 0 || r->rest.ptr[0] != '[')
        return;
    r->reordered = r->ever_reordered = true;

    size_t close = str_find_char(r->rest, ']');
    if (close == STR_NOT_FOUND) {
        r->good_index = false;
        r->rest = str_skip(r->rest, 1);
        return;
    }
    Str inner = str_sub(r->rest, 1, close - 1);
    int index;
    bool ok = read_number(&inner, &index) && inner.len == 0;
    r->rest = str_skip(r->rest, close + 1);
    if (ok && index >= 1 && (size_t)index <= r->count)
        r->next = (size_t)index - 1;
    else
        r->good_index = false;
}

static void read_flags(Reader *r, TemplateFormat *f)
{
    for (; r->rest.len; r->rest = str_skip(r->rest, 1)) {
        switch (r->rest.ptr[0]) {
        case '#':
            f->sharp = true;
            break;
        case '0':
            f->zero = true;
            break;
        case '+':
            f->plus = true;
            break;
        case '-':
            f->minus = true;
            break;
        case ' ':
            f->space = true;
            break;
        default:
            return;
        }
    }
}

// The argument of a '*'.
static bool read_star(Reader *r, int *ret_number)
{
    bool ok = r->next < r->count && template_kind(&r->args[r->next]) == TEMPLATE_INT &&
              llabs(r->args[r->next].integer) <= FORMAT_NUMBER_MAX;

    if (ok)
        *ret_number = (int)r->args[r->next].integer;
    if (r->next < r->count)
        r->next++;
    return ok;
}

static void read_width(Reader *r, TemplateFormat *f)
{
    bool after_index = r->reordered;

    if (r->rest.len && r->rest.ptr[0] == '*') {
        r->rest = str_skip(r->rest, 1);
        f->has_width = read_star(r, &f->width);
        if (!f->has_width)
            buf_add_c(r->out, "%!(BADWIDTH)");
        if (f->has_width && f->width < 0) {
            f->width = -f->width;
            f->minus = true;
            f->zero = false;
        }
        r->reordered = false;
    } else {
        f->has_width = read_number(&r->rest, &f->width);
        if (after_index && f->has_width)
            r->good_index = false; // "%[3]2d"
    }
}

static void read_precision(Reader *r, TemplateFormat *f)
{
    if (r->rest.len < 1 || r->rest.ptr[0] != '.')
        return;
    r->rest = str_skip(r->rest, 1);
    if (r->reordered)
        r->good_index = false; // "%[3].2d"
    read_index(r);
    if (r->rest.len && r->rest.ptr[0] == '*') {
        r->rest = str_skip(r->rest, 1);
        f->has_precision = read_star(r, &f->precision);
        if (f->has_precision && f->precision < 0) {
            f->precision = 0;
            f->has_precision = false;
        }
        if (!f->has_precision)
            buf_add_c(r->out, "%!(BADPREC)");
        r->reordered = false;
    } else {
        f->has_precision = true; // "%.d" means a precision of 0
        if (!read_number(&r->rest, &f->precision))
            f->precision = 0;
    }
}

static void print_verb(Reader *r, TemplateFormat *f, uint32_t verb)
{
    Buf *out = r->out;

    if (verb == '%') {
        buf_add_char(out, '%');
        return;
    }
    if (!r->good_index || r->next >= r->count) {
        buf_add_c(out, "%!");
        template_add_rune(out, verb);
        buf_add_c(out, r->good_index ? "(MISSING)" : "(BADINDEX)");
        return;
    }
    if (verb == 'v') {
        f->sharp_v = f->sharp;
        f->plus_v = f->plus;
        f->sharp = f->plus = false;
    }
    print_value(out, f, verb, &r->args[r->next++]);
}

static void read_verb(Reader *r)
{
    TemplateFormat f = {0};
    uint32_t verb;

    r->reordered = false;
    r->good_index = true;
    read_flags(r, &f);
    read_index(r);
    read_width(r, &f);
    read_precision(r, &f);
    if (!r->reordered)
        read_index(r);
    if (r->rest.len == 0) {
        buf_add_c(r->out, "%!(NOVERB)");
        return;
    }
    r->rest = str_skip(r->rest, str_rune(r->rest, &verb));
    print_verb(r, &f, verb);
}

static void print_extra(Reader *r)
{
    buf_add_c(r->out, "%!(EXTRA ");
    for (size_t i = r->next; i < r->count && !r->out->failed; i++) {
        TemplateFormat f = {0};
        if (i > r->next)
            buf_add_c(r->out, ", ");
        if (r->args[i].type) {
            buf_printf(r->out, "%s=", r->args[i].type->name);
            print_value(r->out, &f, 'v', &r->args[i]);
        } else {
            buf_add_c(r->out, "<nil>");
        }
    }
    buf_add_char(r->out, ')');
}

void template_sprintf(Buf *out, Str format, const TemplateValue *args, size_t count)
{
    Reader r = {.out = out, .rest = format, .args = args, .count = count};

    while (r.rest.len && !out->failed) {
        size_t percent = str_find_char(r.rest, '%');
        buf_add_str(out, str_sub(r.rest, 0, percent));
        if (percent == STR_NOT_FOUND)
            break;
        r.rest = str_skip(r.rest, percent + 1);
        read_verb(&r);
    }
    if (!r.ever_reordered && r.next < count)
        print_extra(&r);
}
