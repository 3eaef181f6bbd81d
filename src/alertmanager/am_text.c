// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_text.h"

#define MARK ((char)0xFF)
#define LABELS_MAX 255 // index 0xFF is the byte itself
#define VALUE_BYTES_MIN 3

void am_text_coder_init(AmTextCoder *coder, Labels labels)
{
    size_t count = MIN(labels.count, (size_t)LABELS_MAX - 1);
    coder->labels = labels;
    memset(coder->first, 0, sizeof coder->first);
    for (size_t i = 0; i < count; i++) {
        Str value = labels.pairs[i].value;
        if (value.len < VALUE_BYTES_MIN)
            continue;
        uint8_t *first = &coder->first[(uint8_t)value.ptr[0]];
        coder->next[i] = *first;
        *first = (uint8_t)(i + 1);
    }
}

// The longest value that stands at the beginning of `text`: index + 1; 0: none. Of equals the first, so that alerts agree.
static size_t find_label(const AmTextCoder *coder, Str text)
{
    size_t found = 0;
    size_t len = 0;
    for (size_t i = coder->first[(uint8_t)text.ptr[0]]; i; i = coder->next[i - 1]) {
        Str value = coder->labels.pairs[i - 1].value;
        if (value.len >= len && str_starts_with(text, value)) {
            found = i;
            len = value.len;
        }
    }
    return found;
}

static void add_mark(Buf *buf, uint8_t what)
{
    buf_add_char(buf, MARK);
    buf_add_char(buf, (char)what);
}

void am_text_add(Buf *buf, const AmTextCoder *coder, Str text)
{
    size_t copied = 0;
    for (size_t at = 0; at < text.len;) {
        bool is_mark = text.ptr[at] == MARK;
        size_t found = 0;
        if (!is_mark && coder->first[(uint8_t)text.ptr[at]])
            found = find_label(coder, str_skip(text, at));
        if (!is_mark && !found) {
            at++;
            continue;
        }
        buf_add(buf, text.ptr + copied, at - copied);
        add_mark(buf, is_mark ? LABELS_MAX : (uint8_t)(found - 1));
        at += is_mark ? 1 : coder->labels.pairs[found - 1].value.len;
        copied = at;
    }
    buf_add(buf, text.len ? text.ptr + copied : "", text.len - copied);
}

// The next piece of the text: what stands up to the next mark, or what a mark stands for. `kept` must not be empty.
static Str next_piece(Str *kept, AmTextLabel *label, const void *alert)
{
    const char *mark = memchr(kept->ptr, MARK, kept->len);
    size_t plain = mark ? (size_t)(mark - kept->ptr) : kept->len;
    Str piece = str_sub(*kept, 0, plain);
    if (plain == 0) {
        ASSERT(kept->len >= 2);
        uint8_t index = (uint8_t)kept->ptr[1];
        piece = index == LABELS_MAX ? str_sub(*kept, 0, 1) : label(alert, index);
        plain = 2;
    }
    *kept = str_skip(*kept, plain);
    return piece;
}

static bool is_plain(Str kept)
{
    return kept.len == 0 || !memchr(kept.ptr, MARK, kept.len);
}

Str am_text_read(Str kept, AmTextLabel *label, const void *alert, Arena *arena)
{
    if (is_plain(kept))
        return kept;
    size_t len = 0;
    for (Str rest = kept; rest.len;)
        len += next_piece(&rest, label, alert).len;
    char *text = arena_alloc(arena, MAX(len, (size_t)1));
    char *at = text;
    for (Str rest = kept; rest.len;) {
        Str piece = next_piece(&rest, label, alert);
        memcpy(at, piece.ptr, piece.len);
        at += piece.len;
    }
    return str_make(text, len);
}

bool am_text_is(Str kept, AmTextLabel *label, const void *alert, Str text)
{
    while (kept.len) {
        Str piece = next_piece(&kept, label, alert);
        if (!str_starts_with(text, piece))
            return false;
        text = str_skip(text, piece.len);
    }
    return text.len == 0;
}
