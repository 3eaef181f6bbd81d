// SPDX-License-Identifier: Apache-2.0
// template_html.h: where in an HTML page the output ends, and how a value is written there.
//
// The states are html/template's: text, inside a tag, in an attribute's value, in a script or style, in a URL or a string
// there. Text that the template's author wrote moves the state and is trusted, comments in it are left out; a value never
// moves the state and is escaped for it.
#pragma once

#include "template/template_value.h"

typedef enum TemplateHtmlState {
    TEMPLATE_HTML_TEXT,
    TEMPLATE_HTML_TAG, // between attributes
    TEMPLATE_HTML_ATTR_NAME,
    TEMPLATE_HTML_AFTER_NAME,   // before an equals sign
    TEMPLATE_HTML_BEFORE_VALUE, // behind it
    TEMPLATE_HTML_COMMENT,
    TEMPLATE_HTML_RCDATA, // textarea, title
    TEMPLATE_HTML_ATTR,
    TEMPLATE_HTML_URL,
    TEMPLATE_HTML_SRCSET,
    TEMPLATE_HTML_JS,
    TEMPLATE_HTML_JS_DQ,       // "..."
    TEMPLATE_HTML_JS_SQ,       // '...'
    TEMPLATE_HTML_JS_TEMPLATE, // `...`
    TEMPLATE_HTML_JS_REGEXP,
    TEMPLATE_HTML_JS_BLOCK_COMMENT,
    TEMPLATE_HTML_JS_LINE_COMMENT,
    TEMPLATE_HTML_JS_HTML_OPEN,  // <!-- is a line comment in a script
    TEMPLATE_HTML_JS_HTML_CLOSE, // --> as well
    TEMPLATE_HTML_CSS,
    TEMPLATE_HTML_CSS_DQ,
    TEMPLATE_HTML_CSS_SQ,
    TEMPLATE_HTML_CSS_DQ_URL, // url("...")
    TEMPLATE_HTML_CSS_SQ_URL,
    TEMPLATE_HTML_CSS_URL, // url(...)
    TEMPLATE_HTML_CSS_BLOCK_COMMENT,
    TEMPLATE_HTML_CSS_LINE_COMMENT,
    TEMPLATE_HTML_LOST, // the text makes no sense: no value can be written any more
} TemplateHtmlState;

typedef enum TemplateHtmlDelim {
    TEMPLATE_HTML_DELIM_NONE, // not in an attribute's value
    TEMPLATE_HTML_DELIM_DQ,
    TEMPLATE_HTML_DELIM_SQ,
    TEMPLATE_HTML_DELIM_SPACE, // unquoted: ends at white space or '>'
} TemplateHtmlDelim;

typedef enum TemplateHtmlUrlPart {
    TEMPLATE_HTML_URL_START,
    TEMPLATE_HTML_URL_PATH,
    TEMPLATE_HTML_URL_QUERY, // or fragment
} TemplateHtmlUrlPart;

typedef enum TemplateHtmlAttr {
    TEMPLATE_HTML_ATTR_PLAIN,
    TEMPLATE_HTML_ATTR_SCRIPT,
    TEMPLATE_HTML_ATTR_SCRIPT_TYPE, // type= of a script
    TEMPLATE_HTML_ATTR_STYLE,
    TEMPLATE_HTML_ATTR_URL,
    TEMPLATE_HTML_ATTR_SRCSET,
} TemplateHtmlAttr;

typedef enum TemplateHtmlElement {
    TEMPLATE_HTML_ELEMENT_OTHER,
    TEMPLATE_HTML_ELEMENT_SCRIPT,
    TEMPLATE_HTML_ELEMENT_STYLE,
    TEMPLATE_HTML_ELEMENT_TEXTAREA,
    TEMPLATE_HTML_ELEMENT_TITLE,
} TemplateHtmlElement;

#define TEMPLATE_HTML_BRACES_MAX 16 // nested ${...} of JavaScript's templates

typedef struct TemplateHtml {
    TemplateHtmlState state;
    TemplateHtmlDelim delim;
    TemplateHtmlUrlPart url_part;
    TemplateHtmlAttr attr;
    TemplateHtmlElement element;
    bool slash_divides; // in a script: '/' is a division, not the begin of a regular expression
    uint8_t brace_count;
    uint8_t braces[TEMPLATE_HTML_BRACES_MAX]; // open { since each ${
} TemplateHtml;

// Writes text of the template itself.
void template_html_text(TemplateHtml *html, Buf *out, Str text);
// Writes a value, escaped for where it stands. `scratch` is overwritten.
bool template_html_value(TemplateHtml *html, Buf *out, const TemplateValue *value, Buf *scratch,
                         Error *err) MUST_CHECK;
