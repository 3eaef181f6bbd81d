// SPDX-License-Identifier: Apache-2.0
#include "tsdb/compact_uploads.h"

#include "codec/json_reader.h"

static bool names(const JsonValue *uploaded, const Ulid *ulid)
{
    Ulid one;

    for (size_t i = 0; i < uploaded->count; i++)
        if (uploaded->items[i].kind == JSON_STRING && ulid_parse(uploaded->items[i].str, &one) &&
            ulid_equal(&one, ulid))
            return true;
    return false;
}

bool compact_uploads_done(Fs *fs, Str path, const BlockMeta *const *metas, size_t count,
                          size_t *ret_done, Error *err)
{
    static const JsonValue none = {.kind = JSON_ARRAY};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    JsonValue *root;
    Str json;
    size_t done = 0;

    if (!fs_read_file(fs, path, &arena, BLOCK_META_BYTES_MAX, &json, err) ||
        !json_read(json, &arena, &root, err))
        return false;
    const JsonValue *uploaded = root->kind == JSON_OBJECT ? json_get(root, S("uploaded")) : root;
    if (!uploaded || uploaded->kind == JSON_NULL)
        uploaded = &none;
    if (root->kind != JSON_OBJECT || uploaded->kind != JSON_ARRAY)
        return error_set(err, ERR_INVALID, "\"uploaded\" is no list of blocks");
    while (done < count && (metas[done]->level > 1 || names(uploaded, &metas[done]->ulid)))
        done++;
    *ret_done = done;
    return true;
}
