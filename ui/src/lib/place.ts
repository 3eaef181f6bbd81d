// SPDX-License-Identifier: Apache-2.0
import { basePath } from './base-path';

// The page that the address names, below the route prefix: "/query", "/targets", ...
export function currentPath(): string {
  const { pathname } = window.location;
  const below = pathname.startsWith(basePath + '/') ? pathname.slice(basePath.length) : pathname;
  return below.replace(/\/+$/, '') || '/';
}
