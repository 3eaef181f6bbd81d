// SPDX-License-Identifier: Apache-2.0
// A page of many panels sets up those that can be seen, and the others when they come near or get the focus. Until then
// they are their expression, and as high as they are going to be.
import { useEffect, useRef, useState } from 'react';
import { Panel, type PanelProps } from './panel';
import { panelHeightPx } from './panel-state';

const NEAR = '400px';

export function NearPanel({ isFirst, ...rest }: Omit<PanelProps, 'focused'> & { isFirst: boolean }) {
  const [near, setNear] = useState(isFirst);
  const [focused, setFocused] = useState(false);
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    if (near || !place.current) return undefined;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setNear(true), { rootMargin: NEAR });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [near]);

  if (near) return <Panel {...rest} focused={focused} />;
  const focus = () => {
    setFocused(true);
    setNear(true);
  };
  return (
    <section ref={place} className="panel" aria-label="Query" style={{ height: panelHeightPx(rest.state) }}>
      <button type="button" className="far" aria-label={`Open query: ${rest.state.expr}`} onFocus={focus} onClick={focus}>
        {rest.state.expr || ' '}
      </button>
    </section>
  );
}
