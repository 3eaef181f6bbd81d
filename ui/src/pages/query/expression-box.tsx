// SPDX-License-Identifier: Apache-2.0
// Where the expression is typed. A plain box does until the editor with its grammar is here; what was typed, the caret
// and the focus go over to it.
import { type ReactNode, type Ref, useEffect, useRef, useState } from 'react';
import type { Settings } from '../../lib/settings';
import type { EditorHandle, Selection } from './editor';
import { EDITOR } from './query-parts';

interface ExpressionBoxProps {
  handle: Ref<EditorHandle>;
  value: string;
  onChange: (value: string) => void;
  onExecute: () => void;
  settings: Settings;
  wanted: boolean; // the editor may come now; it comes at once where the box is used
  focused: boolean; // at the beginning
}

export function ExpressionBox({ handle, value, onChange, onExecute, settings, wanted, focused }: ExpressionBoxProps): ReactNode {
  const [Editor, setEditor] = useState(() => (wanted ? (EDITOR.now?.default ?? null) : null));
  const [touched, setTouched] = useState(focused);
  const [composing, setComposing] = useState(false);
  const box = useRef<HTMLTextAreaElement>(null);
  const selection = useRef<Selection | null>(focused ? { anchor: value.length, head: value.length } : null);

  useEffect(() => {
    if (focused) box.current?.focus();
    // Once, when the box comes.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  useEffect(() => {
    if (Editor || composing || !(wanted || touched)) return undefined;
    let current = true;
    EDITOR().then(
      (module) => {
        if (!current) return;
        const plain = box.current;
        if (plain && document.activeElement === plain) selection.current = { anchor: plain.selectionStart, head: plain.selectionEnd };
        setEditor(() => module.default);
      },
      () => undefined, // the plain box stays
    );
    return () => {
      current = false;
    };
  }, [Editor, composing, wanted, touched]);

  if (Editor)
    return (
      <Editor
        key={`${settings.enableAutocomplete} ${settings.enableLinter} ${settings.enableSyntaxHighlighting}`}
        handle={handle} value={value} onChange={onChange} onExecute={onExecute} settings={settings} selection={selection}
      />
    );
  return (
    <div className="plain-box">
      <pre aria-hidden="true">{value + ' '}</pre>
      <textarea
        ref={box} aria-label="PromQL expression" value={value} rows={1} spellCheck={false} autoCapitalize="off" autoComplete="off"
        onChange={(event) => onChange(event.currentTarget.value)} onFocus={() => setTouched(true)} onPointerEnter={() => setTouched(true)}
        onCompositionStart={() => setComposing(true)} onCompositionEnd={() => setComposing(false)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
          event.preventDefault();
          onExecute();
        }}
      />
    </div>
  );
}
