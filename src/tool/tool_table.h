// SPDX-License-Identifier: Apache-2.0
// tool_table.h: columns of text, as Go's text/tabwriter aligns them with a padding of two blanks. Private to the room.
//
//     "ID\tComment\t\nx\tlong one\t\n"   -->   ID  Comment
//                                              x   long one
//
// A cell ends with a tab; what stands behind a line's last tab belongs to no column. A column ends with the first line that lacks it.
#pragma once

#include "base/buf.h"

void tool_table_align(Buf *out, Str text);
