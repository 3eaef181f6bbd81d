// SPDX-License-Identifier: Apache-2.0
#include "api/api_search_score.h"

// ---- runes ----

static uint32_t fold_rune(uint32_t rune)
{
    return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
}

void search_term_init(SearchTerm *term, Str text, bool fold, Arena *arena)
{
    *term = (SearchTerm){.text = text, .runes = ARENA_ARRAY(arena, uint32_t, text.len)};
    for (size_t i = 0; i < text.len;) {
        uint32_t rune;
        i += str_rune(str_skip(text, i), &rune);
        term->runes[term->count++] = fold ? fold_rune(rune) : rune;
    }
}

static bool same_runes(const uint32_t *a, const uint32_t *b, size_t count)
{
    return memcmp(a, b, count * sizeof *a) == 0;
}

static bool is_same(const SearchTerm *a, const SearchTerm *b)
{
    return a->count == b->count && same_runes(a->runes, b->runes, a->count);
}

// ---- substrings: the earlier the better, 1 at the beginning ----

double search_score_substring(const SearchTerm *term, const SearchTerm *value, bool *ret_found)
{
    *ret_found = false;
    if (term->count > value->count)
        return 0;
    size_t last = value->count - term->count;
    for (size_t at = 0; at <= last; at++) {
        if (!same_runes(term->runes, value->runes + at, term->count))
            continue;
        *ret_found = true;
        return at == 0 ? 1 : 1 - 0.9 * (double)at / (double)last;
    }
    return 0;
}

// ---- subsequences: runs count by their square, gaps are taken off ----

typedef struct Runs {
    double score;
    size_t end; // behind the last rune that was found
} Runs;

// The runes of the term in order, taken greedily from `start`, where the first stands. False: they are not all there.
static bool take_runs(const SearchTerm *term, const SearchTerm *value, size_t start, Runs *ret_runs)
{
    double part = 1 / (double)value->count;
    Runs runs = {0, 0};
    size_t found = 0;
    for (size_t at = start; found < term->count;) {
        while (at < value->count && value->runes[at] != term->runes[found])
            at++;
        size_t from = at;
        while (at < value->count && found < term->count && value->runes[at] == term->runes[found]) {
            at++;
            found++;
        }
        if (at == from)
            return false;
        double length = (double)(at - from);
        runs.score += length * length - (double)(from - runs.end) * part;
        runs.end = at;
    }
    runs.score -= (double)(value->count - runs.end) * part / 2;
    *ret_runs = runs;
    return true;
}

double search_score_subsequence(const SearchTerm *term, const SearchTerm *value)
{
    static const double not_exact = 0.999;
    double best = -1;
    if (is_same(term, value))
        return 1;
    if (term->count > value->count)
        return 0;
    for (size_t start = 0; start + term->count <= value->count; start++) {
        Runs runs;
        if (value->runes[start] != term->runes[0])
            continue;
        if (!take_runs(term, value, start, &runs))
            break; // from no later place either
        best = MAX(best, runs.score);
    }
    if (best < 0)
        return 0;
    double whole = (double)term->count * (double)term->count;
    return best / whole * not_exact;
}

// ---- Jaro-Winkler ----

double search_score_jarowinkler(const SearchTerm *term, const SearchTerm *value, Arena *scratch)
{
    if (is_same(term, value))
        return 1;
    if (term->count == 0 || value->count == 0)
        return 0;
    const SearchTerm *a = term->count <= value->count ? term : value; // the shorter
    const SearchTerm *b = a == term ? value : term;
    size_t window = b->count / 2 > 1 ? b->count / 2 - 1 : 0;
    bool *used = arena_zalloc(scratch, b->count);
    uint32_t *in_order = ARENA_ARRAY(scratch, uint32_t, a->count);
    size_t matches = 0;
    for (size_t i = 0; i < a->count; i++) {
        size_t end = MIN(i + window + 1, b->count);
        for (size_t k = i > window ? i - window : 0; k < end; k++)
            if (!used[k] && a->runes[i] == b->runes[k]) {
                used[k] = true;
                in_order[matches++] = a->runes[i];
                break;
            }
    }
    if (matches == 0)
        return 0;
    size_t moved = 0;
    for (size_t k = 0, m = 0; k < b->count; k++)
        if (used[k])
            moved += b->runes[k] != in_order[m++];
    double n = (double)matches;
    double jaro = (n / (double)a->count + n / (double)b->count + (n - (double)moved / 2) / n) / 3;
    size_t prefix = 0;
    while (prefix < MIN(a->count, (size_t)4) && a->runes[prefix] == b->runes[prefix])
        prefix++;
    return jaro + (double)prefix * 0.1 * (1 - jaro);
}

// ---- terms together ----

bool search_filter_add(SearchFilter *filter, Str term, Arena *arena)
{
    if (term.len == 0)
        return true;
    if (filter->count == SEARCH_TERMS_MAX)
        return false;
    search_term_init(&filter->terms[filter->count++], term, !filter->case_sensitive, arena);
    return true;
}

static bool accepts(const SearchFilter *filter, const SearchTerm *term, const SearchTerm *value,
                    Arena *scratch, double *ret_score)
{
    bool found;
    double score = search_score_substring(term, value, &found);
    if (filter->algorithm == SEARCH_JAROWINKLER) {
        *ret_score = score;
        if (found || filter->threshold <= 0)
            return found;
        *ret_score = search_score_jarowinkler(term, value, scratch);
        return *ret_score >= filter->threshold;
    }
    bool at_start = found && score >= 1;
    *ret_score = at_start ? 1 : search_score_subsequence(term, value);
    return at_start || (*ret_score > 0 && *ret_score >= filter->threshold);
}

bool search_filter_accepts(const SearchFilter *filter, Str value, Arena *scratch, double *ret_score)
{
    SearchTerm runes;
    bool accepted = filter->count == 0;
    double best = accepted ? 1 : 0;
    if (!accepted)
        search_term_init(&runes, value, !filter->case_sensitive, scratch);
    for (size_t i = 0; i < filter->count && best < 1; i++) {
        double score;
        if (!accepts(filter, &filter->terms[i], &runes, scratch, &score))
            continue;
        accepted = true;
        best = MAX(best, score);
    }
    *ret_score = best;
    return accepted;
}
