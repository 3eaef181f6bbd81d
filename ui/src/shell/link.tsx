// SPDX-License-Identifier: Apache-2.0
import type { MouseEvent, ReactNode } from 'react';
import { href, navigate } from '../lib/router';

interface LinkProps {
  to: string; // below the prefix
  className?: string;
  current?: boolean;
  role?: string;
  children: ReactNode;
}

// A link within the UI: no page load for a plain click, everything else as the browser does it.
export function Link({ to, className, current, children, ...rest }: LinkProps) {
  const go = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a {...rest} href={href(to)} className={className} aria-current={current ? 'page' : undefined} onClick={go}>
      {children}
    </a>
  );
}
