// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { NAMES_MAX, pickNames } from './name-filter';

test('names that begin with the text come first, then those that contain it, then its letters in order', () => {
  expect(pickNames(['a_scrape_x', 'scrape_a', 's_c_rape', 'other', 'Scrape_b'], 'scrape')).toEqual(['scrape_a', 'Scrape_b', 'a_scrape_x', 's_c_rape']);
});

test('never more than can be weighed in time', () => {
  const names = Array.from({ length: 5000 }, (_, i) => `name_${i}`);
  expect(pickNames(names, 'name')).toHaveLength(NAMES_MAX);
  expect(pickNames(names, '')).toHaveLength(NAMES_MAX);
  expect(pickNames(names, 'name_4999')).toEqual(['name_4999']);
});
