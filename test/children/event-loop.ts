// Prints how long a call took in promise form, and the longest time between two turns of the event loop meanwhile.
import { performance } from 'node:perf_hooks';
import { selectiveScan } from 'selective-scan';
import { slowProblem } from '../support/slow-problem';

async function main(): Promise<void> {
  const options = slowProblem(1000);
  let longest = 0;
  let turns = 0;
  const start = performance.now();
  let last = start;
  const turn = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    turns++;
  };
  const timer = setInterval(turn, 5);
  const promise = selectiveScan(options);
  const calling = performance.now() - start;
  await promise;
  turn();
  clearInterval(timer);
  console.log(JSON.stringify({ took: performance.now() - start, calling, longest, turns }));
}

main();
