//! How this library was built, for `ttun --version` and reports of faults.

use napi_derive::napi;

/// How this library was built.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingBuild {
    /// The target triple.
    pub target: &'static str,
    /// `release` or `debug`.
    pub profile: &'static str,
    /// The commit of the sources, where the build was told it (`TTUN_COMMIT`).
    pub commit: Option<&'static str>,
}

/// The version of this library, which must be that of the npm package around it.
#[napi(catch_unwind)]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// How this library was built.
#[napi(catch_unwind)]
#[must_use]
pub fn build() -> BindingBuild {
    let commit = env!("TTUN_BUILD_COMMIT");
    BindingBuild {
        target: env!("TTUN_BUILD_TARGET"),
        profile: env!("TTUN_BUILD_PROFILE"),
        commit: (!commit.is_empty()).then_some(commit),
    }
}
