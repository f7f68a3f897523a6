export type Columns = Record<string, string | number | undefined>;

/** Prints rows as columns that line up; a column that no row fills is left out. */
export function printTable(rows: readonly Columns[]): void {
  const names = Object.keys(rows[0] ?? {}).filter((name) => rows.some((row) => row[name] !== undefined));
  const cells = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? '')))];
  const widths = names.map((_, i) => Math.max(...cells.map((line) => (line[i] as string).length)));
  for (const line of cells) console.log(line.map((cell, i) => cell.padStart(widths[i] as number)).join('  '));
}

export function percent(fraction: number | undefined): string | undefined {
  return fraction === undefined ? undefined : `${(100 * fraction).toFixed(0)}%`;
}
