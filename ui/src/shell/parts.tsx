// SPDX-License-Identifier: Apache-2.0
// Small parts that several pages share.
import { ActionIcon, Button, TextInput, Tooltip } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { labelName, type Labels, quote } from '../lib/labels';
import { formatCount } from '../lib/number';
import { setSearchParam, useSearch } from '../lib/router';
import { Icon } from './icon';

export function Page({ title, tools, children }: { title: string; tools?: ReactNode; children: ReactNode }) {
  return (
    <main className="page">
      <div className="page-head">
        <h1>{title}</h1>
        {tools && <div className="page-tools">{tools}</div>}
      </div>
      {children}
    </main>
  );
}

export function SearchInput({ value, onChange, placeholder }: { value: string; onChange: (value: string) => void; placeholder: string }) {
  return (
    <TextInput
      size="xs" className="search" value={value} placeholder={placeholder} aria-label={placeholder}
      leftSection={<Icon name="search" size={14} />} onChange={(event) => onChange(event.currentTarget.value)}
      rightSection={
        value !== '' && (
          <ActionIcon variant="transparent" color="gray" size="xs" aria-label="Clear" onClick={() => onChange('')}>
            <Icon name="close" size={12} />
          </ActionIcon>
        )
      }
    />
  );
}

export function ReloadButton({ onClick, loading }: { onClick: () => void; loading: boolean }) {
  return (
    <Tooltip label="Reload" openDelay={400}>
      <ActionIcon variant="default" size={30} aria-label="Reload" loading={loading} onClick={onClick}>
        <Icon name="reload" />
      </ActionIcon>
    </Tooltip>
  );
}

export function LabelPairs({ labels, skip = [] }: { labels: Labels; skip?: readonly string[] }) {
  const pairs = Object.entries(labels).filter(([name]) => !skip.includes(name));
  return (
    <span className="label-pairs">
      {pairs.map(([name, value]) => (
        <span key={name} className="label-pair">
          <span className="label-name">{labelName(name)}</span>=<span className="label-value">{quote(value)}</span>
        </span>
      ))}
    </span>
  );
}

// The first `first` of the items; a button brings the rest, up to `most`.
export function useLimit(total: number, first: number, most: number) {
  const [all, setAll] = useState(false);
  const shown = Math.min(total, all ? most : first);
  const more =
    shown < total ? (
      <div className="more">
        <span>
          {formatCount(shown)} of {formatCount(total)} shown.
        </span>
        {!all && (
          <Button size="compact-xs" variant="default" onClick={() => setAll(true)}>
            {total <= most ? 'Show all' : `Show ${formatCount(most)}`}
          </Button>
        )}
      </div>
    ) : null;
  return { shown, more };
}

// Which of the items stand on the page that the address names, and the way to the others.
export function usePages(total: number, perPage: number) {
  const pages = Math.max(1, Math.ceil(total / perPage));
  const asked = Number(new URLSearchParams(useSearch()).get('page') ?? 1);
  const page = Number.isInteger(asked) ? Math.min(Math.max(asked, 1), pages) : 1;
  const go = (to: number) => {
    setSearchParam('page', to === 1 ? null : String(to));
    window.scrollTo({ top: 0 });
  };
  const pager =
    pages > 1 ? (
      <nav className="pager" aria-label="Groups">
        <Button size="xs" variant="default" disabled={page === 1} onClick={() => go(page - 1)}>
          Previous
        </Button>
        <span>
          Page {page} of {pages}, {formatCount(total)} groups
        </span>
        <Button size="xs" variant="default" disabled={page === pages} onClick={() => go(page + 1)}>
          Next
        </Button>
      </nav>
    ) : null;
  return { from: (page - 1) * perPage, to: page * perPage, pager };
}

export function KeyValueTable({ rows }: { rows: readonly (readonly [string, ReactNode])[] }) {
  return (
    <table className="grid key-value">
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

// A head that folds what is below it.
interface FoldProps {
  head: ReactNode;
  open: boolean;
  onToggle: () => void;
  tools?: ReactNode; // beside the head
  children: ReactNode;
}

export function Fold({ head, open, onToggle, tools, children }: FoldProps) {
  return (
    <section className="fold">
      <div className="fold-line">
        <button type="button" className="fold-head" aria-expanded={open} onClick={onToggle}>
          <span className={open ? 'turn turned' : 'turn'}>
            <Icon name="right" size={14} />
          </span>
          {head}
        </button>
        {tools}
      </div>
      {open && <div className="fold-body">{children}</div>}
    </section>
  );
}
