//! Sets up linking to Node, and passes build details to the library.

use std::env;

fn main() {
    napi_build::setup();
    for name in ["TARGET", "PROFILE"] {
        pass_on(name, &env::var(name).unwrap_or_default());
    }
    // Not read from git: a build of the same sources without a repository must give the same library.
    println!("cargo::rerun-if-env-changed=TTUN_COMMIT");
    pass_on("COMMIT", &env::var("TTUN_COMMIT").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
}

/// For `env!("TTUN_BUILD_…")` in the library.
fn pass_on(name: &str, value: &str) {
    println!("cargo::rustc-env=TTUN_BUILD_{name}={value}");
}
