// SPDX-License-Identifier: Apache-2.0
// Lists that come in pages: see discovery_poll.h.
#include <stdlib.h>

#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

typedef struct Pages {
    PageAsk ask;
    PageList *list;
    int64_t number; // of the page that was asked for last
} Pages;

void page_list_add(Round *round, PageList *list, const JsonValue *item)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        list->items = arena_grow(&round->arena, list->items, list->cap * sizeof *list->items,
                                 cap * sizeof *list->items);
        list->cap = cap;
    }
    list->items[list->count++] = item;
}

// The URL with a parameter set; one of that name that is there already is replaced.
static Str with_param(Arena *arena, Str url, const char *param, Str value)
{
    CLEANUP(buf_deinit) Buf out = {0};
    size_t question = str_find_char(url, '?');
    Str query = question == STR_NOT_FOUND ? STR_NONE : str_skip(url, question + 1);
    buf_add_str(&out, str_sub(url, 0, MIN(question, url.len)));
    char separator = '?';
    for (Str pair; str_split_next(&query, '&', &pair);) {
        if (str_equal(str_sub(pair, 0, MIN(str_find_char(pair, '='), pair.len)), str_from_c(param)))
            continue;
        buf_add_char(&out, separator);
        buf_add_str(&out, pair);
        separator = '&';
    }
    buf_printf(&out, "%c%s=" STR_FMT, separator, param, STR_ARG(poll_query_escaped(arena, value)));
    return arena_str(arena, buf_str(&out));
}

static Str origin_of(Str url)
{
    size_t scheme = str_find(url, S("://"));
    if (scheme == STR_NOT_FOUND)
        return url;
    size_t path = str_find_char(str_skip(url, scheme + 3), '/');
    return path == STR_NOT_FOUND ? url : str_sub(url, 0, scheme + 3 + path);
}

// Where the page after this one is, or the empty Str.
static Str next_url(Round *round, Pages *pages, const JsonValue *answer, size_t found)
{
    const PageRule *rule = &pages->ask.rule;
    Arena *arena = &round->arena;
    Str url = pages->ask.ask.url;
    Str mark = rule->at ? meta_text(arena, json_at(answer, rule->at)) : STR_NONE;
    pages->number++;
    switch (rule->form) {
    case PAGE_NEXT:
        if (mark.len == 0 || str_find(mark, S("://")) != STR_NOT_FOUND)
            return mark;
        return arena_printf(arena, STR_FMT "%s" STR_FMT, STR_ARG(origin_of(url)),
                            mark.ptr[0] == '/' ? "" : "/", STR_ARG(mark));
    case PAGE_LINKS: {
        const JsonValue *links = json_at(answer, rule->at);
        for (size_t i = 0; links && links->kind == JSON_ARRAY && i < links->count; i++)
            if (str_is(json_str_at(&links->items[i], "rel"), "next"))
                return json_str_at(&links->items[i], "href");
        return STR_NONE;
    }
    case PAGE_NUMBER: {
        bool more = rule->at ? json_i64_at(answer, rule->at) >= pages->number
                             : found >= rule->page_items && found > 0;
        return more ? with_param(arena, url, rule->param,
                                 arena_printf(arena, "%lld", (long long)pages->number))
                    : STR_NONE;
    }
    case PAGE_TOKEN:
        return mark.len ? with_param(arena, url, rule->param, mark) : STR_NONE;
    default:
        return STR_NONE;
    }
}

static bool take_page(Round *round, const Answer *answer, void *arg, Error *err)
{
    Pages *pages = arg;
    const PageAsk *ask = &pages->ask;
    const JsonValue *list = json_at(answer->json, ask->items);
    bool missing = !list || list->kind == JSON_NULL;
    if (missing ? !ask->optional : list->kind != JSON_ARRAY)
        return error_set(err, ERR_INVALID, "the answer has no list%s%s", *ask->items ? " " : "",
                         ask->items);
    size_t found = missing ? 0 : list->count;
    for (size_t i = 0; i < found; i++)
        page_list_add(round, pages->list, &list->items[i]);
    if (pages->list->count > DISCOVERY_TARGETS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d items", DISCOVERY_TARGETS_MAX);
    Str next = answer->json ? next_url(round, pages, answer->json, found) : STR_NONE;
    if (next.len == 0)
        return !ask->then || ask->then(round, pages->list, ask->arg, err);
    if (str_equal(next, pages->ask.ask.url))
        return error_set(err, ERR_INVALID, "the next page is this page");
    pages->ask.ask.url = next;
    round_ask(round, &pages->ask.ask);
    return true;
}

void round_ask_list(Round *round, const PageAsk *ask, PageList *list)
{
    Pages *pages = ARENA_NEW(&round->arena, Pages);
    pages->ask = *ask;
    pages->ask.ask.take = take_page;
    pages->ask.ask.arg = pages;
    pages->list = list;
    pages->number = 1;
    round_ask(round, &pages->ask.ask);
}
