/** `npm test`. The tests of published packages need another build: `npm run test:packages`. */
export default {
  files: ['__test__/**/*.test.ts', '!__test__/published/**'],
  extensions: { ts: 'module' },
  nodeArguments: ['--import', '@oxc-node/core/register'],
  workerThreads: false,
  timeout: '5m',
};
