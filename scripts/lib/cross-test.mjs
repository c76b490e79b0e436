import { prepareCrossCompiler } from './cross-compiler.mjs';
import { ARM64_GLIBC } from './foreign-nodes.mjs';

/** What these two ask the kernel for, qemu does not pass on: IP_MTU and SO_RXQ_OVFL. */
const BEYOND_EMULATION = [
  'tests::loopback::the_mtu_of_the_route_is_known',
  'tests::loopback::what_a_full_receive_buffer_loses_is_counted',
];

/** Runs the tests of packet arithmetic, and of whole tunnels in memory, on an emulated arm64. */
export function crossTest(platform) {
  const tests = ['--package', 'ttun-packet', '--package', 'ttun-core', '--lib', '--test', 'packets'];
  const skipped = BEYOND_EMULATION.flatMap((name) => ['--skip', name]);
  console.log(`\nNot run on ${platform.name}, as its emulation can't: ${BEYOND_EMULATION.join(', ')}`);
  prepareCrossCompiler([platform]).cargo(platform, ['test', '--quiet', ...tests, '--', ...skipped], {
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER: `qemu-aarch64-static -L ${ARM64_GLIBC}`,
    // It is slow, and each case is tried as often as usual without it.
    PROPTEST_CASES: '32',
  });
}
