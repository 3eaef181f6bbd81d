// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk.h"
#include "tsdb/tsdb.h"

bool tsdb_decode_chunk(int encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                       SampleColumns *ret_samples, Error *err)
{
    ChunkColumns columns = {.arena = arena};
    if (encoding < CHUNK_XOR || encoding > CHUNK_FLOAT_HISTOGRAM_ST)
        return error_set(err, ERR_INVALID, "chunk encoding %d is not known", encoding);
    if (!chunk_decode((ChunkEncoding)encoding, chunk, min_t_ms, max_t_ms, &columns, err))
        return false;
    *ret_samples = columns.columns;
    return true;
}
