// SPDX-License-Identifier: Apache-2.0
#include "metric/exposition_internal.h"

bool exposition_protobuf_next(Exposition *parser)
{
    return exposition_fail(parser, parser->at, "the protobuf format is not read by this version");
}

bool exposition_protobuf_exemplar(Exposition *parser, Arena *arena, Exemplar *ret_exemplar,
                                  Error *err)
{
    (void)parser;
    (void)arena;
    (void)ret_exemplar;
    return error_set(err, ERR_INVALID, "the protobuf format is not read by this version");
}
