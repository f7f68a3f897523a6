// A jest reporter: says which groups of tests were skipped, and ends with one plain line of counts, which it also leaves
// in build/test-summary.txt.
const fs = require('node:fs');
const path = require('node:path');

module.exports = class Summary {
  onRunComplete(_contexts, results) {
    const skipped = new Map();
    for (const file of results.testResults) {
      for (const test of file.testResults) {
        if (test.status !== 'pending') continue;
        const group = `${path.basename(file.testFilePath, '.js')}: ${test.ancestorTitles[0] ?? test.title}`;
        skipped.set(group, (skipped.get(group) ?? 0) + 1);
      }
    }
    for (const [group, count] of skipped) console.log(`skipped ${count} of ${group}`);

    // A file that could not be run has no tests to count, and must not pass for a clean result.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const line = `${results.numPassedTests} passed, ${failed} failed, ${results.numPendingTests} skipped`;
    const build = path.resolve(__dirname, '..', 'build');
    fs.mkdirSync(build, { recursive: true });
    fs.writeFileSync(path.join(build, 'test-summary.txt'), `${line}\n`);
    console.log(line);
  }
};
