// SPDX-License-Identifier: Apache-2.0
// template_html_internal.h: between the walk through a page (template_html.c), scripts and styles in it
// (template_html_script.c) and the writing of values (template_html_escape.c).
#pragma once

#include "template/template_html.h"

// Each takes text in a script or style, moves the state and returns how much of it that took, at least one byte.
size_t template_html_step_js(TemplateHtml *html, Str s);
size_t template_html_step_css(TemplateHtml *html, Str s);

// The kind of an attribute by its lower-case name.
TemplateHtmlAttr template_html_attr_of(Str name);

static inline bool template_html_is_comment(TemplateHtmlState state)
{
    return state == TEMPLATE_HTML_COMMENT ||
           (state >= TEMPLATE_HTML_JS_BLOCK_COMMENT && state <= TEMPLATE_HTML_JS_HTML_CLOSE) ||
           state == TEMPLATE_HTML_CSS_BLOCK_COMMENT || state == TEMPLATE_HTML_CSS_LINE_COMMENT;
}
