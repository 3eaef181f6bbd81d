// SPDX-License-Identifier: Apache-2.0
// am_event_proto.h: an event's line of JSON as the original's protobuf message: eventrecorder.proto of Alertmanager 0.34.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

// Thread: any. What the message does not have is an error: it would be lost.
bool am_event_proto_add(Buf *buf, Str json, Arena *arena, Error *err) MUST_CHECK;
