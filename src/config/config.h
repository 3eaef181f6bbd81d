// SPDX-License-Identifier: Apache-2.0
// config.h: fills a struct from YAML by a field table. Decoding, defaults, checks, printing back and the reference page come from
// the same table, so they agree. Any mistake is told as file:line:column with the key's name. Strings that were decoded are views into
// the YamlNode's, so both live in the reader's arena. A key without a value (null) makes its member empty, save that structs keep their
// defaults; a custom decoder is called with the YAML_NULL node, and with a YAML_SCALAR one for its default_text.
#pragma once

#include "base/buf.h"
#include "codec/yaml.h"

typedef enum ConfigKind {
    CONFIG_BOOL,         // bool
    CONFIG_I64,          // int64_t
    CONFIG_U64,          // uint64_t
    CONFIG_DOUBLE,       // double
    CONFIG_STR,          // Str
    CONFIG_SECRET,       // Str, printed as <secret>
    CONFIG_DURATION,     // int64_t milliseconds, Prometheus duration
    CONFIG_SIZE,         // uint64_t bytes, "10MB": powers of two, unit mandatory, 0 allowed
    CONFIG_ENUM,         // int, one of `words`
    CONFIG_PATH,         // Str, joined to the folder of the file
    CONFIG_URL,          // Str, its password printed as xxxxx
    CONFIG_STR_LIST,     // ConfigStrList
    CONFIG_STR_MAP,      // ConfigStrMap
    CONFIG_STR_LIST_MAP, // ConfigStrListMap: url parameters
    CONFIG_STRUCT,       // a struct inside, described by `table`
    CONFIG_STRUCT_PTR,   // pointer to a struct, NULL when absent
    CONFIG_STRUCT_LIST,  // ConfigList of structs
    CONFIG_INLINE,       // a struct inside whose keys stand at this level
    CONFIG_CUSTOM,       // decode and print by functions
} ConfigKind;

typedef struct ConfigStrList {
    Str *items;
    size_t count;
} ConfigStrList;

typedef struct ConfigStrMap {
    Str *keys;
    Str *values;
    size_t count;
} ConfigStrMap;

typedef struct ConfigStrListMap {
    Str *keys;
    ConfigStrList *values;
    size_t count;
} ConfigStrListMap;

typedef struct ConfigList {
    void *items; // structs side by side, `table->bytes` each
    size_t count;
} ConfigList;

typedef struct ConfigReader ConfigReader;
typedef struct ConfigTable ConfigTable;

typedef struct ConfigField {
    const char *key;
    ConfigKind kind;
    size_t offset;            // of the member
    const char *help;         // a line for the reference page
    const char *default_text; // as it would stand in YAML; NULL: zero
    const char *const *words; // CONFIG_ENUM: NULL-terminated; the value is the index
    const ConfigTable *table; // struct kinds
    int64_t min, max;         // numbers, durations (ms), sizes; both 0: no limit
    bool required;
    bool always_print;     // printed even when it is empty
    bool omit_empty;       // not printed when it is empty, even if the default is another
    bool flow;             // a list of strings is printed as [a, b]
    size_t present_offset; // != 0: a bool member that tells that the key stood in the file
    const char *
        null_text; // CONFIG_STRUCT_LIST: what is said of an item that is null; NULL: in our own words
    const char *
        unknown_text; // CONFIG_ENUM: what is said of another word, which stands where its '%' is; NULL: in our own words
    // CONFIG_CUSTOM
    bool (*decode)(ConfigReader *reader, const YamlNode *node, void *member, Error *err);
    void (*print)(Buf *buf, int indent, const char *key, const void *member);
} ConfigField;

struct ConfigTable {
    const char *name; // for the reference page: "scrape_config"
    size_t bytes;     // sizeof the struct
    const ConfigField *fields;
    size_t count;
    // Runs after the fields are filled: checks across fields, compiles regexes. `node` is there for its place. May be NULL.
    bool (*finish)(ConfigReader *reader, const YamlNode *node, void *object, Error *err);
};

#define CONFIG_TABLE(struct_type, table_name, field_array, finish_fn)                              \
    {                                                                                              \
        .name = table_name, .bytes = sizeof(struct_type), .fields = field_array,                   \
        .count = COUNT_OF(field_array), .finish = finish_fn                                        \
    }

struct ConfigReader {
    Arena *arena;         // everything decoded lives here
    Str file_name;        // for errors
    Str folder;           // for CONFIG_PATH
    void *context;        // the caller's own, for custom decoders
    bool ignores_unknown; // keys that no table has are passed over
    Str key;              // under which the value stands that a custom decoder was given
    // Called for each object that a `finish` made which owns more than arena memory (a Regex); config_reader_release frees all.
    struct ConfigRelease *releases;
};

// A file's first document, as Go's yaml.Unmarshal takes it; that there is another one is logged, with its line.
bool config_yaml(Str text, Str path, Arena *arena, YamlNode **ret_root, Error *err) MUST_CHECK;

// Fills *object (zeroed, then defaults, then the node's keys). Unknown and duplicate keys are errors; so are null list items.
bool config_decode(ConfigReader *reader, const ConfigTable *table, const YamlNode *node,
                   void *object, Error *err) MUST_CHECK;
// Only the defaults (then `finish` is not called).
void config_defaults(Arena *arena, const ConfigTable *table, void *object);
// ERR_INVALID "file:line:column: text".
bool config_error(const ConfigReader *reader, const YamlNode *node, Error *err, const char *fmt,
                  ...) PRINTF(4, 5);
// Remembers that `release(object)` must run when the configuration dies.
void config_on_release(ConfigReader *reader, void (*release)(void *), void *object);
void config_release(ConfigReader *reader);

// YAML of the object as Prometheus prints its own, in table order; secrets masked. Left out is what is empty (zero, "", no items),
// as by Go's omitempty, unless the field says always_print or its default is another. `indent` counts columns, here and in custom printers.
void config_print(Buf *buf, int indent, const ConfigTable *table, const void *object);
// The same as an item of a list: "- " in front of the first key, the rest below it.
void config_print_item(Buf *buf, int indent, const ConfigTable *table, const void *object);
// Text that is equal for equal objects, secrets included: tells a reload what has changed. Not for showing.
Str config_fingerprint(Arena *arena, const ConfigTable *table, const void *object);
// For custom printers: <secret>, or what config_fingerprint wants to see.
void config_print_secret(Buf *buf, Str secret);
// The URL with `mask` for the password in it, if there is one.
void config_add_redacted_url(Buf *buf, Str url, const char *mask);
// False, with the reason in the words of Go's url.Parse, for what it refuses. The text of the URL is not in *err: it may hold a password.
bool config_url_check(Str url, Error *err) MUST_CHECK;
// The reference page of one table in Markdown.
void config_describe(Buf *buf, const ConfigTable *table);

// "512MB", "1GB": size as Prometheus' units.Base2Bytes.
bool config_size_parse(Str text, uint64_t *ret_bytes, Error *err) MUST_CHECK;
void config_size_print(Buf *buf, uint64_t bytes);
