// SPDX-License-Identifier: Apache-2.0
// template_value.h: what a template sees: a value with a Go type. 24 bytes, passed by value; what it points to lives in
// an arena or in the caller's own structs for the time of the execution.
//
// A type is a constant table: its kind, the name that Go prints, fields, methods, a String(). Structs of ours are shown to
// templates by a table of fields with a getter each, nothing is copied:
//
//     static TemplateValue alert_labels(const void *record, Arena *arena) { ... return template_labels(a->labels); }
//     static const TemplateField fields[] = {{"Labels", "labels", alert_labels}, ...};
//     static const TemplateType alert_type = {
//         .name = "template.Alert", .kind = TEMPLATE_RECORD, .fields = fields, .field_count = COUNT_OF(fields)};
//     TemplateValue v = template_record(&alert_type, alert);
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "metric/labels.h"

typedef enum TemplateKind {
    TEMPLATE_ANY, // only as the type of a parameter or element: interface {}
    TEMPLATE_BOOL,
    TEMPLATE_INT,
    TEMPLATE_FLOAT,
    TEMPLATE_STRING,
    TEMPLATE_LIST,
    TEMPLATE_MAP,        // entries sorted by key
    TEMPLATE_STRING_MAP, // string to string: label pairs, sorted by name
    TEMPLATE_RECORD,     // a struct behind a pointer
    TEMPLATE_FUNCTION,
} TemplateKind;

typedef struct TemplateType TemplateType;
typedef struct TemplateEntry TemplateEntry;
typedef struct TemplateFunction TemplateFunction;
typedef struct TemplateCall TemplateCall;

typedef struct TemplateValue {
    const TemplateType *type; // NULL: nil, printed <no value>
    union {
        bool boolean;
        int64_t integer;
        double number;
        Str string;
        struct {
            const struct TemplateValue *items;
            size_t count;
        } list;
        struct {
            const TemplateEntry *entries;
            size_t count;
        } map;
        Labels labels; // TEMPLATE_STRING_MAP
        const void *record;
        const TemplateFunction *function;
    };
} TemplateValue;

struct TemplateEntry {
    TemplateValue key;
    TemplateValue value;
};

typedef struct TemplateField {
    const char *name;
    const char *json_name; // in toJson; NULL: the same, "": left out
    TemplateValue (*get)(const void *record, Arena *arena);
} TemplateField;

struct TemplateType {
    const char *name; // as Go prints it with %T: "[]string", "template.KV"
    TemplateKind kind;
    const TemplateType *elem; // of a list or map; NULL: anything
    const TemplateField *fields;
    size_t field_count;
    const TemplateFunction *methods;
    size_t method_count;
    void (*print)(Buf *out, const TemplateValue *value); // Go's String(); NULL: as the kind prints
    void (*json)(Buf *out, const TemplateValue *value);  // Go's MarshalJSON(); NULL: as the kind
};

#define TEMPLATE_PARAMS_MAX 4

// A function or method. Its arguments have been checked against params when it is called.
struct TemplateFunction {
    const char *name;
    // On failure the template fails with "error calling <name>: " in front of err's text.
    bool (*call)(const TemplateCall *call, TemplateValue *ret_value, Error *err);
    uint8_t param_count;
    bool variadic; // the last parameter any number of times, also none
    const TemplateType *params[TEMPLATE_PARAMS_MAX];
};

// The parameter list in a table: {"join", join, TEMPLATE_PARAMS(&template_type_string, &template_type_strings)}.
#define TEMPLATE_PARAMS(...)                                                                       \
    .param_count = sizeof((const TemplateType *[]){__VA_ARGS__}) / sizeof(TemplateType *),         \
    .params = {__VA_ARGS__}

typedef struct TemplateRun TemplateRun;
typedef struct TemplateHost TemplateHost;

struct TemplateCall {
    TemplateValue self; // a method's receiver
    const TemplateValue *args;
    size_t count;
    Arena *arena; // what is returned may live here
    const TemplateHost *host;
    TemplateRun *run; // for template_call_execute()
};

// Go's own types; names as in Go.
extern const TemplateType template_type_any;      // interface {}
extern const TemplateType template_type_bool;     // bool
extern const TemplateType template_type_int;      // int
extern const TemplateType template_type_int64;    // int64
extern const TemplateType template_type_uint8;    // uint8: a byte of a string
extern const TemplateType template_type_float;    // float64
extern const TemplateType template_type_string;   // string
extern const TemplateType template_type_list;     // []interface {}
extern const TemplateType template_type_strings;  // []string
extern const TemplateType template_type_map;      // map[string]interface {}
extern const TemplateType template_type_labels;   // map[string]string
extern const TemplateType template_type_function; // func
extern const TemplateType
    template_type_duration;                   // time.Duration: nanoseconds, an integer with methods
extern const TemplateType template_type_time; // time.Time: a record with methods
// html/template's content types: strings that the named context does not escape.
extern const TemplateType template_type_html; // template.HTML
extern const TemplateType template_type_url;  // template.URL
extern const TemplateType template_type_js;   // template.JS
extern const TemplateType template_type_css;  // template.CSS
extern const TemplateType template_type_attr; // template.HTMLAttr

#define TEMPLATE_NIL ((TemplateValue){.type = NULL})

static inline TemplateValue template_bool(bool v)
{
    return (TemplateValue){.type = &template_type_bool, .boolean = v};
}

static inline TemplateValue template_int(int64_t v)
{
    return (TemplateValue){.type = &template_type_int, .integer = v};
}

static inline TemplateValue template_float(double v)
{
    return (TemplateValue){.type = &template_type_float, .number = v};
}

static inline TemplateValue template_string(Str v)
{
    return (TemplateValue){.type = &template_type_string, .string = v};
}

// A string of another type: &template_type_html.
static inline TemplateValue template_string_of(const TemplateType *type, Str v)
{
    return (TemplateValue){.type = type, .string = v};
}

static inline TemplateValue template_list_of(const TemplateType *type, const TemplateValue *items,
                                             size_t count)
{
    return (TemplateValue){.type = type, .list = {items, count}};
}

// map[string]string over sorted pairs; only a view.
static inline TemplateValue template_labels(Labels labels)
{
    return (TemplateValue){.type = &template_type_labels, .labels = labels};
}

// The same with a type of its own that has methods.
static inline TemplateValue template_labels_of(const TemplateType *type, Labels labels)
{
    return (TemplateValue){.type = type, .labels = labels};
}

// NULL gives nil.
static inline TemplateValue template_record(const TemplateType *type, const void *record)
{
    return record ? (TemplateValue){.type = type, .record = record} : TEMPLATE_NIL;
}

static inline TemplateValue template_duration(int64_t ns)
{
    return (TemplateValue){.type = &template_type_duration, .integer = ns};
}

// []string from views.
TemplateValue template_strings(Arena *arena, const Str *items, size_t count);
// map[string]interface {}; sorts the entries in place by key, the last of equal keys stays.
TemplateValue template_map(TemplateEntry *entries, size_t count);
// time.Time in UTC; ns is 0..999999999 inside the second.
TemplateValue template_time(Arena *arena, int64_t unix_s, int32_t ns);
TemplateValue template_time_ms(Arena *arena, int64_t t_ms);

// nil is TEMPLATE_ANY.
static inline TemplateKind template_kind(const TemplateValue *value)
{
    return value->type ? value->type->kind : TEMPLATE_ANY;
}

// Go's truth: not nil, not zero, not empty; records are true.
bool template_truth(const TemplateValue *value);
// Entries of a list or map, bytes of a string; 0 for others.
size_t template_length(const TemplateValue *value);
// The i-th key and value of either kind of map, in key order.
TemplateEntry template_entry(const TemplateValue *map, size_t index);
// The value under a string key; false if there is none.
bool template_lookup(const TemplateValue *map, Str key, TemplateValue *ret_value);

// As Go's fmt.Print of the value.
void template_print(Buf *out, const TemplateValue *value);
// As Go's json.Marshal: false with ERR_INVALID for NaN, infinities and functions.
bool template_json(Buf *out, const TemplateValue *value, Arena *arena, Error *err) MUST_CHECK;
