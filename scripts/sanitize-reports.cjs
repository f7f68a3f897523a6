// Which of ThreadSanitizer's reports are about our code. node is not instrumented: its atomics are not seen, so it takes
// V8's and libuv's own threads to race. A list of suppressions does not do: `race:` matches anywhere in a stack, and
// node is in each of ours; ignore_noninstrumented_modules also ignores our calls of memcpy.

// The runtimes through which code touches memory.
const runtimes = /\((libtsan|libstdc\+\+|libc|libgcc_s)\.so/;

// The stacks of what happened; the others say where a thread or a block of memory comes from.
const background = /^\s*(Thread|Location|Mutex|As if|SUMMARY)/;

function isOurs(section) {
  if (background.test(section)) return false;
  const frames = section.split('\n').filter((line) => /^\s*#\d+ /.test(line));
  return frames.find((frame) => !runtimes.test(frame))?.includes('(selective_scan.node+') ?? false;
}

/** The reports in one process's log in which our code, not node's, touches the memory or takes the lock. */
function threadReportsOf(log) {
  return log.split(/^={18}$/m).filter((report) => report.split('\n\n').some(isOurs));
}

module.exports = { threadReportsOf };
