import { jest } from '@jest/globals';

// Processes are started and long sequences computed, where other tests run beside on a slow machine.
jest.setTimeout(60_000);
