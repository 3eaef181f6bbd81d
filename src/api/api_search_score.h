// SPDX-License-Identifier: Apache-2.0
// api_search_score.h: how well a name or value answers search terms, between 0 and 1. Private to the room.
//
// Facts: prometheus.md section 3.6. What is compared are runes, so that a place counts the same in any script.
#pragma once

#include "base/arena.h"

enum { SEARCH_TERMS_MAX = 32 };

typedef enum SearchAlgorithm { SEARCH_SUBSEQUENCE, SEARCH_JAROWINKLER } SearchAlgorithm;

typedef struct SearchTerm {
    Str text; // folded if case does not matter
    uint32_t *runes;
    size_t count;
} SearchTerm;

typedef struct SearchFilter {
    SearchTerm terms[SEARCH_TERMS_MAX];
    size_t count; // 0: everything is accepted with 1
    SearchAlgorithm algorithm;
    double threshold; // 0 .. 1
    bool case_sensitive;
} SearchFilter;

// Takes a term up; empty ones say nothing. False: there are too many.
bool search_filter_add(SearchFilter *filter, Str term, Arena *arena);
// False: it is not what is looked for. *ret_score is the best of all terms'.
bool search_filter_accepts(const SearchFilter *filter, Str value, Arena *scratch,
                           double *ret_score);

// For tests: the three ways of telling.
double search_score_substring(const SearchTerm *term, const SearchTerm *value, bool *ret_found);
double search_score_subsequence(const SearchTerm *term, const SearchTerm *value);
double search_score_jarowinkler(const SearchTerm *term, const SearchTerm *value, Arena *scratch);
void search_term_init(SearchTerm *term, Str text, bool fold, Arena *arena);
