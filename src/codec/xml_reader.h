// SPDX-License-Identifier: Apache-2.0
// xml_reader.h: XML answers of web services, as the tree that json_reader.h gives, so that one walker reads both.
//
//     <a xmlns="..."><n>1</n><n>2</n><p on="yes">8080</p><e/></a>   is   {"n": "1", "n": "2", "p": {"@on": "yes", "#text": "8080"}, "e": ""}
//
// An element without children and attributes is a string, any other an object: attributes as "@name", children by their local names
// (a name may stand more than once, in document order), "#text" if there are no children. Prefixes and xmlns are dropped. There are
// no document types: a text that declares one is refused.
#pragma once

#include "codec/json_reader.h"

// Fails ERR_INVALID "byte N: ..."; depth at most 64.
bool xml_read(Str text, Arena *arena, JsonValue **ret_root, Error *err) MUST_CHECK;
