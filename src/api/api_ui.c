// SPDX-License-Identifier: Apache-2.0
// The web UI among the routes, the sign posts to it, and what the process tells of itself.
#include "api/api_internal.h"
#include "net/debug_pages.h"
#include "ui/ui.h"

static void note(ApiCall *call, UiSent sent)
{
    call->status = sent.status;
    call->sent_bytes += sent.bytes;
}

void api_page(ApiCall *call)
{
    note(call, ui_send_page(call->api->state->ui, call->request, 200));
}

void api_asset(ApiCall *call)
{
    UiSent sent;
    if (ui_send_asset(call->request, str_skip(call->path, 1), &sent))
        note(call, sent);
    else if (ui_wants_page(call->request) && !str_starts_with(call->path, S("/api/")))
        note(call, ui_send_page(call->api->state->ui, call->request, 404));
    else
        api_text(call, 404, S("404 page not found\n"));
}

static void redirect(ApiCall *call, bool with_query)
{
    Str target = call->request->target;
    size_t question = str_find_char(target, '?');
    Str query = with_query && question != STR_NOT_FOUND ? str_skip(target, question) : STR_NONE;
    http_reply_header(call->request, S("Location"),
                      arena_printf(call->arena, STR_FMT "%s" STR_FMT,
                                   STR_ARG(call->api->route_prefix),
                                   call->api->is_agent ? "/agent" : "/query", STR_ARG(query)));
    api_text(call, 302, STR_NONE);
}

void api_root(ApiCall *call)
{
    redirect(call, false);
}

void api_old_graph(ApiCall *call)
{
    redirect(call, true);
}

void api_debug(ApiCall *call)
{
    static const Str folder = STR("/debug/pprof/");
    if (str_equal(call->path, str_sub(folder, 0, folder.len - 1))) {
        Str there = arena_printf(call->arena, STR_FMT STR_FMT, STR_ARG(call->api->route_prefix),
                                 STR_ARG(folder));
        http_reply_header(call->request, S("Location"), there);
        api_text(call, 301, STR_NONE);
    } else if (str_starts_with(call->path, folder)) {
        DebugSent sent = debug_pages_answer(call->request, str_skip(call->path, folder.len));
        call->status = sent.status;
        call->sent_bytes += sent.bytes;
    } else {
        api_text(call, 404, S("404 page not found\n"));
    }
}
