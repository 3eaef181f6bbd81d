// SPDX-License-Identifier: Apache-2.0
// Code that is fetched when it is needed, and known at once afterwards.
export interface Later<T> {
  (): Promise<T>; // fetches it once; after a failure, again
  now: T | null;
}

export function later<T>(load: () => Promise<T>): Later<T> {
  let begun: Promise<T> | null = null;
  const get: Later<T> = Object.assign(
    () =>
      (begun ??= load().then(
        (value) => (get.now = value),
        (error: unknown) => {
          begun = null;
          throw error;
        },
      )),
    { now: null as T | null },
  );
  return get;
}
