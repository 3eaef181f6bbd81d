// SPDX-License-Identifier: Apache-2.0
// Boxes that tell how something went.
import { Button, Loader } from '@mantine/core';
import { Component, type ErrorInfo, type ReactNode } from 'react';
import { describeError } from '../lib/api';
import { Icon, type IconName } from './icon';

type Kind = 'error' | 'warning' | 'info';
const ICONS: Record<Kind, IconName> = { error: 'alert', warning: 'alert', info: 'info' };

export function Notice({ kind, title, children }: { kind: Kind; title?: string; children?: ReactNode }) {
  return (
    <div className={`notice notice-${kind}`} role={kind === 'error' ? 'alert' : 'status'}>
      <Icon name={ICONS[kind]} />
      <div className="notice-body">
        {title !== undefined && <strong>{title}</strong>}
        {children}
      </div>
    </div>
  );
}

export function ErrorNotice({ error, retry }: { error: unknown; retry?: () => void }) {
  const { title, text } = describeError(error);
  return (
    <Notice kind="error" title={title}>
      <span className="pre-wrap">{text}</span>
      {retry && (
        <div>
          <Button size="compact-xs" variant="default" onClick={retry}>
            Try again
          </Button>
        </div>
      )}
    </Notice>
  );
}

export function Busy({ text = 'Loading' }: { text?: string }) {
  return (
    <div className="busy" role="status">
      <Loader size="xs" /> {text}…
    </div>
  );
}

interface BoundaryProps {
  resetKey: string;
  children: ReactNode;
}

// Keeps a fault of one page from taking the header with it. Another `resetKey` gives a new chance.
export class ErrorBoundary extends Component<BoundaryProps, { error: unknown; key: string }> {
  override state = { error: null as unknown, key: this.props.resetKey };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  static getDerivedStateFromProps(props: BoundaryProps, state: { error: unknown; key: string }) {
    return props.resetKey === state.key ? null : { error: null, key: props.resetKey };
  }

  override componentDidCatch(error: unknown, info: ErrorInfo) {
    console.error('page failed', error, info.componentStack);
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    const text = this.state.error instanceof Error ? this.state.error.message : String(this.state.error);
    return (
      <main className="page">
        <Notice kind="error" title="This page failed">
          <span className="pre-wrap">{text}</span>
          <div>
            <Button size="compact-xs" variant="default" onClick={() => window.location.reload()}>
              Load it again
            </Button>
          </div>
        </Notice>
      </main>
    );
  }
}
