// SPDX-License-Identifier: Apache-2.0
import { Icon, type IconName } from './icon';

interface IconButtonProps {
  icon: IconName;
  label: string; // also the tip
  onClick: () => void;
  bordered?: boolean;
  pressed?: boolean;
}

export function IconButton({ icon, label, onClick, bordered = false, pressed }: IconButtonProps) {
  return (
    <button type="button" className={bordered ? 'icon-button icon-button-bordered' : 'icon-button'} aria-label={label} aria-pressed={pressed} data-tip={label} onClick={onClick}>
      <Icon name={icon} size={bordered ? 14 : 16} />
    </button>
  );
}
