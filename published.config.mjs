/** `npm run test:packages`. */
import config from './ava.config.mjs';

export default { ...config, files: ['__test__/published/**/*.test.ts'], timeout: '10m' };
