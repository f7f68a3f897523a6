// Prints the number of threads of this process after a few calls and after many.
import { readdirSync } from 'node:fs';
import { selectiveScan, selectiveScanSync } from 'selective-scan';
import { tensorOptions } from '../support/call';
import { randomCase } from '../support/random-case';

const threads = (): number => readdirSync('/proc/self/task').length;

async function main(): Promise<void> {
  const { options } = tensorOptions(randomCase(), 'cpu');
  const calls = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) selectiveScanSync(options);
    await Promise.all(Array.from({ length: count }, () => selectiveScan(options)));
  };
  await calls(20);
  const few = threads();
  await calls(300);
  console.log(JSON.stringify({ few, many: threads() }));
}

main();
