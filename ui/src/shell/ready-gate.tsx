// SPDX-License-Identifier: Apache-2.0
// While the server replays its log, no page has anything to show: its progress is shown in their place.
import { type ReactNode, useCallback, useEffect, useState } from 'react';
import { apiGet } from '../lib/api';
import { basePath } from '../lib/base-path';
import { Busy } from './notice';
import { Page } from './parts';

const ASK_MS = 1000;

interface Replay {
  min: number; // segments
  max: number;
  current: number;
}

export function ReadyGate({ children }: { children: ReactNode }) {
  // What cannot be asked is taken for ready: the page then says itself what is wrong.
  const [ready, setReady] = useState(true);
  const [replay, setReplay] = useState<Replay | null>(null);
  const ask = useCallback(async () => {
    try {
      const response = await fetch(`${basePath}/-/ready`, { cache: 'no-store' });
      setReady(response.status !== 503);
      if (response.status !== 503) return;
      const answer = await apiGet<Replay>('status/walreplay', {}, AbortSignal.timeout(ASK_MS));
      setReplay(answer.data);
    } catch {
      setReady(true);
    }
  }, []);
  useEffect(() => void ask(), [ask]);
  useEffect(() => {
    if (ready) return undefined;
    const timer = setInterval(() => void ask(), ASK_MS);
    return () => clearInterval(timer);
  }, [ready, ask]);

  if (ready) return <>{children}</>;
  return (
    <Page title="Starting">
      <Busy text="The server is starting" />
      {replay && replay.max > 0 && <Progress replay={replay} />}
    </Page>
  );
}

function Progress({ replay: { min, max, current } }: { replay: Replay }) {
  const share = Math.min(1, Math.max(0, (current - min + 1) / (max - min + 1)));
  return (
    <div className="replay">
      <progress value={share} aria-label="Replay of the log" /> Segment {current} of {max} of the write-ahead log is replayed.
    </div>
  );
}
