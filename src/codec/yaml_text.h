// SPDX-License-Identifier: Apache-2.0
// yaml_text.h: the content of quoted and block scalars, read from the source. libfyaml 0.7.12 finds where they begin and end, but
// gives wrong bytes for some: doubled quotes, and last lines of block scalars.
#pragma once

#include "base/arena.h"

// The opening quote stands at text[at] (YAML 1.2, 7.3.2): two quotes are one, a line break is a blank, further ones stay.
Str yaml_single_quoted(Arena *arena, Str text, size_t at);

typedef struct YamlBlock {
    bool folded;     // '>' instead of '|'
    int chomp;       // -1 strip, 0 clip, 1 keep
    int indicator;   // explicit indentation, 0: by the first line
} YamlBlock;

// Reads the header in the line in front of text[at].
YamlBlock yaml_block_header(Str text, size_t at);
// Indentation of the first line that is not blank; SIZE_MAX if all are. *ret_line counts from 0.
size_t yaml_block_indent(Str lines, size_t *ret_line);
// The scalar of these lines (YAML 1.2, 8.1).
Str yaml_block_text(Arena *arena, Str lines, YamlBlock block, size_t indent);
