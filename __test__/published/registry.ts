/** URL of the registry on this machine to which `npm run test:packages` has published the packages. */
export const REGISTRY: string = given('TTUN_TEST_REGISTRY');

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run npm run test:packages`);
  return value;
}
