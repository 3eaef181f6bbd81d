// SPDX-License-Identifier: Apache-2.0
// A component whose code comes later. Unlike React's lazy() under Suspense it shows as soon as it is there: what Suspense
// reveals is held back until 300 ms after it last showed that something waits.
import { type ComponentType, createElement, type ReactNode, useLayoutEffect, useState } from 'react';
import type { Later } from '../lib/later';

type Module<P> = { default: ComponentType<P> };

// A fetch that fails is thrown at the nearest ErrorBoundary.
export function lazily<P extends object>(source: Later<Module<P>>, waiting: ReactNode = null): ComponentType<P> {
  return function Lazily(props: P) {
    const [Shown, setShown] = useState(() => source.now?.default ?? null);
    const [failure, setFailure] = useState<{ error: unknown } | null>(null);
    useLayoutEffect(() => {
      if (Shown) return undefined;
      let wanted = true;
      source().then(
        (module) => wanted && setShown(() => module.default),
        (error: unknown) => wanted && setFailure({ error }),
      );
      return () => {
        wanted = false;
      };
    }, [Shown]);
    if (failure) throw failure.error;
    return Shown ? createElement(Shown, props) : waiting;
  };
}
