// SPDX-License-Identifier: Apache-2.0
// The syntax tree that /api/v1/parse_query answers with, and how to write any part of it as PromQL again.
import { formatDuration } from './duration';
import { labelName, quote } from './labels';

export interface Matcher {
  name: string;
  type: '=' | '!=' | '=~' | '!~';
  value: string;
}
export interface Matching {
  card: 'one-to-one' | 'one-to-many' | 'many-to-one' | 'many-to-many';
  labels: string[];
  on: boolean;
  include: string[];
  fillValues?: { lhs: number | null; rhs: number | null };
}
// A duration that is computed: its leaves are number literals in seconds, step() and range().
export interface DurationNode {
  type: 'durationExpr';
  op: string;
  lhs: DurationPart | null;
  rhs: DurationPart | null;
  wrapped: boolean;
}
type DurationPart = DurationNode | { type: 'numberLiteral'; val: string; duration?: boolean };

interface Shift {
  offset: number; // milliseconds
  offsetExpr?: DurationPart | null;
  timestamp: number | null; // milliseconds
  startOrEnd: 'start' | 'end' | null;
}
interface Selector extends Shift {
  name: string;
  matchers: Matcher[];
  anchored?: boolean;
  smoothed?: boolean;
}
export interface Aggregation {
  type: 'aggregation';
  op: string;
  expr: Node;
  param: Node | null;
  grouping: string[];
  without: boolean;
}
export interface Binary {
  type: 'binaryExpr';
  op: string;
  lhs: Node;
  rhs: Node;
  matching: Matching | null;
  bool: boolean;
}
export interface Call {
  type: 'call';
  func: { name: string; argTypes: ValueType[]; variadic: number; returnType: ValueType };
  args: Node[];
}
export interface VectorSelector extends Selector {
  type: 'vectorSelector';
}
export interface MatrixSelector extends Selector {
  type: 'matrixSelector';
  range: number; // milliseconds
  rangeExpr?: DurationPart | null;
}
export interface Subquery extends Shift {
  type: 'subquery';
  expr: Node;
  range: number;
  rangeExpr?: DurationPart | null;
  step: number; // milliseconds, 0: the default
  stepExpr?: DurationPart | null;
}
export type Node =
  | Aggregation | Binary | Call | VectorSelector | MatrixSelector | Subquery
  | { type: 'numberLiteral'; val: string }
  | { type: 'stringLiteral'; val: string }
  | { type: 'parenExpr'; expr: Node }
  | { type: 'unaryExpr'; op: string; expr: Node }
  | { type: 'placeholder'; children: Node[] };

export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string' | 'none';

export function children(node: Node): Node[] {
  switch (node.type) {
    case 'aggregation':
      return node.param ? [node.param, node.expr] : [node.expr];
    case 'binaryExpr':
      return [node.lhs, node.rhs];
    case 'call':
      return node.args;
    case 'subquery':
    case 'parenExpr':
    case 'unaryExpr':
      return [node.expr];
    case 'placeholder':
      return node.children;
    default:
      return [];
  }
}

const COMPARISONS = new Set(['==', '!=', '>', '<', '>=', '<=']);
const SETS = new Set(['and', 'or', 'unless']);
export const isComparison = (op: string): boolean => COMPARISONS.has(op);
export const isSetOperator = (op: string): boolean => SETS.has(op);

export function valueType(node: Node): ValueType {
  switch (node.type) {
    case 'call':
      return node.func.returnType;
    case 'binaryExpr':
      return valueType(node.lhs) === 'scalar' && valueType(node.rhs) === 'scalar' ? 'scalar' : 'vector';
    case 'matrixSelector':
    case 'subquery':
      return 'matrix';
    case 'numberLiteral':
      return 'scalar';
    case 'stringLiteral':
      return 'string';
    case 'parenExpr':
    case 'unaryExpr':
      return valueType(node.expr);
    case 'placeholder':
      return 'none';
    default:
      return 'vector';
  }
}

// The whole part, as a query of its own.
export function printNode(node: Node): string {
  switch (node.type) {
    case 'aggregation': {
      const args = node.param ? [node.param, node.expr] : [node.expr];
      return `${aggregationHead(node)} (${args.map(printNode).join(', ')})`.replace(/^(\w+) \(/, '$1(');
    }
    case 'binaryExpr':
      return `${printNode(node.lhs)} ${binaryText(node)} ${printNode(node.rhs)}`;
    case 'call':
      return `${node.func.name}(${node.args.map(printNode).join(', ')})`;
    case 'subquery':
      return `${printNode(node.expr)}${subqueryText(node)}`;
    case 'parenExpr':
      return `(${printNode(node.expr)})`;
    case 'unaryExpr':
      return `${node.op}${printNode(node.expr)}`;
    case 'placeholder':
      return node.children.map(printNode).join(', ');
    default:
      return shortText(node);
  }
}

// What the node itself adds, without what is below it.
export function shortText(node: Node): string {
  switch (node.type) {
    case 'aggregation':
      return aggregationHead(node);
    case 'binaryExpr':
      return binaryText(node);
    case 'call':
      return node.func.name;
    case 'vectorSelector':
      return selectorText(node) + shiftText(node);
    case 'matrixSelector':
      return `${selectorText(node)}[${durationText(node.range, node.rangeExpr)}]${extendText(node)}${offsetText(node)}`;
    case 'subquery':
      return subqueryText(node);
    case 'numberLiteral':
      return node.val;
    case 'stringLiteral':
      return quote(node.val);
    case 'parenExpr':
      return '(…)';
    case 'unaryExpr':
      return node.op;
    case 'placeholder':
      return '…';
  }
}

function aggregationHead(node: Aggregation): string {
  if (node.grouping.length === 0 && !node.without) return node.op;
  return `${node.op} ${node.without ? 'without' : 'by'} (${node.grouping.map(labelName).join(', ')})`;
}

export function binaryText(node: Binary): string {
  return [node.op, node.bool ? 'bool' : '', node.matching ? matchingText(node.matching) : ''].filter((part) => part !== '').join(' ');
}

function matchingText(matching: Matching): string {
  const parts: string[] = [];
  const names = (labels: readonly string[]) => labels.map(labelName).join(', ');
  if (matching.labels.length > 0 || matching.on) parts.push(`${matching.on ? 'on' : 'ignoring'} (${names(matching.labels)})`);
  if (matching.card === 'many-to-one') parts.push(`group_left (${names(matching.include)})`);
  if (matching.card === 'one-to-many') parts.push(`group_right (${names(matching.include)})`);
  const { lhs = null, rhs = null } = matching.fillValues ?? {};
  if (lhs !== null && lhs === rhs) parts.push(`fill (${lhs})`);
  else {
    if (lhs !== null) parts.push(`fill_left (${lhs})`);
    if (rhs !== null) parts.push(`fill_right (${rhs})`);
  }
  return parts.join(' ');
}

function selectorText(node: Selector): string {
  // A name that came as a plain word stands before the braces, all else within.
  const inside = node.matchers.filter((m) => !(m.name === '__name__' && m.type === '=' && m.value === node.name && node.name !== ''));
  const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(node.name);
  const texts = inside.map((m) => `${labelName(m.name)}${m.type}${quote(m.value)}`);
  if (node.name !== '' && !plain) texts.unshift(quote(node.name));
  const front = plain ? node.name : '';
  return front !== '' && texts.length === 0 ? front : `${front}{${texts.join(', ')}}`;
}

function shiftText(node: Selector): string {
  return extendText(node) + offsetText(node);
}

function extendText(node: Selector): string {
  return node.anchored ? ' anchored' : node.smoothed ? ' smoothed' : '';
}

function offsetText(node: Shift): string {
  let text = '';
  if (node.startOrEnd) text += ` @ ${node.startOrEnd}()`;
  else if (node.timestamp !== null) text += ` @ ${(node.timestamp / 1000).toFixed(3)}`;
  if (node.offsetExpr) text += ` offset ${durationPart(node.offsetExpr)}`;
  else if (node.offset > 0) text += ` offset ${formatDuration(node.offset)}`;
  else if (node.offset < 0) text += ` offset -${formatDuration(-node.offset)}`;
  return text;
}

function subqueryText(node: Subquery): string {
  const step = node.stepExpr || node.step > 0 ? durationText(node.step, node.stepExpr) : '';
  return `[${durationText(node.range, node.rangeExpr)}:${step}]${offsetText(node)}`;
}

function durationText(ms: number, expr: DurationPart | null | undefined): string {
  return expr ? durationPart(expr) : formatDuration(ms);
}

function durationPart(part: DurationPart): string {
  if (part.type === 'numberLiteral') return part.duration ? formatDuration(Number(part.val) * 1000) : part.val;
  const { op, lhs, rhs } = part;
  const isCall = op === 'step' || op === 'range' || op === 'min_of' || op === 'max_of' || op === 'min' || op === 'max';
  const args = [lhs, rhs].flatMap((side) => (side ? [durationPart(side)] : []));
  let text = args.join(` ${op} `);
  if (isCall) text = `${op}(${args.join(', ')})`;
  else if (!lhs && rhs) text = op + durationPart(rhs);
  return part.wrapped ? `(${text})` : text;
}
