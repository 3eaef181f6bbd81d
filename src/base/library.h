// SPDX-License-Identifier: Apache-2.0
// library.h: libraries that are loaded when something needs them. A start does without their pages and relocations, and who never asks for them
// need not have them.
#pragma once

#include <stdint.h>

#include "base/error.h"

typedef struct LibrarySymbol {
    const char *name;
    void *to; // the pointer to a function that is filled
} LibrarySymbol;

typedef struct Library {
    const char *file;
    const char *needed_by; // "x needs", as the error begins
    const char *package;   // Debian's
    ErrorCode code;        // of the error
} Library;

// Fills all symbols. The library stays until the process ends: what it brings along may not like to be unloaded.
//
// Thread: any.
bool library_load(const Library *library, const LibrarySymbol *symbols, size_t count, Error *err);

// Writes into the program that it may load a library, so that those who package it see what the linker's list lacks: a note of the form that
// the UAPI group's "ELF dlopen metadata" gives. file, what and priority ("required", "recommended", "suggested") are literals.
#define LIBRARY_NOTE(file, what, priority)                                                         \
    LIBRARY_NOTE_("[{\"description\":\"" what "\",\"priority\":\"" priority                        \
                  "\",\"soname\":[\"" file "\"]}]")
#define LIBRARY_NOTE_(json)                                                                        \
    __attribute__((used, section(".note.dlopen"))) _Alignas(uint32_t) static const struct {        \
        uint32_t name_bytes, json_bytes, type;                                                     \
        char name[4];                                                                              \
        _Alignas(uint32_t) char text[sizeof(json)];                                                \
    } library_note = {sizeof "FDO", sizeof(json), 0x407c0c0a, "FDO", json}
