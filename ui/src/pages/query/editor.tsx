// SPDX-License-Identifier: Apache-2.0
// The query box: CodeMirror with the PromQL grammar, completion from the server and a linter.
// Enter executes, Shift-Enter breaks the line.
import { autocompletion, closeBrackets, closeBracketsKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { EditorState, Prec, type Extension } from '@codemirror/state';
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { type Ref, type RefObject, useEffect, useImperativeHandle, useLayoutEffect, useRef } from 'react';
import type { Settings } from '../../lib/settings';
import { CompleteWithHistory } from './completion';

export interface EditorHandle {
  insert: (text: string) => void; // in place of the selection
}

export interface Selection {
  anchor: number;
  head: number;
}

interface EditorProps {
  handle: Ref<EditorHandle>;
  value: string;
  onChange: (value: string) => void;
  onExecute: () => void;
  selection: RefObject<Selection | null>; // to begin with, focused; taken once
  settings: Settings; // those for the editor are read once: give a new key when they change
}

export default function Editor({ handle, value, onChange, onExecute, selection, settings }: EditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);

  useLayoutEffect(() => {
    const promql = new PromQLExtension()
      .activateCompletion(settings.enableAutocomplete)
      .activateLinter(settings.enableLinter)
      .setComplete({ completeStrategy: new CompleteWithHistory() });
    const editor = new EditorView({
      parent: host.current as HTMLDivElement,
      state: EditorState.create({
        doc: value,
        extensions: [
          promql.asExtension(),
          autocompletion(),
          settings.enableSyntaxHighlighting ? syntaxHighlighting(colors) : [],
          basics,
          executeKeys(onExecute),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    const place = selection.current;
    selection.current = null;
    if (place) {
      const within = (at: number) => Math.min(at, editor.state.doc.length);
      editor.dispatch({ selection: { anchor: within(place.anchor), head: within(place.head) } });
    }
    if (place || value === '') editor.focus();
    return () => {
      promql.destroy();
      editor.destroy();
    };
    // Later values come in below; the callbacks never change.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  useImperativeHandle(
    handle,
    () => ({
      insert: (text) => {
        const editor = view.current;
        if (!editor) return;
        editor.dispatch(editor.state.replaceSelection(text));
        editor.focus();
      },
    }),
    [],
  );

  return <div ref={host} className="editor-host" />;
}

function executeKeys(execute: () => void): Extension {
  const run = () => {
    execute();
    return true;
  };
  return Prec.high(
    keymap.of([
      { key: 'Enter', run },
      { key: 'Mod-Enter', run },
      { key: 'Shift-Enter', run: insertNewlineAndIndent },
    ]),
  );
}

const colors = HighlightStyle.define([
  { tag: tags.name, color: 'var(--code-text)' },
  { tag: [tags.number, tags.integer, tags.float], color: 'var(--code-number)' },
  { tag: tags.string, color: 'var(--code-string)' },
  { tag: [tags.keyword, tags.modifier], color: 'var(--code-keyword)' },
  { tag: tags.function(tags.variableName), color: 'var(--code-function)' },
  { tag: tags.labelName, color: 'var(--code-label)' },
  { tag: tags.operator, color: 'var(--code-operator)' },
  { tag: tags.comment, color: 'var(--text-dim)', fontStyle: 'italic' },
  { tag: tags.invalid, color: 'var(--bad)' },
]);

const look = EditorView.theme({
  '&': { fontSize: '0.875rem', backgroundColor: 'transparent', color: 'var(--code-text)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mantine-font-family-monospace)', lineHeight: '1.5' },
  '.cm-content': { padding: '6px 0', caretColor: 'var(--code-text)' },
  '.cm-line': { padding: '0 10px' },
  '.cm-cursor': { borderLeftColor: 'var(--code-text)' },
  '.cm-placeholder': { color: 'var(--text-dim)' },
  '.cm-matchingBracket': { backgroundColor: 'var(--code-match)', outline: 'none' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--code-match)' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': {
    backgroundColor: 'var(--code-selection)',
  },
  // Their pictures would be data: addresses, which the server's Content-Security-Policy forbids.
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--bad)' },
  '.cm-lintRange-warning': { backgroundImage: 'none', textDecoration: 'underline wavy var(--mixed)' },
  '.cm-lintRange-info, .cm-lintRange-hint': { backgroundImage: 'none', textDecoration: 'underline dotted var(--info)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--ground-raised)', border: '1px solid var(--line)', borderRadius: '4px',
    boxShadow: '0 4px 14px rgb(0 0 0 / 18%)', color: 'var(--text)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': {
    fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.78rem', maxHeight: '320px',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '2px 8px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent)', color: '#fff' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700' },
  '.cm-completionDetail': { float: 'right', marginLeft: '1.5em', fontStyle: 'normal', opacity: '0.65' },
  '.cm-completionIcon': { display: 'none' },
  '.cm-tooltip.cm-completionInfo': { padding: '6px 10px', maxWidth: '420px' },
  '.cm-diagnostic': { padding: '4px 8px' },
});

const basics: Extension = [
  look,
  history(),
  drawSelection(),
  indentOnInput(),
  bracketMatching(),
  closeBrackets(),
  EditorView.lineWrapping,
  EditorView.contentAttributes.of({ 'aria-label': 'PromQL expression' }),
  placeholder('PromQL expression; Enter executes, Shift+Enter breaks the line'),
  keymap.of([...closeBracketsKeymap, ...historyKeymap, ...defaultKeymap]),
];
