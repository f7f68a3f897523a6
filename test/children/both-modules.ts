// Prints whether require and import give one and the same package.
import required = require('selective-scan');

async function main(): Promise<void> {
  const imported = await import('selective-scan');
  const names = Object.keys(required).sort();
  const same = names.map((name) => Reflect.get(required, name) === Reflect.get(imported, name));
  console.log(JSON.stringify({ names, same: same.every(Boolean), imported: Object.keys(imported).sort() }));
}

main();
