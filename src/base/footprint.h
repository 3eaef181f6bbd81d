// SPDX-License-Identifier: Apache-2.0
// footprint.h: the process keeps little memory that it does not use.
//
// What malloc and the arenas hold beyond what is in use goes back to the kernel, once a minute; large pieces at once. Arenas keep their
// large free blocks for the next query (arena.h), so that none has its pages zeroed anew each time.
#pragma once

#include <stddef.h>

#include "base/macros.h"

// Settings of malloc; before the first thread.
void footprint_setup(void);

// Has the kernel hand over fresh memory before it is used. Where it is read first the kernel would map its page of zeros, and at the write behind
// that have all cores forget it.
// Thread: any, also while others begin to use it: what they have written stays.
void footprint_touch(void *bytes, size_t count);

// Gives back what is free, and blocks of arenas that nobody has asked for since the last call.
// Thread: any; costs up to a few milliseconds.
void footprint_trim(void);

// Unmaps the pages of the program and its libraries that were read so far; those that are used come back from the kernel's cache. To be
// called when the start is over: most of them were only there to be relocated.
void footprint_forget_start(void);

// Has the next footprint_trim do so once more: a library was loaded.
// Thread: any.
void footprint_forget_soon(void);
