//! The tunnel bound to Node: data-transfer objects and handles, no logic.
//!
//! The names of all types begin with `Binding`, so that none is mistaken for the public type of the TypeScript layer. Loading
//! this library starts no thread. Blocking calls run on their own threads, and no call waits for packets.

#![allow(unreachable_pub, reason = "items are exported to JavaScript by the macros, not to other crates")]
#![cfg_attr(test, allow(dead_code, reason = "napi exports nothing to JavaScript in unit tests"))]

mod changes;
mod echo;
mod inspect;
mod options;
mod process;
mod stats;
mod tunnel;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use ttun_core::{End, Error, Tunnel};

/// The version of this library, which must be that of the npm package around it.
#[napi(catch_unwind)]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// How this library was built, for `ttun --version` and bug reports.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingBuild {
    /// The target triple.
    pub target: &'static str,
    /// `release` or `debug`.
    pub profile: &'static str,
    /// The commit of the sources, if it was given to the build (`TTUN_COMMIT`).
    pub commit: Option<&'static str>,
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

/// An error as data: an asynchronous function cannot reject with its own code, so the TypeScript layer converts it to
/// an exception.
#[napi(object, object_from_js = false, use_nullable = true)]
#[derive(Clone)]
pub struct BindingError {
    /// One of the `ERR_TTUN_…` codes.
    pub code: String,
    /// A one-line description.
    pub message: String,
    /// How to fix it, if known.
    pub hint: Option<String>,
    /// The system call that failed, if one did.
    pub syscall: Option<String>,
    /// The (positive) error number of that call.
    pub errno: Option<i32>,
}

impl From<Error> for BindingError {
    fn from(error: Error) -> Self {
        Self {
            code: error.kind().code().to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            syscall: error.syscall().map(str::to_owned),
            errno: error.errno(),
        }
    }
}

/// How a tunnel ended.
#[napi(object, object_from_js = false, use_nullable = true)]
#[derive(Clone)]
pub struct BindingEnd {
    /// Why it failed; null when it was closed.
    pub error: Option<BindingError>,
}

impl From<End> for BindingEnd {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self { error: None },
            End::Failed(error) => Self { error: Some(error.into()) },
        }
    }
}

/// The running tunnels of one JavaScript environment (the main thread of a process, or a worker), so that none outlives it.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<Tunnels>>);

#[derive(Default)]
struct Tunnels {
    /// The environment has ended: a tunnel that is opened now has no user.
    closed: bool,
    next: u64,
    running: HashMap<u64, Arc<Tunnel>>,
}

/// Runs once in each environment that loads this library.
///
/// # Errors
/// When Node accepts no hook for the end of the environment.
#[napi(module_exports)]
pub fn init(_exports: Object<'_>, env: Env) -> Result<()> {
    let registry = Registry::default();
    env.set_instance_data(registry.clone(), (), |_| {})?;
    env.add_env_cleanup_hook(registry, |registry| registry.close())?;
    Ok(())
}

/// Closes all tunnels of this thread's environment and returns when the system is restored. For the end of the
/// environment: no tunnel can be opened after it. Where `process.exit` ends the main thread, no cleanup hook runs.
///
/// # Errors
/// When Node does not hand out the data of the environment.
#[napi(catch_unwind)]
pub fn close_tunnels(env: Env) -> Result<()> {
    Registry::of(env)?.close();
    Ok(())
}

impl Registry {
    /// The registry of the calling environment.
    pub(crate) fn of(env: Env) -> Result<Self> {
        Ok(env.get_instance_data::<Self>()?.cloned().unwrap_or_default())
    }

    /// Keeps `tunnel` until it ends. When the environment has already ended, closes it instead.
    pub(crate) fn keep(&self, tunnel: &Arc<Tunnel>) {
        let mut tunnels = self.lock();
        if tunnels.closed {
            tunnel.request_close();
            return;
        }
        let number = tunnels.next;
        tunnels.next += 1;
        tunnels.running.insert(number, Arc::clone(tunnel));
        drop(tunnels);
        let registry = self.clone();
        // Dropping the last handle of a tunnel waits for its thread. Here that is the thread itself, so that JavaScript's
        // garbage collector never waits.
        tunnel.on_end(move |_| {
            let ended = registry.lock().running.remove(&number);
            drop(ended);
        });
    }

    fn close(&self) {
        let mut tunnels = self.lock();
        tunnels.closed = true;
        let running: Vec<_> = tunnels.running.drain().map(|(_, tunnel)| tunnel).collect();
        drop(tunnels);
        for tunnel in &running {
            tunnel.request_close();
        }
        for tunnel in running {
            let _ = tunnel.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tunnels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
