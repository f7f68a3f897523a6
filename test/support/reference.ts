import { indexing, type ScanCase, sequencesOf } from './scan-case';

// Named once: inside jest every use of a global is a look-up through its sandbox, many times as slow.
const { cos, exp, fround, log1p, sin } = Math;

export interface ScanOutputs {
  out: Float64Array; // as u
  lastState: Float64Array; // [sequences, dim, dstate], pairs where complex
}

export type Round = (value: number) => number;

const exact: Round = (value) => value;

/** The selective scan (Gu and Dao 2023, algorithm 2) step by step in float64. */
export function referenceScan(c: ScanCase): ScanOutputs {
  return scan(c, exact);
}

/** The same steps with every operation rounded to float32: what a plain loop in that type gives. */
export function plainFloat32Scan(c: ScanCase, round: Round = fround): ScanOutputs {
  return scan(c, round);
}

function scan(c: ScanCase, r: Round): ScanOutputs {
  const at = indexing(c);
  const step = c.complex ? complexStep(c, r) : realStep(c, r);
  const sequences = sequencesOf(c);
  const width = c.complex ? 2 : 1;
  const out = new Float64Array(c.u.length);
  const lastState = new Float64Array(sequences.length * c.dim * c.dstate * width);

  sequences.forEach(({ b, from, to }, s) => {
    for (let d = 0; d < c.dim; d++) {
      const g = Math.floor(d / (c.dim / c.groups));
      const first = at.state(s, d, 0) * width;
      const h = lastState.subarray(first, first + c.dstate * width); // the state, left in place when time is over
      if (c.initialState) h.set(c.initialState.subarray(first, first + c.dstate * width));
      for (let t = from; t < to; t++) {
        const i = at.sequence(b, d, t);
        const u = c.u[i] as number;
        const dt = timeStep(c, d, i, r);
        const dtu = r(dt * u);
        let y = 0;
        for (let n = 0; n < c.dstate; n++) {
          const iA = at.constant(d, n);
          const varying = at.varying(b, g, n, t);
          y = r(y + step(h, n, dt, dtu, iA, c.constantB ? iA : varying, c.constantC ? iA : varying));
        }
        if (c.D) y = r(y + r((c.D[d] as number) * u));
        if (c.z) y = r(y * silu(c.z[i] as number, r));
        out[i] = y;
      }
    }
  });
  return { out, lastState };
}

/** One step of one state, left in h: h = exp(dt A) h + dt u B. Returns the state's share of the output, C h. */
type Step = (h: Float64Array, n: number, dt: number, dtu: number, iA: number, iB: number, iC: number) => number;

function realStep(c: ScanCase, r: Round): Step {
  return (h, n, dt, dtu, iA, iB, iC) => {
    const decay = r(exp(r(dt * (c.A[iA] as number))));
    const next = r(r(decay * (h[n] as number)) + r(dtu * (c.B[iB] as number)));
    h[n] = next;
    return r((c.C[iC] as number) * next);
  };
}

/** The same in pairs (re, im); of C h only the real part is wanted, and twice, as the conjugate states are left out. */
function complexStep(c: ScanCase, r: Round): Step {
  const pair = (x: Float64Array, i: number): [number, number] => [x[2 * i] as number, x[2 * i + 1] as number];
  return (h, n, dt, dtu, iA, iB, iC) => {
    const [aRe, aIm] = pair(c.A, iA);
    const [bRe, bIm] = pair(c.B, iB);
    const [cRe, cIm] = pair(c.C, iC);
    const [re, im] = pair(h, n);
    const size = r(exp(r(dt * aRe)));
    const angle = r(dt * aIm);
    const [decayRe, decayIm] = [r(size * r(cos(angle))), r(size * r(sin(angle)))];
    const nextRe = r(r(r(decayRe * re) - r(decayIm * im)) + r(dtu * bRe));
    const nextIm = r(r(r(decayRe * im) + r(decayIm * re)) + r(dtu * bIm));
    h.set([nextRe, nextIm], 2 * n);
    return 2 * r(r(cRe * nextRe) - r(cIm * nextIm));
  };
}

/** dt = softplus(delta + deltaBias), the identity above 20. */
function timeStep(c: ScanCase, d: number, i: number, r: Round): number {
  const x = r((c.delta[i] as number) + (c.deltaBias?.[d] ?? 0));
  return c.deltaSoftplus && x <= 20 ? r(log1p(r(exp(x)))) : x;
}

function silu(z: number, r: Round): number {
  return r(z / r(1 + r(exp(-z))));
}
