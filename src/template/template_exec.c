// SPDX-License-Identifier: Apache-2.0
// Blocks: text, actions, if, with, range, calls of templates.
#include <stdlib.h>

#include "template/template_fmt.h"
#include "template/template_run.h"

#define OUTPUT_BYTES_DEFAULT (16u << 20)
#define MEMORY_BYTES_DEFAULT (64u << 20)
#define STEPS_DEFAULT 20000000u
#define DEPTH_DEFAULT 200u
#define SLOTS_ON_STACK 12

typedef enum Flow {
    FLOW_NEXT,
    FLOW_BREAK,
    FLOW_CONTINUE,
    FLOW_FAIL,
} Flow;

static Flow exec_list(TemplateFrame *frame, TemplateValue dot, const TemplateNodeList *list);

// ---- errors and limits

static void add_place(Buf *out, const TemplateNode *node)
{
    const TemplateTree *tree = node->tree;
    uint32_t line = 1;
    uint32_t line_at = 0;

    for (uint32_t i = 0; i < node->at && i < tree->text.len; i++) {
        if (tree->text.ptr[i] == '\n') {
            line++;
            line_at = i + 1;
        }
    }
    buf_printf(out, STR_FMT ":%u:%u", STR_ARG(tree->parse_name), line, node->at - line_at);
}

static bool fail_v(TemplateFrame *frame, ErrorCode code, const char *fmt, va_list args)
    PRINTF(3, 0);
static bool fail_v(TemplateFrame *frame, ErrorCode code, const char *fmt, va_list args)
{
    Buf text = {0};

    buf_add_c(&text, "template: ");
    if (frame->at) {
        add_place(&text, frame->at);
        buf_add_c(&text, ": executing ");
        buf_add_go_quoted(&text, frame->tree->name);
        buf_add_c(&text, " at <");
        template_node_print(&text, frame->at);
        buf_add_c(&text, ">: ");
    } else {
        buf_printf(&text, STR_FMT ": ", STR_ARG(frame->tree->name));
    }
    buf_vprintf(&text, fmt, args);
    error_set(frame->run->err, code, STR_FMT, STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return false;
}

bool template_run_fail(TemplateFrame *frame, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fail_v(frame, ERR_INVALID, fmt, args);
    va_end(args);
    return false;
}

bool template_run_fail_code(TemplateFrame *frame, ErrorCode code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fail_v(frame, code, fmt, args);
    va_end(args);
    return false;
}

bool template_run_enter(TemplateFrame *frame)
{
    TemplateRun *run = frame->run;

    if (UNLIKELY(++run->steps > run->limits.steps))
        return template_run_fail_code(frame, ERR_LIMIT, "the template takes more than %llu steps",
                                      (unsigned long long)run->limits.steps);
    if (UNLIKELY(run->stack >= TEMPLATE_STACK_MAX))
        return template_run_fail_code(
            frame, ERR_LIMIT, "blocks and calls are nested more than %d deep", TEMPLATE_STACK_MAX);
    run->stack++;
    return true;
}

static bool output_is_within(TemplateFrame *frame)
{
    const TemplateRun *run = frame->run;

    return LIKELY(!run->out->failed) ||
           template_run_fail_code(frame, ERR_LIMIT, "the output is larger than %zu bytes",
                                  run->out->max - run->out_start);
}

// ---- output

static bool write_text(TemplateFrame *frame, Str text)
{
    TemplateRun *run = frame->run;

    if (run->set->options.html)
        template_html_text(&run->html, run->out, text);
    else
        buf_add_str(run->out, text);
    return output_is_within(frame);
}

static bool write_value(TemplateFrame *frame, const TemplateNode *node, const TemplateValue *value)
{
    TemplateRun *run = frame->run;

    frame->at = node;
    if (template_kind(value) == TEMPLATE_FUNCTION) {
        Buf shown = {0};
        template_node_print(&shown, node);
        template_run_fail(frame, "can't print " STR_FMT " of type %s", STR_ARG(buf_str(&shown)),
                          value->type->name);
        buf_deinit(&shown);
        return false;
    }
    Error inner = {0};
    if (!run->set->options.html)
        template_print(run->out, value);
    else if (!template_html_value(&run->html, run->out, value, &run->scratch, &inner))
        return template_run_fail_code(frame, inner.code, "%s", inner.text);
    return output_is_within(frame);
}

// ---- blocks

static Flow exec_branch(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node)
{
    TemplateValue value;

    if (!template_eval_pipeline(frame, dot, node->branch.pipe, &value))
        return FLOW_FAIL;
    if (!template_truth(&value))
        return exec_list(frame, dot, &node->branch.else_list);
    return exec_list(frame, node->kind == TEMPLATE_NODE_WITH ? value : dot, &node->branch.list);
}

// Where a round of a range stands: with one variable it is the element, with two the key comes first. A range over
// an integer has no key.
static bool set_round(TemplateFrame *frame, const TemplateNode *pipe, const TemplateValue *key,
                      TemplateValue element)
{
    TemplateNode **variables = pipe->pipeline.variables;

    switch (pipe->pipeline.variable_count) {
    case 0:
        return true;
    case 1:
        return template_eval_set(frame, variables[0], element);
    default:
        return template_eval_set(frame, variables[0], *key) &&
               template_eval_set(frame, variables[1], element);
    }
}

static Flow exec_round(TemplateFrame *frame, const TemplateNode *node, TemplateValue key,
                       TemplateValue element)
{
    if (!set_round(frame, node->branch.pipe, &key, element))
        return FLOW_FAIL;
    Flow flow = exec_list(frame, element, &node->branch.list);
    return flow == FLOW_CONTINUE ? FLOW_NEXT : flow;
}

static Flow exec_rounds(TemplateFrame *frame, const TemplateNode *node, const TemplateValue *over)
{
    Flow flow = FLOW_NEXT;
    size_t count = template_length(over);

    for (size_t i = 0; i < count && flow == FLOW_NEXT; i++) {
        if (template_kind(over) == TEMPLATE_LIST) {
            flow = exec_round(frame, node, template_int((int64_t)i), over->list.items[i]);
        } else {
            TemplateEntry entry = template_entry(over, i);
            flow = exec_round(frame, node, entry.key, entry.value);
        }
    }
    return flow == FLOW_BREAK ? FLOW_NEXT : flow;
}

static Flow exec_count(TemplateFrame *frame, const TemplateNode *node, const TemplateValue *over)
{
    Flow flow = FLOW_NEXT;

    if (node->branch.pipe->pipeline.variable_count > 1) {
        template_run_fail(frame, "can't use %lld to iterate over more than one variable",
                          (long long)over->integer);
        return FLOW_FAIL;
    }
    for (int64_t i = 0; i < over->integer && flow == FLOW_NEXT; i++) {
        TemplateValue element = {.type = over->type, .integer = i};
        flow = exec_round(frame, node, TEMPLATE_NIL, element);
    }
    return flow == FLOW_BREAK ? FLOW_NEXT : flow;
}

static Flow exec_range(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node)
{
    TemplateValue over;

    if (!template_eval_pipeline(frame, dot, node->branch.pipe, &over))
        return FLOW_FAIL;
    switch (template_kind(&over)) {
    case TEMPLATE_ANY:
        break;
    case TEMPLATE_LIST:
    case TEMPLATE_MAP:
    case TEMPLATE_STRING_MAP:
        if (template_length(&over))
            return exec_rounds(frame, node, &over);
        break;
    case TEMPLATE_INT:
        if (over.integer > 0 || node->branch.pipe->pipeline.variable_count > 1)
            return exec_count(frame, node, &over);
        break;
    default: {
        Buf shown = {.max = 400};
        template_print(&shown, &over);
        template_run_fail(frame, "range can't iterate over " STR_FMT, STR_ARG(buf_str(&shown)));
        buf_deinit(&shown);
        return FLOW_FAIL;
    }
    }
    return exec_list(frame, dot, &node->branch.else_list);
}

static const TemplateTree *find_tree(const TemplateSet *set, Str name);

static bool exec_tree(TemplateRun *run, const TemplateTree *tree, TemplateValue dot)
{
    TemplateValue on_stack[SLOTS_ON_STACK];
    TemplateFrame frame = {.run = run, .tree = tree, .slots = on_stack};

    if (tree->slot_count > SLOTS_ON_STACK)
        frame.slots = ARENA_ARRAY(run->arena, TemplateValue, tree->slot_count);
    memset(frame.slots, 0, tree->slot_count * sizeof *frame.slots);
    frame.slots[0] = dot;
    return exec_list(&frame, dot, &tree->root) != FLOW_FAIL;
}

static Flow exec_call(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node)
{
    TemplateRun *run = frame->run;
    const TemplateTree *tree = find_tree(run->set, node->call.name);
    TemplateValue inner = TEMPLATE_NIL;

    frame->at = node;
    if (!tree) {
        Buf name = {0};
        buf_add_go_quoted(&name, node->call.name);
        template_run_fail(frame, "template " STR_FMT " not defined", STR_ARG(buf_str(&name)));
        buf_deinit(&name);
        return FLOW_FAIL;
    }
    if (run->depth >= run->limits.depth) {
        template_run_fail_code(frame, ERR_LIMIT, "exceeded maximum template depth (%u)",
                               run->limits.depth);
        return FLOW_FAIL;
    }
    if (node->call.pipe && !template_eval_pipeline(frame, dot, node->call.pipe, &inner))
        return FLOW_FAIL;
    run->depth++;
    bool ok = exec_tree(run, tree, inner);
    run->depth--;
    return ok ? FLOW_NEXT : FLOW_FAIL;
}

static Flow exec_action(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node)
{
    TemplateValue value;

    if (!template_eval_pipeline(frame, dot, node->pipe, &value))
        return FLOW_FAIL;
    if (node->pipe->pipeline.variable_count > 0)
        return FLOW_NEXT;
    return write_value(frame, node, &value) ? FLOW_NEXT : FLOW_FAIL;
}

static Flow exec_node(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node)
{
    switch (node->kind) {
    case TEMPLATE_NODE_TEXT:
        return write_text(frame, node->text) ? FLOW_NEXT : FLOW_FAIL;
    case TEMPLATE_NODE_ACTION:
        return exec_action(frame, dot, node);
    case TEMPLATE_NODE_IF:
    case TEMPLATE_NODE_WITH:
        return exec_branch(frame, dot, node);
    case TEMPLATE_NODE_RANGE:
        return exec_range(frame, dot, node);
    case TEMPLATE_NODE_TEMPLATE:
        return exec_call(frame, dot, node);
    case TEMPLATE_NODE_BREAK:
        return FLOW_BREAK;
    case TEMPLATE_NODE_CONTINUE:
        return FLOW_CONTINUE;
    default:
        return FLOW_FAIL; // no other kind stands in a list
    }
}

static Flow exec_list(TemplateFrame *frame, TemplateValue dot, const TemplateNodeList *list)
{
    Flow flow = FLOW_NEXT;

    if (!template_run_enter(frame))
        return FLOW_FAIL;
    for (size_t i = 0; i < list->count && flow == FLOW_NEXT; i++)
        flow = exec_node(frame, dot, list->items[i]);
    template_run_leave(frame);
    return flow;
}

// ---- sets

TemplateSet *template_set_new(const TemplateOptions *options)
{
    TemplateSet *set = X_NEW(TemplateSet);
    set->options = *options;
    return set;
}

TemplateSet *template_set_new_child(const TemplateSet *parent)
{
    TemplateSet *set = template_set_new(&parent->options);
    set->parent = parent;
    return set;
}

void template_set_free(TemplateSet *set)
{
    if (!set)
        return;
    map_deinit(&set->trees);
    arena_deinit(&set->arena);
    free(set);
}

static const TemplateTree *find_tree(const TemplateSet *set, Str name)
{
    for (; set; set = set->parent) {
        const TemplateTree *tree = map_get(&set->trees, name);
        if (tree)
            return tree;
    }
    return NULL;
}

bool template_set_parse(TemplateSet *set, Str name, Str text, Error *err)
{
    TemplateTreeList trees;

    if (!template_parse(&set->options, name, text, &set->arena, &trees, &set->fault, err))
        return false;
    for (size_t i = 0; i < trees.count; i++) {
        TemplateTree *tree = trees.items[i];
        if (!template_node_list_is_empty(&tree->root) || !find_tree(set, tree->name))
            map_put(&set->trees, tree->name, tree);
    }
    return true;
}

TemplatePlace template_set_fault(const TemplateSet *set)
{
    return set->fault;
}

static bool read_number(Str *rest, uint32_t *ret_number)
{
    uint64_t number = 0;
    size_t len = 0;
    while (len < rest->len && len < 9 && rest->ptr[len] >= '0' && rest->ptr[len] <= '9')
        number = number * 10 + (uint64_t)(rest->ptr[len++] - '0');
    *rest = str_skip(*rest, len);
    *ret_number = (uint32_t)number;
    return len > 0;
}

bool template_error_place(Str message, TemplatePlace *ret_place)
{
    Str lead = S("template: ");
    size_t begin = str_find(message, lead);
    if (begin == STR_NOT_FOUND)
        return false;
    message = str_skip(message, begin + lead.len);
    // A name may hold colons: the place is the first pair of numbers.
    for (size_t at = 0; at < message.len; at++) {
        TemplatePlace place = {.name = str_sub(message, 0, at)};
        Str rest = str_skip(message, at + 1);
        if (message.ptr[at] != ':' || !read_number(&rest, &place.line) ||
            !str_starts_with(rest, S(":")))
            continue;
        rest = str_skip(rest, 1);
        if (!read_number(&rest, &place.column) || !str_starts_with(rest, S(": executing ")))
            continue;
        place.column++;
        *ret_place = place;
        return true;
    }
    return false;
}

bool template_set_has(const TemplateSet *set, Str name)
{
    return find_tree(set, name) != NULL;
}

bool template_set_print(const TemplateSet *set, Str name, Buf *out)
{
    const TemplateTree *tree = find_tree(set, name);

    if (tree)
        template_node_list_print(out, &tree->root);
    return tree != NULL;
}

static TemplateLimits limits_or_defaults(TemplateLimits limits)
{
    if (!limits.output_bytes)
        limits.output_bytes = OUTPUT_BYTES_DEFAULT;
    if (!limits.memory_bytes)
        limits.memory_bytes = MEMORY_BYTES_DEFAULT;
    if (!limits.steps)
        limits.steps = STEPS_DEFAULT;
    if (!limits.depth)
        limits.depth = DEPTH_DEFAULT;
    return limits;
}

static bool fail_undefined(Str name, Error *err)
{
    Buf quoted = {0};

    buf_add_go_quoted(&quoted, name);
    error_set(err, ERR_NOT_FOUND, "template: " STR_FMT " is undefined", STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return false;
}

bool template_execute(const TemplateSet *set, Str name, const TemplateExecution *execution,
                      Buf *out, Error *err)
{
    const TemplateTree *tree = find_tree(set, name);
    size_t old_max = out->max;
    TemplateCache cache = {0};
    TemplateRun run = {.set = set,
                       .host = execution->host,
                       .arena = execution->arena,
                       .limits = limits_or_defaults(execution->limits),
                       .arena_start_bytes = arena_used_bytes(execution->arena),
                       .out = out,
                       .out_start = out->len,
                       .cache = &cache,
                       .err = err};

    if (!tree)
        return fail_undefined(name, err);
    run.scratch.max = run.limits.output_bytes;
    if (out->max == 0 || out->max - out->len > run.limits.output_bytes)
        out->max = out->len + run.limits.output_bytes;
    bool ok = exec_tree(&run, tree, execution->dot);
    out->max = old_max;
    template_cache_deinit(&cache);
    buf_deinit(&run.scratch);
    return ok;
}

bool template_call_execute(const TemplateCall *call, Str name, TemplateValue dot, Str *ret_text,
                           Error *err)
{
    TemplateRun *outer = call->run;
    const TemplateTree *tree = find_tree(outer->set, name);
    TemplateRun run = *outer;
    Buf out = {.max = outer->limits.output_bytes};

    if (!tree)
        return fail_undefined(name, err);
    if (outer->depth >= outer->limits.depth)
        return error_set(err, ERR_LIMIT, "exceeded maximum template depth (%u)",
                         outer->limits.depth);
    run.out = &out;
    run.out_start = 0;
    run.scratch = (Buf){.max = outer->limits.output_bytes};
    run.html = (TemplateHtml){0};
    run.err = err;
    run.depth++;
    bool ok = exec_tree(&run, tree, dot);
    outer->steps = run.steps;
    if (ok)
        *ret_text = arena_str(outer->arena, buf_str(&out));
    buf_deinit(&out);
    buf_deinit(&run.scratch);
    return ok;
}
