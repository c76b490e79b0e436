//! Passes the target to the program.

fn main() {
    println!("cargo::rustc-env=TTUN_BUILD_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
}
