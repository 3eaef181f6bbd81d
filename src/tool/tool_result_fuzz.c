// SPDX-License-Identifier: Apache-2.0
// Any answer of a server: what is read can be printed, and the JSON that is printed reads back as the same.
#include "tool/tool_result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_body(Str body, Arena *arena, ToolResult *result, Error *err)
{
    ToolAnswer answer = {.status = 200, .body = body};
    ToolEnvelope envelope;
    return tool_envelope_read(&answer, arena, &envelope, err) &&
           tool_result_read(envelope.data, arena, result, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const kinds[] = {"scalar", "string", "vector", "matrix"};
    Arena arena = {0};
    Buf first = {0};
    Buf body = {0};
    Buf second = {0};
    Error err = {0};
    ToolResult result;
    if (read_body((Str){(const char *)data, size}, &arena, &result, &err)) {
        tool_result_print(&result, TOOL_OUTPUT_JSON, &arena, &first);
        buf_printf(&body, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":",
                   kinds[result.kind]);
        buf_add_str(&body, buf_str(&first));
        buf_add_c(&body, "}}");
        ASSERT(read_body(buf_str(&body), &arena, &result, &err));
        tool_result_print(&result, TOOL_OUTPUT_JSON, &arena, &second);
        ASSERT(str_equal(buf_str(&first), buf_str(&second)));
        buf_reset(&first);
        tool_result_print(&result, TOOL_OUTPUT_PROMQL, &arena, &first);
    } else {
        ASSERT(err.code != ERR_NONE);
    }
    buf_deinit(&first);
    buf_deinit(&body);
    buf_deinit(&second);
    arena_deinit(&arena);
    return 0;
}
