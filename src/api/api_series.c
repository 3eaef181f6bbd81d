// SPDX-License-Identifier: Apache-2.0
// /series, /labels, /label/<name>/values.
#include "api/api_internal.h"

typedef struct Lookup {
    int64_t start_ms, end_ms;
    size_t limit;
    ApiSelectors selectors;
    Querier *querier;
} Lookup;

// Parameters that all three take, and a querier. False: the error has been answered.
static bool lookup_open(ApiCall *call, Lookup *lookup)
{
    Error err = {0};
    *lookup = (Lookup){0};
    if (!api_limit_param(call, "limit", &lookup->limit) ||
        !api_time_param(call, "start", API_MIN_T_MS, &lookup->start_ms) ||
        !api_time_param(call, "end", API_MAX_T_MS, &lookup->end_ms) ||
        !api_selectors_param(call, S("match[]"), &lookup->selectors))
        return false;
    Source *source = api_source(call->api);
    if (source->open(source, lookup->start_ms, lookup->end_ms, &lookup->querier, &err))
        return true;
    api_selectors_free(&lookup->selectors);
    api_error_from(call, &err);
    return false;
}

static void lookup_close(Lookup *lookup)
{
    lookup->querier->close(lookup->querier);
    api_selectors_free(&lookup->selectors);
}

static bool has_bad_form(ApiCall *call)
{
    if (!call->request->has_bad_params)
        return false;
    api_error(call, API_BAD_DATA, "error parsing form values: invalid URL escape");
    return true;
}

static void write_series(ApiCall *call, SeriesList list, size_t limit)
{
    bool truncated = api_truncate(&list.count, limit);
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_array(&reply.json);
    for (size_t i = 0; i < list.count; i++)
        api_json_labels(&reply.json, list.series[i].labels);
    json_array_end(&reply.json);
    api_reply_end(&reply, api_truncated_warning(call, truncated), (StrList){0});
}

void api_series(ApiCall *call)
{
    Lookup lookup;
    SeriesList list = {0};
    Error err = {0};
    if (has_bad_form(call))
        return;
    if (!http_has_param(call->request, S("match[]"))) {
        api_error(call, API_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (!lookup_open(call, &lookup))
        return;
    SelectHints hints = {
        .start_ms = lookup.start_ms, .end_ms = lookup.end_ms, .func = STR("series")};
    if (api_select(lookup.querier, &lookup.selectors, &hints, call->arena, &list, &err))
        write_series(call, list, lookup.limit);
    else
        api_error_from(call, &err);
    lookup_close(&lookup);
}

static void write_list(ApiCall *call, StrList list, size_t limit)
{
    bool truncated = api_truncate(&list.count, limit);
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_array(&reply.json);
    for (size_t i = 0; i < list.count; i++)
        json_str(&reply.json, list.items[i]);
    json_array_end(&reply.json);
    api_reply_end(&reply, api_truncated_warning(call, truncated), (StrList){0});
}

// Names, or values of the label `name`, of the series that any of the selectors meets.
static bool find_strings(ApiCall *call, Lookup *lookup, const Str *name, StrList *ret_list,
                         Error *err)
{
    Querier *querier = lookup->querier;
    const ApiSelectors *selectors = &lookup->selectors;
    size_t rounds = MAX(selectors->count, 1u); // no selector: everything
    // One more than asked for, so that cutting shows.
    size_t limit = lookup->limit ? lookup->limit + 1 : 0;
    StrList all = {0};
    for (size_t i = 0; i < rounds; i++) {
        const Matcher *set = selectors->count ? selectors->sets[i] : NULL;
        size_t count = selectors->count ? selectors->counts[i] : 0;
        StrList one = {0};
        bool ok =
            name ? querier->label_values(querier, *name, set, count, limit, call->arena, &one, err)
                 : querier->label_names(querier, set, count, limit, call->arena, &one, err);
        if (!ok)
            return false;
        all = api_str_union(call->arena, all, one);
        if (!arena_ok(call->arena, err))
            return false;
    }
    *ret_list = all;
    return true;
}

static void answer_strings(ApiCall *call, const Str *name)
{
    Lookup lookup;
    StrList list = {0};
    Error err = {0};
    if (has_bad_form(call) || !lookup_open(call, &lookup))
        return;
    if (find_strings(call, &lookup, name, &list, &err))
        write_list(call, list, lookup.limit);
    else
        api_error_from(call, &err);
    lookup_close(&lookup);
}

void api_labels(ApiCall *call)
{
    answer_strings(call, NULL);
}

// Undoes model.EscapeName with the values scheme: U__, then "__" for '_' and "_20_" for the rune 0x20.
// A name that is not of this form is taken as it is.
static Str unescape_name(Arena *arena, Str name)
{
    if (!str_starts_with(name, S("U__")))
        return name;
    Buf out = {0};
    Str rest = str_skip(name, 3);
    bool ok = true;
    for (size_t i = 0; i < rest.len && ok; i++) {
        if (rest.ptr[i] != '_') {
            buf_add_char(&out, rest.ptr[i]);
            continue;
        }
        if (i + 1 < rest.len && rest.ptr[i + 1] == '_') {
            buf_add_char(&out, '_');
            i++;
            continue;
        }
        uint32_t rune = 0;
        size_t digits = 0;
        for (i++; i < rest.len && str_digit(rest.ptr[i]) < 16 && digits < 6; i++, digits++)
            rune = rune * 16 + str_digit(rest.ptr[i]);
        ok = digits > 0 && i < rest.len && rest.ptr[i] == '_' && rune <= 0x10FFFF &&
             !(rune >= 0xD800 && rune <= 0xDFFF);
        buf_add_rune(&out, rune);
    }
    Str result = ok ? arena_str(arena, buf_str(&out)) : name;
    buf_deinit(&out);
    return result;
}

void api_label_values(ApiCall *call)
{
    Str name = unescape_name(call->arena, call->segment);
    if (!name_is_utf8(name)) {
        Buf quoted = {0};
        buf_add_go_quoted(&quoted, name);
        api_error(call, API_BAD_DATA, "invalid label name: " STR_FMT, STR_ARG(buf_str(&quoted)));
        buf_deinit(&quoted);
        return;
    }
    answer_strings(call, &name);
}
