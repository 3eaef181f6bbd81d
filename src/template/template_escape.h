// SPDX-License-Identifier: Apache-2.0
// template_escape.h: text made harmless for a place, as Go's escapers do.
#pragma once

#include "base/buf.h"

// & ' " < > as &amp; &#39; ... and NUL as U+FFFD.
void template_escape_html(Buf *out, Str text);
// For inside a JavaScript string, as template.JSEscaper.
void template_escape_js(Buf *out, Str text);
// As url.QueryEscape.
void template_escape_query(Buf *out, Str text);
