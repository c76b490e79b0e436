//! Tells the linker that Node supplies the Node-API symbols, and the library how it is being built.

use std::env;

fn main() {
    napi_build::setup();
    for name in ["TARGET", "PROFILE"] {
        pass_on(name, &env::var(name).unwrap_or_default());
    }
    // Only who builds can know it, and who builds the same sources again must get the same library: nothing is asked of git here.
    println!("cargo::rerun-if-env-changed=TTUN_COMMIT");
    pass_on("COMMIT", &env::var("TTUN_COMMIT").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
}

/// For `env!("TTUN_BUILD_…")` in the library.
fn pass_on(name: &str, value: &str) {
    println!("cargo::rustc-env=TTUN_BUILD_{name}={value}");
}
