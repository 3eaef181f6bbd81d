// SPDX-License-Identifier: Apache-2.0
import { useCallback, useEffect, useState } from 'react';
import { type Answer, apiGet, type Params } from './api';

export interface Loading<T> {
  answer: Answer<T> | null; // the newest, kept while the next one loads
  error: unknown; // of the newest attempt, else null
  loading: boolean;
  reload: () => void;
}

// Runs `load` now, when `key` changes and on reload(); a result that is no longer wanted is aborted.
// `load` null: nothing to load.
export function useLoad<T>(key: string, load: ((signal: AbortSignal) => Promise<Answer<T>>) | null): Loading<T> {
  const [run, setRun] = useState(0);
  const [state, setState] = useState<{ key: string; answer: Answer<T> | null; error: unknown; loading: boolean }>({
    key,
    answer: null,
    error: null,
    loading: load !== null,
  });

  useEffect(() => {
    if (!load) {
      setState({ key, answer: null, error: null, loading: false });
      return undefined;
    }
    const controller = new AbortController();
    setState((old) => ({ ...old, key, loading: true }));
    load(controller.signal).then(
      (answer) => {
        if (!controller.signal.aborted) setState({ key, answer, error: null, loading: false });
      },
      (error: unknown) => {
        if (!controller.signal.aborted) setState((old) => ({ key, answer: old.answer, error, loading: false }));
      },
    );
    return () => controller.abort();
    // `load` is made anew by each render; `key` says when it means something else.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key, run]);

  const reload = useCallback(() => setRun((count) => count + 1), []);
  return { answer: state.answer, error: state.error, loading: state.loading, reload };
}

export function useApi<T>(path: string, params: Params = {}): Loading<T> {
  return useLoad<T>(path + JSON.stringify(params), (signal) => apiGet<T>(path, params, signal));
}

// Calls `tick` every `periodMs` while the page can be seen; 0 switches it off.
export function useWhileVisible(tick: () => void, periodMs: number): void {
  useEffect(() => {
    if (periodMs === 0) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') tick();
    }, periodMs);
    return () => clearInterval(timer);
  }, [tick, periodMs]);
}
