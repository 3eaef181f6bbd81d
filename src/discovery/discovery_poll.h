// SPDX-License-Identifier: Apache-2.0
// discovery_poll.h: the engine of the kinds that ask an API again and again.
//
// Such a kind is a PollKind: where its settings stand, what it asks first, and how the answers become groups.
//
//     timer --> begin(round) --> asks ... answers --> finish(round) --> groups published --> timer
//                    ^   take() of an answer may ask for more   |
//                    +------------------------------------------+
//
// (1) All asks of a round share its arena; answers stay in it until the round is over, so finish() can join them.
// (2) The first failure ends the round: nothing is published, what was found before stays, the next round comes an interval later.
// (3) Nothing waits: many rounds run side by side on the discovery loop.
#pragma once

#include "codec/json_reader.h"
#include "discovery/discovery_kind.h"
#include "net/http_client.h"

#define POLL_ANSWER_BYTES_MAX (64u << 20)
#define POLL_ASKS_MAX 100000 // of one round
#define POLL_ASKS_AT_ONCE 8  // of one round
#define POLL_INTERVAL_MS_MAX (365 * 24 * 3600 * INT64_C(1000))

typedef struct Poll Poll;

typedef struct Round {
    Poll *poll;
    Arena arena;          // of this round
    const void *config;   // the block
    void *state;          // zeroed, state_bytes of the kind
    void *keep;           // zeroed at start, keep_bytes of the kind: lives from round to round
    GroupSnapshot *found; // to be filled by finish()
    bool unchanged;       // set it to publish nothing: what was found before is still true
} Round;

typedef struct Answer {
    int status;
    Str body;
    Str content_type;
    Str headers;           // see http_response_header
    const JsonValue *json; // of ASK_JSON and ASK_XML; in the round's arena
} Answer;

typedef enum AskForm { ASK_JSON, ASK_XML, ASK_TEXT } AskForm;

typedef bool (*TakeFn)(Round *round, const Answer *answer, void *arg, Error *err);

// Strings must live as long as the round; what is not set is empty.
typedef struct Ask {
    Str method; // empty: GET, or POST with a body
    Str url;
    Str body;
    const Str *headers; // "Name: value" each
    size_t header_count;
    Str unix_socket;           // path: instead of the URL's host
    const char *sigv4_service; // as in HttpCallOptions
    AskForm form;
    bool (*accepts)(int status); // NULL: 200 to 299 alone
    TakeFn take;
    void *arg;
} Ask;

struct PollKind {
    size_t interval_offset; // int64_t milliseconds
    size_t http_offset;     // HttpClientConfig
    size_t state_bytes;
    size_t keep_bytes;
    bool counts_failures;                      // in the kind's first counter
    int64_t (*timeout_ms)(const void *config); // of each question; NULL: the interval
    bool (*begin)(Round *round, Error *err);
    bool (*finish)(Round *round, Error *err); // NULL: the groups are filled already
    void (*close)(void *keep);                // frees what keep owns; may be NULL
};

// Queues a question; the answer comes to ask->take unless the round fails before.
void round_ask(Round *round, const Ask *ask);
// Just: GET url, JSON.
void round_get(Round *round, Str url, TakeFn take, void *arg);

// Just: GET url, JSON, kept in *slot.
void round_get_into(Round *round, Str url, const JsonValue **slot);
// The loop's clock.
int64_t round_now_ns(const Round *round);
// For logs.
Str round_job(const Round *round);
// One of the kind's own counters.
void round_count(const Round *round, size_t counter);

// "scheme://host..."
bool poll_url_is_whole(Str url);
// Of that scheme, or https.
bool poll_url_is_http(Str url);
// application/json, with nothing or charset=utf-8 behind it.
bool poll_type_is_json(Str type);
// A file of credentials without white space around it; read anew in each round.
bool round_read_secret(Round *round, Str path, Str *ret_secret, Error *err) MUST_CHECK;

// For tests: https://host/path is asked for at origin/host/path from now on; the empty Str ends that. What begins with the origin
// is left alone.
void poll_redirect_for_tests(Str origin);

// For DiscoveryKind.
void *poll_start(DiscoveryHost *host, const void *config);
void poll_stop(void *provider);

// Percent-encoded for a query or a path; in the arena.
Str poll_query_escaped(Arena *arena, Str text);
Str poll_path_escaped(Arena *arena, Str text);

// Rows of a kind's field table; Owner is its struct, which has the members http and refresh_interval_ms.
#define POLL_HTTP(Owner)                                                                           \
    {                                                                                              \
        .key = "", .kind = CONFIG_INLINE, .offset = offsetof(Owner, http),                         \
        .table = &http_client_config_table                                                         \
    }
#define POLL_INTERVAL(Owner, by_default)                                                           \
    {                                                                                              \
        .key = "refresh_interval", .kind = CONFIG_DURATION,                                        \
        .offset = offsetof(Owner, refresh_interval_ms), .default_text = by_default, .min = 1,      \
        .max = POLL_INTERVAL_MS_MAX, .help = "time between two looks"                              \
    }
#define POLL_STR(Owner, member, help_text, ...)                                                    \
    {                                                                                              \
        .key = #member, .kind = CONFIG_STR, .offset = offsetof(Owner, member), .help = help_text,  \
        ##__VA_ARGS__                                                                              \
    }
#define POLL_URL(Owner, member, help_text, ...)                                                    \
    {                                                                                              \
        .key = #member, .kind = CONFIG_URL, .offset = offsetof(Owner, member), .help = help_text,  \
        ##__VA_ARGS__                                                                              \
    }
#define POLL_STRS(Owner, member, help_text)                                                        \
    {                                                                                              \
        .key = #member, .kind = CONFIG_STR_LIST, .offset = offsetof(Owner, member),                \
        .help = help_text                                                                          \
    }
#define POLL_SECRET(Owner, member, help_text)                                                      \
    {                                                                                              \
        .key = #member, .kind = CONFIG_SECRET, .offset = offsetof(Owner, member),                  \
        .help = help_text                                                                          \
    }
#define POLL_FILE(Owner, member, help_text)                                                        \
    {                                                                                              \
        .key = #member, .kind = CONFIG_PATH, .offset = offsetof(Owner, member), .help = help_text  \
    }
#define POLL_BOOL(Owner, member, by_default, help_text)                                            \
    {                                                                                              \
        .key = #member, .kind = CONFIG_BOOL, .offset = offsetof(Owner, member),                    \
        .default_text = by_default, .always_print = true, .help = help_text                        \
    }
#define POLL_ROLE(Owner, member, role_words, help_text, ...)                                       \
    {                                                                                              \
        .key = #member, .kind = CONFIG_ENUM, .offset = offsetof(Owner, member),                    \
        .words = role_words, .help = help_text, ##__VA_ARGS__                                      \
    }
#define POLL_PORT(Owner, by_default)                                                               \
    {                                                                                              \
        .key = "port", .kind = CONFIG_I64, .offset = offsetof(Owner, port),                        \
        .default_text = by_default, .max = 65535, .help = "port of the targets' addresses"         \
    }
#define POLL_OFFSETS(Owner)                                                                        \
    .interval_offset = offsetof(Owner, refresh_interval_ms), .http_offset = offsetof(Owner, http)

// Lists in pages ---------------------------------------------------------------------------------------------------------------------

typedef enum PageForm {
    PAGE_ONLY, // one answer has all
    PAGE_NEXT, // `at` is the URL of the next page, whole or relative to the first; empty or null: the end
    PAGE_NUMBER, // ?param=2, 3, ... as long as the number at `at` is higher than the page's, or without `at` until a page is not full
    PAGE_LINKS, // `at` is a list of {"rel": .., "href": ..}: the one with rel "next", if there is one
    PAGE_TOKEN, // ?param=<what stands at `at`>; empty or null: the end
} PageForm;

typedef struct PageRule {
    PageForm form;
    const char *at;    // path in the answer
    const char *param; // name in the query
    size_t page_items; // PAGE_NUMBER without `at`: how many a full page has
} PageRule;

// What all pages listed, in order.
typedef struct PageList {
    const JsonValue **items;
    size_t count;
    size_t cap;
} PageList;

void page_list_add(Round *round, PageList *list, const JsonValue *item);

typedef struct PageAsk {
    Ask ask;           // of the first page; take is set by round_ask_list
    const char *items; // path of the list in the answer; "" is the answer itself
    PageRule rule;
    bool optional; // a page without the list is an empty one, not an error
    // When the last page has come; may be NULL. May ask for more.
    bool (*then)(Round *round, PageList *list, void *arg, Error *err);
    void *arg;
} PageAsk;

// Fills `list`, which stays where it is until the round is over.
void round_ask_list(Round *round, const PageAsk *ask, PageList *list);

// The definitions that a kind's file ends with; `poll` is its PollKind.
#define POLL_TABLE(kind_name, Owner, field_array, finish_fn)                                       \
    extern const ConfigTable discovery_##kind_name##_table;                                        \
    const ConfigTable discovery_##kind_name##_table =                                              \
        CONFIG_TABLE(Owner, #kind_name "_sd_config", field_array, finish_fn)
#define POLL_KIND(kind_name, ...)                                                                  \
    const DiscoveryKind discovery_##kind_name = {.name = #kind_name,                               \
                                                 .config_key = #kind_name "_sd_configs",           \
                                                 .table = &discovery_##kind_name##_table,          \
                                                 .poll = &poll,                                    \
                                                 .start = poll_start,                              \
                                                 .stop = poll_stop,                                \
                                                 ##__VA_ARGS__}
