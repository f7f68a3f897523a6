import { type Axis, describe } from '../check.js';
import { SelectiveScanError } from '../errors.js';

/** 'bdl': activations are [batch, dim, seqlen]. 'bld': [batch, seqlen, dim]. */
export type Layout = 'bdl' | 'bld';

export function checkLayout(layout: unknown): Layout {
  if (layout === undefined) return 'bdl';
  if (layout === 'bdl' || layout === 'bld') return layout;
  throw new SelectiveScanError('ERR_OPTION', `Expected layout to be 'bdl' or 'bld' but received ${describe(layout)}.`);
}

/** [batch, ...inner, time] or [batch, time, ...inner]. */
export function inLayout(layout: Layout, batch: Axis, inner: readonly Axis[], time: Axis): Axis[] {
  return layout === 'bdl' ? [batch, ...inner, time] : [batch, time, ...inner];
}
