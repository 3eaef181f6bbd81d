// SPDX-License-Identifier: Apache-2.0
// silence import: posts silences from a file, several at a time.
#include "base/fs.h"
#include "base/lock.h"
#include "base/thread.h"
#include "tool/tool_alertmanager.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define WORKERS_MAX 256

typedef struct ImportOptions {
    bool force;
    int64_t workers;
} ImportOptions;

static const FlagSpec import_flags[] = {
    {.name = "force",
     .kind = FLAG_BOOL,
     .offset = offsetof(ImportOptions, force),
     .help = "Add silences as new ones even if they exist.",
     .short_name = 'f'},
    {.name = "worker",
     .kind = FLAG_I64,
     .offset = offsetof(ImportOptions, workers),
     .default_text = "8",
     .help = "Number of concurrent workers to use for import.",
     .min = 1,
     .max = WORKERS_MAX,
     .short_name = 'w'},
};

typedef struct Import {
    const ToolAm *am;
    const JsonValue *silences;
    bool force;
    Lock lock; // of what is printed and counted
    size_t faults GUARDED_BY(lock);
} Import;

static void write_silence(const JsonValue *silence, bool with_id, Buf *body)
{
    JsonWriter json;
    json_writer_init(&json, body);
    json_object(&json);
    for (size_t i = 0; silence->kind == JSON_OBJECT && i < silence->count; i++) {
        Str key = silence->keys[i];
        // What only answers have.
        if (str_is(key, "status") || str_is(key, "updatedAt") || (!with_id && str_is(key, "id")))
            continue;
        json_key(&json, key);
        json_value(&json, &silence->items[i]);
    }
    json_object_end(&json);
}

static bool post(const Import *import, const JsonValue *silence, bool with_id, Arena *arena,
                 Str *ret_id, int *ret_status, Error *err)
{
    CLEANUP(buf_deinit) Buf body = {0};
    JsonValue *answer;
    write_silence(silence, with_id, &body);
    ToolAmRequest request = {"POST", "/silences", "postSilences", S("/silences"), buf_str(&body)};
    if (!tool_am_ask(import->am, &request, arena, &answer, ret_status, err))
        return false;
    *ret_id = tool_am_member(answer, "silenceID");
    return true;
}

// One that is not there any more is made anew.
static void import_one(void *arg, size_t index)
{
    Import *import = arg;
    CLEANUP(arena_deinit) Arena arena = {0};
    const JsonValue *silence = &import->silences[index];
    Error err = {0};
    Str id;
    int status;
    bool ok = post(import, silence, !import->force, &arena, &id, &status, &err);
    if (!ok && status == 404)
        ok = post(import, silence, false, &arena, &id, &status, &err);
    lock_take(&import->lock);
    if (ok)
        printf(STR_FMT "\n", STR_ARG(id));
    else
        fprintf(stderr, "Error adding silence id='" STR_FMT "': %s\n",
                STR_ARG(import->force ? STR_NONE : tool_am_member(silence, "id")), err.text);
    import->faults += !ok;
    lock_give(&import->lock);
}

static bool read_input(const ToolCall *call, JsonValue **ret_silences, Error *err)
{
    CLEANUP(buf_deinit) Buf input = {0};
    Str text;
    if (call->arg_count) {
        if (!fs_read_file(&fs_system, call->args[0], call->arena, FILE_BYTES_MAX, &text, err))
            return false;
    } else {
        if (!tool_read_stdin(FILE_BYTES_MAX, &input, err))
            return false;
        text = arena_str(call->arena, buf_str(&input));
    }
    if (!json_read(text, call->arena, ret_silences, err))
        return error_context(err, "couldn't unmarshal input data, is it JSON?");
    return (*ret_silences)->kind == JSON_ARRAY ||
           error_set(err, ERR_INVALID, "couldn't unmarshal input data, is it JSON?: no array");
}

static int run_import(ToolCall *call)
{
    const ImportOptions *options = call->options;
    ToolAm am;
    JsonValue *silences;
    Error err = {0};
    if (!read_input(call, &silences, &err) || !tool_am_open(call, &am, &err))
        return tool_am_fail(call, &err);
    Import import = {.am = &am, .silences = silences->items, .force = options->force};
    lock_init(&import.lock, "tool.import", 1);
    // The calling thread works, too.
    int threads = (int)options->workers - 1;
    ThreadPool *pool = threads ? thread_pool_new("import", threads) : NULL;
    thread_pool_each(pool, import_one, &import, silences->count);
    thread_pool_free(pool);
    lock_deinit(&import.lock);
    if (import.faults == 0)
        return TOOL_OK;
    error_set(&err, ERR_INVALID, "couldn't import %zu out of %zu silences", import.faults,
              silences->count);
    return tool_am_fail(call, &err);
}

static const ToolArg import_args[] = {
    {"input-file", "JSON file with silences; standard input if none is given.", .is_optional = true,
     .is_file = true},
    {0},
};
const ToolVerb tool_silence_import = {
    TOOL_FLAGS(import_flags), .options_bytes = sizeof(ImportOptions), .args = import_args,
    .about = "Reads what `silence query -o json` writes.", .run = run_import};
