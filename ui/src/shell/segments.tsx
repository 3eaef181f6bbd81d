// SPDX-License-Identifier: Apache-2.0
// One of a few, in a row: radio buttons that look like a switch. A page can have many, so nothing is measured.
import { type ReactNode, useId } from 'react';

interface SegmentsProps<T extends string> {
  label: string;
  value: T;
  onChange: (value: T) => void;
  choices: readonly { value: T; label: string; show?: ReactNode }[]; // show: instead of the label, which becomes the tip
}

export function Segments<T extends string>({ label, value, onChange, choices }: SegmentsProps<T>) {
  const name = useId();
  return (
    <div className="segments" role="radiogroup" aria-label={label}>
      {choices.map((choice) => (
        <label key={choice.value} className="segment" data-tip={choice.show ? choice.label : undefined}>
          <input
            type="radio" name={name} value={choice.value} checked={choice.value === value} onChange={() => onChange(choice.value)}
            aria-label={choice.show ? choice.label : undefined}
          />
          <span>{choice.show ?? choice.label}</span>
        </label>
      ))}
    </div>
  );
}
