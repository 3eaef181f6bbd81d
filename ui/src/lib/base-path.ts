// SPDX-License-Identifier: Apache-2.0
// The route prefix, "" or "/some/prefix": the server writes it into <base href>.
export const basePath = new URL(document.baseURI).pathname.replace(/\/+$/, '');
