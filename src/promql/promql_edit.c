// SPDX-License-Identifier: Apache-2.0
// A query with other matchers.
#include "promql/ast.h"

#define PRETTY_BYTES_MAX (64u << 20)

typedef struct Editor {
    const PromqlEdit *edit;
    Arena *arena;
    bool failed;
    Error *err;
} Editor;

static void set_matcher(Editor *editor, Matcher *matcher)
{
    const PromqlEdit *edit = editor->edit;
    Matcher fresh;
    if (editor->failed ||
        !matcher_init(&fresh, edit->kind, edit->name, edit->value, editor->arena, editor->err)) {
        editor->failed = true;
        return;
    }
    matcher_deinit(matcher);
    *matcher = fresh;
}

static void delete_matchers(Expr *expr, Str name)
{
    size_t kept = 0;
    for (size_t i = 0; i < expr->selector.count; i++) {
        Matcher *matcher = &expr->selector.matchers[i];
        if (str_equal(matcher->name, name))
            matcher_deinit(matcher);
        else
            expr->selector.matchers[kept++] = *matcher;
    }
    expr->selector.count = kept;
}

static void edit_selector(void *arg, Expr *expr)
{
    Editor *editor = arg;
    bool found = false;
    if (editor->edit->is_delete) {
        delete_matchers(expr, editor->edit->name);
        return;
    }
    for (size_t i = 0; i < expr->selector.count; i++) {
        if (!str_equal(expr->selector.matchers[i].name, editor->edit->name))
            continue;
        found = true;
        set_matcher(editor, &expr->selector.matchers[i]);
    }
    if (found)
        return;
    size_t count = expr->selector.count;
    Matcher *more = ARENA_ARRAY(editor->arena, Matcher, count + 1);
    if (count)
        memcpy(more, expr->selector.matchers, count * sizeof *more);
    more[count] = (Matcher){0};
    expr->selector.matchers = more;
    set_matcher(editor, &more[count]);
    expr->selector.count += !editor->failed;
}

bool promql_edit_matchers(Str query, const PromqlFeatures *features, const PromqlEdit *edit,
                          Buf *out, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf pretty = {.max = PRETTY_BYTES_MAX};
    Editor editor = {.edit = edit, .arena = &arena, .err = err};
    Expr *expr;
    if (!promql_parse(query, features, &arena, &expr, err))
        return false;
    expr_each_selector(expr, edit_selector, &editor);
    if (!editor.failed)
        expr_pretty(&pretty, expr, 0);
    expr_free_regexes(expr);
    if (editor.failed || !buf_ok(&pretty, "formatted query", err))
        return false;
    buf_add_str(out, buf_str(&pretty));
    return true;
}
