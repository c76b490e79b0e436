//! Passes on to the program for which target it is built.

fn main() {
    println!("cargo::rustc-env=TTUN_BUILD_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
}
