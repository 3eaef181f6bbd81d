// SPDX-License-Identifier: Apache-2.0
// Which of very many names to offer for what has been typed: the editor would otherwise weigh all of them with each key.

export const NAMES_MAX = 1000;

// Names that begin with the text, then those that contain it, then those that have its letters in their order.
export function pickNames(names: readonly string[], typed: string): string[] {
  const text = typed.toLowerCase();
  if (text === '') return names.slice(0, NAMES_MAX);
  const begins: string[] = [];
  const contains: string[] = [];
  const scattered: string[] = [];
  for (const name of names) {
    const lower = name.toLowerCase();
    const at = lower.indexOf(text);
    if (at === 0) begins.push(name);
    else if (at > 0) {
      if (contains.length < NAMES_MAX) contains.push(name);
    } else if (scattered.length < NAMES_MAX && hasInOrder(lower, text)) scattered.push(name);
    if (begins.length === NAMES_MAX) return begins;
  }
  return [...begins, ...contains, ...scattered].slice(0, NAMES_MAX);
}

function hasInOrder(name: string, text: string): boolean {
  let at = -1;
  for (const letter of text) {
    at = name.indexOf(letter, at + 1);
    if (at < 0) return false;
  }
  return true;
}
