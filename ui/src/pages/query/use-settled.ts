// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef } from 'react';

// Says once that what was asked first is answered and drawn.
export function useSettled(settled: boolean, onSettled: () => void): void {
  const said = useRef(false);
  useEffect(() => {
    if (!settled || said.current) return;
    said.current = true;
    onSettled();
  }, [settled, onSettled]);
}
